"""Instruments for the tests of the physics: nothing here knows of Bluesky."""

import pytest

from bluesky_stm.controllers import IDEAL, SimulatedController
from bluesky_stm.geometry import Point

TERRACE = Point(60.0, 30.0)
"""A clean place of the simulated EuZn2As2 of seed 1."""


@pytest.fixture
def terrace():
    return TERRACE


@pytest.fixture
def ideal_but():
    """A microscope over a clean terrace, ideal but for what is named: ``ideal_but(jump_rate=0.5)``."""

    def make(seed=1, **imperfections):
        stm = SimulatedController(seed=seed, profile=IDEAL.changed(**imperfections))
        stm.move_tip(TERRACE)
        return stm

    return make
