"""The tip is looked after: a changed one is noticed, what it measured is taken back, and a good one is left in peace."""

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Topograph
from bluesky_stm.plans import Parent, TipCheck, check_tip, explore, judge
from bluesky_stm.plans._tip_places import places_around, smoothest
from bluesky_stm.protocols import Failed, Observation, SweepSettings
from bluesky_stm.runs import replay
from bluesky_stm.settings import Limits

STEADY = "good_day:wear_field=0,wear_current=0"
"""A good day with a tip that changes only when a test says so."""


@pytest.fixture(scope="module")
def spectra():
    """Twenty repeats at one place on a good day."""
    from bluesky_stm.controllers import SimulatedController

    controller = SimulatedController(seed=4)
    controller.move_tip((3.0, 4.0))
    return [controller.sweep(SweepSettings()) for _ in range(20)]


def test_repeats_with_one_tip_are_never_called_another(spectra):
    assert [judge(spectra[0], one, TipCheck()) for one in spectra[1:]] == [""] * 19


@pytest.mark.parametrize(
    ("how", "said"), [("leak", "gap"), ("shift", "moved by"), ("blunt", "factor"), ("flagged", "tip changed")]
)
def test_another_tip_is_told_by_what_it_does_to_a_spectrum(spectra, spoiled, how, said):
    for one in spectra[1:]:
        assert said in judge(spectra[0], spoiled(one, how), TipCheck())


def test_the_place_of_reference_is_a_flat_one():
    height = np.random.default_rng(1).normal(size=(64, 64))
    height[20:30, 40:50] = 0.0
    frame = Frame.square((100, 50), 64, 64)
    x, y = smoothest(Topograph(frame, height, setpoint=Setpoint(-1.5, 0.2)))
    row, column = frame.to_pixel((x, y))
    assert 20 <= row < 30 and 40 <= column < 50


def changing(make_stm, changing_tip, **how):
    return make_stm(changing_tip(seed=2, profile=STEADY, **how))


def test_a_good_tip_is_checked_as_often_as_asked_and_nothing_is_taken_back(RE, docs, make_stm, agent_for, scale):
    agent = agent_for(scale.changed(budget=20))
    RE(explore(make_stm(profile=STEADY), agent, tip={"every": 5}))
    verdicts = [e["tip_check_verdict"] for e in docs.events("tip_check")]
    assert verdicts == ["reference"] * 3 + ["good"] * 4  # one after the last spectrum, too
    assert not any(isinstance(o.value, Failed) for o in agent.observations)


@pytest.mark.parametrize("how", ["leak", "shift", "blunt"])
def test_spectra_since_the_last_good_check_are_taken_back_and_no_decision_uses_them(
    RE, docs, make_stm, changing_tip, agent_for, scale, how
):
    agent = agent_for(scale.changed(budget=20))
    stm = changing(make_stm, changing_tip, changes_at=3 + 5 + 1 + 3, how=how)  # 3 of reference, 5, a check, 3rd of the next 5
    RE(explore(stm, agent, tip={"every": 5, "then": "stop"}))
    changed = [e for e in docs.events("tip_check") if e["tip_check_verdict"] == "changed"]
    assert [e["tip_check_revoked"] for e in changed] == [5]
    assert len(docs.events()) == 10
    assert "the tip has changed" in docs.reasons[0]
    assert [isinstance(o.value, Failed) for o in agent.observations] == [False] * 5 + [True] * 5
    after = docs.order()[::-1].index("tip_check")
    assert docs.order()[::-1][:after].count("agent") >= 1  # the last decision was made with the values taken back
    last = docs.events("agent")[-1]
    assert last["agent_best"] == max(o.value for o in agent.observations if not isinstance(o.value, Failed))
    assert replay(docs).agrees


def test_a_place_whose_spectrum_was_taken_back_may_be_measured_again(RE, docs, make_stm, changing_tip, agent_for, scale):
    agent = agent_for(scale.changed(budget=20))
    stm = changing(make_stm, changing_tip, changes_at=3 + 5 + 1 + 1)
    RE(explore(stm, agent, tip={"every": 5, "then": "stop"}))
    revoked = [o.point for o in agent.observations[5:]]
    before = [None] * 5 + [Observation.of(o.spectrum, agent.scalarizer) for o in agent.observations[5:]]
    assert [o.doubted for o in agent.observations] == [o.number if o and o.has_value else None for o in before]
    measured = agent.agent._measured
    assert not any(measured[np.hypot(*(agent.candidates - p).T).argmin()] for p in revoked)


