"""A spectrum takes few requests, and each check that is asked of the z controller is still made."""

import time
from dataclasses import replace

import bluesky.plan_stubs as bps
import pytest
from bluesky import RunEngine

from bluesky_stm.controllers.nanonis._tip import NOW
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind
from bluesky_stm.devices import STM
from bluesky_stm.errors import STMError, TipCrashError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.plans import measure_at
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)
LIFTED = replace(SHORT, z_offset=0.05)
"""Another setting of the module, the way back from the offset, counts in it."""


@pytest.fixture
def heard(server, monkeypatch):
    """Commands in the order in which the server did them."""
    commands, answer = [], server.software.answer
    monkeypatch.setattr(server.software, "answer", lambda command, values: commands.append(command) or answer(command, values))
    return commands


def test_a_spectrum_of_an_exploration_takes_at_most_45_requests(controller, heard):
    """A move and a sweep as the plan asks for them, the devices' own readings among them; there were 67."""
    stm = STM(controller=controller, name="stm")

    def two_spectra():
        yield from bps.open_run()
        yield from measure_at(stm, Point(1.0, 1.0))
        heard.clear()
        yield from measure_at(stm, Point(2.0, 1.0))
        counted.extend(heard)
        yield from bps.close_run()

    counted = []
    RunEngine()(two_spectra())
    assert "BiasSpectr.Start" in counted
    assert len(counted) <= 45


def test_a_module_that_reads_as_it_should_is_not_set_again(controller, heard):
    controller.sweep(SHORT)
    heard.clear()
    controller.sweep(SHORT)
    assert not [command for command in heard if command.startswith("BiasSpectr.") and command.endswith("Set")]
    assert {"BiasSpectr.MLSModeGet", "BiasSpectr.PropsGet", "BiasSpectr.TimingGet", "BiasSpectr.LimitsGet"} <= set(heard)


@pytest.mark.parametrize(
    ("command", "values"),
    [
        ("BiasSpectr.LimitsSet", (-0.5, 0.5)),
        ("BiasSpectr.PropsSet", (2, 3, 1, 50, 0.0, 0, 2)),
        ("BiasSpectr.TimingSet", (0.05, -2e-10, 0.005, 10.0, 0.001, 0.001, 0.005, 0.05)),
        ("BiasSpectr.AdvPropsSet", (2, 2, 0, 2)),
        ("BiasSpectr.ChsSet", ([0],)),
        ("BiasSpectr.MLSModeSet", ("MLS",)),
        ("BiasSpectr.AltZCtrlSet", (1, 1e-9, 0.1)),
        ("BiasSpectr.DigSyncSet", (3,)),
    ],
)
def test_what_a_person_changes_in_the_module_between_two_sweeps_is_set_again(controller, server, heard, command, values):
    """A z offset of -0.2 nm, left from somebody else's sweep, would be ten times the current."""
    controller.sweep(SHORT)
    server.software.answer(command, list(values))
    heard.clear()
    spectrum = controller.sweep(SHORT)
    assert command in heard
    assert len(spectrum.bias) == SHORT.points


@pytest.mark.parametrize("sweep", [LIFTED, replace(LIFTED, z_offset=-0.05)])
def test_a_sweep_with_an_offset_has_its_way_back_set_again_where_a_person_switched_it_off(controller, server, heard, sweep):
    """The tip would stay at the offset, held there by nothing."""
    controller.sweep(sweep)
    server.software.answer("BiasSpectr.ZOffRevertSet", [2])
    heard.clear()
    controller.sweep(sweep)
    assert "BiasSpectr.ZOffRevertSet" in heard
    assert server.software.answer("BiasSpectr.ZOffRevertGet", [])[0] == (1,)


