"""From a density of states to a number: current, lock-in, calibration and normalisation in turn, for shapes that are known.

Each shape is a sample of its own under a simulated microscope with the electronics of a good day; one test goes the whole way
of a user, through a session, a plan and the stored run.

What is expected is computed by direct quadrature (`junction`) and by the definition of the normalised conductance of
Feenstra, Phys. Rev. B 50, 4561 (1994): dI/dV over I/V, averaged with the weight ``exp(-|V - V'| / broadening)``.
"""

from functools import cache

import numpy as np
import pytest
from junction import GAP, WORK_FUNCTION, Material, calculated, trapezoid

from bluesky_stm import session as sessions
from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.measurements import Setpoint
from bluesky_stm.parts import samples
from bluesky_stm.plans import spectra_at
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import LengthScale
from bluesky_stm.surface import Sample, SamplePart, Surface, UsualMeasurement
from bluesky_stm.surface._sample import Lattice
from bluesky_stm.surface._terraces import Steps

BIAS = np.linspace(-1.0, 1.0, 121)
MODULATION = 0.02
ELECTRONICS = {
    "response": 7e-5,
    "lockin_response": 0.95,
    "lockin_offset": -2e-4,
    "current_offset": 1.2e-3,
    "capacitance": 0.148,
}
"""Of a good day of the published runs, noise left out."""


NORMALIZED = {"normalized": True, "broadening": 0.05}


def bump(center, width):
    return lambda energy: np.exp(-(((energy - center) / width) ** 2) / 2)


def step(center, width=0.01):
    return lambda energy: 1 / (1 + np.exp(-np.clip((energy - center) / width, -500, 500)))


SHAPES = {
    "metal": np.ones_like,
    "slope": lambda e: np.exp(1.5 * e),
    "Dirac cone": lambda e: np.abs(e - 0.1) + 0.02,
    "parabolic bands": lambda e: 0.01 + np.maximum(np.abs(e - 0.1) - 0.3, 0) ** 2,
    "three-dimensional metal": lambda e: np.sqrt(np.maximum(e + 1.6, 0)),
    "surface state": lambda e: 1 + step(-0.48)(e),
    "quantum well": lambda e: 0.3 + step(-0.6, 0.02)(e) + step(0.2, 0.02)(e) + step(0.7, 0.02)(e),
    "two levels": lambda e: 0.1 + bump(-0.5, 0.08)(e) + bump(0.6, 0.1)(e),
    "level in a gap": lambda e: 0.01 + np.maximum(np.abs(e) - 0.6, 0) ** 2 + 0.05 * bump(-0.35, 0.07)(e),
    "pseudogap": lambda e: 1 - 0.8 / np.cosh(np.clip(e / 0.15, -50, 50)),
    "Fano dip": lambda e: 0.3 + 0.7 * (0.5 + e / 0.1) ** 2 / (1 + (e / 0.1) ** 2) / 1.25,
    "van Hove peak": lambda e: 1 - 0.5 * np.log(np.hypot(e - 0.4, 0.02)),
}


SWEEP = SweepSettings(BIAS[0], BIAS[-1], len(BIAS))


class KnownShape(SamplePart):
    """A flat sample with one of the `SHAPES`, the same everywhere."""

    name: str = "known shape"
    shape: str = "metal"
    temperature: float = 77.0

    def build(self):
        return Sample(
            name=self.name,
            lattice=Lattice(constant=0.3, angle=0.0, corrugation=0.0),
            steps=Steps(layer=0.2, bunch=(1,), period=5000.0),
            model=Material(SHAPES[self.shape]),
            terrace={"amplitude": 1.0},
            work_function=WORK_FUNCTION,
            reference=Setpoint(-1.0, 0.2),
            reference_gap=GAP,
            temperature=self.temperature,
        )

    def usual(self):
        scale = {"name": "all", "frame": 60, "patch": 6, "step": 2, "scalarizer": "conductance"}
        return UsualMeasurement(SWEEP, MODULATION, (LengthScale.parse(scale),))


