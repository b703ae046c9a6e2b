"""A tip that comes nearer than 0.25 nm touches, whatever brought it there: a move, an offset in z, a set point."""

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM
from bluesky_stm.errors import LimitError, TipCrashError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings

CONTACT = 0.25
"""Gap, in nm, at which a tip on a metal carries about a quantum of conductance: N. D. Lang, Phys. Rev. B 36, 8173 (1987)."""


def gap(stm):
    return stm._junction.gap(stm.now())


@pytest.mark.parametrize("depth", [0.01, 0.3, 1.0, 3.0])
def test_a_sweep_that_is_taken_within_the_contact_gap_is_a_crash(ideal_but, depth):
    """As after a move: the tip is withdrawn, it is another one, it leaves something behind, and the bias is what it was."""
    stm = ideal_but(crash_change=1.0, tip_length=0.1, debris=1.0)
    too_deep = CONTACT - gap(stm) - depth
    with pytest.raises(TipCrashError, match=r"nm between tip and surface, which touch below 0.25 nm.*withdrawn"):
        stm.sweep(SweepSettings(z_offset=too_deep))
    assert stm.is_withdrawn() and not stm.get_feedback()
    assert [change.cause for change in stm.tip_changes] == ["crash"]
    assert len(stm.surface.population.added) == 1
    assert stm.get_bias() == -1.5


def test_a_sweep_just_outside_the_contact_gap_is_a_spectrum(ideal_but):
    """Ten picometres decide; the current there is e^(2 kappa d) times that of the set point."""
    stm = ideal_but()
    before = gap(stm)
    spectrum = stm.sweep(SweepSettings(z_offset=CONTACT - before + 0.01))
    assert not stm.is_withdrawn()
    assert gap(stm) == pytest.approx(before)
    assert np.abs(spectrum.current).max() == pytest.approx(10.00144)


def test_with_the_feedback_open_the_gap_counts_from_where_the_tip_stands(ideal_but):
    stm = ideal_but()
    stm.set_feedback(False)
    with pytest.raises(TipCrashError):
        stm.sweep(SweepSettings(z_offset=CONTACT - gap(stm) - 0.01))


def test_a_set_point_within_the_gap_drives_the_tip_into_the_surface(ideal_but):
    """No state of a semiconductor carries a current at -0.1 V: the feedback goes on until it touches."""
    stm = ideal_but()
    with pytest.raises(TipCrashError):
        stm.sweep(SweepSettings(setpoint=Setpoint(-0.1, 0.2)))
    assert stm.is_withdrawn() and stm.get_bias() == -1.5


# ---- and it is refused before: nothing that may touch leaves the devices


@pytest.mark.parametrize("setpoint", [Setpoint(-1.5, 0.2), Setpoint(-1.5, 1.0), Setpoint(1.5, 0.05)])
def test_a_device_refuses_every_offset_with_which_the_simulated_tip_would_touch(ideal_but, setpoint):
    """A device does not know the gap; it knows the conductance, and that no barrier is higher than 6 eV."""
    stm = STM(controller=ideal_but(), name="stm")
    stm.controller.ramp_bias(setpoint.bias)
    stm.controller.set_setpoint_current(setpoint.current)
    touching = CONTACT - gap(stm.controller)
    with pytest.raises(LimitError, match=r"stm_sweep_z_offset = .* may bring the tip into contact.*Nothing has moved"):
        stm.sweep.set(SweepSettings(z_offset=touching))
    stm.sweep.set(SweepSettings(z_offset=0.7 * touching))
    stm.worker.close()


def test_a_device_counts_from_the_set_point_of_the_sweep():
    """From 5 nA less is left than from 0.2 nA: ln(5 / 0.2) / 25 = 0.129 nm less."""
    stm = STM(controller=SimulatedController(seed=1, profile="ideal"), name="stm")
    room = np.log(77480.9 * 1.5 / np.array([0.2, 5.0])) / 25
    for current, most in zip((0.2, 5.0), room, strict=True):
        held = Setpoint(-1.5, current)
        stm.sweep.set(SweepSettings(setpoint=held, z_offset=-most + 0.001))
        with pytest.raises(LimitError, match="contact"):
            stm.sweep.set(SweepSettings(setpoint=held, z_offset=-most - 0.001))
    stm.worker.close()
