"""What is narrow in the density of states is narrow in the spectrum: energy bins lose no gap, no dip and no level."""

import numpy as np
import pytest
from junction import calculated, measured, trapezoid

DELTA = 1.1e-3
"""Energy gap of a superconductor, in eV."""


BROADENING = 0.035e-3
"""Of the edges of the gap by the lifetime of the quasiparticles, in eV."""


def bcs(energy):
    """J. Bardeen, L. N. Cooper, J. R. Schrieffer, Phys. Rev. 108, 1175 (1957): E / sqrt(E**2 - Delta**2) outside the gap."""
    beyond = np.maximum(energy**2 - DELTA**2, 0)
    return np.divide(np.abs(energy), np.sqrt(beyond), out=np.zeros_like(energy), where=beyond > 0)


def dynes(energy):
    """R. C. Dynes et al., Phys. Rev. Lett. 41, 1509 (1978): BCS with a finite lifetime."""
    complexed = energy + 1j * BROADENING
    return np.abs((complexed / np.sqrt(complexed**2 - DELTA**2)).real)


def bcs_weights(reach=0.03):
    """The substitution E = Delta cosh(t) takes the singularity away: density times dE is Delta cosh(t) dt."""
    t = np.linspace(0, np.arccosh(reach / DELTA), 1001)
    energy, weights = DELTA * np.cosh(t), DELTA * np.cosh(t) * np.gradient(t)
    weights[[0, -1]] /= 2
    return np.concatenate([-energy[::-1], energy]), np.concatenate([weights[::-1], weights])


def fano(energy, q=0.5, width=5e-3):
    """U. Fano, Phys. Rev. 124, 1866 (1961), as V. Madhavan et al., Science 280, 567 (1998), fit it to Kondo impurities."""
    e = energy / width
    return 0.16 + 0.84 * (q + e) ** 2 / (1 + e**2) / (1 + q**2)


def level(center, width):
    return lambda energy: np.exp(-(((energy - center) / width) ** 2) / 2)


def test_a_superconductor_at_4_kelvin_has_the_gap_that_temperature_leaves():
    """Thermal smearing of the density of states: at kT = Delta / 3, G(0) is 0.26 of the normal one (lifetime 0.035 meV)."""
    bias, energy = np.linspace(-6e-3, 6e-3, 121), np.linspace(-0.02, 0.02, 8001)
    conductance, normal = (measured(f, bias, 4.2, 0.2e-3)[1] for f in (dynes, np.ones_like))
    expected = calculated(trapezoid(dynes, energy), energy, bias, 4.2, 0.2e-3)[1]
    assert (conductance / normal)[60] == pytest.approx(0.26, abs=0.005)
    assert conductance == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("modulation", [0.02e-3, 0.1e-3])
def test_the_thermal_curve_of_a_superconductor_at_1_kelvin_is_followed_everywhere(modulation):
    """Within 3 % at every bias, where kT is a tenth of the gap and the edges are still singular."""
    bias = np.linspace(-3e-3, 3e-3, 121)
    conductance = measured(bcs, bias, 1.2, modulation)[1]
    energy, weights = bcs_weights(0.01)
    expected = calculated(weights, energy, bias, 1.2, modulation)[1]
    assert conductance == pytest.approx(expected, rel=0.03, abs=1e-4 * expected.max())


def test_a_kondo_dip_is_as_deep_as_its_fano_line_and_lies_where_it_says():
    """q = 0.5, width 5 meV at 4.2 K with 1 mV modulation: depth within 3 %, minimum within half a millivolt."""
    bias = np.linspace(-40e-3, 40e-3, 161)
    conductance = measured(fano, bias, 4.2, 1e-3)[1]
    expected = calculated(trapezoid(fano, np.linspace(-0.06, 0.06, 2401)), np.linspace(-0.06, 0.06, 2401), bias, 4.2, 1e-3)[1]
    assert conductance == pytest.approx(expected, rel=0.03)
    assert bias[conductance.argmin()] == pytest.approx(bias[expected.argmin()], abs=0.5e-3)


@pytest.mark.parametrize("width", [0.5e-3, 2e-3, 5e-3])
@pytest.mark.parametrize("temperature", [4.2, 77.0, 300.0])
def test_a_narrow_level_keeps_its_weight_wherever_it_lies_in_its_bin(width, temperature):
    """The area under its peak and its height, within 3 %, at seven places 1.3 meV apart."""
    reach = 0.02 if temperature < 10 else 0.25
    bias = 0.3 + np.linspace(-reach, reach, 101)
    for center in 0.3 + 1.3e-3 * np.arange(-3, 4):
        conductance = measured(level(center, width), bias, temperature, 5e-3)[1]
        energy = center + width * np.linspace(-6, 6, 201)
        expected = calculated(trapezoid(level(center, width), energy), energy, bias, temperature, 5e-3, phases=60)[1]
        assert conductance.sum() == pytest.approx(expected.sum(), rel=0.03)
        assert conductance.max() == pytest.approx(expected.max(), rel=0.03)


@pytest.mark.parametrize("temperature", [4.2, 77.0, 300.0])
@pytest.mark.parametrize(
    ("shape", "function"),
    [
        ("metal", np.ones_like),
        ("Dirac cone", np.abs),
        ("parabolic bands", lambda e: np.maximum(np.abs(e - 0.1) - 0.4, 0) ** 2),
        ("surface state", lambda e: 1 + 1 / (1 + np.exp(-(e + 0.48) / 0.01))),
        ("slope", lambda e: np.exp(1.5 * e)),
        ("two levels", lambda e: 0.1 + level(-0.5, 0.05)(e) + level(0.6, 0.08)(e)),
    ],
)
def test_wide_spectra_of_known_shapes_are_those_of_direct_quadrature(shape, function, temperature):
    """From -1 to 1 V with 20 mV modulation, within 1 % of the conductance, and of the current beyond 1 % of its largest."""
    bias, energy = np.linspace(-1, 1, 81), np.linspace(-1.5, 1.5, 12001)
    current, conductance = (values[::4] for values in measured(function, bias, temperature, 20e-3))
    expected = calculated(trapezoid(function, energy), energy, bias[::4], temperature, 20e-3, phases=80)
    assert conductance == pytest.approx(expected[1], rel=0.01, abs=2e-3 * np.abs(expected[1]).max())
    assert current == pytest.approx(expected[0], rel=0.01, abs=1e-3 * np.abs(expected[0]).max())
