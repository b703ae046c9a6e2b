"""One exploration: what it does, in which order, and what it leaves in its documents."""

import threading

import numpy as np
import pytest

from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import Parent, auto_phase, calibrate_lockin, check_tip, cits_grid, explore, spectra_at
from bluesky_stm.runs import replay
from bluesky_stm.settings import LengthScale


def test_a_topograph_comes_first_then_decisions_and_spectra_take_turns(RE, docs, stm, agent):
    RE(explore(stm, agent))
    order = [stream for stream in docs.order() if stream != "maps"]
    assert order == ["topograph", *["agent", "primary"] * 8, "agent"]
    assert replay(docs).agrees


@pytest.mark.parametrize("name", ["explore", "spectra_at", "cits_grid", "check_tip", "calibrate_lockin", "auto_phase"])
def test_a_sweep_outside_the_limits_is_refused_before_a_run_begins(RE, docs, stm, agent, name):
    begin = {
        "explore": lambda: explore(stm, agent),
        "spectra_at": lambda: spectra_at(stm, [(1.0, 1.0)]),
        "cits_grid": lambda: cits_grid(stm, (2, 2), Frame((0, 0), (2, 2), (8, 8))),
        "check_tip": lambda: check_tip(stm),
        "calibrate_lockin": lambda: calibrate_lockin(stm),
        "auto_phase": lambda: auto_phase(stm),
    }
    place = stm.tip.position
    assert stm.sweep.settings.start == -1.5
    with stm.within(stm.limits.changed(bias=(-1, 1))), pytest.raises(LimitError, match=r"-1.5 V is outside -1 to 1 V. Nothing"):
        RE(begin[name]())
    assert not docs and stm.tip.position == place


def test_the_stop_document_says_why_the_run_ended(RE, docs, stm, agent):
    RE(explore(stm, agent, budget=5))
    assert docs.reasons == ["the budget of 5 spectra is spent"]


def test_a_stop_rule_ends_the_run_with_its_reason(RE, docs, stm, agent_for, scale):
    easy = scale.changed(stop={"name": "target", "value": -100.0})  # any gap is narrower than 100 V
    RE(explore(stm, agent_for(easy)))
    assert len(docs.events()) == 1
    assert "target -100 is found" in docs.reasons[0]


def test_the_run_ends_when_its_time_is_over_on_the_clock_of_the_microscope(RE, docs, stm, agent_for, scale):
    start = stm.controller.now()
    RE(explore(stm, agent_for(scale.changed(stop={"name": "time", "seconds": 50.0}))))
    assert 0 < len(docs.events()) < 8
    assert stm.controller.now() - start == pytest.approx(50, abs=5)
    assert "50 s were given" in docs.reasons[0]


def test_deciding_ahead_measures_as_many_different_places_and_is_replayed_exactly(RE, docs, stm, agent):
    RE(explore(stm, agent, ahead=True))
    decisions = docs.events("agent")
    assert [d["agent_ingested"] for d in decisions] == [0, 0, 1, 2, 3, 4, 5, 6, 8]
    assert [d["agent_pending"] for d in decisions] == [0, *[1] * 7, 0]
    places = {(d["stm_tip_x"], d["stm_tip_y"]) for d in docs.events()}
    assert len(places) == len(docs.events()) == 8
    assert replay(docs).agrees


def test_deciding_ahead_survives_a_pause_in_the_middle(RE, docs, stm, agent):
    from bluesky.utils import RunEngineInterrupted

    seen = []

    def interrupt(name, doc):
        if name == "event" and "stm_sweep_x" in doc["data"]:
            seen.append(doc)
            if len(seen) == 4:
                threading.Thread(target=RE.request_pause).start()

    RE.subscribe(interrupt)
    with pytest.raises(RunEngineInterrupted):
        RE(explore(stm, agent, ahead=True))
    RE.resume()
    assert len({doc["seq_num"] for doc in docs.of("event") if "stm_sweep_x" in doc["data"]}) == 8
    assert docs.of("stop")[0]["exit_status"] == "success"


def test_a_frame_may_come_as_plain_json(RE, docs, stm, agent):
    frame = Frame.square((30, -20), 20, 48).as_dict()
    RE(explore(stm, agent, frame=frame, budget=4))
    assert docs.of("start")[0]["frame"] == frame
    assert docs.events("topograph")[0]["stm_scanner_center_x"] == 30


