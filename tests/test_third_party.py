"""Each library of others is at home in few rooms; what is heavy is loaded inside functions only."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

HOMES = {
    "ophyd": {"devices"},
    # storage asks whether a server is there, and says on which host it writes; steer, cli and desk say where a person sits
    "socket": {"controllers", "facility", "storage", "steer", "cli", "desk"},
    "starlette": {"desk"},
    "uvicorn": {"desk"},
    "mcp": {"desk"},
    "nanonis_spm": {"controllers"},
    "torch": {"agents", "pretrain", "cli"},  # the command line asks it for a GPU
    "gpytorch": {"agents"},
    "matplotlib": {"views"},
    "databroker": {"storage"},
    "tiled": {"storage"},
    "bluesky_tiled_plugins": {"storage"},
    "pandas": {"storage"},
    "xarray": {"storage", "files"},  # files of GXSM are netCDF
    "skimage": {"imaging", "spots"},
    "h5py": {"files", "devices", "documents"},  # the two open images that are too large for a document
    "bluesky": {"plans", "night", "runs", "views", "engine", "session", "facility", "cli"},  # a run that is resumed is a plan
    "bluesky_queueserver": {"plans", "facility"},
    "bluesky_queueserver_api": {"facility", "cli"},
    "happi": {"facility", "night"},
    "IPython": {"facility"},
    "typer": {"cli", "pretrain"},
    "rich": {"cli", "console", "views"},
}
ENGINE = {"engine", "session", "facility", "cli"}
"""Rooms that know a RunEngine."""
INSIDE = {
    "starlette",
    "uvicorn",
    "mcp",
    "matplotlib",
    "databroker",
    "tiled",
    "bluesky_tiled_plugins",
    "pandas",
    "xarray",
    "IPython",
}


@cache
def imports():
    """Every import that is carried out: file, room, name of the library, imported names, and whether it is in a function."""
    return [one for path in sources() for one in _imports_of(path)]


def sources():
    return [path for folder in ("bluesky_stm", "devices", "plans") for path in sorted((ROOT / folder).rglob("*.py"))]


def _imports_of(path):
    parts = path.relative_to(ROOT).parts
    room = Path(parts[1]).stem if parts[0] == "bluesky_stm" else parts[0]
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {node for function in functions for node in ast.walk(function)}
    checking = [b for b in ast.walk(tree) if isinstance(b, ast.If) and ast.unparse(b.test) == "TYPE_CHECKING"]
    unseen = {node for branch in checking for node in ast.walk(branch)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in unseen:
            names = {alias.name for alias in node.names}
            modules = names if isinstance(node, ast.Import) else {node.module or ""}
            yield from ((path, room, module.split(".")[0], names, node in inside) for module in modules)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_at_home_only(library):
    rooms = {room: path for path, room, found, *_ in imports() if found == library}
    assert rooms, "not used any more: take it out of this list"
    assert set(rooms) <= HOMES[library], {room: path for room, path in rooms.items() if room not in HOMES[library]}


def test_what_is_heavy_is_imported_inside_functions():
    assert [(path, library) for path, _, library, _, inside in imports() if library in INSIDE and not inside] == []


def test_only_where_the_parts_are_put_together_is_a_run_engine_known():
    assert {room for _, room, library, names, _ in imports() if library == "bluesky" and "RunEngine" in names} <= ENGINE
