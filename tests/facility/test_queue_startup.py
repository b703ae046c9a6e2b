"""What a session of the queue server has by name beside its plans, and who may use it."""

import inspect
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("bluesky_queueserver", reason="pip install 'bluesky-stm[queueserver]'")

from bluesky_queueserver.manager.profile_ops import existing_plans_and_devices_from_nspace, validate_plan

from bluesky_stm import facility, plans, submission
from bluesky_stm.errors import STMError, TipCrashError
from bluesky_stm.facility._plain import MEASURING, plain_plan

ROOM = Path(facility.__file__).parent


@pytest.fixture(name="names", scope="module")
def _names(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("queue"))
        yield from _started()


def _started():
    names = runpy.run_path(str(ROOM / "queue_startup.py"))
    yield {**names, "plain": plain_plan}
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


PUBLIC = {"night", *MEASURING}


def test_every_public_plan_is_offered_with_all_its_parameters_and_nothing_else_is(names):
    """Signatures are compared: what a session fills in is missing, and an agent is chosen by its scale and its settings."""
    offered, _, *_ = existing_plans_and_devices_from_nspace(nspace=names)
    assert set(offered) == PUBLIC | {"explore_remotely"}
    for name in MEASURING:
        own = set(inspect.signature(getattr(plans, name)).parameters) - {"stm", "steer", "earlier", "agent", "make_agent"}
        assert own <= {parameter["name"] for parameter in offered[name]["parameters"]}, name
    described = {one["name"]: one.get("description", "") for one in offered["explore_multiscale"]["parameters"]}
    assert all(described.values()), "each is described, for the forms of a client"


def test_no_public_plan_was_forgotten():
    """A plan is what emits messages by itself; steps of a run and wrappers around a plan are not."""
    steps = {"decide", "draw_map", "measure_at", "measure_and_decide", "take_topograph", "take_z_spectrum"}
    around = {"safely", "with_bias", "with_fields_checked"}
    made = {name for name in plans.__all__ if inspect.isgeneratorfunction(inspect.unwrap(getattr(plans, name)))}
    assert made - steps - around == set(MEASURING)


SCALE = {"name": "s", "frame": 20, "pixels": 32, "patch": 4, "step": 2, "budget": 3, "seeds": 3, "agent": "random"}
FRAME = {"center": [0, 0], "size": [10, 10], "pixels": [16, 16]}
NONSENSE = [
    ("explore", {"scale": "atoms"}, "There is no length scale named 'atoms'"),
    ("explore", {"scale": "mesa", "agent": "nobody"}, "There is no agent named 'nobody'"),
    ("explore", {"scale": "mesa", "agent": "dkl:net=maybe"}, "net"),
    ("explore", {"scale": "mesa", "agent": {"name": "dkl", "colour": "red"}}, "colour: there is no such setting"),
    ("explore", {"scale": "mesa", "scalarizer": "gapp"}, "Did you mean 'gap'"),
    ("explore", {"scale": "mesa", "scalarizer": 5}, "scalarizer"),
    ("explore", {"scale": "mesa", "stop": "gap"}, "There is no stop rule named 'gap'"),
    ("explore", {"scale": "mesa", "stop": {"name": "time"}}, "has to be given"),
    ("explore", {"scale": "mesa", "child": "nearest"}, "There is no child rule"),
    ("explore", {"scale": "mesa", "budget": 0}, "budget should be a whole number of at least 1"),
    ("explore", {"scale": "mesa", "budget": 2.5}, "budget should be a whole number"),
    ("explore", {"scale": "mesa", "budget": True}, "budget should be a whole number"),
    ("explore", {"scale": SCALE, "budget": 5000}, "larger than the"),
    ("explore", {"scale": {**SCALE, "frame": -5}}, "greater than 0"),
    ("explore", {"scale": {**SCALE, "colour": 1}}, "colour: there is no such setting"),
    ("explore", {"scale": "mesa", "frame": {**FRAME, "center": [1e6, 0]}}, "outside"),
    ("explore", {"scale": "mesa", "frame": {**FRAME, "center": [1, 2, 3]}}, "frame"),
    ("explore", {"scale": "mesa", "maps_every": 0}, "maps_every should be"),
    ("explore", {"scale": "mesa", "look": "yes"}, "look should be True or False"),
    ("explore", {"scale": "mesa", "drift": {"evry": 3}}, "evry: there is no such setting"),
    ("explore", {"scale": "mesa", "drift": {"every": 0}}, "every"),
    ("explore", {"scale": "mesa", "tip": {"then": "pray"}}, "then"),
    ("explore", {"scale": "mesa", "hours": -1}, "hours should be a finite number"),
    ("explore", {"scale": "mesa", "beside": ["cryostat"]}, "no device named 'cryostat'"),
    ("explore", {"scale": "mesa", "seed": -1}, "The seed should be a whole number"),
    ("explore", {"scale": "mesa", "md": [1]}, "md should be a mapping"),
    ("explore_multiscale", {"scales": []}, "at least one length scale"),
    ("explore_multiscale", {"scales": ["defect", "mesa"]}, "does not fit inside"),
    ("explore_multiscale", {"scales": ["mesa", "atoms"]}, "There is no length scale named 'atoms'"),
    ("explore_multiscale", {"children": 0}, "children should be"),
    ("explore_multiscale", {"step_back": "always"}, "There is no step-back rule"),
    ("explore_multiscale", {"each": 1_000_000}, "larger than the"),
    ("scan_topograph", {"frame": {**FRAME, "size": [-5, 5]}}, "size"),
    ("scan_topograph", {"frame": {"center": [0, 0]}}, "frame should be"),
    ("spectra_at", {"points": []}, "No place was given"),
    ("spectra_at", {"points": [[0]]}, r"points[0] should be a place"),
    ("spectra_at", {"points": [[1e9, 0]]}, "outside"),
    ("spectrum_at", {"point": [float("nan"), 0]}, "point should be a place"),
    ("cits_grid", {"shape": [0, 4]}, r"shape[0] should be"),
    ("measure_drift", {"wait": -1}, "wait should be"),
    ("check_tip", {"settings": {"every": 0}}, "every"),
    ("check_tip", {"point": [5e4, 0]}, "outside"),
    ("move_frame", {"frame": {**FRAME, "center": [1e6, 0]}}, "outside"),
    ("night", {"night": {"tip": {"every": "often"}}}, "every"),
    ("night", {"night": {"scales": "papre"}}, "Did you mean 'paper'"),
    ("night", {"night": {"sample": {"name": "glass", "gap": 8}}}, "inside the gap of glass"),
    ("night", {"night": {"about": {"beamtime": 1}}}, "beamtime"),
]


