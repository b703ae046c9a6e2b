"""Instruments for the tests of the physics: nothing here knows of Bluesky."""

from functools import cache

import pytest

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface, sites

TERRACE = Point(60.0, 30.0)
"""A clean place of the simulated EuZn2As2 of seed 1."""


AREAS = {
    "terrace": ("figure 7a", 0.0),
    "triangle": ("figure 6", 0.4),
    "tall triangle": ("figure 7c", 0.4),
    "pit": ("figure 7c", 0.3),
}
"""Area and largest distance from the centre of a defect, in nm, by kind of place (data sheet, section 7)."""


@pytest.fixture
def terrace():
    return TERRACE


@pytest.fixture
def ideal_but():
    """A microscope over a clean terrace, ideal but for what is named: ``ideal_but(wear_field=0.5)``."""

    def make(seed=1, **imperfections):
        stm = SimulatedController(seed=seed, profile=IDEAL.changed(**imperfections))
        stm.move_tip(TERRACE)
        return stm

    return make


@pytest.fixture(scope="session")
def spectra_at():
    """Spectra of the simulated EuZn2As2 at places of one kind: ``spectra_at("terrace", "good_day", 0.2)``, set point in nA.

    The tip does not change: of a spectrum within which it did no scalarizer says anything.
    """
    return _spectra_at


@cache
def _spectra_at(kind, profile, current, bias=-1.5, seed=2, count=25):
    area, spread = AREAS[kind]
    surface = Surface(f"EuZn2As2:{area}", seed=5)
    places = sites(surface, kind, count, reach=600.0, spread=spread)
    profile = f"{profile}:wear_field=0,wear_current=0"
    stm, setpoint = SimulatedController(surface, seed=seed, profile=profile), Setpoint(bias, current)
    sweep = SweepSettings(-1.5, 1.5, 121, setpoint=setpoint)
    reading = stm.spectra(places, sweep)
    return [
        Spectrum(
            position=Point(*place),
            bias=sweep.bias,
            current=reading.current[i],
            lockin_x=reading.lockin_x[i],
            lockin_y=reading.lockin_y[i],
            didv=stm.get_lockin().didv(reading.lockin_x[i]),
            setpoint=setpoint,
            quality=Quality.CLIPPED if reading.clipped[i].any() else Quality.GOOD,
        )
        for i, place in enumerate(places)
    ]


@pytest.fixture
def published_scalars(data_file):
    """Spectra of a published run and the scalars that lie beside them, as the agent was given them."""
    import h5py

    from bluesky_stm.files import read

    def load(name):
        with h5py.File(data_file(name)) as file:
            stored = file["Metadata_001/DKL Scalar/Scalar/Scalar"][:].ravel()
        return read(data_file(name)).spectra, stored

    return load
