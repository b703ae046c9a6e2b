"""A clock that stumbles: what simulates time can be made to fail in the middle of an act."""

import pytest

from bluesky_stm.errors import TipCrashError


class Stumbling:
    """Lets some steps of the next act pass; then the tip touches, once."""

    def __init__(self, clock, steps):
        self.clock, self.steps = clock, steps

    def now(self):
        return self.clock.now()

    def sleep(self, seconds, wake=None):
        self.steps -= 1
        if self.steps == 0:
            raise TipCrashError("the tip touched")
        self.clock.sleep(seconds, wake)


@pytest.fixture
def stumble():
    """``stumble(controller, steps)``: its acts fail so many steps from now."""

    def stumble(controller, steps):
        controller._acts.clock = Stumbling(controller._acts.clock, steps)

    return stumble
