"""A server as unkind as a real one: it lags, does not do what it says it did, and somebody else works at it, too."""

import re
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import (
    Fault,
    FaultKind,
    Interlocks,
    NanonisController,
    NanonisError,
    NanonisServer,
    _software_signals,
    _software_sweep,
)
from bluesky_stm.controllers.nanonis._commands import ScanAction, ZStatus
from bluesky_stm.errors import LostConnectionError, STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import SweepSettings, TipShape

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)
ELSEWHERE = replace(SHORT, setpoint=Setpoint(-1.4, 0.1))
FRAME = Frame.square((0.0, 0.0), 8.0, 16)


@pytest.fixture
def controller(connect):
    return connect(timeout=1.0)


@pytest.fixture
def heard(server, monkeypatch):
    """Commands with their values, in the order in which the server did them."""
    commands, answer = [], server.software.answer

    def listen(command, values):
        commands.append((command, *values))
        return answer(command, values)

    monkeypatch.setattr(server.software, "answer", listen)
    return commands


def started(heard):
    """Whether a sweep or a scan was."""
    return any(asked[0] == "BiasSpectr.Start" or asked[:2] == ("Scan.Action", ScanAction.START) for asked in heard)


@pytest.fixture
def at_the_instrument(server):
    """What a person does there: ``at_the_instrument("ZCtrl.OnOffSet", 1)``."""

    def act(command, *values):
        _, error = server.software.answer(command, list(values))
        assert not error

    return act


def soon(true):
    """Whether it becomes true within some seconds."""
    end = time.monotonic() + 5.0
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def lost(controller, server):
    """Both connections are gone, and it has noticed."""
    server.drop_connections()
    with pytest.raises(LostConnectionError):
        controller.set_setpoint_current(0.15)
    with pytest.raises(LostConnectionError):
        controller.get_bias()


# ---- whether the tip is withdrawn ----


def test_a_tip_that_somebody_brought_back_is_swept_with_the_feedback_held(
    controller, server, microscope, monkeypatch, at_the_instrument
):
    """What it knew of its own withdrawal holds no longer: another set point is reached with the feedback closed."""
    held, sweep = [], microscope.sweep
    monkeypatch.setattr(microscope, "sweep", lambda settings: held.append(microscope.get_feedback()) or sweep(settings))
    controller.withdraw()
    at_the_instrument("AutoApproach.OnOffSet", 1)
    assert soon(microscope.get_feedback)
    spectrum = controller.sweep(ELSEWHERE)
    assert held == [True]
    assert spectrum.quality == Quality.GOOD
    assert microscope.get_feedback()


def test_a_withdrawal_that_was_refused_is_none(controller, server):
    for _ in range(2):
        server.faults.add(Fault(FaultKind.ERROR, "ZCtrl.Withdraw"))
        with pytest.raises(NanonisError, match="made to fail"):
            server.faults.add(Fault(FaultKind.ERROR, "ZCtrl.Withdraw", at=2))
            controller.withdraw()
        assert not controller.is_withdrawn()
    assert controller.sweep(SHORT).quality == Quality.GOOD


@pytest.mark.parametrize("kind", [FaultKind.IGNORE, FaultKind.OPEN])
def test_a_withdrawal_is_over_only_when_the_tip_is_there(controller, server, microscope, kind):
    """Ignored, or done by half, it is tried over another port; said to be done twice and not done, it is an error."""
    server.faults.add(Fault(kind, "ZCtrl.Withdraw"))
    controller.withdraw()
    assert microscope.is_withdrawn()
    controller.approach()
    for at in (1, 2):
        server.faults.add(Fault(kind, "ZCtrl.Withdraw", at))
    begun = time.monotonic()
    with pytest.raises(NanonisError, match="withdrawal of the tip did not happen"):
        controller.withdraw()
    assert time.monotonic() - begun < 4.0
    assert not controller.is_withdrawn()


@pytest.fixture(params=["sweep", "scan"])
def measure(request, controller):
    return {"sweep": lambda: controller.sweep(SHORT), "scan": lambda: controller.scan(FRAME)}[request.param]


