"""The interlocks of a Nanonis controller: set, read back, looked at, and what they end."""

import contextlib
import math
import threading
import time

import numpy as np
import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import Interlocks, Nanonis, NanonisController, NanonisError
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.errors import SettingsError, STMError, TipCrashError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")


SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


def test_interlocks_are_set_and_read_back(connect, server):
    controller = connect(interlocks=Interlocks(safe_tip=8.0, z=(-100.0, 200.0), end_sweep=7.0))
    read = controller.read_interlocks()
    assert (read["safe_tip"], read["safe_tip_threshold"]) == (True, pytest.approx(8.0))
    assert read["z_limits"] == pytest.approx([-100.0, 200.0])
    assert (read["sweep_ends_above"], read["sweep_ends_below"]) == (pytest.approx(7.0), pytest.approx(-7.0))


@pytest.mark.parametrize(
    "change",
    [
        ("SafeTip.PropsSet", 0, 1, 50e-9),
        ("SafeTip.PropsSet", 1, 1, 8e-9),
        ("SafeTip.PropsSet", 0, 0, 8e-9),
        ("SafeTip.OnOffSet", 2),
        ("ZCtrl.LimitsEnabledSet", 0),
        ("ZCtrl.LimitsSet", 300e-9, -100e-9),
        ("BiasSpectr.SafeCond1Set", 1, math.nan, -1, 2),
        ("BiasSpectr.SafeCond1Set", 3, 20e-9, -1, 2),
        ("BiasSpectr.SafeCond2Set", 3, math.nan, -1, 2),
        ("BiasSpectr.SafeCond2Set", 1, -7e-9, 30, 1),
    ],
)
def test_an_interlock_that_a_person_changes_is_noticed_before_the_next_act(connect, server, change):
    """Nothing is swept, the sentence says which one it was, and the feedback goes on holding the tip."""
    controller = connect(interlocks=Interlocks(safe_tip=8.0, z=(-100.0, 200.0), end_sweep=7.0))
    controller.sweep(SHORT)
    server.software.answer(change[0], list(change[1:]))
    with pytest.raises(NanonisError, match="The interlocks read"):
        controller.sweep(SHORT)
    assert controller.get_feedback()
    controller.arm()
    assert controller.sweep(SHORT).quality == Quality.GOOD


def test_safe_tip_that_nobody_asked_for_is_kept_an_eye_on_too(controller, server):
    controller.move_tip(Point(1.0, 0.0))
    server.software.answer("SafeTip.OnOffSet", [2])
    with pytest.raises(NanonisError, match="safe_tip False instead of True"):
        controller.move_tip(Point(2.0, 0.0))
    assert controller.get_tip().x == pytest.approx(1.0)
    controller.arm()
    controller.move_tip(Point(2.0, 0.0))


def test_a_sweep_ends_where_the_current_passes_the_safe_condition(connect):
    """On either side; what was measured before is whole."""
    controller = connect(interlocks=Interlocks(end_sweep=0.5))
    spectrum = controller.sweep(SweepSettings(-1.5, 2.0, 61, 0.001, 0.001))
    measured = np.isfinite(spectrum.current)
    assert spectrum.quality & Quality.INCOMPLETE
    assert 20 < measured.sum() < 61
    assert np.abs(spectrum.current[measured]).max() <= 0.5
    assert controller.get_feedback()


def test_a_withdrawal_in_the_middle_of_a_sweep_is_not_undone_by_its_end():
    """The sweep restores what stood before it, but never closes the feedback of a tip on its way back."""
    microscope = SimulatedController(seed=3, clock=RealClock(4.0))
    with NanonisServer(microscope, (0, 0)) as server:
        controller = NanonisController(ports=server.ports)

        def sweep():
            with contextlib.suppress(STMError):  # withdrawn before its first point
                controller.sweep(SHORT)

        for delay in (0.0, 0.15):
            thread = threading.Thread(target=sweep)
            thread.start()
            while thread.is_alive() and not server.software.is_doing("sweep"):
                time.sleep(0.005)
            time.sleep(delay)
            controller.withdraw()
            thread.join(5)
            assert not microscope.get_feedback()
            assert controller.is_withdrawn()
            controller.approach()
        controller.close()


def test_an_interlock_that_does_not_hold_is_refused(connect, server, monkeypatch):
    monkeypatch.setattr(server.software.registers, "set", lambda *args: None)
    with pytest.raises(NanonisError, match="interlocks"):
        connect(interlocks={"safe_tip": 8.0})