def test_pulses_bring_a_tip_back_and_the_run_goes_on(RE, docs, make_stm, changing_tip, agent_for, scale):
    agent = agent_for(scale.changed(budget=16))
    stm = changing(make_stm, changing_tip, changes_at=10, heals=2)
    RE(explore(stm, agent, tip={"every": 5, "pulse": (4.0, 0.05)}))
    events = docs.events("tip_check")
    said = [(e["tip_check_verdict"], e["tip_check_attempt"]) for e in events if e["tip_check_verdict"] != "reference"]
    assert said[1:5] == [("doubtful", 0), ("changed", 0), ("changed", 1), ("good", 2)]
    assert stm.controller.pulses == 2
    assert docs.reasons == ["the budget of 16 spectra is spent"]
    assert replay(docs).agrees


def test_pulses_go_aside_each_to_another_place_and_leave_the_reference_alone(
    RE, docs, make_stm, changing_tip, agent_for, scale
):
    """A pulse leaves something behind: outside the frame, where nothing is measured and no other pulse was."""
    agent = agent_for(scale.changed(budget=16))
    stm = changing(make_stm, changing_tip, changes_at=10, heals=3)
    before, pulsed, fire = stm.controller.surface, [], stm.controller.pulse

    def pulse(bias, width):
        pulsed.append(stm.controller.get_tip().point)
        SimulatedController.pulse(stm.controller, bias, width)  # leaves debris
        fire(bias, width)

    stm.controller.pulse = pulse
    RE(explore(stm, agent, tip={"every": 5, "pulse": (3.0, 0.05), "aside": 15.0}))
    assert len(pulsed) == 3
    assert not agent.topograph.frame.contains(pulsed, margin=-14.9).any()
    assert len(set(pulsed)) == 3
    points = agent.topograph.frame.points()
    assert stm.controller.surface is not before
    assert stm.controller.surface.relief(points) == pytest.approx(before.relief(points), abs=1e-5)
    good = [e for e in docs.events("tip_check") if e["tip_check_verdict"] == "good"]
    at = {(e["tip_check_x"], e["tip_check_y"]) for e in good}
    assert len(at) == 1


def test_pulses_spare_the_frame_above_too(RE, make_stm, changing_tip, agent_for, scale):
    """An exploration that steps back goes on there."""
    stm = changing(make_stm, changing_tip, changes_at=10, heals=2)
    above, pulsed, fire = stm.controller.scan(Frame.square((0, 0), 60, 128)), [], stm.controller.pulse

    def pulse(bias, width):
        pulsed.append(stm.controller.get_tip().point)
        fire(bias, width)

    stm.controller.pulse = pulse
    checks = {"every": 5, "pulse": (3.0, 0.05), "aside": 15.0}
    RE(explore(stm, agent_for(scale.changed(budget=12)), frame=Frame.square((8, 8), 20, 48), parent=Parent(above), tip=checks))
    assert len(pulsed) == 2
    assert not above.frame.contains(pulsed, margin=-14.9).any()


def test_no_pulse_is_fired_where_limits_leave_no_place_for_it(RE, docs, make_stm, changing_tip):
    """Rather no pulse than one within the frame."""
    stm = changing(make_stm, changing_tip, changes_at=4)
    stm.limits = Limits.within(stm.controller.ranges, {"x": (-50, 50), "y": (-50, 50)})
    RE(check_tip(stm, (2.0, 3.0), settings={"pulse": (3.0, 0.05), "then": "renew"}))
    assert stm.controller.pulses == 0
    assert "no place 30 nm outside the frame" in docs.events("tip_check")[-1]["tip_check_reason"]


@pytest.mark.parametrize("angle", [0.0, 37.0])
def test_places_for_pulses_lie_outside_the_frame_and_away_from_what_is_kept(angle):
    frame, kept = Frame(Point(10, -20), (100, 40), (32, 64), angle), Point(50, 20)
    places = places_around(frame, 25.0, kept)
    assert not frame.contains(places, margin=-24.99).any()
    assert frame.contains(places[:2], margin=-25.01).all()
    assert np.hypot(*(np.array(places) - kept).T).min() >= 25
    assert len({(round(x, 6), round(y, 6)) for x, y in places}) == len(places)