@cache
def spectrum(shape, temperature):
    """What the microscope records of a sweep over such a sample, at a set point of 0.2 nA at -1 V."""
    surface = Surface(KnownShape(shape=shape, temperature=temperature).build())
    stm = SimulatedController(surface, profile=IDEAL.changed(**ELECTRONICS, modulation=MODULATION))
    return stm.sweep(SWEEP)


@cache
def expected(shape, temperature, broadening):
    """Normalised conductance at each bias by quadrature."""
    energy = np.linspace(-1.4, 1.4, 3001)
    current, didv = calculated(trapezoid(SHAPES[shape], energy), energy, BIAS, temperature, MODULATION, phases=12)
    away = np.abs(BIAS) > 1e-9
    ratio = np.where(away, current / np.where(away, BIAS, 1), didv)
    kernel = np.exp(-np.abs(BIAS[:, None] - BIAS) / broadening)
    return didv / (np.trapezoid(kernel * ratio, BIAS, axis=1) / np.trapezoid(kernel, BIAS, axis=1))


def assert_recovered(taken, shape, temperature):
    """At four biases, and the integral over half a volt, within 3 %; broadening by 0.05 V."""
    curve = expected(shape, temperature, 0.05)
    for bias in (-0.7, -0.3, 0.45, 0.8):
        inside = np.abs(BIAS - bias) <= 0.0501
        value = make_scalarizer({"name": "conductance", "bias": bias, "width": 0.1, **NORMALIZED})(taken)
        assert value == pytest.approx(curve[inside].mean(), rel=0.03)
    inside = (BIAS >= 0.249) & (BIAS <= 0.751)
    integral = make_scalarizer({"name": "integral", "between": [0.25, 0.75], **NORMALIZED})(taken)
    assert integral == pytest.approx(np.trapezoid(curve[inside], BIAS[inside]), rel=0.03)


@pytest.mark.parametrize("temperature", [4.2, 77.0, 300.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_normalised_scalars_of_a_known_density_of_states_come_back_within_3_percent(shape, temperature):
    assert_recovered(spectrum(shape, temperature), shape, temperature)


@pytest.mark.parametrize("shape", SHAPES)
def test_they_come_back_through_a_session_a_plan_and_the_stored_run(shape, tmp_path, monkeypatch):
    """Opened by the name of the sample, measured by the RunEngine at two places, read from the catalog: at 77 K."""
    monkeypatch.setitem(samples._registered, "known shape", KnownShape)
    microscope = {"sample": {"name": "known shape", "shape": shape}, "profile": {"name": "ideal", **ELECTRONICS}}
    with sessions.open("simulated", **microscope, seed=1, catalog=tmp_path) as session:
        session.RE(spectra_at(session.stm, [(3.0, 2.0), (-20.0, 15.0)]))
        taken = session.catalog[-1].spectra
    assert len(taken) == 2
    for each in taken:
        assert_recovered(each, shape, 77.0)


@pytest.mark.parametrize("shape", ["slope", "three-dimensional metal"])
def test_beside_a_metal_the_normalised_conductance_is_the_density_of_states_over_its_mean(shape):
    """Near the Fermi level, where states of all energies pass the barrier alike: density of states over its mean from 0 to eV.

    At 0.3 V, states nearer to eV pass by up to 15 % more easily, and the two differ by 6 %.
    """
    density = SHAPES[shape]
    for bias in (-0.12, 0.12):
        narrow = {"name": "conductance", "bias": bias, "width": 0.06, "normalized": True, "broadening": 0.01}
        scalar = make_scalarizer(narrow)
        found = scalar(spectrum(shape, 4.2)) / scalar(spectrum("metal", 4.2))
        energy = np.linspace(0, bias, 2001)
        assert found == pytest.approx(float(density(np.array([bias]))[0]) / density(energy).mean(), rel=0.03)