def test_a_tip_found_without_feedback_after_a_lost_connection_ends_the_act(controller, server, microscope, heard, measure):
    """It is withdrawn; nothing is measured in the air, neither now nor before somebody approaches."""
    lost(controller, server)
    microscope.set_feedback(False)
    with pytest.raises(STMError, match="After the connection was lost"):
        measure()
    assert microscope.is_withdrawn()
    with pytest.raises(STMError, match="Approach first"):
        measure()
    assert not started(heard)
    controller.approach()
    assert measure().quality == Quality.GOOD


@pytest.mark.parametrize("kind", [FaultKind.WITHDRAW, FaultKind.OPEN, FaultKind.HOLD])
def test_a_tip_that_somebody_takes_away_before_the_start_is_not_measured(controller, server, microscope, heard, measure, kind):
    """While everything is set up, long after it was asked whether the tip is there."""
    for command in ("BiasSpectr.AdvPropsGet", "Scan.SpeedGet"):
        server.faults.add(Fault(kind, command))
    with pytest.raises(STMError, match=r"Approach first|opened the feedback|holds the feedback"):
        measure()
    assert not started(heard)
    assert microscope.is_withdrawn() or microscope.get_feedback()


def test_what_was_measured_in_the_air_is_not_good(controller, server, measure):
    """Withdrawn by somebody at the moment when it started: the server measures all the same."""
    for command in ("BiasSpectr.Start", "Scan.Action"):
        server.faults.add(Fault(FaultKind.WITHDRAW, command))
    assert measure().quality & Quality.LOST_CONTACT


def test_a_move_does_not_begin_with_a_feedback_that_somebody_opened(controller, microscope, heard):
    microscope.set_feedback(False)
    with pytest.raises(STMError, match="Somebody else"):
        controller.move_tip(Point(3.0, 0.0))
    assert "FolMe.XYPosSet" not in {asked[0] for asked in heard}
    assert microscope.is_withdrawn()


def test_a_feedback_that_was_opened_on_purpose_stays_open(controller, microscope):
    """Through a move and a sweep, also one from another set point."""
    controller.set_feedback(False)
    controller.move_tip(Point(0.1, 0.0))
    controller.sweep(SHORT)
    controller.sweep(ELSEWHERE)
    controller.move_tip(Point(0.0, 0.0))
    assert not microscope.get_feedback()
    assert not controller.is_withdrawn()
    controller.withdraw()
    controller.approach()
    microscope.set_feedback(False)  # what was once asked for does not excuse what somebody does later
    with pytest.raises(STMError, match="Somebody else"):
        controller.move_tip(Point(0.1, 0.0))


def test_a_feedback_that_somebody_holds_keeps_nothing_off_the_surface(controller, server, microscope, heard):
    """The software says that it is on: neither a move nor a stop takes that for tracking, nor whoever connects next."""
    for act in (lambda: controller.move_tip(Point(3.0, 0.0)), controller.stop):
        server.software.hold()
        assert controller.get_feedback()
        with pytest.raises(STMError, match="holds the feedback"):
            act()
        assert microscope.is_withdrawn()
        controller.approach()
    assert "FolMe.XYPosSet" not in {asked[0] for asked in heard}


def test_a_feedback_found_on_hold_is_withdrawn_on_connecting(connect, server, microscope):
    """Whoever held it may be gone."""
    server.software.hold()
    assert connect(timeout=0.5).is_withdrawn()
    assert microscope.is_withdrawn()


# ---- what lags ----


def test_states_that_lag_are_waited_for(controller, server, microscope):
    """Nothing is concluded from a word that is older than the command: acts are whole, each for the next."""
    server.software.lag.seconds = 0.1
    controller.withdraw()
    assert microscope.is_withdrawn()
    controller.approach()
    assert microscope.get_feedback()
    controller.set_feedback(False)
    assert not microscope.get_feedback()
    controller.set_feedback(True)
    assert controller.scan(FRAME).quality == Quality.GOOD
    assert controller.sweep(ELSEWHERE).quality == Quality.GOOD
    controller.withdraw()
    controller.stop()
    assert microscope.is_withdrawn()


def test_an_approach_is_waited_for_though_the_word_for_it_lags():
    """It takes longer than the time-out for an answer."""
    with NanonisServer(SimulatedController(seed=3, clock=RealClock(4.0)), (0, 0)) as server:
        controller = NanonisController(ports=server.ports, timeout=0.6)
        controller.withdraw()
        server.software.lag.seconds = 0.2
        controller.approach()
        assert controller.get_feedback()
        server.software.lag.seconds = 0.0
        controller.close()


