"""Electrons of the surface state of gold make standing waves at step edges, whose wavelength tells their dispersion.

Y. Hasegawa, Ph. Avouris, Phys. Rev. Lett. 71, 1071 (1993), measured it so on Au(111), M. F. Crommie et al., Nature 363, 524
(1993), on Cu(111). A hard wall gives ``1 - J0(2 k x)``, the sum of ``1 - cos(2 k x cos(angle))`` over all directions of the
electrons.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import constants

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface, SurfacePoints

MASS, BOTTOM = 0.255, -0.48
"""Of the surface state: in masses of the electron, by F. Reinert et al., Phys. Rev. B 63, 115415 (2001) (not read for this),
and in eV from the Fermi level, as R. Paniago et al., Surf. Sci. 336, 113 (1995), at room temperature."""


def wave_number(energy):
    """``hbar k = sqrt(2 m (E - E0))``, in 1/nm."""
    return np.sqrt(2 * MASS * constants.m_e * (energy - BOTTOM) * constants.e) / constants.hbar * 1e-9


@pytest.fixture(scope="module")
def gold():
    """Without adsorbates and without its reconstruction, whose ridges would be seen, too."""
    return Surface(replace(Surface("Au(111)").sample, species=(), patterns=(), temperature=4.2), seed=1)


def away(gold, distances):
    """Places (n, 2) at these distances, in nm, from the lowest edge of a bunch of steps, along the descent."""
    edge, angle = gold.staircase.edges(0)[0][-1], np.radians(gold.sample.steps.angle)
    along = np.linspace(edge - 5, edge + 45, 2001)
    downhill = gold.staircase.downhill(along[:, None] * [np.cos(angle), np.sin(angle)])
    return np.interp(edge + distances, downhill, along)[:, None] * [np.cos(angle), np.sin(angle)]


def period(x, curve):
    """Wave number k of the damped wave ``cos(2 k x - phase) exp(-x / damping) / sqrt(x)`` that fits best, by trying all."""
    best = np.inf, 0.0
    for damping in (6.0, 12.0, 24.0):
        for k in np.linspace(0.4, 3.0, 1301):
            wave = np.exp(2j * k * x - x / damping) / np.sqrt(x)
            _, rest, *_ = np.linalg.lstsq(np.column_stack([np.ones_like(x), x, wave.real, wave.imag]), curve)
            best = min(best, (rest[0], k))
    return best[1]


def test_a_line_of_spectra_across_a_step_has_the_dispersion_of_the_surface_state(gold):
    """Maxima are pi / k apart: E(k) is a parabola with the mass and the bottom of the band, within 3 % and 15 meV."""
    distances, sweep = np.linspace(2.0, 25.0, 116), SweepSettings(-0.4, 0.4, 41, setpoint=Setpoint(-1.0, 0.2))
    stm = SimulatedController(gold, seed=1, profile=IDEAL)
    stm.set_lockin(replace(stm.get_lockin(), amplitude=0.005))
    line = stm.spectra(away(gold, distances), sweep).lockin_x
    k = np.array([period(distances, curve / curve.mean()) for curve in line.T[::4]])
    bias = sweep.bias[::4]
    assert k == pytest.approx(wave_number(bias), rel=0.05)
    slope, bottom = np.polyfit(k**2, bias, 1)
    assert constants.hbar**2 / (2 * constants.m_e * constants.e) * 1e18 / slope == pytest.approx(MASS, rel=0.03)
    assert bottom == pytest.approx(BOTTOM, abs=0.015)


def test_the_waves_are_those_of_a_hard_wall_summed_over_all_directions(gold):
    """By that sum itself: what an edge adds to the states at -0.1 eV, relative to the states of the band."""
    distances = np.array([0.5, 1.3, 2.9, 4.0, 7.7, 12.0])
    places, energy = away(gold, distances), -0.1
    angles = np.pi * (np.arange(400) + 0.5) / 400
    waves = gold.sample.waves
    for distance, place in zip(distances, places, strict=True):
        far = gold.sample.model.density(gold.changes[:1], np.array([energy]))[0, 0]
        added = gold.ldos(place, [energy])[0] - far
        one = -np.cos(2 * wave_number(energy) * distance * np.cos(angles)).mean()
        assert added == pytest.approx(waves.reflection * np.exp(-distance / waves.damping) * one, abs=2e-3)


def test_a_bin_of_energies_holds_the_mean_of_the_waves_in_it(gold):
    """However many of them: 30 nm away from the edge a wave passes within 60 meV."""
    edges = np.linspace(-0.45, 0.3, 6)
    fine = np.linspace(-0.45, 0.3, 5 * 4000 + 1)
    patch = SurfacePoints(gold, away(gold, np.array([0.0, 1.0, 10.0, 30.0])))
    middle = (fine[1:] + fine[:-1]) / 2
    expected = patch.density(middle).reshape(4, 5, -1).mean(axis=2)
    assert patch.states(edges) == pytest.approx(expected, rel=2e-4)


def test_there_are_no_waves_below_the_bottom_of_the_band_and_none_far_away(gold):
    far = gold.sample.waves.reach + 1
    bare = Surface(replace(gold.sample, waves=None), seed=1)
    energies = np.linspace(-1.0, 0.5, 151)
    there = away(gold, np.array([40.0])) + np.array([far - 40.0, 0.0])
    assert gold.ldos(there, energies) == pytest.approx(bare.ldos(there, energies))
    below = energies[energies < BOTTOM]
    assert gold.ldos(away(gold, np.array([1.0])), below) == pytest.approx(bare.ldos(away(gold, np.array([1.0])), below))


def test_an_image_at_small_bias_shows_waves_of_half_the_fermi_wavelength(gold):
    """At 20 mV the electrons at the Fermi level carry all of the current: maxima are pi / k_F = 1.75 nm apart."""
    flat = Surface(replace(gold.sample, lattice=replace(gold.sample.lattice, corrugation=0.0)), seed=1)
    x = np.linspace(2.0, 18.0, 161)
    height = flat.height(away(flat, x), Setpoint(0.02, 0.2))
    assert np.pi / period(x, height) == pytest.approx(np.pi / wave_number(0.01), rel=0.02)
    assert np.pi / wave_number(0.0) == pytest.approx(1.75, abs=0.01)
