"""The tip bends the bands of a semiconductor: the more, the higher the bias and the nearer the tip."""

from functools import lru_cache

import numpy as np
import pytest
from scipy import constants
from scipy.optimize import brentq

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Barrier, Screening, Surface, SurfacePoints, SweepIntegral

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
    middle = 80 if charge >= 1e19 else 120  # fewer charges bend the bands more: the onsets lie further out
    bias = np.linspace(-middle / 50, middle / 50, 2 * middle + 1)
    sweep = SweepIntegral(Barrier(4.5, 4.2, 1e7, screening=Screening(PERMITTIVITY, charge)), bias, gap, MODULATION)
    low, high = sweep.edges[:-1], sweep.edges[1:]
    outside = 1 - np.clip((np.minimum(high, EDGE) - np.maximum(low, -EDGE)) / (high - low), 0, 1)
    conductance = sweep(outside[None], np.array([gap]))[1][0] / MODULATION
    ends = []
    for sign in (1, -1):
        half = conductance[::sign][middle:]
        first = int(np.argmax(half > 0.05 * half[: int(0.55 * len(half))].max()))
        ends.append(abs(bias[::sign][middle:][first + int(np.argmax(half[first:] > 0.5 * half[first + 5]))]))
    return sum(ends)


BETWEEN = [pytest.param(gap, charge, marks=pytest.mark.slow) for gap in (0.7, 0.9) for charge in (3e18, 1e20)]
"""The law and its two cases are those of the ends; few charges need many energies."""


@pytest.mark.parametrize(
    ("gap", "charge"),
    [(0.5, 3e18), (1.2, 3e18), *((gap, 1e19) for gap in (0.5, 0.7, 0.9, 1.2)), (0.5, 1e20), (1.2, 1e20), *BETWEEN],
)
def test_the_gap_of_a_place_widens_as_the_tip_comes_nearer_by_what_the_model_says(gap, charge):
    """The current sets in where the bias has reached the lifted edge, V = E_C + lift, or the lift has brought the other band to
    the Fermi level, lift = E_C, as it does at few charges and a small gap: within 5 %."""
    reached = brentq(lambda bias: bias - lifted(bias, gap, charge) - EDGE, EDGE + 1e-6, 2.39)
    inverted = brentq(lambda bias: lifted(bias, gap, charge) - EDGE, EDGE + 1e-6, 99.0)
    assert measured_gap(gap, charge) == pytest.approx(2 * min(reached, inverted), rel=0.05)


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


# ---- at a microscope: n-type GaAs(110), whose bands a tip bends

DONORS, FLAT, DIELECTRIC = 5e18, -0.3, 12.9


def lifted_in_gallium_arsenide(bias, gap):
    """As above, for the sample's density of donors and its bias of flat bands."""
    curvature = constants.e * DONORS * 1e6 / (DIELECTRIC * constants.epsilon_0) * 1e-18
    field = lambda s: curvature * np.sqrt(2 * s / curvature)  # noqa: E731
    return brentq(lambda s: s + gap * DIELECTRIC * field(s) - (bias - FLAT), 0, bias - FLAT)


def decay_at(bias):
    """Decay constant (1/nm) of electrons at the Fermi level of the tip: its mean barrier is 4.5 eV less half of the bias."""
    return 2 * np.sqrt(2 * constants.m_e * (4.5 - bias / 2) * constants.e) / constants.hbar * 1e-9


def test_the_gap_of_one_place_of_gallium_arsenide_widens_with_the_approach_as_poissons_equation_says():
    """Spectra at six heights of one tip over one place; the onset is where the same states carry the current: within 5 %.

    The tip is moved by a z offset from the same set point. A current of 1 pA at the first height, and as much more as the
    barrier lets through, marks both onsets; the filled side stays, as electrons that gather keep the bands where they are.
    """
    stm = SimulatedController(Surface("GaAs(110)", seed=1), seed=1, profile=IDEAL)
    place = stm.move_tip((-40.0, 25.0)) or (-40.0, 25.0)
    surface = stm.surface
    middle = float(SurfacePoints(surface, np.array([place])).gap(surface.sample.reference)[0])
    offsets = np.array([-0.3, -0.2, -0.1, 0.0, 0.15, 0.3])
    filled, empty = [], []
    for offset in offsets:
        spectrum = stm.sweep(SweepSettings(-1.9, 1.2, 621, z_offset=float(offset)))
        few, fewer = (1e-3 * np.exp(-decay_at(bias) * offset) for bias in (0.4, -1.75))
        up, down = spectrum.bias > 0, spectrum.bias < -1.0
        empty.append(np.interp(np.log(few), np.log(np.maximum(spectrum.current[up], 1e-12)), spectrum.bias[up]))
        filled.append(np.interp(-fewer, spectrum.current[down], spectrum.bias[down]))
    edge = empty[3] - lifted_in_gallium_arsenide(empty[3], middle)
    expected = [brentq(lambda v, z=middle + o: v - lifted_in_gallium_arsenide(v, z) - edge, 0.05, 2.0) for o in offsets]
    assert np.array(empty) - filled == pytest.approx(np.array(expected) - filled[3], rel=0.05)
    assert empty == pytest.approx(expected, rel=0.08)
    assert (np.diff(np.array(empty) - filled) < 0).all()
    assert empty[0] - empty[-1] > 0.15