def test_a_feedback_that_is_just_switching_off_is_closed_by_a_stop(controller, server, microscope, at_the_instrument):
    at_the_instrument("ZCtrl.SwitchOffDelaySet", 0.3)
    at_the_instrument("ZCtrl.OnOffSet", 0)
    assert controller.status() is ZStatus.SWITCHING_OFF
    controller.stop()
    time.sleep(0.4)
    assert microscope.get_feedback()


# ---- a scan ----


def test_a_scan_that_did_not_start_does_not_return_the_last_image(controller, server):
    controller.scan(FRAME)
    server.faults.add(Fault(FaultKind.IGNORE, "Scan.Action"))
    with pytest.raises(NanonisError, match="did not start"):
        controller.scan(FRAME)


def test_a_scan_is_waited_for_though_the_wait_ends_at_once():
    """And though the word that it runs lags behind its start."""
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0, 0)) as server:
        controller, answer = NanonisController(ports=server.ports), server.software.answer
        at_once = {"Scan.WaitEndOfScan": ([0, ""], "")}
        server.software.answer = lambda command, values: at_once.get(command) or answer(command, values)
        server.software.lag.seconds = 0.1
        image = controller.scan(FRAME, line_time=0.01)
        controller.close()
    assert np.isfinite(image.height).all()
    assert image.quality == Quality.GOOD


def test_a_frame_that_somebody_moves_meanwhile_is_no_image_of_this_one(controller, server, monkeypatch, at_the_instrument):
    scan = server.software.controller.scan

    def moved(*asked):
        at_the_instrument("Scan.FrameSet", 50e-9, 0.0, 8e-9, 8e-9, 0.0)
        return scan(*asked)

    monkeypatch.setattr(server.software.controller, "scan", moved)
    with pytest.raises(NanonisError, match="reads back"):
        controller.scan(FRAME)


# ---- what is set, and what is measured ----

SETTINGS = {
    "Bias.Set": lambda c: c.ramp_bias(-1.48),
    "FolMe.XYPosSet": lambda c: c.move_tip(Point(2.0, 0.0)),
    "FolMe.SpeedSet": lambda c: c.move_tip(Point(2.0, 0.0), speed=5.0),
    "ZCtrl.OnOffSet": lambda c: c.set_feedback(False),
    "ZCtrl.SetpntSet": lambda c: c.set_setpoint_current(0.1),
    "ZCtrl.GainSet": lambda c: c.set_gains(replace(c.get_gains(), proportional=0.01)),
    "LockIn.ModAmpSet": lambda c: c.set_lockin(replace(c.get_lockin(), amplitude=0.004)),
    "LockIn.ModPhasFreqSet": lambda c: c.set_lockin(replace(c.get_lockin(), frequency=500.0)),
    "LockIn.DemodPhasSet": lambda c: c.set_lockin(replace(c.get_lockin(), phase=45.0)),
    "LockIn.ModOnOffSet": lambda c: c.set_lockin(replace(c.get_lockin(), on=not c.get_lockin().on)),
    "Piezo.DriftCompSet": lambda c: c.set_drift((0.002, 0.0)),
    "TipShaper.PropsSet": lambda c: c.shape_tip(TipShape(0.3)),
    "AutoApproach.OnOffSet": lambda c: (c.withdraw(), c.approach()),
    "Scan.FrameSet": lambda c: c.scan(FRAME),
    "Scan.BufferSet": lambda c: c.scan(FRAME),
    "Scan.SpeedSet": lambda c: c.scan(FRAME, line_time=0.3),
    "BiasSpectr.ChsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.PropsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.TimingSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.LimitsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.AdvPropsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.ZOffRevertSet": lambda c: c.sweep(SHORT),
}
"""Every command that sets what can be read back, and an act that needs it."""


@pytest.mark.parametrize("command", SETTINGS)
def test_what_is_set_and_does_not_hold_is_an_error(controller, server, at_the_instrument, command):
    """Answered as if it were done: only what is read back is believed."""
    at_the_instrument("BiasSpectr.ZOffRevertSet", 2)
    at_the_instrument("BiasSpectr.AdvPropsSet", 2, 2, 0, 2)
    at_the_instrument("BiasSpectr.ChsSet", [0])
    server.faults.add(Fault(FaultKind.IGNORE, command))
    with pytest.raises(STMError):
        SETTINGS[command](controller)
    assert not server.faults.pending


