"""One potential for both bands, and onsets that scatter by 63 to 81 mV (empty states) and 19 to 24 mV (filled states).

These are standard deviations over the terraces of the published 200 and 100 nm frames of EuZn2As2 (G. Narasimha et al., npj
Comput. Mater. 11, 189 (2025)); both onsets move together, r = 0.72 to 0.81. A potential of charges in the crystal shifts
both bands alike. That filled states follow by a part only is explained by electrons that the tip gathers at negative bias.
"""

import numpy as np
import pytest
from scipy import constants

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface, sites

BIAS = np.linspace(-1.5, 1.5, 121)


def onsets(conductance, threshold=0.035):
    """Innermost biases from which three successive samples of dI/dV exceed the noise of the gap: 35 pS (data sheet)."""
    on = conductance > threshold
    three = np.flatnonzero(on[:-2] & on[1:-1] & on[2:])
    return BIAS[three + 2][BIAS[three + 2] < 0].max(), BIAS[three][BIAS[three] > 0].min()


@pytest.fixture(scope="module")
def measured():
    """Onsets at 800 places of four terraces on a good day: the valence band (V), the conduction band (V)."""
    rows = []
    for seed in range(1, 5):
        surface = Surface("EuZn2As2:figure 7a", seed=seed)
        stm = SimulatedController(surface, seed=2, profile="good_day")
        reading = stm.spectra(sites(surface, "terrace", 200, reach=100.0), SweepSettings(-1.5, 1.5, 121))
        rows += [onsets(row) for row in stm.get_lockin().didv(reading.lockin_x)]
    return np.array(rows).T


def test_the_potential_of_the_sample_is_one_for_both_bands_with_71_millivolts():
    """Two fields of 50 mV, added: the conduction band of a place follows all of it."""
    puddles = Surface("EuZn2As2").sample.puddles
    assert np.hypot(*(puddle.change["conduction"] for puddle in puddles)) == pytest.approx(0.071, abs=0.001)
    shares = {puddle.change["valence"] / puddle.change["conduction"] for puddle in puddles}
    assert len(shares) == 1


def test_the_filled_states_follow_by_the_ratio_of_what_screens_them():
    """Capacitances for each area: a depleted layer of 1e19 cm-3 whose bands are lifted by 0.2 eV and a tip at 0.8 nm, against
    the density of states of a layer of electrons (m = 0.19), known as its quantum capacitance, and the tip."""
    depth = np.sqrt(2 * 15 * constants.epsilon_0 * 0.2 / (constants.e * 1e25))
    depleted, tip = 15 * constants.epsilon_0 / depth, constants.epsilon_0 / 0.8e-9
    gathered = constants.e**2 * 0.19 * constants.m_e / (np.pi * constants.hbar**2)
    puddle = Surface("EuZn2As2").sample.puddles[0].change
    assert puddle["valence"] / puddle["conduction"] == pytest.approx((depleted + tip) / (gathered + tip), rel=1e-3)


def test_the_onset_of_the_conduction_band_scatters_as_published(measured):
    assert 0.063 <= measured[1].std() <= 0.081


def test_the_onset_of_the_valence_band_scatters_as_published(measured):
    assert 0.019 <= measured[0].std() <= 0.024


def test_both_onsets_move_together_as_published(measured):
    """Noise and the steps of 25 mV of the sweep take a part of a correlation that a rigid potential would make perfect."""
    assert 0.7 <= np.corrcoef(measured)[0, 1] <= 0.81
