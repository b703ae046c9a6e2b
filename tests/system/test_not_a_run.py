"""What is no run, and a run that is no exploration, is refused in a sentence, wherever a run is asked for."""

import bluesky.plans as bp
import pytest
from bluesky import RunEngine
from ophyd.sim import det, motor

import bluesky_stm
from bluesky_stm.errors import STMError
from bluesky_stm.runs import resume, sweep, what_if
from bluesky_stm.storage import import_run, open_catalog

DOORS = {
    "export": lambda run, folder: bluesky_stm.export(run, folder / "run.msgpack"),
    "figure": lambda run, folder: bluesky_stm.figure(run),
    "load_run": lambda run, folder: bluesky_stm.load_run(run),
    "replay": lambda run, folder: bluesky_stm.replay(run),
    "report": lambda run, folder: bluesky_stm.report(run, folder / "page.html"),
    "resume": lambda run, folder: resume(run),
    "sweep": lambda run, folder: sweep(run, [{"seed": 1}]),
    "what_if": lambda run, folder: what_if(run),
}
doors = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@doors
def test_a_uid_without_its_catalog_is_called_a_uid(door, tmp_path):
    with pytest.raises(STMError, match=r"'3f2a' is a uid, and only a catalog knows the run.*catalog\['3f2a'\]"):
        door("3f2a", tmp_path)
    assert not list(tmp_path.iterdir())


@doors
@pytest.mark.parametrize("odd", [None, 7, [1, 2], [("start",)], {"start": {}}, object()], ids=lambda odd: type(odd).__name__)
def test_what_is_no_run_at_all_is_said_to_be_none(door, odd, tmp_path):
    with pytest.raises(STMError, match="no run"):
        door(odd, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("door", ["export", "load_run", "replay"])
def test_a_file_that_is_not_there_and_a_folder_are_named(door, tmp_path):
    with pytest.raises(STMError, match=r"night\.msgpack' is not there"):
        DOORS[door](tmp_path / "night.msgpack", tmp_path)
    with pytest.raises(STMError, match="is a folder"):
        DOORS[door](tmp_path, tmp_path)


@pytest.fixture
def scanned(tmp_path_factory):
    """A run of a plan of Bluesky itself, in a catalog of this package."""
    with open_catalog(tmp_path_factory.mktemp("catalog")) as catalog:
        RE = RunEngine()
        RE.subscribe(catalog)
        RE(bp.scan([det], motor, 0, 1, 3))
        yield catalog[-1]


@pytest.mark.parametrize("door", [*sorted(DOORS.keys() - {"export"})])
def test_a_run_of_another_plan_is_refused_as_no_exploration(door, scanned, tmp_path):
    with pytest.raises(STMError, match=r"no exploration|names no|holds no|not written by the plans of this package"):
        DOORS[door](scanned, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_documents_of_another_plan_go_out_and_come_back(scanned, tmp_path):
    path = DOORS["export"](scanned, tmp_path)
    with open_catalog(tmp_path / "elsewhere") as catalog:
        assert import_run(catalog, path).uid == scanned.uid