def test_a_safe_tip_event_is_a_crash_that_is_told(controller, server, microscope):
    """The current of the sweep passes the threshold: withdrawn by the controller, and the spectrum is not returned."""
    server.software.registers.set("SafeTip.Props", [0, 1, 1e-9])
    controller.arm()
    with pytest.raises(TipCrashError, match="Safe Tip"):
        controller.sweep(SweepSettings(-1.5, 2.0, 41, 0.001, 0.001))
    assert controller.status() is ZStatus.SAFE_TIP
    assert not microscope.get_feedback()
    assert controller.is_withdrawn()
    with pytest.raises(STMError, match="withdrawn"):
        controller.sweep(SHORT)
    controller.approach()
    assert controller.get_feedback()


def test_a_run_is_resumed_only_where_every_interlock_protects_as_much_as_it_did(connect):
    then = connect(interlocks=Interlocks(safe_tip=8.0, z=(-100.0, 200.0), end_sweep=7.0))
    start = {"uid": "run", "controller": then.describe()}
    then.close()
    looser = {
        "Safe Tip withdraws the tip 9 instead of 8": Interlocks(safe_tip=9.0, z=(-100.0, 200.0), end_sweep=7.0),
        "highest tip height": Interlocks(safe_tip=8.0, z=(-100.0, 201.0), end_sweep=7.0),
        "lowest tip height": Interlocks(safe_tip=8.0, z=(-101.0, 200.0), end_sweep=7.0),
        "at which a sweep ends 7.5 instead of 7": Interlocks(safe_tip=8.0, z=(-100.0, 200.0), end_sweep=7.5),
    }
    part = Nanonis()
    for said, interlocks in looser.items():
        now = connect(interlocks=interlocks)
        with pytest.raises(SettingsError, match=f"{said}.*Nothing has moved"):
            part.check_same(now, start)
        now.close()
    now = connect(interlocks=Interlocks(safe_tip=7.5, z=(-100.0, 200.0), end_sweep=7.0))
    part.check_same(now, start)
    assert part.differences(now, start) == ["current (nA) at which Safe Tip withdraws the tip 7.5 instead of 8"]
    assert part.differences(now, {"controller": now.describe()}) == [] == part.differences(now, {})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"safe_tip": 20.0}, "20 nA, never reached.*ends at 10 nA"),
        ({"safe_tip": 8e-9}, "Were 8 nA meant"),
        ({"safe_tip": 8.0, "end_sweep": 9.0}, "ends at 9 nA, Safe Tip acts at 8 nA"),
        ({"safe_tip": 8.0, "end_sweep": 8.0}, "ends at 8 nA, Safe Tip acts at 8 nA"),
        ({"end_sweep": 7e-9}, "Were 7 nA meant"),
        ({"end_sweep": 12.0}, "ends at 12 nA, never reached"),
        ({"safe_tip": 0.1}, "0.1 nA, the set point 0.2 nA"),
        ({"safe_tip": 8.0, "end_sweep": 0.2}, "ends at 0.2 nA, the set point is 0.2 nA"),
    ],
)
def test_interlocks_that_contradict_each_other_or_the_instrument_are_refused_before_one_is_sent(
    connect, server, microscope, heard, asked, said
):
    """The preamplifier ends at 10 nA."""
    microscope.set_setpoint_current(0.2)
    with pytest.raises(SettingsError, match=f"{said}.*None was sent"):
        connect(interlocks=asked)
    assert not {"SafeTip.PropsSet", "SafeTip.OnOffSet", "BiasSpectr.SafeCond1Set", "BiasSpectr.SafeCond2Set"} & set(heard)
    assert server.software.registers.get("SafeTip.Props")[2] == pytest.approx(50e-9)


def test_a_threshold_is_judged_beside_the_end_of_sweeps_that_stands_in_the_instrument(connect):
    connect(interlocks={"safe_tip": 9.0, "end_sweep": 8.0}).close()
    with pytest.raises(SettingsError, match="ends at 8 nA, Safe Tip acts at 7 nA"):
        connect(interlocks={"safe_tip": 7.0})


def test_a_finding_that_is_named_almost_right_is_not_guessed(connect):
    with pytest.raises(SettingsError, match="letter by letter") as refusal:
        connect(despite=["safe tip"])
    assert "Did you mean" not in str(refusal.value)
