"""What a session of the queue server has by name beside its plans, and who may use it."""

import runpy
from pathlib import Path

import pytest
import yaml

pytest.importorskip("bluesky_queueserver", reason="pip install 'bluesky-stm[queueserver]'")

from bluesky_queueserver.manager.profile_ops import existing_plans_and_devices_from_nspace, validate_plan

from bluesky_stm import facility
from bluesky_stm.errors import TipCrashError

ROOM = Path(facility.__file__).parent


@pytest.fixture(name="names")
def _names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(ROOM / "queue_startup.py"))
    yield names
    names["_session"].close()


def test_its_detectors_and_flyers_go_by_their_own_names(names):
    for name in ("sweep", "scanner", "grid"):
        assert names[name] is getattr(names["stm"], name)


def test_a_person_clears_a_fault_with_a_function_that_no_plan_calls(names):
    stm = names["stm"]
    assert "no fault" in names["clear_fault"]()
    stm.latch(TipCrashError("the tip touched"))
    assert "TipCrashError: the tip touched" in names["clear_fault"]()
    assert stm.fault is None
    allowed = yaml.safe_load((ROOM / "user_group_permissions.yaml").read_text())["user_groups"]["primary"]["allowed_functions"]
    assert "clear_fault" in allowed


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        ({"scalarizer": "gap"}, True),
        ({"scalarizer": "gap:level=0.5"}, True),
        ({"scalarizer": {"name": "gap", "sigmas": 4}}, True),
        ({"agent": "dkl:acquisition=ucb", "stop": "target:-0.7", "child": "most-points"}, True),
        ({"agent": None}, True),
        ({"agent": "nobody"}, False),
        ({"agent": "nobody:net=false"}, False),
        ({"scalarizer": "gapp"}, False),
        ({"stop": "gap"}, False),
        ({"scalarizer": 5}, False),
    ],
)
def test_a_queue_item_names_a_part_with_settings_and_an_unknown_name_is_refused_before_it_is_queued(names, choice, taken):
    plans, devices, *_ = existing_plans_and_devices_from_nspace(nspace=names)
    item = {"item_type": "plan", "name": "explore", "kwargs": {"scale": next(iter(names["_SCALES"])), **choice}}
    said, why = validate_plan(item, allowed_plans=plans, allowed_devices=devices)
    assert said is taken, why