def test_a_sweep_without_an_offset_leaves_the_way_back_from_one_alone(controller, server, heard):
    """There is nothing to come back from; the offset itself reads 0 in two settings of the module."""
    server.software.answer("BiasSpectr.ZOffRevertSet", [2])
    server.software.answer("BiasSpectr.TimingSet", [0.05, -2e-10, 0.005, 10.0, 0.001, 0.001, 0.005, 0.05])
    heard.clear()
    controller.sweep(SHORT)
    assert not [command for command in heard if "ZOffRevert" in command]
    assert server.software.answer("BiasSpectr.TimingGet", [])[0][1] == 0.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("ZCtrl.SetpntSet", 0.3e-9), "set point from 0.2 to 0.3 nA"),
        (("Bias.Set", -1.2), "bias from -1.5 to -1.2 V"),
        (("FolMe.XYPosSet", 5e-9, 0.0, 1), "tip by 5 nm"),
        (("LockIn.ModAmpSet", 1, 0.007), "modulation (V) from 0.0164 to 0.007"),
        (("LockIn.DemodPhasSet", 1, 45.0), "phase of demodulator 1"),
        (("LockIn.DemodHarmonicSet", 1, 2), "harmonic of demodulator 1 from 1 to 2"),
        (("LockIn.DemodSignalSet", 1, 30), "signal of demodulator 1 from 0 to 30"),
        (("LockIn.ModSignalSet", 1, 30), "output of modulator 1 from 24 to 30"),
        (("LockIn.DemodLPFilterSet", 1, 2, 0.5), "cut-off of the low-pass filter"),
        (("LockIn.ModPhasFreqSet", 1, 2000.0), "frequency of the modulation (Hz)"),
        (("LockIn.DemodHarmonicSet", 2, 3), "phase of demodulator 2 counts no longer"),
        (("Piezo.DriftCompSet", 1, 2e-12, 0.0, 0.0, 10.0), "drift compensation along x from 0 to 0.002"),
    ],
)
def test_what_a_person_changes_during_a_sweep_is_said_and_left_as_it_is(
    controller, server, microscope, monkeypatch, change, told
):
    """The spectrum is marked, says what it was, and the value of the person is not overwritten."""
    controller.sweep(SHORT)
    sweep, asked = microscope.sweep, dict.fromkeys(["once"])

    def meddle(settings):
        if asked:
            asked.clear()
            done = sweep(settings)
            assert not server.software.answer(change[0], list(change[1:]))[1]
            return done
        return sweep(settings)

    monkeypatch.setattr(microscope, "sweep", meddle)
    spectrum = controller.sweep(SHORT)
    assert spectrum.quality & Quality.DISTURBED
    assert told in spectrum.disturbed
    assert microscope.get_feedback()
    if change[0] == "ZCtrl.SetpntSet":
        assert controller.get_setpoint().current == pytest.approx(0.3)
    if change[0] == "Bias.Set":
        assert controller.get_bias() == pytest.approx(-1.2)
    if not change[0].startswith("LockIn"):
        later = controller.sweep(SHORT)
        assert not later.quality & Quality.DISTURBED
        assert not later.disturbed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("LockIn.ModAmpSet", 1, 0.007), ""),
        (("LockIn.DemodPhasSet", 1, 45.0), ""),
        (("LockIn.DemodPhasSet", 2, 90.0), ""),
        (("LockIn.ModPhasFreqSet", 1, 2000.0), "frequency of the modulation (Hz)"),
        (("LockIn.DemodHarmonicSet", 2, 3), "phase of demodulator 2 counts no longer"),
        (("FolMe.XYPosSet", 5e-9, 0.0, 1), "tip by 5 nm"),
    ],
)
def test_what_a_person_changes_just_before_a_sweep_is_heeded_or_said(controller, server, change, told):
    """Amplitude and phases are read before each sweep, and count for it; of the rest a look afterwards tells."""
    controller.sweep(SHORT)
    controller.move_tip(Point(0.0, 0.0))
    assert not server.software.answer(change[0], list(change[1:]))[1]
    spectrum = controller.sweep(SHORT)
    assert bool(spectrum.quality & Quality.DISTURBED) == bool(told)
    assert told in spectrum.disturbed


def test_where_somebody_else_takes_the_tip_is_read_anew_after_a_moment(controller, server):
    controller.move_tip(Point(1.0, 1.0))
    server.software.answer("FolMe.XYPosSet", [5e-9, 1e-9, 1])
    time.sleep(2 * NOW)
    assert controller.get_tip().point == pytest.approx((5.0, 1.0))


QUESTIONS = [
    "BiasSpectr.MLSModeGet",
    "BiasSpectr.ZOffRevertGet",
    "FolMe.XYPosGet",
    "Signals.ValsGet",
    "BiasSpectr.Start",
    "Signals.RangeGet",
    "LockIn.ModAmpGet",
    "LockIn.DemodHarmonicGet",
    "LockIn.DemodPhasGet",
    "Bias.Get",
    "ZCtrl.SetpntGet",
]
"""Requests of a sweep between two looks at the z controller."""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [FaultKind.OPEN, FaultKind.HOLD, FaultKind.CRASH])
@pytest.mark.parametrize("command", QUESTIONS)
def test_whatever_happens_to_the_feedback_between_two_requests_of_a_sweep_the_tip_ends_safe(
    controller, server, microscope, kind, command
):
    """Whichever request is the one beside which somebody opens it or holds it, or the tip crashes."""
    server.faults.add(Fault(kind, command))
    with pytest.raises(STMError):
        controller.sweep(LIFTED)
    assert safe(controller, server, microscope)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [FaultKind.OPEN, FaultKind.HOLD, FaultKind.CRASH])
@pytest.mark.parametrize("command", QUESTIONS)
def test_a_sweep_at_another_set_point_ends_safe_too(controller, server, microscope, kind, command):
    """It opens the feedback itself for the way of the bias, and closes it: who opens it just then disturbs nothing."""
    server.faults.add(Fault(kind, command))
    try:
        spectrum = controller.sweep(replace(LIFTED, setpoint=Setpoint(-1.4, 0.1)))
    except STMError:
        assert safe(controller, server, microscope)
    else:
        assert spectrum.quality == Quality.GOOD
        assert microscope.get_feedback() and not server.software.z.held


def safe(controller, server, microscope):
    return controller.is_withdrawn() or (microscope.get_feedback() and not server.software.z.held)


def test_a_crash_of_a_sweep_at_another_set_point_is_told_before_anything_is_restored(controller, server, microscope):
    server.software.registers.set("SafeTip.Props", [0, 1, 1e-9])
    controller.arm()
    with pytest.raises(TipCrashError, match="Safe Tip"):
        controller.sweep(replace(SHORT, stop=2.0, setpoint=Setpoint(-1.4, 0.1)))
    assert microscope.is_withdrawn()
