"""The scripted microscope at one place: bias, feedback, tip, lock-in, drift."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from bluesky_stm.controllers.fake._script import Scripted, asked
from bluesky_stm.errors import LimitError, MotionStoppedError, STMError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import Capability, FeedbackGains, LockInSettings, TipState
from bluesky_stm.settings import Limits

RANGES: Mapping[str, tuple[float, float]] = {
    "bias": (-10.0, 10.0),
    "current": (0.0, 100.0),
    "setpoint": (0.001, 50.0),
    "x": (-500.0, 500.0),
    "y": (-500.0, 500.0),
    "z": (-200.0, 200.0),
    "speed": (0.0, 10_000.0),
}
WITHDRAWN_Z, HOME_Z = 150.0, 50.0
"""How far above the surface a tip is withdrawn, and at home, in nm."""

SPEED = 100.0
"""Of a move, in nm/s."""


class FakeJunction(Scripted):
    """The part of `FakeController` that holds, moves and withdraws the tip."""

    name = "fake"
    ranges = RANGES

    def __init__(self, capabilities: frozenset[Capability] = frozenset(Capability), steps: int = 10) -> None:
        super().__init__(capabilities)
        self._steps = steps
        self._act = threading.RLock()
        self._clock = 0.0
        self._bias, self._current, self._feedback, self._withdrawn = -1.0, 0.1, True, False
        self._lift = 0.0
        self._tip = Point(0.0, 0.0)
        self._gains = FeedbackGains(0.01, 1000.0)
        self._lockin = LockInSettings(amplitude=0.01, frequency=761.0, gain=0.007, offset=0.0002)
        self._drift = (0.0, 0.0)

    def lose_connection(self, lost: bool = True) -> None:
        """From now on nothing is answered, and nothing done; as that of a real one, its watchdog withdraws the tip."""
        self.silent = lost
        if lost:
            self._halt.set()
            self._pull_back(WITHDRAWN_Z)

    @property
    def safe(self) -> bool:
        """Whether the tip is withdrawn, or held by the feedback."""
        return self._withdrawn or self._feedback

    # ---- the microscope ----

    def now(self) -> float:
        """Time on its own clock, in s: it runs with what is measured."""
        return self._clock

    def source(self, signal: str) -> str:
        """Where a value comes from."""
        return f"{self.name}:{signal}"

    def describe(self) -> dict[str, Any]:
        """Name and settings."""
        return {"name": self.name, "capabilities": sorted(self.capabilities)}

    def locations(self) -> Floats | None:
        """A spectrum can be had anywhere."""
        return None

    def close(self) -> None:
        """Let go, the tip safe."""
        self.stop()

    @asked()
    def stop(self) -> None:
        """End what is under way; hold still, feedback closed."""
        self._halt.set()
        self._feedback = not self._withdrawn

    @asked()
    def get_bias(self) -> float:
        """Bias, in V."""
        return self._bias

    @asked(Capability.BIAS)
    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V."""
        self._check(bias=bias)
        with self._acting():
            for part in self._stepping("ramp_bias", self._steps):
                self._raise_when_stopped()
                self._bias += (bias - self._bias) / (self._steps - part)

    @asked()
    def read_current(self) -> float:
        """Current, in nA."""
        return 0.0 if self._withdrawn else self._ohmic(self._bias)

    @asked()
    def get_tip(self) -> TipState:
        """Where the tip is."""
        return TipState(*self._tip, float(wave(self._tip)) + self._lift)

    @asked()
    def get_speed(self) -> float:
        """Speed of a move, in nm/s."""
        return SPEED

    @asked(Capability.TIP)
    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line."""
        self._check(x=point[0], y=point[1], **({"speed": speed} if speed is not None else {}))
        with self._acting():
            for part in self._stepping("move_tip", self._steps):
                self._raise_when_stopped()
                share = 1 / (self._steps - part)
                self._tip = Point(*(a + (b - a) * share for a, b in zip(self._tip, point, strict=True)))
            self._tip = Point(*map(float, point))

    @asked()
    def get_feedback(self) -> bool:
        """Whether the feedback is closed."""
        return self._feedback

    @asked(Capability.FEEDBACK)
    def set_feedback(self, on: bool) -> None:
        """Close or open it."""
        if on and self._withdrawn:
            raise STMError("The tip is withdrawn, the feedback stays open. Approach.")
        self._feedback = bool(on)

    @asked()
    def get_setpoint(self) -> Setpoint:
        """What the feedback keeps."""
        return Setpoint(self._bias, self._current)

    @asked(Capability.FEEDBACK)
    def set_setpoint_current(self, current: float) -> None:
        """Current that it keeps, in nA."""
        self._check(setpoint=current)
        self._current = current

    @asked()
    def get_gains(self) -> FeedbackGains:
        """Gains."""
        return self._gains

    @asked(Capability.FEEDBACK)
    def set_gains(self, gains: FeedbackGains) -> None:
        """Change them."""
        self._gains = gains

    @asked()
    def is_withdrawn(self) -> bool:
        """Whether the tip hangs in the air."""
        return self._withdrawn

    @asked(Capability.WITHDRAW)
    def withdraw(self) -> None:
        """Pull the tip back."""
        self._pull_back(WITHDRAWN_Z)

    @asked(Capability.HOME)
    def home(self) -> None:
        """Lift the tip by some nm."""
        if self._lift > HOME_Z:
            raise LimitError(f"Home, {HOME_Z:g} nm up, lies below the tip, {self._lift:g} nm up. Nothing has moved. Approach.")
        self._pull_back(HOME_Z)

    @asked(Capability.APPROACH)
    def approach(self) -> None:
        """Bring it back to the surface."""
        self._feedback, self._withdrawn, self._lift = True, False, 0.0

    @asked()
    def get_lockin(self) -> LockInSettings:
        """Settings of the lock-in."""
        return self._lockin

    @asked(Capability.LOCKIN)
    def set_lockin(self, settings: LockInSettings) -> None:
        """Change them."""
        self._lockin = settings

    @asked()
    def get_drift(self) -> tuple[float, float]:
        """Drift that is compensated, nm/s."""
        return self._drift

    @asked(Capability.DRIFT)
    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate it."""
        self._drift = velocity

    # ---- how it does it ----

    def _check(self, **wanted: float) -> None:
        limits = Limits.within(self.ranges)
        for quantity, value in wanted.items():
            limits.check(quantity, value)

    @contextmanager
    def _acting(self) -> Iterator[None]:
        with self._act:
            self._halt.clear()
            yield

    def _pull_back(self, lift: float) -> None:
        self._feedback, self._withdrawn, self._lift = False, True, lift

    def _raise_when_stopped(self) -> None:
        if self._halt.is_set():
            raise MotionStoppedError(f"{self.name} was stopped on its way. The tip stands still with the feedback on.")

    def _ohmic(self, bias: float) -> float:
        return self._current * float(np.sign(bias)) if self._feedback else self._current


def wave(place: Any) -> Floats:
    """Height of the surface, in nm, at (x, y) in nm: waves of 0.1 nm, 20 nm long along x and 30 nm along y."""
    x, y = place
    return 0.1 * np.sin(2 * np.pi * np.asarray(x) / 20) * np.cos(2 * np.pi * np.asarray(y) / 30)
