"""A spectrum shows the states of the tip, too: the current is the integral of both densities of states.

Between two superconductors dI/dV has its peaks at the sum of the gaps, and where temperature breaks pairs a smaller one at
their difference (textbooks: M. Tinkham, Introduction to Superconductivity, on tunneling between superconductors). Every number
expected here is computed from that integral, written down again.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from junction import GAP, WORK_FUNCTION, fermi, transmission

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.controllers.simulated._tips import Tip
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Barrier, Resonance, Superconductor, Surface, SweepIntegral, TipStates
from bluesky_stm.surface._states import mean_states

SAMPLE_GAP, TIP_GAP, MODULATION = 0.6e-3, 1.4e-3, 0.05e-3
BIAS = np.linspace(-4e-3, 4e-3, 161)


def dynes(energy, gap, broadening):
    """R. C. Dynes et al., Phys. Rev. Lett. 41, 1509 (1978)."""
    complexed = energy + 1j * broadening
    return np.abs((complexed / np.sqrt(complexed**2 - gap**2)).real)


@cache
def simulated(temperature, broadening=0.02e-3, tip_gap=TIP_GAP):
    """Current (nA) and dI/dV (nS) of a superconducting sample under a superconducting tip."""
    tip = TipStates(Superconductor(1.0), (1.0, tip_gap, broadening, 0.0)) if tip_gap else None
    sweep = SweepIntegral(Barrier(WORK_FUNCTION, temperature, 1e7, tip=tip), BIAS, GAP, MODULATION)
    states = mean_states(Superconductor(1.0), np.array([[1.0, SAMPLE_GAP, broadening, 0.0]]), sweep.edges)
    current, modulated = sweep(states, np.array([GAP]))
    return current[0], modulated[0] / MODULATION


def calculated(temperature, broadening=0.02e-3):
    """The same by direct quadrature, the lock-in by its Fourier integral."""
    energy, spacing = np.linspace(-0.012, 0.012, 12001, retstep=True)
    states = dynes(energy, SAMPLE_GAP, broadening) * spacing

    def current(at):
        carried = fermi(energy - at, temperature) - fermi(energy, temperature)
        return 1e7 * (states * dynes(energy - at, TIP_GAP, broadening) * carried * transmission(energy, at)).sum()

    sines = np.sin(np.pi * (np.arange(16) + 0.5) / 16 - np.pi / 2)  # half a period: the other half adds the same
    moved = [[2 * sine * current(v + MODULATION * sine) for sine in sines] for v in BIAS[::4]]
    return np.array([current(v) for v in BIAS[::4]]), np.mean(moved, axis=1) / MODULATION


@pytest.mark.parametrize("temperature", [0.5, 1.2, 4.2])
def test_two_superconductors_have_the_spectrum_of_the_integral_of_both_densities_of_states(temperature):
    """Current and dI/dV at every bias, within 1 % of the largest."""
    current, conductance = (values[::4] for values in simulated(temperature))
    expected = calculated(temperature)
    assert current == pytest.approx(expected[0], abs=0.01 * np.abs(expected[0]).max())
    assert conductance == pytest.approx(expected[1], abs=0.01 * expected[1].max())


@pytest.mark.parametrize("temperature", [0.5, 1.2, 4.2])
def test_the_largest_peak_lies_at_the_sum_of_both_gaps(temperature):
    """On either side, within a step of the sweep and the broadening."""
    conductance = simulated(temperature)[1]
    for side in (BIAS > 0, BIAS < 0):
        assert abs(BIAS[side][conductance[side].argmax()]) == pytest.approx(SAMPLE_GAP + TIP_GAP, abs=0.07e-3)


def test_broken_pairs_make_a_peak_at_the_difference_of_the_gaps():
    """At 4.2 K quasiparticles cross there, where both edges face each other; at 0.5 K there are none."""
    inside = (BIAS > 0.2e-3) & (BIAS < 1.4e-3)
    warm, cold = simulated(4.2)[1], simulated(0.5)[1]
    assert BIAS[inside][warm[inside].argmax()] == pytest.approx(TIP_GAP - SAMPLE_GAP, abs=0.07e-3)
    assert warm[inside].max() > 3 * warm[inside].min()
    assert cold[inside][BIAS[inside] < 1e-3].max() < 0.05 * warm[inside].max()


def test_a_superconducting_tip_resolves_more_than_the_temperature_lets_a_normal_one():
    """At 4.2 K a normal tip smears by 3.5 kT = 1.3 meV, more than the gap of 0.6 meV; two edges facing each other do not."""
    sharp, smeared = simulated(4.2)[1], simulated(4.2, tip_gap=0.0)[1]
    assert np.ptp(smeared) < 0.5 * smeared.max()
    steep = np.flatnonzero(sharp > 0.5 * sharp.max())
    assert (BIAS[steep[BIAS[steep] > 0]].max() - SAMPLE_GAP - TIP_GAP) < 0.2e-3


# ---- a level of the tip


@pytest.mark.parametrize("energy", [-0.4, 0.3])
def test_a_level_of_the_tip_turns_up_at_the_mirrored_energy_and_one_of_the_sample_at_its_own(energy):
    """dI/dV between a level and a flat metal is the density of states of the level, but for the slope of the barrier."""
    bias, modulation = np.linspace(-0.6, 0.6, 241), 5e-3
    level = Superconductor(1.0, (Resonance("level", energy, 0.03, np.inf),))
    flat, peaked = (1.0, 0.0, 1e-5, 0.0, 0.0), (1.0, 0.0, 1e-5, 0.0, 2.0)
    found = []
    for tip, sample in ((peaked, flat), (flat, peaked)):
        sweep = SweepIntegral(Barrier(WORK_FUNCTION, 4.2, 1e7, tip=TipStates(level, tip)), bias, GAP, modulation)
        conductance = sweep(mean_states(level, np.array([sample]), sweep.edges), np.array([GAP]))[1][0]
        plain = SweepIntegral(Barrier(WORK_FUNCTION, 4.2, 1e7), bias, GAP, modulation)
        reference = plain(np.ones((1, len(plain.edges) - 1)), np.array([GAP]))[1][0]
        ratio = conductance / reference
        near = np.abs(bias) > 0.05
        found.append((bias[near][ratio[near].argmax()], ratio[near].max()))
    (of_tip, height), (of_sample, own) = found
    assert of_tip == pytest.approx(-energy, abs=0.011)
    assert of_sample == pytest.approx(energy, abs=0.011)
    assert height == pytest.approx(own, rel=0.2)
    assert own > 2


def test_a_level_of_the_tip_is_in_every_spectrum_wherever_it_is_taken():
    """That is how one tells it from a state of the sample: three places of gold, one beside a step, have the same peak."""
    stm = SimulatedController(Surface("Au(111)"), seed=1, profile=IDEAL)
    places, sweep = np.array([[3.0, 2.0], [30.0, -12.0], [-45.0, 8.0]]), SweepSettings(-1.0, 0.9, 191)
    bare = stm.spectra(places, sweep)
    stm._junction.tips.tip = Tip(level=(2.0, -0.5, 0.05))
    ratio = stm.spectra(places, sweep).lockin_x / bare.lockin_x
    ratio /= ratio[:, -20:].mean(axis=1, keepdims=True)
    above = sweep.bias > 0.1
    assert sweep.bias[above][ratio[:, above].argmax(axis=1)] == pytest.approx(np.full(3, 0.5), abs=0.03)


# ---- a tip that changes, and is mended


def superconducting(**changes):
    return SimulatedController(
        Surface("NbSe2"), seed=1, profile=IDEAL.changed(tip_gap=TIP_GAP, treatment_change=1.0, **changes)
    )


def onset(stm):
    """Bias of the largest dI/dV of a spectrum, in V."""
    spectrum = stm.sweep(SweepSettings(-6e-3, 6e-3, 121))
    return abs(spectrum.bias[spectrum.didv.argmax()])


def test_a_superconducting_tip_over_a_superconductor_shows_both_gaps_and_a_normal_one_the_gap_of_the_sample():
    """NbSe2 with 1.1 meV here: 2.5 and 1.1 mV, and with a modulation of 0.1 mV at 1.2 K a bit more without the second gap."""
    stm = superconducting()
    stm.set_lockin(replace(stm.get_lockin(), amplitude=1e-4))
    assert onset(stm) == pytest.approx(2.5e-3, abs=0.15e-3)
    stm._junction.tips.tip = Tip()
    assert onset(stm) == pytest.approx(1.25e-3, abs=0.2e-3)


def test_a_tip_change_takes_the_gap_and_conditioning_brings_it_back():
    stm = superconducting(treatment_heals=0.0, tip_gap_lost=1.0)
    stm.pulse(4.0, 0.05)
    assert stm._junction.tips.tip.gap == 0
    mended = superconducting(treatment_heals=1.0, tip_gap_lost=1.0)
    mended._junction.tips.tip = Tip(level=(1.0, 0.3, 0.1))
    mended.pulse(4.0, 0.05)
    assert mended._junction.tips.tip.gap == TIP_GAP
    assert mended._junction.tips.tip.level[0] == 0


def test_changed_tips_have_a_level_with_the_chance_that_the_profile_says():
    """Of 400 changes to a worse tip 30 %, within four standard deviations; its energy lies in the range that is given."""
    stm = SimulatedController(seed=1, profile=IDEAL.changed(treatment_change=1.0, treatment_heals=0.0, tip_level=0.3))
    for _ in range(400):
        stm.pulse(4.0, 0.05)
    levels = [change.tip.level for change in stm.tip_changes if change.tip.level[0]]
    assert len(levels) == pytest.approx(120, abs=4 * np.sqrt(400 * 0.21))
    assert all(-1.2 <= energy <= 1.2 and 0.03 <= width <= 0.15 for _, energy, width in levels)


def test_a_tip_without_states_of_its_own_costs_nothing():
    """No factor is computed for it: its barrier is that of an ideal one."""
    bare = Surface("Au(111)").barrier
    assert Tip().barrier(bare) == bare
