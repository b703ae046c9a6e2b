"""The tip bends the bands of a semiconductor: the more, the higher the bias and the nearer the tip."""

from functools import lru_cache

import numpy as np
import pytest
from scipy import constants
from scipy.optimize import brentq

from bluesky_stm.surface import Barrier, Screening, SweepIntegral

PERMITTIVITY, EDGE, MODULATION = 15.0, 0.5, 10e-3


def poisson(surface, charge):
    """Field (V/nm) at a surface whose bands are lifted by ``surface`` (eV) above a depleted bulk: Poisson's equation.

    The potential of a uniform charge is a parabola: s = a d**2 / 2 and a field a d at the end of a layer of depth d.
    """
    curvature = constants.e * charge * 1e6 / (PERMITTIVITY * constants.epsilon_0) * 1e-18  # V/nm2
    return curvature * np.sqrt(2 * surface / curvature)


def lifted(bias, gap, charge):
    """Lift of the bands (eV): bias = lift + gap times the field in the gap, by continuity of the displacement."""
    return brentq(lambda s: s + gap * PERMITTIVITY * poisson(s, charge) - bias, 1e-9, bias)


@pytest.mark.parametrize(("charge", "expected"), [(1e18, 0.93), (1e19, 0.37), (1e20, 0.06)])
def test_the_bending_solves_poissons_equation(charge, expected):
    """Planes at 0.8 nm and 1.5 V (R. M. Feenstra, J. A. Stroscio, J. Vac. Sci. Technol. B 5, 923 (1987))."""
    found = float(Screening(PERMITTIVITY, charge).bending(np.array(1.5), 0.8))
    assert found == pytest.approx(lifted(1.5, 0.8, charge), rel=1e-3)
    assert found == pytest.approx(expected, abs=0.006)
    assert float(Screening(PERMITTIVITY, charge).bending(np.array(-1.5), 0.8)) == -found


@lru_cache
def measured_gap(gap, charge):
    """Distance of the biases at which dI/dV over sharp band edges at +-0.5 eV reaches half of what it is 0.1 V further."""
    bias = np.linspace(-1.6, 1.6, 161)
    sweep = SweepIntegral(Barrier(4.5, 4.2, 1e7, screening=Screening(PERMITTIVITY, charge)), bias, gap, MODULATION)
    low, high = sweep.edges[:-1], sweep.edges[1:]
    outside = 1 - np.clip((np.minimum(high, EDGE) - np.maximum(low, -EDGE)) / (high - low), 0, 1)
    conductance = sweep(outside[None], np.array([gap]))[1][0] / MODULATION
    ends = []
    for sign in (1, -1):
        half = conductance[::sign][80:]
        first = int(np.argmax(half > 0.05 * half[: int(0.55 * len(half))].max()))
        ends.append(abs(bias[::sign][80:][first + int(np.argmax(half[first:] > 0.5 * half[first + 5]))]))
    return sum(ends)


@pytest.mark.parametrize("gap", [0.5, 0.7, 0.9, 1.2])
@pytest.mark.parametrize("charge", [1e19, 1e20])
def test_the_gap_of_a_place_widens_as_the_tip_comes_nearer_by_what_the_model_says(gap, charge):
    """The edge E_C is reached where the bias is E_C plus the lift of the bands: within 5 %."""
    expected = brentq(lambda bias: bias - lifted(bias, gap, charge) - EDGE, EDGE + 1e-6, 1.59)
    assert measured_gap(gap, charge) == pytest.approx(2 * expected, rel=0.05)


def test_the_gap_widens_on_approach():
    gaps = [measured_gap(gap, 1e19) for gap in (0.5, 0.7, 0.9, 1.2)]
    assert (np.diff(gaps) < -0.01).all()


def test_the_fast_integral_is_the_sum_over_energies_near_its_gap():
    bias = np.linspace(-1.2, 1.2, 49)
    barrier = Barrier(4.5, 77.0, 1e7, screening=Screening(PERMITTIVITY, 1e19))
    sweep = SweepIntegral(barrier, bias, 0.8, 0.0)
    energy = (sweep.edges[1:] + sweep.edges[:-1]) / 2
    states = np.maximum(np.abs(energy) - 0.4, 0)[None] ** 2
    for gap in (0.75, 0.8, 0.85):
        direct = barrier.current(states, sweep.edges, bias, np.array([gap]))[0]
        assert sweep(states, np.array([gap]))[0][0] == pytest.approx(direct, rel=0.02, abs=1e-4 * np.abs(direct).max())
