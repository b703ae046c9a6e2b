"""The page on the architecture names functions that exist, where it says."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
STEPS = re.findall(r"^\| .* \| `([\w.]+)` \| `([\w/.]+)` \|$", PAGE, re.MULTILINE)


def names_in(body, inside=""):
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield f"{inside}{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from names_in(node.body, f"{node.name}.")


@pytest.mark.parametrize(("name", "file"), STEPS)
def test_a_step_names_a_function_that_is_there(name, file):
    assert name in set(names_in(ast.parse((ROOT / file).read_text()).body)), (
        f"{file} has no {name}: put docs/architecture.md right"
    )


def test_the_ways_of_a_spectrum_a_decision_and_a_replay_are_told_to_their_ends():
    assert len(STEPS) > 20
    assert set(re.findall(r"^## The way of a (\w+)", PAGE, re.MULTILINE)) == {"spectrum", "decision", "replay"}


def test_every_room_is_on_the_map():
    rooms = {path.stem for path in (ROOT / "bluesky_stm").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert [room for room in rooms | {"devices", "plans", "session"} if f"`{room}`" not in PAGE] == []


def test_every_room_is_in_the_reference(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    page = importlib.import_module("reference_pages").page()
    rooms = {path.stem for path in (ROOT / "bluesky_stm").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    public = rooms - {"__init__", "__pycache__", "cli"} | {"devices", "plans", "controllers.nanonis", "controllers.simulated"}
    assert [room for room in sorted(public) if f".. automodule:: bluesky_stm.{room}\n" not in page] == []
