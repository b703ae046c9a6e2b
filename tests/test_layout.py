"""The house: rooms import downwards only, nothing heavy is loaded unasked, the wheel holds every package."""

import ast
import configparser
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import bluesky_stm

ROOT = Path(__file__).resolve().parents[1]

LEVELS = [
    {"data", "units", "errors", "submission", "engine", "processes", "console"},
    {"validated"},
    {"geometry"},
    {"pictures"},
    {"measurements", "parts", "robust", "smoothing"},
    {"documents", "protocols", "settings", "tip_changes", "calibration", "barrier", "streaks", "standing_lines"},
    {"surface", "scalarizers", "imaging", "valued", "files"},
    {"steer", "spots", "scales"},
    {"teaching"},
    {"devices", "controllers", "agents", "views", "storage"},
    {"plans"},
    {"runs", "pretrain", "layers"},
    {"night"},
    {"session"},
    {"facility"},
    {"desk"},
    {"cli"},
]
FORBIDDEN = {("agents", "teaching"), ("plans", "teaching"), ("plans", "agents"), ("plans", "controllers"), ("plans", "storage")}
"""Downwards, and forbidden all the same: an agent knows no document, a plan no agent class and no controller."""


def level(room):
    return next(i for i, rooms in enumerate(LEVELS) if room in rooms)


def modules():
    folders = [ROOT / "bluesky_stm", ROOT / "devices", ROOT / "plans"]
    return [path for folder in folders for path in sorted(folder.rglob("*.py")) if path != ROOT / "bluesky_stm/__init__.py"]


def room_of(path):
    parts = path.relative_to(ROOT).parts
    return Path(parts[1]).stem if parts[0] == "bluesky_stm" else parts[0]


def imported_rooms(path):
    """Rooms of the package that a module imports, at its top or inside a function; not what only a type checker sees."""
    tree = ast.parse(path.read_text())
    checking = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import in full, not relatively"
            names = [
                f"{node.module}.{alias.name}" if node.module == "bluesky_stm" else node.module or "" for alias in node.names
            ]
        for name in names:
            parts = name.split(".")
            if parts[0] == "bluesky_stm" and len(parts) > 1 and node not in checking:
                yield parts[1]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_only_rooms_below_them(path):
    room = room_of(path)
    for other in imported_rooms(path):
        if other == room:
            continue
        assert level(other) < level(room), f"{path.name} in {room} imports {other}, which does not lie below it"
        assert (room, other) not in FORBIDDEN, f"{path.name} in {room} must not know {other}"


CONTROLLERS = ROOT / "bluesky_stm" / "controllers"
SHARED = {"controllers.base", "controllers.nanonis_wire"}
"""Packages of the controllers that every wing may import; of the others, each imports only itself."""


@pytest.mark.parametrize("path", sorted(CONTROLLERS.rglob("*/*.py")), ids=lambda p: str(p.relative_to(CONTROLLERS)))
def test_a_wing_of_the_controllers_imports_no_other_wing(path):
    wing = f"controllers.{path.parent.name}"
    for node in ast.walk(ast.parse(path.read_text())):
        names = [f"{node.module}"] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            other = ".".join(name.split(".")[1:3])
            assert not other.startswith("controllers") or other in {wing, *SHARED}, f"{path.name} in {wing} imports {name}"


def loaded_with(name):
    """Modules of ours that importing ``name`` loads."""
    code = f"import sys, {name}; print(*[m for m in sys.modules if m.startswith('bluesky_stm.')], sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return set(done.stdout.split())


def wings_of(modules):
    return {name.split(".")[2] for name in modules if name.startswith("bluesky_stm.controllers.")}


def test_the_host_of_a_real_microscope_loads_no_simulation_and_no_files():
    """Neither a surface nor a simulated server nor a file format comes with the Nanonis controller."""
    loaded = loaded_with("bluesky_stm.controllers.nanonis")
    rooms = {name.split(".")[1] for name in loaded}
    assert "controllers" in rooms
    assert not rooms & {"surface", "files", "scalarizers", "imaging", "spots", "devices", "agents", "session"}
    assert wings_of(loaded) == {"base", "nanonis", "nanonis_wire"}


def test_controllers_load_no_wing_before_it_is_asked_for():
    wings = {
        name.split(".")[2] for name in loaded_with("bluesky_stm.controllers") if name.startswith("bluesky_stm.controllers.")
    }
    assert wings == {"base"}


def test_every_folder_with_code_is_a_package_of_the_wheel():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    folders = {p.parent.relative_to(ROOT).as_posix().replace("/", ".") for p in (ROOT / "bluesky_stm").rglob("__init__.py")}
    folders |= {f"bluesky_stm.{name}" for name in ("devices", "plans")}
    assert listed == folders


@pytest.mark.parametrize("name", ["bluesky_stm", "bluesky_stm.devices", "bluesky_stm.plans", "bluesky_stm.controllers"])
def test_importing_the_instrument_side_loads_nothing_heavy(name):
    heavy = "torch gpytorch botorch tiled databroker matplotlib pandas"
    code = f"import sys, {name}; print(*sorted(set(sys.modules) & set({heavy.split()!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.split() == []


def test_devices_plans_and_controllers_work_where_torch_is_not_installed(tmp_path):
    """An instrument's host needs no torch: a whole run with an agent that needs none."""
    code = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "gpytorch", "linear_operator"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from bluesky import RunEngine
from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.plans import explore
from bluesky_stm.settings import LengthScale
scale = LengthScale(name="small", frame=20, pixels=32, patch=4, step=2, budget=3, seeds=3, agent="random")
stm = STM(controller=SimulatedController(seed=1), name="stm")
agent = AgentDevice(make_agent("random", seed=1, patch=4, step=2, seeds=3), scale, name="agent")
names = []
RE = RunEngine()
RE(explore(stm, agent), lambda name, doc: names.append(name))
print(names.count("event"), names[-1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    events, last = done.stdout.split()
    assert last == "stop"
    assert int(events) >= 3 + 3 + 1


def test_the_package_shows_its_names_and_rooms_and_nothing_else():
    shown = {name for name in dir(bluesky_stm) if not name.startswith("__")}
    rooms = {room_of(path) for path in modules() if not room_of(path).startswith("_")}
    assert shown == {*bluesky_stm.__all__, "open", *rooms}
    for name in (*bluesky_stm.__all__, "open"):
        assert callable(getattr(bluesky_stm, name)), name
    assert bluesky_stm.__version__ == version("bluesky-stm")


def test_names_for_a_type_checker_are_those_that_are_loaded_when_used():
    tree = ast.parse((ROOT / "bluesky_stm/__init__.py").read_text())
    homes = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("bluesky_stm.")
        for alias in node.names
    }
    assert homes == {name: f"bluesky_stm.{home}" for name, home in bluesky_stm._HOMES.items()}
    assert bluesky_stm.__all__ == sorted(homes.keys() - {"open"})


def test_a_star_import_leaves_the_open_of_python_alone():
    names = {}
    exec("from bluesky_stm import *", names)
    assert "simulated" in names and "open" not in names
    assert bluesky_stm.open is bluesky_stm.session.open


def test_a_room_is_there_after_the_package_was_imported():
    code = "import sys, bluesky_stm; print(bluesky_stm.plans.explore, bluesky_stm.devices.STM, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.split()[-1] == "False"
    assert not hasattr(bluesky_stm, "spectra")
