"""The second harmonic of the modulated current is the second derivative: what inelastic tunnelling is measured by."""

import numpy as np
import pytest
from junction import BOLTZMANN, GAP, WORK_FUNCTION, Material, mean_states

from bluesky_stm.surface import Barrier, SweepIntegral


def swept(function, bias, temperature, modulation):
    """Current and its first two derivatives (nA, nS, nS/V) of a sweep over a material with this density of states."""
    sweep = SweepIntegral(Barrier(WORK_FUNCTION, temperature, 1e7), bias, GAP, modulation, harmonics=2)
    current, first, second = sweep(mean_states(Material(function), np.ones((1, 1)), sweep.edges), np.array([GAP]))
    return current[0], first[0] / modulation, second[0] / (modulation**2 / 4)


def half_width(bias, peak):
    """Full width at half maximum, in V, both sides interpolated."""
    top = int(np.argmax(peak))
    half = peak[top] / 2
    left = np.interp(half, peak[: top + 1], bias[: top + 1])
    right = np.interp(-half, -peak[top:], bias[top:])
    return right - left


def test_of_a_smooth_density_of_states_it_is_the_numerical_derivative_of_the_first():
    """I(V + A sin wt) holds A^2 / 4 I'' at 2 w: J. Klein et al., Phys. Rev. B 7, 2336 (1973)."""
    bias = np.linspace(-0.5, 0.5, 401)
    _, didv, d2idv2 = swept(lambda e: 1 + 0.8 * e + 0.6 * np.cos(6 * e), bias, 4.2, 0.005)
    slope = np.gradient(didv, bias)
    inside = slice(3, -3)
    assert d2idv2[inside] == pytest.approx(slope[inside], rel=0.01, abs=0.01 * np.abs(slope).max())


def test_it_changes_its_sign_with_the_bias_for_an_even_density_of_states():
    """dI/dV of one is even up to the barrier, so that its slope is odd."""
    bias = np.linspace(-0.3, 0.3, 121)
    _, _, d2idv2 = swept(lambda e: 1 + np.tanh(np.abs(e) / 0.05) ** 2, bias, 4.2, 0.003)
    assert d2idv2 == pytest.approx(-d2idv2[::-1], abs=0.12 * np.abs(d2idv2).max())


def step(energy):
    """Density of states that rises at 0.1 eV, as the current of an inelastic channel begins to."""
    return 1 + 0.3 * (energy > 0.1)


@pytest.mark.parametrize("modulation", [0.002, 0.004, 0.008])
def test_a_step_of_the_conductance_gives_a_peak_as_wide_as_the_modulation(modulation):
    """1.22 times the peak amplitude, when it is cold: Klein et al. (1973); it is often quoted as 1.73 times the RMS."""
    bias = np.linspace(0.07, 0.13, 301)
    _, _, peak = swept(step, bias, 1.0, modulation)
    assert half_width(bias, peak) == pytest.approx(1.22 * modulation, rel=0.03)
    assert bias[np.argmax(peak)] == pytest.approx(0.1, abs=0.05 * modulation)


@pytest.mark.parametrize("modulation", [0.001, 0.004, 0.008])
def test_an_inelastic_channel_gives_a_peak_as_wide_as_published(modulation):
    """sqrt((5.4 kT)^2 + (1.22 A)^2): J. Lambe and R. C. Jaklevic, Phys. Rev. 165, 821 (1968), whose inelastic current is given.

    Neither is a Gaussian, so that they add in squares to some per cent. Its conductance, which both warm electrodes have
    broadened, is put in place of a density of states seen by a cold tip.
    """
    thermal = BOLTZMANN * 5.0

    def conductance(energy):
        x = np.clip((energy - 0.1) / thermal, -200, 200) + 1e-7
        rising = np.exp(-x)
        return 1 + 0.3 * ((1 - rising) - x * rising) / (1 - rising) ** 2

    bias = np.linspace(0.08, 0.12, 301)
    _, _, peak = swept(conductance, bias, 1.0, modulation)
    assert half_width(bias, peak) == pytest.approx(np.hypot(5.4 * thermal, 1.22 * modulation), rel=0.06)


@pytest.mark.parametrize("temperature", [10.0, 30.0, 77.0])
def test_a_step_of_the_density_of_states_gives_a_peak_as_wide_as_the_temperature(temperature):
    """3.53 kT, the width of the derivative of one Fermi function: the tip is warm, the step of the sample is sharp."""
    thermal = BOLTZMANN * temperature
    bias = 0.1 + thermal * np.linspace(-12, 12, 301)
    _, _, peak = swept(step, bias, temperature, thermal / 10)
    assert half_width(bias, peak) == pytest.approx(3.53 * thermal, rel=0.03)


def test_temperature_and_modulation_add_in_squares():
    """Klein et al. (1973): the widths add in squares to within some per cent."""
    thermal, modulation = BOLTZMANN * 10.0, 0.004
    bias = np.linspace(0.06, 0.14, 401)
    _, _, peak = swept(step, bias, 10.0, modulation)
    assert half_width(bias, peak) == pytest.approx(np.hypot(3.53 * thermal, 1.22 * modulation), rel=0.05)
