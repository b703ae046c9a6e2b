"""A run begins when nothing is red in ``nanonis-check``, or in spite of what a person names; disturbed twice, it pauses."""

import math

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.errors import LimitError, STMError, UnknownNameError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality
from bluesky_stm.plans import measure_at, spectra_at
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.session import nanonis

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)

RED = {
    "Safe Tip": [("SafeTip.OnOffSet", 2)],
    "Safe Tip threshold": [("SafeTip.PropsSet", 0, 1, 20e-9)],
    "z limits": [("ZCtrl.LimitsEnabledSet", 0)],
    "Safe Tip recovery": [("SafeTip.PropsSet", 1, 1, 9e-9)],
    "lock-in": [("LockIn.ModAmpSet", 1, 0.0)],
    "demodulator": [("LockIn.DemodHarmonicSet", 1, 2)],
    "low-pass filter": [("LockIn.DemodLPFilterSet", 1, 4, 0.5)],
    "sweep mode": [("BiasSpectr.MLSModeSet", "MLS")],
    "alternate set point": [("BiasSpectr.AltZCtrlSet", 1, 1e-9, 0.1)],
    "synchronisation of sweeps": [("BiasSpectr.DigSyncSet", 3)],
}


@pytest.fixture
def at_the_instrument(server):
    def act(command, *values):
        assert not server.software.answer(command, list(values))[1]

    return act


@pytest.fixture
def opened(server, tmp_path):
    """``opened(**settings)``: a session at the server, where nothing is red if it is to be safe; closed afterwards."""
    made = []

    def opened(*, safe=True, **settings):
        if safe:
            server.software.registers.set("SafeTip.Props", [0, 1, 10e-9])
        made.append(nanonis("127.0.0.1", 1, tmp_path / str(len(made)), ports=server.ports, timeout=10.0, **settings))
        made[-1].stm.sweep.set(SHORT)
        return made[-1]

    yield opened
    for session in made:
        server.faults.clear()
        session.close()


@pytest.mark.parametrize("what", RED)
def test_no_run_begins_while_something_is_red(opened, at_the_instrument, what):
    """Nothing is stored, the sentence names it, and overridden by name it stands in the start document."""
    opened().close()
    for command in RED[what]:
        at_the_instrument(*command)
    session = opened(safe=False)
    documents = []
    with pytest.raises(STMError, match=f"{what}: .* Nothing has moved"):
        session.RE(spectra_at(session.stm, [Point(1.0, 0.0)]), lambda name, doc: documents.append(name))
    assert "start" not in documents
    session.close()
    session = opened(safe=False, despite=[what])
    session.RE(bpp.run_wrapper(bps.null()), lambda name, doc: documents.append(name))
    assert documents[-2:] == ["start", "stop"]
    part = session.stm.describe_controller()["part"]
    assert part["despite"] == [what] or part["despite"] == (what,)


def test_only_what_exists_can_be_overridden(server):
    with pytest.raises(UnknownNameError, match="Safe Tip"):
        NanonisController(ports=server.ports, despite=["safe tip"])


def test_a_run_that_somebody_disturbs_twice_pauses_for_a_person(opened, server, microscope, monkeypatch):
    """The first time the spectrum is marked, and the run goes on."""
    session, sweep, amplitudes = opened(), microscope.sweep, iter([0.011, 0.012, 0.013])

    def meddle(settings):
        done = sweep(settings)
        server.software.answer("LockIn.ModAmpSet", [1, next(amplitudes)])
        return done

    events = []

    def three():
        yield from bps.open_run()
        for x in range(3):
            yield from measure_at(session.stm, Point(float(x), 0.0))
        yield from bps.close_run()

    monkeypatch.setattr(microscope, "sweep", meddle)
    session.RE.subscribe(lambda name, doc: events.append(doc["data"]), "event")
    with pytest.raises(RunEngineInterrupted):
        session.RE(three())
    assert len(events) == 2
    assert all(event["stm_sweep_quality"] & Quality.DISTURBED for event in events)
    assert "modulation (V) from 0.011 to 0.012" in events[1]["stm_sweep_disturbed"]
    monkeypatch.undo()
    session.RE.resume()
    assert len(events) == 3


def test_the_bias_is_not_led_into_the_gap_with_the_feedback_closed(opened, microscope):
    """It is seen in the spectrum that was taken before, or said in the limits; with the feedback open it may go there."""
    session = opened(limits={"gap": (-0.9, 0.6), "bias": (-3, 3)})
    with pytest.raises(LimitError, match="gap of the sample"):
        session.stm.bias.set(-0.8)
    session.close()
    session = opened()
    session.stm.sweep.set(SweepSettings(-1.5, 1.5, 61, settle=0.001, integrate=0.001))
    session.stm.sweep.trigger().wait(30)
    with pytest.raises(LimitError, match="that the last spectrum shows"):
        session.stm.bias.set(-0.8)
    session.stm.bias.set(-1.4).wait(30)
    assert microscope.get_feedback()
    assert math.isclose(microscope.get_bias(), -1.4, abs_tol=1e-3)