def test_what_makes_no_sense_is_refused_before_anything_moves(RE, docs, stm, agent_for, scale):
    with pytest.raises(SettingsError, match="larger than the"):
        RE(explore(stm, agent_for(), budget=5000))
    with pytest.raises(LimitError):
        RE(explore(stm, agent_for(), frame=Frame.square((995, 0), 20, 48)))
    with pytest.raises(SettingsError, match=r"stop: There is no stop rule named 'no-improvment'. Did you mean"):
        RE(explore(stm, agent_for(scale.changed(stop="no-improvment"))))
    with pytest.raises(SettingsError, match="every"):
        RE(explore(stm, agent_for(), drift={"every": 0}))
    assert docs == [] and stm.controller.now() == 0


def test_candidates_outside_of_the_frame_are_refused_before_anything_moves(RE, docs, stm, agent_for, scale):
    few = scale.changed(agent={"name": "random", "candidates": [[0, 0], [45, 0]]}, budget=2, seeds=1)
    with pytest.raises(SettingsError, match=r"1 of 2 candidates lie outside .* \(45, 0\) nm"):
        RE(explore(stm, agent_for(few)))
    assert docs == []


def test_a_run_goes_on_with_another_without_a_new_topograph(RE, docs, stm, agent):
    (first,) = RE(explore(stm, agent, budget=5))
    RE(explore(stm, agent, budget=3, look=False, md={"resumes": first}))
    again = docs.runs()[1]
    streams = {doc["name"] for name, doc in again if name == "descriptor"}
    assert "topograph" not in streams
    assert len(agent.observations) == 8


def test_when_every_place_is_measured_the_run_ends(RE, docs, stm, agent_for):
    tiny = LengthScale(name="tiny", frame=4, pixels=16, patch=2, step=2, budget=4, seeds=2, scalarizer="gap", agent="random")
    RE(explore(stm, agent_for(tiny)))
    assert np.isfinite([d["stm_tip_x"] for d in docs.events()]).all()
    assert len(docs.events()) >= 3


def test_with_a_run_up_each_place_is_come_to_the_way_the_image_was_scanned(RE, docs, stm, agent_for, scale, monkeypatch):
    """So that the hysteresis of the piezo is the same in both; here in a frame turned by 90 degrees, fast axis up."""
    went, move = [], stm.controller.move_tip
    monkeypatch.setattr(stm.controller, "move_tip", lambda point, *more: (went.append(point), move(point, *more))[1])
    RE(explore(stm, agent_for(scale.changed(run_up=5.0)), budget=3, frame=Frame.square((0, 0), 20, 48, angle=90)))
    places = [(e["stm_sweep_x"], e["stm_sweep_y"]) for e in docs.events()]
    assert len(places) == 3
    for place in places:
        before = went[went.index(place) - 1]
        assert np.subtract(place, before) == pytest.approx((-5, 5))
    corner = went[1]
    assert corner == pytest.approx((9.79, -9.79), abs=0.01) and np.subtract(corner, went[0]) == pytest.approx((-5, 5))
    assert replay(docs).agrees


def test_with_a_run_up_quick_images_and_overviews_begin_as_the_topograph_did(RE, docs, stm, agent_for, scale, monkeypatch):
    """So that hysteresis is not taken for drift."""
    acts, move, image = [], stm.controller.move_tip, stm.controller.scan
    monkeypatch.setattr(stm.controller, "move_tip", lambda point, *more: (acts.append(point), move(point, *more))[1])
    monkeypatch.setattr(stm.controller, "scan", lambda frame, *more: (acts.append(frame), image(frame, *more))[1])
    parent = Parent(image(Frame.square((0, 0), 50, 96)))
    RE(
        explore(
            stm,
            agent_for(scale.changed(run_up=5.0)),
            budget=4,
            frame=Frame.square((2, 1), 20, 48),
            parent=parent,
            drift={"every": 2},
        )
    )
    scans = [n for n, act in enumerate(acts) if isinstance(act, Frame)]
    assert {"overview", "topograph", "drift"} <= set(docs.order()) and len(scans) >= 3
    for n in scans:
        assert acts[n - 1] == pytest.approx(acts[n].to_sample((0, 0)), abs=1e-6)
        assert np.subtract(acts[n - 1], acts[n - 2]) == pytest.approx((5, 5))


def test_a_run_up_goes_only_as_far_as_the_limits_leave_room(RE, docs, stm, agent_for, scale):
    RE(explore(stm, agent_for(scale.changed(run_up=1e5)), budget=2))
    assert len(docs.events()) == 2


def test_candidates_on_spots_are_replayed_from_the_documents(RE, docs, make_stm, agent_for, scale):
    stm = make_stm(profile="good_day")
    wide = scale.changed(frame=60, pixels=160, patch=5, step=2.5, budget=6, seeds=4, sites="spots")
    RE(explore(stm, agent_for(wide)))
    assert docs.of("start")[0]["agent"]["settings"]["sites"] == "spots"
    assert replay(docs).agrees