@pytest.mark.parametrize(("plan", "given", "said"), NONSENSE, ids=lambda value: value if isinstance(value, str) else "")
def test_nonsense_is_refused_when_it_is_submitted_in_the_words_of_the_prompt(names, plan, given, said):
    offered, devices, *_ = existing_plans_and_devices_from_nspace(nspace=names)
    item = {"item_type": "plan", "name": plan, "kwargs": given, "user_group": "primary"}
    taken, why = validate_plan(item, allowed_plans=offered, allowed_devices=devices)
    assert not taken and said in why and "pydantic" not in why
    with pytest.raises(STMError) as caught:
        names["RE"](names["plain"](plan)(names["_session"], given))
    assert str(caught.value) in why, "the sentence is that of the plan"


SENSE = [
    ("explore", {"scale": "mesa", "scalarizer": "gap:level=0.5", "agent": "dkl:acquisition=ucb", "stop": "target:-0.7"}),
    (
        "explore",
        {"scale": SCALE, "frame": {**FRAME, "size": [20, 20]}, "drift": {"every": 3}, "tip": {"every": 2}, "hours": 0.5},
    ),
    ("explore_multiscale", {"scales": ["mesa", "defect"], "child": "most-points", "children": 2, "step_back": "below-parent"}),
    ("explore_multiscale", {}),
    ("night", {"night": {"scales": [SCALE], "budget": {"hours": 3}, "drift": False}}),
    ("night", {}),
    ("spectra_at", {"points": [[0, 0], [1, 1]], "shortest": True}),
    ("cits_grid", {"shape": [3, 4], "frame": FRAME}),
    ("scan_topograph", {}),
    ("measure_drift", {}),
    ("check_tip", {"times": 2, "settings": {"every": 3}}),
    ("move_frame", {"frame": FRAME}),
    ("withdraw", {}),
    ("approach", {}),
]


@pytest.mark.parametrize(("plan", "given"), SENSE)
def test_what_makes_sense_is_taken_as_plain_json(names, plan, given):
    offered, devices, *_ = existing_plans_and_devices_from_nspace(nspace=names)
    item = {"item_type": "plan", "name": plan, "kwargs": json.loads(json.dumps(given)), "user_group": "primary"}
    taken, why = validate_plan(item, allowed_plans=offered, allowed_devices=devices)
    assert taken, why


def test_the_manager_of_a_queue_server_loads_nothing_to_check_an_item(tmp_path):
    """Its heart must not stand still: a process of its own has what is needed, and says the same."""
    code = (
        "import sys; from bluesky_stm import submission as s; s.PATIENCE = 60; checker = s.Checker()\n"
        "checker.ask('withdraw', {})\n"
        "try: checker.ask('spectra_at', {'points': []})\n"
        "except s.RefusedError as error: print(error)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('bluesky', 'ophyd', 'numpy', 'pydantic'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[0].startswith("No place was given. Nothing has moved"), done.stderr
    assert done.stdout.splitlines()[1] == "['bluesky_stm', 'bluesky_stm.submission']"


def test_the_check_loads_no_torch(tmp_path):
    """It runs in the manager of the queue server, whose heart has to go on beating."""
    code = (
        "import sys; from bluesky_stm.facility import check; check('explore', {'scale': 'mesa', 'agent': 'dkl'}); "
        "check('night', {'night': {}}); print('torch' in sys.modules, 'tiled' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["False", "False"], done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is kept"


def test_the_first_item_is_submitted_until_the_check_of_the_server_has_started_and_a_nonsense_one_once():
    slept, waiting = [], f"The check of items has not answered in 3 s: {submission.STILL_STARTING}."

    def server(answers):
        def add():
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return add

    busy = [RuntimeError(waiting), RuntimeError(waiting), "queued"]
    assert submission.when_ready(server(busy), slept.append) == "queued" and slept == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="no scale"):
        submission.when_ready(server([RuntimeError("no scale"), "never"]), slept.append)
    with pytest.raises(RuntimeError, match="may still be starting"):
        submission.when_ready(server([RuntimeError(waiting)] * 1000), slept.append)
    assert sum(slept[2:]) == submission.LONGEST
