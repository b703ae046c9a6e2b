"""The barrier between tip and sample, from tunneling to field emission."""

import numpy as np
import pytest
from scipy import constants
from scipy.integrate import quad

from bluesky_stm.measurements import Setpoint
from bluesky_stm.surface import Barrier, Surface

PHI = 4.5


def wkb(energy, bias):
    """Twice the mean of the decay constant, in 1/nm: the WKB integral over the classically forbidden part of the gap."""

    def decay(x):
        height = PHI - energy + bias * x  # x from 0 at the sample to 1 at the tip
        return np.sqrt(2 * constants.m_e * max(height, 0.0) * constants.e) / constants.hbar * 1e-9

    crossing = [(energy - PHI) / bias] if bias and 0 < (energy - PHI) / bias < 1 else None
    return 2 * quad(decay, 0, 1, points=crossing)[0]


@pytest.mark.parametrize("bias", [-9.0, -4.0, -1.5, 0.0, 1e-9, 1.5, 4.0, 6.0, 9.5])
def test_the_decay_is_the_wkb_integral_of_the_linear_barrier(bias):
    """Textbook WKB: J. G. Simmons, J. Appl. Phys. 34, 1793 (1963); beyond the turning point nothing decays."""
    barrier = Barrier(PHI, 77.0, 1.0)
    for energy in np.linspace(min(bias, 0), max(bias, 0), 13):
        assert float(barrier.decay(np.array(bias), np.array(energy))) == pytest.approx(wkb(energy, bias), rel=1e-6, abs=1e-9)


def test_field_emission_follows_fowler_and_nordheim():
    """ln T = -(4/3) sqrt(2m) phi**1.5 / (hbar e F): R. H. Fowler and L. Nordheim, Proc. R. Soc. A 119, 173 (1928).

    Electrons at the Fermi level of the tip, 8 V above that of the sample, meet a barrier of 4.5 eV in a field of 8 V / 2 nm.
    """
    field, height = 8 / 2e-9, PHI * constants.e
    expected = 4 / 3 * np.sqrt(2 * constants.m_e) * height**1.5 / (constants.hbar * constants.e * field)
    assert Barrier(PHI, 77.0, 1.0).decay(np.array(8.0), np.array(8.0)) * 2.0 == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("bias", [0.5, 1.5, 3.0, 3.1, 4.0, 6.0, 8.0, 10.0])
def test_the_gap_of_a_set_point_carries_its_current(bias):
    """The gap at 0.2 nA, put into the current integral summed energy by energy, gives 0.2 nA: within 1 % (0.5 pm)."""
    surface = Surface("Au(111)")
    gap = surface.terrace_gap(Setpoint(bias, 0.2))
    edges = np.arange(-0.2, bias + 0.2, 0.002)
    clean = 1 + 1 / (1 + np.exp(-((edges[1:] + edges[:-1]) / 2 + 0.48) / 0.01))
    current = surface.barrier.current(clean[None], edges, np.array([bias]), np.array([gap]))
    assert current[0, 0] == pytest.approx(0.2, rel=0.01)


def test_the_tip_retracts_by_nanometres_and_not_by_metres_in_field_emission():
    """WKB through the linear barrier over EuZn2As2 at 0.2 nA, integrated apart from this package: 1.23, 1.40, 2.84 nm."""
    surface = Surface("EuZn2As2:figure 7c")
    gaps = [surface.terrace_gap(Setpoint(bias, 0.2)) for bias in (3.0, 4.0, 8.0, 10.0)]
    assert gaps[:3] == pytest.approx([1.229, 1.404, 2.84], rel=0.02)
    assert 3.0 < gaps[3] < 6.0
