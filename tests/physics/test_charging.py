"""Donors that the tip charges: rings around them, whose radius grows with the bias.

K. Teichmann et al., Phys. Rev. Lett. 101, 076103 (2008), saw them around silicon in GaAs(110). Where the rings lie follows here
from Poisson's equation, written down again: the bands at the donor are lifted by the field that a tip of radius R has there.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import constants
from scipy.optimize import brentq

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.errors import SettingsError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface, SurfacePoints

PERMITTIVITY, DONORS, FLAT, RADIUS, LIFT = 12.9, 5e18, -0.3, 10.0, 0.15
SWEEP = SweepSettings(0.1, 2.0, 381)


def bias_of(lift, gap):
    """Bias (V) at which the bands are lifted by ``lift`` (eV) under a plane: a depleted layer, and the field across the gap."""
    curvature = constants.e * DONORS * 1e6 / (PERMITTIVITY * constants.epsilon_0) * 1e-18  # V/nm2
    depth = np.sqrt(2 * lift / curvature)
    return FLAT + lift + gap * PERMITTIVITY * curvature * depth


def ring(bias, gap):
    """Radius (nm) at which the tip lifts the bands at the donor by `LIFT`: its end is ``r**2 / 2 R`` higher there."""
    return brentq(lambda r: bias_of(LIFT, gap + r**2 / (2 * RADIUS)) - bias, 0, 30)


@pytest.fixture(scope="module")
def crystal():
    """The surface without its rows of atoms, which images would show, too."""
    return Surface(replace(Surface("GaAs(110)").sample, patterns=()), seed=1)


@pytest.fixture(scope="module")
def donor(crystal):
    """The donor that is the farthest from all others."""
    found = [d for d in crystal.defects((-100, -100), (100, 100)) if d.species == "donor"]
    return max(found, key=lambda d: min(np.hypot(d.x - other.x, d.y - other.y) for other in found if other is not d))


@pytest.fixture
def spectra(crystal, donor):
    """``spectra(distances)``: dI/dV and current at these distances from the donor, in nm."""
    stm = SimulatedController(crystal, seed=1, profile=IDEAL)
    stm.set_lockin(replace(stm.get_lockin(), amplitude=0.01))

    def measure(distances):
        places = np.column_stack([donor.x + distances, np.full_like(distances, donor.y)])
        reading = stm.spectra(places, SWEEP)
        return places, stm.get_lockin().didv(reading.lockin_x), reading.current

    return measure


def test_the_bias_at_which_a_donor_charges_grows_with_its_distance_as_the_field_of_the_tip_says(crystal, spectra):
    """A peak of dI/dV in each spectrum, at the bias that Poisson's equation gives for its distance: within 2 %."""
    distances = np.arange(0.0, 7.1, 1.0)
    places, conductance, _ = spectra(distances)
    gaps = SurfacePoints(crystal, places).gap(crystal.sample.reference)
    peaks = SWEEP.bias[(conductance - np.median(conductance, axis=0)).argmax(axis=1)]
    expected = [bias_of(LIFT, gap + r**2 / (2 * RADIUS)) for gap, r in zip(gaps, distances, strict=True)]
    assert peaks == pytest.approx(expected, rel=0.02)
    assert (np.diff(peaks) > 0).all()


def test_the_peak_holds_the_step_of_the_current(spectra):
    """The integral of dI/dV over the bias is the current: 30 % more where the charge of the donor pulls the bands down."""
    _, conductance, current = spectra(np.array([6.0]))
    near = np.abs(SWEEP.bias - SWEEP.bias[conductance[0, :260].argmax()]) < 0.03
    step = np.ptp(current[0][near])
    assert np.trapezoid(conductance[0][near], SWEEP.bias[near]) == pytest.approx(step, rel=0.05)
    assert step > 0.1 * current[0][near].max()


@pytest.mark.parametrize("bias", [1.2, 1.5, 1.8])
def test_an_image_shows_a_disc_that_grows_with_the_bias(crystal, donor, bias):
    """Its edge, where the height of the tip steps, is the ring of that bias: within 0.2 nm."""
    r = np.arange(0.5, 14.0, 0.05)
    places, setpoint = np.column_stack([donor.x + r, np.full_like(r, donor.y)]), Setpoint(bias, 0.1)
    fall = -np.gradient(crystal.height(places, setpoint), r)
    outside = r > 3.5  # the relief of the donor itself is steep, too
    gap = float(SurfacePoints(crystal, places[-1:]).gap(setpoint)[0])
    assert r[outside][fall[outside].argmax()] == pytest.approx(ring(bias, gap), abs=0.2)


def test_a_blunter_tip_charges_donors_that_are_farther_away(crystal, donor):
    """The bias for a donor at 5 nm is lower: the end of a tip of 20 nm is only half as high above it."""
    found = []
    for radius in (10.0, 20.0):
        stm = SimulatedController(crystal, seed=1, profile=IDEAL.changed(tip_radius=radius))
        reading = stm.spectra(np.array([[donor.x + 5.0, donor.y], [donor.x + 13.0, donor.y]]), SWEEP)
        found.append(SWEEP.bias[(reading.lockin_x[0] - reading.lockin_x[1])[: len(SWEEP.bias) * 7 // 10].argmax()])
    assert found[1] < found[0] - 0.2


def test_defects_that_charge_need_a_sample_that_screens(crystal):
    with pytest.raises(SettingsError, match="does not say how it screens"):
        replace(crystal.sample, screening=None)