@pytest.mark.parametrize("command", ["SafeTip.PropsSet", "SafeTip.OnOffSet", "ZCtrl.LimitsSet", "ZCtrl.LimitsEnabledSet"])
def test_an_interlock_that_does_not_hold_ends_the_connection(connect, server, at_the_instrument, command):
    """Among them that Safe Tip does not bring a crashed tip back by itself."""
    at_the_instrument("SafeTip.PropsSet", 1, 1, 8e-9)
    at_the_instrument("SafeTip.OnOffSet", 2)
    server.faults.add(Fault(FaultKind.IGNORE, command))
    with pytest.raises(NanonisError, match="interlocks"):
        connect(interlocks=Interlocks(safe_tip=8.0, z=(-100.0, 100.0)))


def test_a_spectrum_with_a_hole_in_the_lock_in_is_incomplete(controller, server):
    """Its current is whole."""
    server.faults.add(Fault(FaultKind.HOLES, "BiasSpectr.Start"))
    spectrum = controller.sweep(SHORT)
    assert np.isfinite(spectrum.current).all()
    assert not np.isfinite(spectrum.lockin_y).all()
    assert spectrum.quality == Quality.INCOMPLETE


def test_an_image_with_a_hole_is_incomplete(controller, server):
    # From the second image on: how often it is looked at while it grows depends on how busy the machine is.
    for number in range(2, 200):
        server.faults.add(Fault(FaultKind.HOLES, "Scan.FrameDataGrab", at=number))
    image = controller.scan(FRAME)
    assert image.quality == Quality.INCOMPLETE
    assert np.isnan(image.height[-1]).all()


def test_a_mean_of_sweeps_that_says_so_in_its_name_is_found(controller, monkeypatch):
    """As the columns of the files of several sweeps do, on the way back, too."""
    table = _software_sweep._table

    def named(*asked):
        names, rows = table(*asked)
        return [re.sub(r" (\(A\)|\[bwd\])", r" [AVG] \1", name, count=1) for name in names], rows

    plain = controller.sweep(replace(SHORT, averages=3, backward=True))
    monkeypatch.setattr(_software_sweep, "_table", named)
    spectrum = controller.sweep(replace(SHORT, averages=3, backward=True))
    assert spectrum.quality == plain.quality == Quality.GOOD
    assert set(spectrum.backward) == set(plain.backward)
    assert np.isfinite(spectrum.lockin_x).all()


# ---- who goes away ----


@pytest.mark.skipif(sys.platform == "win32", reason="a waiting socket of Windows does not hear Ctrl-C")
def test_an_answer_that_ctrl_c_cut_off_is_not_taken_for_the_next_one(controller, server, microscope):
    """The bias answered late is that of before."""
    import signal

    before = controller.get_bias()
    server.faults.add(Fault(FaultKind.DELAY, "Bias.Get", seconds=0.4))
    main = threading.main_thread().ident
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever handled Ctrl-C in the tests before
    try:
        threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            controller.get_bias()
    finally:
        signal.signal(signal.SIGINT, handler)
    microscope.ramp_bias(before + 0.25)
    time.sleep(0.5)
    assert controller.get_bias() == pytest.approx(before + 0.25)


@pytest.mark.parametrize("safe_tip", [False, True], ids=["seen by the next one", "seen by Safe Tip"])
def test_a_controller_killed_on_its_way_to_another_set_point_leaves_the_tip_safe(safe_tip):
    """The feedback stands open then, and nobody sweeps: Safe Tip sees the current, the next connection the feedback."""
    microscope = SimulatedController(seed=3)
    with NanonisServer(microscope, (0,) * 4) as server:
        code = f"""
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings, TipShape
controller = NanonisController(ports={server.ports})
controller.sweep(SweepSettings(setpoint=Setpoint(1.5, 0.1)))
"""
        answer, ramping = server.software.answer, threading.Event()

        def stall(command, values):
            if command == "Bias.Set" and not ramping.is_set():
                ramping.set()
                server.software.closing.wait(1.0)
            return answer(command, values)

        server.software.answer = stall
        with subprocess.Popen([sys.executable, "-c", code]) as process:
            assert ramping.wait(30)
            process.kill()
        assert not microscope.get_feedback()
        assert not microscope.is_withdrawn()
        if safe_tip:
            server.software.registers.set("SafeTip.Props", [0, 1, 5e-9])
            server.software.overload = True
            assert soon(microscope.is_withdrawn)
        controller = NanonisController(ports=server.ports)
        assert controller.is_withdrawn()
        assert microscope.is_withdrawn()
        controller.close()


