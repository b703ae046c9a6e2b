"""A microscope that does what a test tells it, and an agent for it."""

import numpy as np
import pytest

from bluesky_stm.controllers import FakeController
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.geometry import Point, patch_centers
from bluesky_stm.protocols import Decision, Posterior
from bluesky_stm.settings import LengthScale


@pytest.fixture
def fake():
    return FakeController()


@pytest.fixture
def stm(fake):
    stm = STM(controller=fake)
    yield stm
    stm.worker.close()


@pytest.fixture
def is_home(fake):
    """``is_home()``: the feedback closed and the bias back, or the tip withdrawn; looked at with the cable in again."""

    def is_home():
        fake.lose_connection(False)
        withdrawn = not fake.get_feedback() and fake.is_withdrawn() and fake.read_current() == 0.0
        return withdrawn or (fake.get_feedback() and fake.get_bias() == pytest.approx(-1.0))

    return is_home


class ToyAgent:
    """Takes the candidates one after the other, three steps at a time, and remembers what it was told."""

    def __init__(self):
        self.observed, self.heard, self.asked = [], [], 0
        self.error = None
        self.wait = lambda: None

    @property
    def candidates(self):
        return patch_centers(self.observed[-1].frame, 4, 2)

    def observe(self, topograph, prior=()):
        self.observed.append(topograph)
        self.heard = []

    def ingest(self, observations):
        self.heard += observations

    def suggest(self, n=1, pending=(), mask=None):
        self.asked += 1
        self.wait()
        if self.error:
            raise self.error
        places = self.candidates
        free = [i for i in range(len(places)) if Point(*places[i]) not in pending and (mask is None or mask[i])]
        chosen = free[3 * len(self.heard) % len(free)]
        return [Decision(Point(*map(float, places[chosen])), chosen, "toy", mean=1.0, std=0.5, ingested=len(self.heard))]

    def posterior(self, points=None):
        places = self.candidates if points is None else points
        return Posterior(np.arange(len(places), dtype=float), np.ones(len(places)))

    def checkpoint(self):
        return {}

    def restore(self, state):
        pass

    def describe(self):
        return {"name": "toy", "settings": {}, "seed": 0, "weights": None}


SCALE = LengthScale(name="toy", frame=20, pixels=16, patch=4, step=2, budget=4, seeds=1, scalarizer="conductance")


@pytest.fixture
def toy():
    return ToyAgent()


@pytest.fixture
def agent(toy):
    return AgentDevice(toy, SCALE)


@pytest.fixture
def scale():
    return SCALE