def test_a_tip_that_stays_changed_pauses_for_a_person_who_may_go_on_with_it(RE, docs, make_stm, changing_tip, agent_for, scale):
    agent = agent_for(scale.changed(budget=14))
    stm = changing(make_stm, changing_tip, changes_at=10, how="shift")
    with pytest.raises(RunEngineInterrupted):
        RE(explore(stm, agent, tip={"every": 5}))
    assert RE.state == "paused"
    RE.resume()
    verdicts = [e["tip_check_verdict"] for e in docs.events("tip_check")]
    assert verdicts.count("renewed") == 3
    assert verdicts[-1] in {"renewed", "good"}, docs.events("tip_check")[-1][
        "tip_check_reason"
    ]  # the new tip is the reference now
    assert docs.of("stop")[0]["exit_status"] == "success"
    assert replay(docs).agrees


def test_a_tip_that_changed_before_a_break_is_noticed_when_the_run_goes_on(RE, docs, make_stm, changing_tip, agent_for, scale):
    """It is compared with the spectrum from before the break; with one of its own it would be found good for ever."""
    stm, agent = changing(make_stm, changing_tip, changes_at=3 + 4, how="leak"), agent_for(scale.changed(budget=12))
    broken = []

    def breaks(name, doc):
        if name == "event" and len(docs.events()) == 6 and not broken:
            broken.append(doc["uid"])
            RE.loop.create_task(RE._request_pause_coro(False))

    RE.subscribe(breaks)
    with pytest.raises(RunEngineInterrupted):
        RE(explore(stm, agent, tip={"every": 50, "then": "renew"}))
    RE.halt()
    before = len(docs.events("tip_check"))
    assert before == 3 and all(one.has_value for one in agent.observations)
    RE(explore(stm, agent, budget=2, frame=agent.topograph.frame, look=False, tip={"every": 50, "then": "renew"}))
    checks = docs.events("tip_check")[before:]
    assert [e["tip_check_verdict"] for e in checks[:2]] == ["doubtful", "changed"]
    assert checks[1]["tip_check_revoked"] == len(docs.events()) - 2, "all since the last time that it was good"
    assert [isinstance(o.value, Failed) and o.value.again for o in agent.observations[:6]] == [True] * 6


def test_a_suspicious_spectrum_calls_for_a_check_at_once(RE, docs, make_stm, agent_for, scale, spoiled):
    stm = make_stm(profile=STEADY)
    honest, count = stm.controller.sweep, []

    def sweep(settings, progress=None):
        count.append(1)
        taken = honest(settings, progress)
        return spoiled(taken, "flagged") if len(count) == 3 + 4 else taken

    stm.controller.sweep = sweep
    RE(explore(stm, agent_for(scale.changed(budget=8)), tip={"every": 50}))
    order = [stream for stream in docs.order() if stream in {"primary", "tip_check"}]
    assert order == ["tip_check"] * 3 + ["primary"] * 4 + ["tip_check"] + ["primary"] * 4 + ["tip_check"], "and at the end"
    assert docs.events()[3]["stm_sweep_quality"] & Quality.TIP_CHANGED


def test_a_spectrum_within_which_the_tip_changed_teaches_nothing_and_is_repeated_once(
    RE, docs, make_stm, agent_for, scale, spoiled
):
    """The best place of all is loose: each spectrum there is marked; the agent goes back once, and no more."""
    stm = make_stm(profile="ideal")
    honest, loose = stm.controller.sweep, []

    def sweep(settings, progress=None):
        taken = honest(settings, progress)
        loose[:] = loose or [taken.position]
        return spoiled(taken, "flagged") if taken.position == loose[0] else taken

    stm.controller.sweep = sweep
    agent = agent_for(scale.changed(budget=8))
    RE(explore(stm, agent))
    there = [o for o in agent.observations if o.point == loose[0]]
    assert [o.taken_back for o in there] == [True, False]
    assert all("tip changed" in o.value.reason for o in there)
    second = docs.events("agent")[1]
    assert "tip changed" in second["agent_reason"] and np.isnan(second["agent_value"])
    assert replay(docs).agrees


def test_a_tip_can_be_checked_by_itself(RE, docs, make_stm, changing_tip):
    stm = changing(make_stm, changing_tip, changes_at=5)
    RE(check_tip(stm, (2.0, 3.0), times=3, settings={"then": "stop"}))
    verdicts = [e["tip_check_verdict"] for e in docs.events("tip_check")]
    assert verdicts == ["reference"] * 3 + ["good", "doubtful", "changed"]
    assert docs.of("start")[0]["plan_args"]["point"] == [2.0, 3.0]