# ---- on the way from one set point to another ----

ACROSS = replace(SHORT, setpoint=Setpoint(1.5, 0.1))
"""Through 0 V, where a closed feedback would run the tip into the surface."""


@pytest.fixture
def closed_at(server, monkeypatch):
    """Biases, in V, at which the feedback was closed."""
    biases, answer = [], server.software.answer

    def listen(command, values):
        if (command, *values) == ("ZCtrl.OnOffSet", 1):
            biases.append(server.software.controller.get_bias())
        return answer(command, values)

    monkeypatch.setattr(server.software, "answer", listen)
    return biases


def steps_of(heard):
    """Biases that were set one after the other."""
    return [asked[1] for asked in heard if asked[0] == "Bias.Set"]


def test_a_stop_on_the_way_to_another_set_point_does_not_close_the_feedback_there(controller, server, microscope, closed_at):
    """Near 0 V no set point can be held: the act that opened the feedback closes it, at the bias of before."""
    near, answer = threading.Event(), server.software.answer

    def arrive(command, values):
        done = answer(command, values)
        if command == "Bias.Set" and abs(values[0]) < 0.3:
            near.set()
        return done

    server.software.answer = arrive
    failed = []

    def sweep():
        try:
            controller.sweep(ACROSS)
        except STMError as error:
            failed.append(error)

    thread = threading.Thread(target=sweep)
    thread.start()
    assert near.wait(5)
    controller.stop()
    thread.join(5)
    assert failed
    assert closed_at == pytest.approx([-1.5] * len(closed_at))
    assert closed_at
    assert microscope.get_feedback()
    assert microscope.get_bias() == pytest.approx(-1.5)


def test_the_old_bias_comes_back_in_small_steps(controller, heard):
    """A jump of volts is a spike of current that Safe Tip may take for a crash."""
    controller.sweep(ACROSS)
    biases = [-1.5, *steps_of(heard)]
    assert max(biases) == pytest.approx(1.5)
    assert biases[-1] == pytest.approx(-1.5)
    assert max(np.abs(np.diff(biases))) < 0.051


def test_a_feedback_is_not_closed_where_there_is_no_bias(controller, server, microscope):
    """It would look for its current in the surface."""
    controller.set_feedback(False)
    controller.ramp_bias(0.0)
    with pytest.raises(STMError, match="no bias"):
        controller.set_feedback(True)
    assert microscope.is_withdrawn()


# ---- what is another one after a lost connection ----


def test_channels_are_looked_up_again_after_a_lost_connection(controller, server, monkeypatch):
    """Started anew, the software may have its signals elsewhere."""
    current, nothing, *others = _software_signals.SIGNALS
    lost(controller, server)
    monkeypatch.setattr(_software_signals, "SIGNALS", (nothing, current, *others))
    controller.set_setpoint_current(0.15)
    assert controller.channels.current == 1
    assert controller.read_current() == pytest.approx(-0.15, rel=0.1)


def test_interlocks_are_set_again_after_a_lost_connection(connect, server, at_the_instrument):
    """Started anew, the software has its own."""
    controller = connect(timeout=1.0, interlocks=Interlocks(safe_tip=8.0))
    lost(controller, server)
    at_the_instrument("SafeTip.OnOffSet", 2)
    controller.set_setpoint_current(0.15)
    assert controller.read_interlocks()["safe_tip"]
    assert controller.read_interlocks()["safe_tip_threshold"] == pytest.approx(8.0)


def test_a_preamplifier_that_somebody_switched_clips_where_it_ends_now(controller, server, monkeypatch):
    """What it cuts off is no spectrum, whatever the range was when it connected."""
    full = float(np.abs(controller.sweep(SHORT).current).max())
    assert controller.sweep(SHORT).quality == Quality.GOOD
    monkeypatch.setattr(type(server.software), "full_scale", property(lambda software: 0.9 * full))
    assert controller.sweep(SHORT).quality & Quality.CLIPPED
