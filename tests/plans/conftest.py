"""A small simulated microscope, one whose tip changes, and agents that need no time."""

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.measurements import Quality
from bluesky_stm.settings import LengthScale

SCALE = LengthScale(
    name="small",
    frame=20,
    pixels=48,
    patch=2,
    step=1,
    budget=8,
    seeds=4,
    scalarizer={"name": "gap", "prefer": "small"},
    agent="gp-xy",
)


class ChangingTip(SimulatedController):
    """The tip changes before the sweep with the number ``changes_at``; pulses bring the old one back from the ``heals``-th on.

    ``how``: "leak" (states in the gap), "shift" (band bending moves the edges), "blunt" (less current away from the set point).
    """

    def __init__(self, *args, changes_at=10**9, how="leak", heals=10**9, **kwargs):
        super().__init__(*args, **kwargs)
        self.changes_at, self.how, self.heals = changes_at, how, heals
        self.sweeps = self.pulses = 0

    @property
    def changed(self):
        return self.sweeps >= self.changes_at and self.pulses < self.heals

    def pulse(self, bias, width):
        """Does what the test says, and nothing of what it would do by chance."""
        self.pulses += 1

    def sweep(self, settings, progress=None):
        self.sweeps += 1
        taken = super().sweep(settings, progress)
        return spoiled(taken, self.how) if self.changed else taken


def spoiled(spectrum, how):
    """A spectrum as another tip would have taken it."""
    from dataclasses import replace

    bias = spectrum.bias
    if how == "leak":
        extra = 0.05 * bias
        return replace(spectrum, current=spectrum.current + extra, didv=spectrum.didv + 0.05, lockin_x=spectrum.lockin_x + 8e-4)
    if how == "shift":
        moved = {k: np.interp(bias - 0.3, bias, getattr(spectrum, k)) for k in ("current", "lockin_x", "didv")}
        return replace(spectrum, **moved)
    if how == "blunt":
        factor = np.where(bias > 0, 0.3, 1.0)
        return replace(
            spectrum, current=spectrum.current * factor, didv=spectrum.didv * factor, lockin_x=spectrum.lockin_x * factor
        )
    return replace(spectrum, quality=spectrum.quality | Quality.TIP_CHANGED)


@pytest.fixture
def make_stm():
    made = []

    def make(controller=None, **kwargs):
        made.append(STM(controller=controller or SimulatedController(seed=2, **kwargs), name="stm"))
        return made[-1]

    yield make
    for stm in made:
        stm.worker.close()


@pytest.fixture
def stm(make_stm):
    return make_stm(profile="ideal")


def agent_for(scale=SCALE, seed=1):
    return AgentDevice(make_agent(scale.agent, seed, **scale.layout), scale, name="agent")


@pytest.fixture(name="agent_for")
def _agent_for():
    return agent_for


@pytest.fixture
def agent():
    return agent_for()


@pytest.fixture
def scale():
    return SCALE


@pytest.fixture
def changing_tip():
    return ChangingTip


@pytest.fixture(name="spoiled")
def _spoiled():
    return spoiled
