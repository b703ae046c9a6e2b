"""Many scales: straight down, or as a tree that steps back to a parent when a child disappoints."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point, patch_centers
from bluesky_stm.imaging import Registration, Shift
from bluesky_stm.parts import step_back_rules
from bluesky_stm.plans import _multiscale, _overview, explore_multiscale
from bluesky_stm.plans._child_frame import ChildFrame, choose_child
from bluesky_stm.runs import experience, replay, resume, what_if
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import open_catalog

LARGE = LengthScale(
    name="large", frame=40, pixels=48, patch=4, step=2, budget=6, seeds=4, scalarizer={"name": "gap", "prefer": "small"},
    agent="gp-xy",
)  # fmt: skip
SMALL = LARGE.changed(name="small", frame=10, patch=2, step=1, budget=5)


def starts(docs):
    return docs.of("start")


def frame(start):
    return Frame.from_dict(start["frame"])


def test_a_child_is_found_again_and_lies_inside_its_parent(RE, docs, make_stm, agent_for):
    RE(explore_multiscale(make_stm(profile="good_day"), [LARGE.changed(pixels=96), SMALL], agent_for))
    parent, child = starts(docs)
    assert child["parent_run"] == parent["uid"] and child["campaign"] == parent["campaign"]
    assert frame(parent).contains(frame(child).corners, margin=-1e-6).all()
    (overview,) = docs.events("overview")
    assert overview["overview_trusted"]


def test_a_child_begins_where_its_parent_measured_best(RE, docs, stm, agent_for):
    RE(explore_multiscale(stm, [LARGE, SMALL], agent_for, overview=False))
    _, child = starts(docs)
    ((x, y),) = child["length_scale"]["begin"]
    begin = (child["frame"]["center"][0] + x, child["frame"]["center"][1] + y)
    parents, childs = ([doc["data"] for _, doc in run if "agent_x" in doc.get("data", {})] for run in docs.runs())
    inside = [(then["agent_value"], (e["agent_x"], e["agent_y"])) for e, then in pairwise(parents)]
    assert begin == pytest.approx(max((v, p) for v, p in inside if frame(child).contains(p) and np.isfinite(v))[1])
    assert math.dist((childs[0]["agent_x"], childs[0]["agent_y"]), begin) < SMALL.patch


def test_without_an_overview_the_child_is_looked_at_where_it_should_be(RE, docs, stm, agent_for):
    RE(explore_multiscale(stm, [LARGE, SMALL], agent_for, overview=False))
    assert docs.events("overview") == []
    center = docs.events("topograph")[1]
    assert (center["stm_scanner_center_x"], center["stm_scanner_center_y"]) == tuple(frame(starts(docs)[1]).center)


def test_several_children_of_one_parent_lie_apart_and_share_its_budget(RE, docs, stm, agent_for):
    RE(explore_multiscale(stm, [LARGE, SMALL], agent_for, children=3, budget=6 + 5 + 5 + 3, overview=False))
    names = [start["length_scale"]["name"] for start in starts(docs)]
    assert names == ["large", "small", "small", "small"]
    first, *others = (frame(start) for start in starts(docs)[1:])
    assert not any(first.contains(other.center) for other in others)
    assert len(docs.events()) == 6 + 5 + 5 + 3
    assert len({start["parent_run"] for start in starts(docs)[1:]}) == 1


def test_a_disappointing_child_leads_back_to_its_parent_and_from_there_to_another(RE, docs, stm, agent_for, tmp_path):
    hopeless = {"name": "below-value", "value": 100.0, "spectra": 3}
    with open_catalog(tmp_path) as catalog:
        RE.subscribe(catalog)
        RE(explore_multiscale(stm, [LARGE, SMALL], agent_for, children=2, step_back=hopeless, budget=30))
        parent, child, back, second = starts(docs)
        assert back["resumes"] == parent["uid"] and second["parent_run"] == back["uid"]
        why = back["step_back"]
        assert why["child"] == child["uid"] and why["threshold"] == 100.0 and why["best"] < 100.0
        assert back["masked"] == [child["frame"]]
        area = Frame.from_dict(back["masked"][0])
        again = [doc["data"] for name, doc in docs.runs()[2] if name == "event" and "stm_sweep_x" in doc["data"]]
        assert len(again) == 3
        assert not any(area.contains((e["stm_sweep_x"], e["stm_sweep_y"])) for e in again)
        assert [replay(run).exact for run in catalog] == [True] * 4
        (check,) = docs.events("drift")  # the parent's place is found again
        assert check["drift_trusted"] and check["drift_reference_time"] < check["drift_time"] - 50


def test_a_child_that_keeps_its_promise_is_the_last(RE, docs, stm, agent_for):
    easy = {"name": "below-value", "value": -100.0}
    RE(explore_multiscale(stm, [LARGE, SMALL], agent_for, children=3, step_back=easy, budget=60))
    assert [start["length_scale"]["name"] for start in starts(docs)] == ["large", "small"]


def test_a_person_masks_an_area_and_no_child_is_placed_on_it(RE, docs, stm, agent_for):
    from bluesky_stm.steer import Steer

    steer, left = Steer(), Frame.square((-10, 0), 20, 1)
    left = Frame(left.center, (20, 40), (1, 1))
    steer.mask(left)
    RE(explore_multiscale(stm, [LARGE, SMALL], agent_for, steer=steer, overview=False))
    assert not left.overlaps(frame(starts(docs)[1]))


def test_rules_for_stepping_back_compare_with_the_promise_the_parent_or_a_value():
    child = ChildFrame(Frame.square((0, 0), 10, 8), "posterior", 3.0)
    assert step_back_rules.make("below-expected", tolerance=0.5).threshold(child, 7.0) == 2.5
    assert step_back_rules.make("below-parent", tolerance=1.0).threshold(child, 7.0) == 6.0
    assert step_back_rules.make("below-value", value=5.0).threshold(child, 7.0) == 5.0


def test_what_was_measured_above_is_judged_by_the_scalarizer_of_the_frame_whose_child_is_sought(
    RE, stm, agent_for, monkeypatch
):
    """Volts of a gap and nanosiemens of a conductance cannot be compared."""
    asked = []

    def choose(choice, known, *args, **options):
        asked.append(known)
        return choose_child(choice, known, *args, **options)

    monkeypatch.setattr(_multiscale, "choose_child", choose)
    wide = LARGE.changed(child="confident")
    middle = wide.changed(name="middle", frame=20, scalarizer={"name": "conductance", "bias": 0.8}, budget=5)
    RE(explore_multiscale(stm, [wide, middle, SMALL], agent_for, overview=False))
    judge = make_scalarizer(middle.scalarizer)
    first, second = asked
    assert not first.before and second.before
    assert [o.value for o in second.before] == [judge(o.spectrum) for o in second.before]


def test_what_makes_no_sense_is_refused_before_anything_moves(RE, docs, stm, agent_for):
    for wrong in ({"scales": []}, {"scales": [SMALL, LARGE]}, {"scales": [LARGE], "children": 0}):
        with pytest.raises(SettingsError):
            RE(explore_multiscale(stm, make_agent=agent_for, **wrong))
    with pytest.raises(SettingsError, match="below-parent"):
        RE(explore_multiscale(stm, [LARGE, SMALL], agent_for, step_back={"name": "below"}))
    assert docs == []


GENEROUS = LARGE.changed(budget=40, child="confident")


@pytest.fixture(name="descent")
def _descent(RE, make_stm, agent_for, tmp_path):
    """``descent(scale of the child)``: the runs of a parent and its child, and the agent of the child."""
    with open_catalog(tmp_path) as catalog:
        RE.subscribe(catalog)

        def descent(child=SMALL):
            made = []
            stm = make_stm(profile="good_day")
            RE(explore_multiscale(stm, [GENEROUS, child], lambda scale: made.append(agent_for(scale)) or made[-1]))
            return *catalog, made[-1]

        descent.catalog = catalog
        yield descent


def inherited(agent):
    """Places and values that an agent knew from the start."""
    return [(*o["point"], o["value"]) for o in agent.checkpoint()["inherited"] if isinstance(o["value"], float)]


def inside(parent, child, judge):
    """Places and values of the spectra that a parent took in the frame of its child, moved as the overview says."""
    (found,) = child.events("overview")
    shift = Point(found["data"]["overview_x"], found["data"]["overview_y"])
    moved = [o.moved(shift) for o in experience(parent, judge).observations]
    return [(*o.point, o.value) for o in moved if child.topograph.frame.contains(o.point) and isinstance(o.value, float)]


@pytest.mark.parametrize("scalarizer", [SMALL.scalarizer, {"name": "conductance", "bias": 0.8}])
def test_a_child_knows_what_its_parent_measured_where_its_surface_lies_now_live_and_in_a_replay(descent, scalarizer):
    """In the values of its own scalarizer."""
    parent, child, live = descent(SMALL.changed(scalarizer=scalarizer))
    (found,) = child.events("overview")
    assert found["data"]["overview_trusted"] and (found["data"]["overview_x"], found["data"]["overview_y"]) != (0.0, 0.0)
    assert child.start["agent"]["prior"] == [parent.uid] and parent.start["agent"]["prior"] == []
    again = replay(child)
    assert again.exact
    known = inside(parent, child, make_scalarizer(scalarizer))
    assert known and inherited(live.agent) == inherited(again.agent) == known


def test_a_child_that_goes_on_or_is_asked_what_if_knows_what_its_parent_measured(descent):
    _, child, live = descent()
    later = resume(child, budget=7).agent
    later.learn()
    assert inherited(later.agent) == inherited(live.agent) != []
    assert later.agent.suggest(1) == live.agent.suggest(1)
    np.testing.assert_array_equal(what_if(child).posterior.mean, live.agent.posterior().mean)


def test_a_child_that_was_not_found_again_inherits_nothing(descent, monkeypatch):
    """Nobody knows what the spectra of its parent are of."""
    monkeypatch.setattr(_overview, "locate", lambda *images: Registration(Shift(0.0, 0.0), 0.0, "none"))
    parent, child, live = descent()
    assert child.start["agent"]["prior"] == [parent.uid]
    (found,) = child.events("overview")
    assert not found["data"]["overview_trusted"]
    again = replay(child)
    assert again.exact and inherited(live.agent) == inherited(again.agent) == []


def test_a_child_that_died_before_its_overview_goes_on_without_its_parent(descent, monkeypatch):
    """What goes on takes no overview: where the surface of the parent lies now will not be known."""

    def broken(*images):
        raise RuntimeError("lost")

    monkeypatch.setattr(_overview, "locate", broken)
    with pytest.raises(RuntimeError, match="lost"):
        descent()
    parent, child = descent.catalog
    assert child.start["agent"]["prior"] == [parent.uid]
    later = resume(child)
    assert later.look and later.agent.metadata["agent"]["prior"] == []


def test_a_scale_that_does_not_inherit_starts_without_its_parent(descent):
    _, child, live = descent(SMALL.changed(inherit=False))
    assert child.start["agent"]["prior"] == [] and inherited(live.agent) == []


coordinates = st.floats(-30, 30)
frames = st.builds(
    lambda x, y, w, h, angle: Frame(Point(x, y), (w, h), (4, 4), angle),
    coordinates, coordinates, st.floats(1, 20), st.floats(1, 20), st.floats(-180, 180),
)  # fmt: skip


@given(frames, frames)
def test_frames_overlap_if_a_point_lies_well_inside_both_and_the_other_way_round(one, other):
    assert one.overlaps(other) == other.overlaps(one)
    grid = patch_centers(Frame(one.center, one.size, (24, 24), one.angle), min(one.size) / 24, min(one.size) / 24)
    if other.contains(grid, margin=1e-3).any():
        assert one.overlaps(other)


def test_frames_that_only_touch_do_not_overlap():
    assert not Frame.square((0, 0), 10, 1).overlaps(Frame.square((10, 0), 10, 1))
    assert Frame.square((0, 0), 10, 1).overlaps(Frame.square((9.9, 0), 10, 1))
    assert not Frame.square((0, 0), 10, 1, 45).overlaps(Frame.square((9.9, 9.9), 10, 1))
