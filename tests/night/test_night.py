"""A night is one description: it looks after tip and surface unless it says otherwise, and leaves the tip withdrawn."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bluesky.plan_stubs import mv
from ophyd.sim import SynGauss, motor

from bluesky_stm.controllers import ControllerPart
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.facility import Facility, open_session, outlook, rehearse
from bluesky_stm.night import Night, NightWatch
from bluesky_stm.parts import controllers
from bluesky_stm.plans import TipCheck, approach

ROOT = Path(__file__).resolve().parents[2]


def test_a_night_of_which_nothing_is_said_follows_drift_checks_the_tip_and_withdraws_it(session, docs, small):
    session.RE(session.night({"scales": small["scales"]}))
    streams = docs.streams()
    assert streams["tip_check"] >= 2 * 3, "the reference of each run"
    assert [start["plan_args"]["tip"]["then"] for start in docs.of("start")] == ["renew", "renew"]
    assert all(start["plan_args"]["drift"]["compensate"] for start in docs.of("start"))
    assert session.stm.withdrawn
    assert session.RE.suspenders == (), "none is left behind"


def test_what_is_switched_off_is_on_record(session, docs, small):
    session.RE(session.night({**small, "drift": False, "tip": False, "suspend": False, "end": "stay"}))
    assert set(docs.streams()) == {"topograph", "agent", "primary", "maps", "overview"}
    for start in docs.of("start"):
        assert [start["night"][name] for name in ("drift", "tip", "suspend", "end")] == [False, False, False, "stay"]
    assert not session.stm.withdrawn


@pytest.mark.parametrize("name", [name for name in controllers.names if name != "recorded"])
def test_every_microscope_but_a_recorded_one_is_looked_after(name):
    assert controllers[name].care is True and issubclass(controllers[name], ControllerPart)
    care = Night().care(usual=True)
    assert care.drift and care.tip and care.suspend


def test_a_recorded_microscope_needs_no_care_unless_it_is_asked_for():
    assert controllers["recorded"].care is False
    assert str(Night().care(usual=False)) == "drift, tip, suspend off"
    assert Night(tip={"every": 3}).care(usual=False).tip == TipCheck(every=3)


def test_the_file_the_settings_and_the_prompt_give_the_same_night(tmp_path, small):
    path = tmp_path / "night.yaml"
    path.write_text(yaml.safe_dump({**small, "operator": "Ada"}))
    assert Night.read(path) == Night.parse({**small, "operator": "Ada"}) == Night.taken(path)
    usual = Facility.parse({"operator": "Ada", "tip": {"every": 7}, "drift": False, "alerts": {"level": "ERROR"}}).usual
    night = Night.taken({"drift": {"every": 3}}, usual)
    assert (night.operator, night.tip.every, night.drift.every) == ("Ada", 7, 3)


def test_what_is_known_of_a_sample_holds_where_a_night_says_its_name_alone_and_for_no_other_sample():
    usual = Facility.parse({"sample": {"name": "EuZn2As2", "gap": [-0.7, 0.5], "temperature": 77}}).usual
    assert Night.taken({"sample": "EuZn2As2"}, usual).sample.gap == (-0.7, 0.5)
    colder = Night.taken({"sample": {"name": "euzn2as2", "temperature": 4.6}}, usual).sample
    assert (colder.name, colder.gap, colder.temperature) == ("euzn2as2", (-0.7, 0.5), 4.6)
    assert Night.taken({"sample": "Au(111)"}, usual).sample.gap is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"drift": {"evry": 3}}, "The settings of a drift check cannot be used: evry: there is no such setting"),
        ({"tip": {"then": "pray"}}, "The settings of a tip check"),
        ({"budget": {"hours": -1}}, "hours"),
        ({"scales": "papre"}, "Did you mean 'paper'"),
        ({"stop": "budgt"}, "Did you mean 'budget'"),
        ({"sample": {"name": "x", "gap": [0.4, -0.3]}}, "must lie below"),
        ({"end": "fly away"}, "fly away"),
        ({"overview": 3}, "overview"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(wrong, said):
    with pytest.raises(SettingsError, match=said) as caught:
        Night.parse(wrong)
    assert "pydantic" not in str(caught.value) and "Nothing has been started" in str(caught.value)


def test_a_set_point_inside_the_gap_is_refused_before_anything_moves(session, docs):
    sample = {"name": "glass", "gap": 8}
    with pytest.raises(SettingsError, match=r"lies inside the gap of glass, -4 to 4 eV.*Nothing has moved"):
        session.RE(session.night({"sample": sample}))
    assert docs == [] and session.stm.controller.now() == 0 and not session.stm.withdrawn


def test_the_sweep_of_a_night_holds_for_that_night_alone_and_what_it_does_not_say_is_as_it_stood(session, docs, small):
    before = session.stm.sweep.settings
    sweep = {"start": -0.3, "stop": 0.4, "points": 15, "setpoint": {"bias": -1.2, "current": 0.1}}
    session.RE(session.night({**small, "sweep": sweep}))
    assert session.stm.sweep.settings == before
    events = docs.events()
    assert events and all(len(event["stm_sweep_bias"]) == 15 for event in events)
    assert [(event["stm_sweep_bias"][0], event["stm_sweep_bias"][-1]) for event in events] == [(-0.3, 0.4)] * len(events)
    assert {(e["stm_sweep_setpoint_bias"], e["stm_sweep_setpoint_current"]) for e in events} == {(-1.2, 0.1)}
    (configuration,) = {
        json.dumps(doc["configuration"]["stm_sweep"]["data"], default=str, sort_keys=True)
        for doc in docs.of("descriptor")
        if doc["name"] == "primary"
    }
    assert json.loads(configuration)["stm_sweep_settle"] == before.settle
    session.RE(approach(session.stm))
    session.RE(session.night(small))
    assert len(docs.events()[-1]["stm_sweep_bias"]) == before.points


def test_a_night_that_says_nothing_of_its_sweep_leaves_what_a_person_changes_meanwhile(session, small):
    session.RE.subscribe(lambda name, doc: session.stm.sweep.points.set(31) if name == "start" else None)
    session.RE(session.night(small))
    assert session.stm.sweep.settings.points == 31


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"start": -90.0}, "start"),
        ({"start": 0.5, "stop": 0.5}, "two different biases"),
        ({"setpoint": {"bias": -1.0}}, "current"),
        ({"point": 20}, "points"),
    ],
)
def test_a_sweep_of_a_night_that_makes_no_sense_is_refused_before_anything_moves(session, docs, small, sweep, said):
    before = session.stm.sweep.settings
    with pytest.raises((SettingsError, LimitError), match=said):
        session.RE(session.night({**small, "sweep": sweep}))
    assert session.stm.sweep.settings == before and not docs.of("start")


def test_a_set_point_of_the_sweep_inside_the_gap_is_refused_and_the_outlook_says_what_a_spectrum_is(session, small):
    sample, held = {"name": "EuZn2As2", "gap": [-0.7, 0.5]}, {"bias": -0.2, "current": 0.1}
    with pytest.raises(SettingsError, match=r"set point of the sweep, -0\.2 V, lies inside the gap"):
        outlook(session, {**small, "sample": sample, "sweep": {"setpoint": held}})
    said = str(outlook(session, {**small, "sweep": {"start": -1.0, "points": 81, "setpoint": {**held, "bias": -1.0}}}))
    assert "Sweep: -1 to 1.5 V, 81 points of 4 + 10 ms, one way, from -1 V, 0.1 nA." in said


def test_the_hours_of_a_night_are_shared_among_its_scales(session, docs, small):
    many = [{**scale, "budget": 60} for scale in small["scales"]]
    session.RE(session.night({"scales": many, "budget": {"hours": 0.08}, "tip": False, "drift": False, "suspend": False}))
    assert session.stm.controller.now() < 1.3 * 0.08 * 3600
    assert len(docs.reasons) == 2 and all("h that were given are over" in reason for reason in docs.reasons)
    assert 2 <= docs.streams()["primary"] < 120


def test_the_stop_rule_of_the_night_ends_a_scale_beside_its_own(session, docs, small):
    session.RE(session.night({**small, "stop": {"name": "target", "value": -100}, "tip": False, "drift": False}))
    assert all("the target -100 is found" in reason for reason in docs.reasons)


def test_a_night_that_the_microscope_refuses_leaves_the_tip_as_it_was(session, docs, small, monkeypatch):
    """A red line of an instrument is found where a run begins: what is refused has moved nothing."""

    def red():
        raise SettingsError("The preamplifier is red. Nothing has moved.")

    monkeypatch.setattr(session.stm, "check_ready", red)
    before = session.stm.z.get()
    with pytest.raises(SettingsError, match="is red"):
        session.RE(session.night(small))
    assert docs == [] and not session.stm.withdrawn
    assert session.stm.z.get() == before


def test_a_failed_night_withdraws_the_tip_and_tells_its_people(session, tmp_path, small):
    def fail(name, doc):
        if name == "event" and doc["seq_num"] == 3:
            raise RuntimeError("the disk is full")

    told = tmp_path / "alerts.log"
    session.RE.subscribe(fail)
    logging.getLogger("bluesky_stm.alerts").warning("before")
    session.RE.subscribe(NightWatch())
    with pytest.raises(RuntimeError, match="the disk is full"):
        session.RE(session.night({**small, "alerts": {"file": str(told)}}))
    assert session.stm.withdrawn
    assert "the disk is full" in told.read_text() and "before" not in told.read_text()


def test_a_night_that_a_person_ends_leaves_the_tip_to_that_person(session, small):
    from bluesky.utils import RunEngineInterrupted

    def pause(name, doc):
        if name == "event" and doc["seq_num"] == 3:
            session.RE.loop.create_task(session.RE._request_pause_coro(False))  # request_pause waits for the loop

    session.RE.subscribe(pause)
    with pytest.raises(RunEngineInterrupted):
        session.RE(session.night({**small, "suspend": False}))
    session.RE.abort()
    assert not session.stm.withdrawn and session.stm.controller.get_feedback()


def test_who_and_what_stand_in_every_start_document(session, docs, small):
    sample = {"name": "EuZn2As2", "uid": "S-12", "orientation": "(0001)", "temperature": 77}
    session.record = {
        "beamtime": {"type": "string", "pattern": "^BT-[0-9]+$"},
        "cryostat": {"type": "string", "default": "wet"},
    }
    night = {**small, "sample": sample, "operator": "Ada", "proposal": "42", "about": {"beamtime": "BT-7"}}
    session.RE(session.night({**night, "tip": False, "drift": False}, md={"user": "grace"}))
    for start in docs.of("start"):
        assert start["sample"] == "EuZn2As2" and start["sample_record"] == sample
        said = [start[key] for key in ("operator", "proposal", "beamtime", "cryostat", "user")]
        assert said == ["Ada", "42", "BT-7", "wet", "grace"]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"beamtime": "monday"}, "about.beamtime = 'monday' does not fit"),
        ({}, "have to say beamtime"),
        ({"beamtime": "BT-1", "beemtime": 3}, "Did you mean 'beamtime'"),
    ],
)
def test_what_a_facility_wants_to_know_is_asked_for(session, docs, small, about, said):
    session.record = {"beamtime": {"type": "string", "pattern": "^BT-[0-9]+$"}}
    with pytest.raises(SettingsError, match=said):
        session.RE(session.night({**small, "about": about}))
    assert docs == []


def test_devices_are_read_beside_each_spectrum_at_both_ends_and_at_each_change(session, docs, small):
    session.devices |= {"cryostat": SynGauss("cryostat", motor, "motor", center=0, Imax=4), "magnet": motor}
    night = {**small, "beside": ["cryostat"], "baseline": ["magnet"], "tip": False, "drift": False}
    session.RE(mv(motor, 1.0))
    session.RE(session.night(night))
    assert all("cryostat" in event for event in docs.events("primary"))
    assert [event["motor"] for event in docs.events("baseline")] == [1.0] * 4


def test_a_device_that_nobody_knows_is_refused_by_its_name(session, docs, small, monkeypatch, tmp_path):
    monkeypatch.setenv("HAPPI_CFG", str(tmp_path / "none.cfg"))
    with pytest.raises(SettingsError, match="no device named 'cryostat'"):
        session.RE(session.night({**small, "beside": ["cryostat"]}))
    assert docs == []


def test_a_sample_that_nobody_named_is_not_taken_over_by_another_microscope(tmp_path):
    """A default at one microscope once became what another one said it had under its tip."""
    with open_session(Facility.parse({"catalog": tmp_path, "operator": "Ada"})) as first:
        assert first.RE.md["sample"] == "EuZn2As2 (simulated)" and first.RE.md["operator"] == "Ada"
    with open_session(Facility.parse({"catalog": tmp_path, "microscope": "fake"})) as second:
        assert second.RE.md["sample"] == "unnamed" and "operator" not in second.RE.md
        second.RE.md["sample"] = "Au(111)"
    with open_session(Facility.parse({"catalog": tmp_path, "microscope": "fake"})) as third:
        assert third.RE.md["sample"] == third.sample == "Au(111)", "what a person said is kept"


def test_the_outlook_says_what_is_done_how_long_it_takes_and_what_is_risked(session, small):
    said = str(outlook(session, {**small, "budget": {"hours": 0.01}, "drift": False, "tip": {"pulse": [3, 0.1]}}))
    for words in (
        "terrace: 40 nm",
        "or after 0.01 h",
        "Care: drift off",
        "Time: about",
        "Drift is not followed",
        "pulsed with 3 V",
    ):
        assert words in said
    assert session.stm.controller.now() == 0, "nothing has moved"


def test_the_outlook_counts_the_budget_in_spectra_names_what_is_sought_and_what_ends_a_scale_earlier(session):
    common = {"patch": 3, "step": 1, "pixels": 64, "seeds": 5, "agent": "random"}
    scales = [
        {"name": "one", "frame": 50, "budget": 30, **common},
        {"name": "two", "frame": 20, "budget": 30, **common, "scalarizer": "gap"},
        {"name": "three", "frame": 10, "budget": 30, **common},
    ]
    told = {"scales": scales, "stop": "target:0.7"}
    whole, part = outlook(session, told), outlook(session, {**told, "budget": {"spectra": 40}})
    assert [scale.budget for scale in part.scales] == [30, 10]
    assert part.time.spectra < 0.5 * whole.time.spectra and part.time.decisions == 40
    first, second, *rest = str(part).splitlines()
    assert "the smallest gap sought" in first and "the largest gap sought" in second
    assert "ended by these spectra, or earlier by target (value 0.7)" in first and "any" not in first.split()
    assert "Risk: The budget of 40 spectra is spent before three: give the larger scales fewer." in rest


def test_the_outlook_says_where_pixels_are_too_coarse_for_the_spots_that_are_sought(session):
    scale = {"name": "wide", "frame": 50, "patch": 3, "step": 1, "budget": 30}
    coarse, fine, raster = (
        outlook(session, {"scales": [{**scale, **change}]}).risks
        for change in ({"pixels": 96}, {"pixels": 192}, {"pixels": 96, "sites": "raster"})
    )
    assert any("A pixel of scale 'wide' is 0.52 nm" in risk and "Take 134 pixels" in risk for risk in coarse)
    assert not any("pixel" in risk for risk in (*fine, *raster))


def test_a_night_is_rehearsed_on_the_twin_and_leaves_nothing_behind(tmp_path, small):
    place = Facility.parse({"catalog": tmp_path / "kept", "microscope": "nanonis:nobody.example"})
    seen = rehearse(place, {**small, "beside": ["a real cryostat"], "alerts": {"file": str(tmp_path / "told")}})
    assert len(seen.ends) == 2 and seen.streams["primary"] == 11 and seen.withdrawn
    assert list(tmp_path.iterdir()) == []


def test_the_schema_for_editors_is_that_of_the_program():
    committed = json.loads((ROOT / "docs" / "night.schema.json").read_text())
    # in a process of its own, since the schema lists the registered parts, and other tests register some
    printed = subprocess.run([sys.executable, "-m", "bluesky_stm.cli", "schema"], capture_output=True, text=True, check=True)
    assert committed == json.loads(printed.stdout), "bluesky-stm schema > docs/night.schema.json"
