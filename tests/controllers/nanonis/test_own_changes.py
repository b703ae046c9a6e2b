"""What this program itself changes between two measurements is no disturbance of the second one; what others change is one."""

from dataclasses import replace

import pytest

from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.004, integrate=0.010)

OWN = {
    "amplitude": lambda c: c.set_lockin(replace(c.get_lockin(), amplitude=0.011)),
    "frequency": lambda c: c.set_lockin(replace(c.get_lockin(), frequency=731.0)),
    "phase": lambda c: c.set_lockin(replace(c.get_lockin(), phase=12.0)),
    "switch": lambda c: c.set_lockin(replace(c.get_lockin(), on=not c.get_lockin().on)),
    "set point": lambda c: c.set_setpoint_current(0.25),
    "drift compensation": lambda c: c.set_drift((0.002, 0.0)),
    "no drift compensation": lambda c: c.set_drift((0.0, 0.0)),
    "gains": lambda c: c.set_gains(replace(c.get_gains(), integral=0.5 * c.get_gains().integral)),
    "bias": lambda c: c.ramp_bias(-1.4),
}


@pytest.mark.parametrize("what", OWN)
def test_what_the_program_changes_between_two_sweeps_is_no_disturbance(controller, what):
    assert not controller.sweep(SHORT).disturbed
    OWN[what](controller)
    second = controller.sweep(SHORT)
    assert not second.disturbed
    assert not second.quality & Quality.DISTURBED


@pytest.mark.parametrize("change", [("LockIn.ModPhasFreqSet", 1, 500.0), ("LockIn.DemodLPFilterSet", 1, 2, 500.0)])
def test_what_somebody_else_changes_between_two_sweeps_is_said(controller, server, change):
    """What held during the sweep is not known, for a whole look at the lock-in is taken after each sweep only."""
    controller.sweep(SHORT)
    server.software.answer(change[0], list(change[1:]))
    assert controller.sweep(SHORT).quality & Quality.DISTURBED
    assert not controller.sweep(SHORT).quality & Quality.DISTURBED
