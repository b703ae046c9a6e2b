"""A resumed run measures as it did then, within the narrower of the limits; a run from elsewhere opens no microscope."""

import platform

import pytest

from bluesky_stm.devices import narrower
from bluesky_stm.errors import LimitError, ReplayError, SettingsError
from bluesky_stm.facility import reopened
from bluesky_stm.plans import explore
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.runs import resume
from bluesky_stm.session import simulated
from bluesky_stm.settings import Limits
from bluesky_stm.storage import export, import_run, open_catalog


@pytest.fixture
def run(tmp_path):
    """Four spectra within narrow limits, with a sweep and a time per line of their own."""
    with simulated(seed=4, catalog=tmp_path, profile="ideal", limits={"bias": (-2, 2), "current": (0, 0.5)}) as session:
        session.stm.sweep.settings = SweepSettings(-0.3, 0.3, 31)
        session.stm.scanner.line_time.put(0.8)
        session.stm.lockin.amplitude.put(0.004)
        scale = session.scales["terrace"].changed(pixels=32, patch=6, step=3, budget=4, seeds=3, agent="random")
        session.RE(explore(session.stm, session.agent(scale)))
        return session.catalog[-1]


def test_what_it_is_measured_with_stands_in_the_start_document(run):
    start = run.start
    assert start["limits"]["bias"] == [-2, 2] and start["limits"]["current"] == [0, 0.5]
    assert (start["sweep"]["start"], start["sweep"]["stop"], start["sweep"]["points"]) == (-0.3, 0.3, 31)
    assert start["line_time"] == 0.8 and start["lockin"]["amplitude"] == pytest.approx(0.004)
    assert start["host"] == platform.node() and {"drift", "tip"} <= set(start["plan_args"])


def test_a_run_goes_on_as_then_and_leaves_the_settings_of_today(run, tmp_path):
    with reopened(run, tmp_path, limits={"current": (0, 0.3)}) as session:
        stm, begun = session.stm, session.stm.sweep.settings
        resumption = resume(session.catalog[run.uid], budget=6)
        said = " ".join(resumption.differences(stm))
        assert "bias -2 to 2 V instead of" in said and "current" not in said and "sweep" in said and "time per line" in said
        session.RE(resumption.plan(stm))
        new = session.catalog[-1]
        assert new.start["limits"]["bias"] == [-2, 2] and new.start["limits"]["current"] == [0, 0.3]
        assert new.start["sweep"] == run.start["sweep"] and new.start["line_time"] == 0.8
        assert new.start["lockin"] == run.start["lockin"]
        assert {len(spectrum.bias) for spectrum in new.spectra} == {31} and len(new.spectra) == 2
        assert stm.sweep.settings == begun and stm.scanner.line_time.get() == 0 and stm.limits.bias != (-2, 2)


def test_a_sweep_that_the_limits_of_today_forbid_is_refused_before_anything_moves(run, tmp_path):
    with reopened(run, tmp_path, limits={"bias": (-2, 0.1)}) as session:
        place = session.stm.tip.position
        with pytest.raises(LimitError, match="Nothing has moved"):
            session.RE(resume(session.catalog[run.uid], budget=6).plan(session.stm))
        assert session.stm.tip.position == place and len(session.catalog) == 1
    with reopened(run, tmp_path, limits={"bias": (-2.9, -2.5)}) as session:
        with pytest.raises(SettingsError, match="nothing is in both"):
            resume(session.catalog[run.uid], budget=6).plan(session.stm)


def test_a_run_from_elsewhere_opens_no_microscope_until_a_person_names_it(run, tmp_path):
    with open_catalog(tmp_path / "other") as other:
        imported = import_run(other, export(run, tmp_path / "run.msgpack"))
    with pytest.raises(SettingsError, match=r"was imported from .*run\.msgpack, .*Name the microscope yourself"):
        reopened(imported, tmp_path / "other")
    with pytest.raises(SettingsError, match="was measured on stranger"):
        reopened({**run.start, "host": "stranger"}, tmp_path / "third")
    assert not (tmp_path / "third").exists()
    with reopened(imported, tmp_path / "other", microscope="simulated:seed=4,profile=ideal") as session:
        session.RE(resume(session.catalog[run.uid], budget=5).plan(session.stm))
        assert len(session.catalog[-1].spectra) == 1


@pytest.mark.parametrize(
    ("then", "now", "both"),
    [
        ((-0.8, 0.8), (-0.5, 0.5), (-0.8, 0.8)),
        ((-0.8, 0.2), (-0.1, 0.5), (-0.8, 0.5)),
        ((-0.8, 0.8), None, (-0.8, 0.8)),
        (None, (-0.5, 0.5), (-0.5, 0.5)),
        (None, None, None),
    ],
)
def test_a_gap_that_one_of_them_knows_is_forbidden_and_told_of(then, now, both):
    found, said = narrower(Limits(gap=then).model_dump(mode="json"), Limits(gap=now))
    assert found.gap == both
    assert any("gap" in words for words in said) == (both != now)


def test_every_limit_of_a_run_holds_where_that_of_today_is_wider():
    narrow = {
        "bias": (-1.0, 1.0),
        "current": (0.0, 1.0),
        "setpoint": (0.01, 1.0),
        "x": (-10.0, 10.0),
        "y": (-10.0, 10.0),
        "z": (-10.0, 10.0),
        "speed": (0.0, 10.0),
        "dose": 1.0,
        "gap": (-0.5, 0.5),
    }
    assert set(narrow) == set(Limits.model_fields), "a limit that this test does not know yet"
    run = Limits(**narrow)
    found, said = narrower(run.model_dump(mode="json"), Limits())
    assert found == run and len(said) == len(narrow)


def test_a_run_that_was_altered_does_not_go_on_for_the_tip_would_move_by_what_stands_in_it(run, tmp_path):
    with open_catalog(tmp_path / "copy") as copy:
        path = import_run(copy, run).path
    path.write_bytes(path.read_bytes().replace(b"\xa6points\x1f", b"\xa6points\x20", 1))
    with reopened(run, tmp_path) as session:
        place = session.stm.tip.position
        with open_catalog(tmp_path / "copy") as copy, pytest.raises(ReplayError, match=r"altered since .* Nothing has moved"):
            resume(copy[0], budget=6)
        assert session.stm.tip.position == place
