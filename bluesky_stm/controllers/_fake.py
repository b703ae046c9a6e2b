"""A scripted microscope for tests: it records what was asked, and fails, answers or waits as it was told."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bluesky_stm.errors import LostConnectionError, MotionStoppedError, NotCapableError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Capability, FeedbackGains, LockInSettings, Progress, SweepSettings, TipState
from bluesky_stm.settings import Limits

Act = TypeVar("Act", bound=Callable[..., Any])

RANGES: Mapping[str, tuple[float, float]] = {
    "bias": (-10.0, 10.0),
    "current": (0.0, 100.0),
    "setpoint": (0.001, 50.0),
    "x": (-500.0, 500.0),
    "y": (-500.0, 500.0),
    "z": (-200.0, 200.0),
    "speed": (0.0, 10_000.0),
}
WITHDRAWN_Z = 150.0


class Call(NamedTuple):
    """One thing that was asked of the controller."""

    name: str
    args: tuple[Any, ...]


class _Fault(NamedTuple):
    error: Exception
    part: float


def _asked(capability: Capability | None = None) -> Callable[[Act], Act]:
    """Count and record a call, and do to it what the script says."""

    def decorate(method: Act) -> Act:
        @functools.wraps(method)
        def asked(self: FakeController, *args: Any, **kwargs: Any) -> Any:
            self._ask(method.__name__, capability, (*args, *kwargs.values()))
            answers = self._answers[method.__name__]
            return answers.popleft() if answers else method(self, *args, **kwargs)

        return asked  # type: ignore[return-value]

    return decorate


class FakeController:
    """An ideal microscope on a gently waved metal, which does what a test tells it.

    Parameters
    ----------
    capabilities : iterable of Capability, optional
        All if not given; readings answer in any case.
    steps : int
        Steps in which a move is made; scans are made by lines, sweeps by points. It can be stopped between two of them.

    Attributes
    ----------
    asked : list of Call
        Acts and settings in the order asked; readings are only counted, in ``counts``.

    Examples
    --------
    >>> fake = FakeController()
    >>> fake.fail("move_tip", LostConnectionError("cable pulled"), at=2)
    >>> fake.move_tip(Point(1, 0))
    >>> fake.move_tip(Point(2, 0))
    Traceback (most recent call last):
    bluesky_stm.errors.LostConnectionError: cable pulled
    """

    name = "fake"
    ranges = RANGES

    def __init__(self, capabilities: frozenset[Capability] = frozenset(Capability), steps: int = 10) -> None:
        self.capabilities = capabilities
        self.asked: list[Call] = []
        self.counts: Counter[str] = Counter()
        self._faults: dict[tuple[str, int], _Fault] = {}
        self._answers: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._delays: dict[str, float] = {}
        self._under_way: _Fault | None = None
        self._lost = False
        self._steps = steps
        self._act, self._halt = threading.RLock(), threading.Event()
        self._clock = 0.0
        self._bias, self._current, self._feedback, self._withdrawn = -1.0, 0.1, True, False
        self._tip = Point(0.0, 0.0)
        self._gains = FeedbackGains(0.01, 1000.0)
        self._lockin = LockInSettings(amplitude=0.01, frequency=761.0, gain=0.007, offset=0.0002)
        self._drift = (0.0, 0.0)

    # ---- the script ----

    def fail(self, name: str, error: Exception, at: int = 1, part: float = 0.0) -> None:
        """The ``at``-th call of ``name`` from now raises ``error``, after ``part`` (0 to 1) of its steps."""
        self._faults[name, self.counts[name] + at] = _Fault(error, part)

    def answer(self, name: str, *values: Any) -> None:
        """The next calls of ``name`` return ``values``; later ones answer for themselves again."""
        self._answers[name].extend(values)

    def delay(self, name: str, seconds: float) -> None:
        """Every call of ``name`` takes that long, in s of wall time."""
        self._delays[name] = seconds

    def lose_connection(self, lost: bool = True) -> None:
        """From now on nothing is answered, and nothing done; as that of a real one, its watchdog withdraws the tip."""
        self._lost = lost
        if lost:
            self._halt.set()
            self._feedback, self._withdrawn = False, True

    def names_asked(self) -> list[str]:
        """Names of the acts and settings asked, in their order."""
        return [call.name for call in self.asked]

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

    def stop(self) -> None:
        """End what is under way; hold still, feedback closed."""
        self._ask("stop", None, ())
        self._halt.set()
        self._feedback = not self._withdrawn

    @_asked()
    def get_bias(self) -> float:
        """Bias, in V."""
        return self._bias

    @_asked(Capability.BIAS)
    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V."""
        self._check(bias=bias)
        with self._acting():
            for part in self._stepping("ramp_bias", self._steps):
                self._raise_when_stopped()
                self._bias += (bias - self._bias) / (self._steps - part)

    @_asked()
    def read_current(self) -> float:
        """Current, in nA."""
        return 0.0 if self._withdrawn else self._ohmic(self._bias)

    @_asked()
    def get_tip(self) -> TipState:
        """Where the tip is."""
        return TipState(*self._tip, WITHDRAWN_Z if self._withdrawn else float(wave(self._tip)))

    @_asked(Capability.TIP)
    def move_tip(self, point: Point, speed: float | None = None) -> None:
        """Move in a straight line."""
        self._check(x=point[0], y=point[1], **({"speed": speed} if speed is not None else {}))
        with self._acting():
            for part in self._stepping("move_tip", self._steps):
                self._raise_when_stopped()
                share = 1 / (self._steps - part)
                self._tip = Point(*(a + (b - a) * share for a, b in zip(self._tip, point, strict=True)))
            self._tip = Point(*map(float, point))

    @_asked()
    def get_feedback(self) -> bool:
        """Whether the feedback is closed."""
        return self._feedback

    @_asked(Capability.FEEDBACK)
    def set_feedback(self, on: bool) -> None:
        """Close or open it."""
        self._feedback = bool(on)
        self._withdrawn = self._withdrawn and not on

    @_asked()
    def get_setpoint(self) -> Setpoint:
        """What the feedback keeps."""
        return Setpoint(self._bias, self._current)

    @_asked(Capability.FEEDBACK)
    def set_setpoint_current(self, current: float) -> None:
        """Current that it keeps, in nA."""
        self._check(setpoint=current)
        self._current = current

    @_asked()
    def get_gains(self) -> FeedbackGains:
        """Gains."""
        return self._gains

    @_asked(Capability.FEEDBACK)
    def set_gains(self, gains: FeedbackGains) -> None:
        """Change them."""
        self._gains = gains

    @_asked(Capability.WITHDRAW)
    def withdraw(self) -> None:
        """Pull the tip back."""
        self._feedback, self._withdrawn = False, True

    @_asked(Capability.APPROACH)
    def approach(self) -> None:
        """Bring it back to the surface."""
        self._feedback, self._withdrawn = True, False

    @_asked(Capability.SCAN)
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Image of the wave, row by row from the lowest y; the tip ends in the centre."""
        for x, y in frame.corners:
            self._check(x=x, y=y)
        rows = frame.pixels[0]
        truth, height, begun = wave(np.moveaxis(frame.points(), -1, 0)), np.full(frame.pixels, np.nan), self._clock
        with self._acting():
            for row in self._stepping("scan", rows):
                if self._halt.is_set():
                    break
                height[row] = truth[row]
                self._clock += 2 * (line_time or 0.1)
                if progress:
                    progress(row + 1, rows)
            self._tip = frame.center
        quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
        return Topograph(frame, height, Setpoint(self._bias, self._current), begun, quality)

    @_asked(Capability.SWEEP)
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """I(V) of an ohmic junction."""
        self._check(bias=settings.start)
        self._check(bias=settings.stop)
        setpoint, begun, bias = settings.setpoint or Setpoint(self._bias, self._current), self._clock, settings.bias
        current = np.full(settings.points, np.nan)
        conductance = 0.0 if self._withdrawn else setpoint.current / abs(setpoint.bias)
        with self._acting(), self._holding():
            for point in self._stepping("sweep", settings.points):
                if self._halt.is_set():
                    break
                self._bias = bias[point]
                current[point] = conductance * bias[point]
                self._clock += (settings.settle + settings.integrate) * settings.averages * (1 + settings.backward)
                if progress:
                    progress(point + 1, settings.points)
        raw = np.where(np.isnan(current), np.nan, conductance * self._lockin.gain + self._lockin.offset)
        quality = (Quality.INCOMPLETE if np.isnan(current).any() else Quality.GOOD) | (
            Quality.LOST_CONTACT if self._withdrawn else Quality.GOOD
        )
        z = float(wave(self._tip)) + settings.z_offset
        return Spectrum(self._tip, bias, current, raw, 0 * raw, self._lockin.didv(raw), setpoint, begun, z, quality)

    @_asked(Capability.PULSE)
    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias."""
        self._check(bias=bias)

    @_asked()
    def get_lockin(self) -> LockInSettings:
        """Settings of the lock-in."""
        return self._lockin

    @_asked(Capability.LOCKIN)
    def set_lockin(self, settings: LockInSettings) -> None:
        """Change them."""
        self._lockin = settings

    @_asked()
    def get_drift(self) -> tuple[float, float]:
        """Drift that is compensated, nm/s."""
        return self._drift

    @_asked(Capability.DRIFT)
    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate it."""
        self._drift = velocity

    # ---- how it does it ----

    def _ask(self, name: str, capability: Capability | None, args: tuple[Any, ...]) -> None:
        self.counts[name] += 1
        if not name.startswith(("get_", "read_")):
            self.asked.append(Call(name, args))
        if self._lost:
            raise LostConnectionError(f"{self.name} does not answer to {name!r}. Its state is unknown. Look at the cable.")
        if capability is not None and capability not in self.capabilities:
            raise NotCapableError(f"{self.name} cannot do {name!r}. Nothing has moved. Ask its capabilities first.")
        fault = self._faults.pop((name, self.counts[name]), None)
        if fault and not fault.part:
            raise fault.error
        self._under_way = fault
        if name not in {"scan", "sweep", "move_tip", "ramp_bias"}:
            time.sleep(self._delays.get(name, 0.0))

    def _check(self, **asked: float) -> None:
        limits = Limits.within(self.ranges)
        for quantity, value in asked.items():
            limits.check(quantity, value)

    @contextmanager
    def _acting(self) -> Iterator[None]:
        with self._act:
            self._halt.clear()
            yield

    @contextmanager
    def _holding(self) -> Iterator[None]:
        before = self._bias, self._feedback
        self._feedback = False
        try:
            yield
        finally:
            self._bias, self._feedback = before[0], before[1] and not self._withdrawn

    def _stepping(self, name: str, steps: int) -> Iterator[int]:
        fault, pause = self._under_way, self._delays.get(name, 0.0) / steps
        for step in range(steps):
            if fault and step >= fault.part * steps:
                raise fault.error
            if pause:
                self._halt.wait(pause)
            yield step

    def _raise_when_stopped(self) -> None:
        if self._halt.is_set():
            raise MotionStoppedError(f"{self.name} was stopped on its way. The tip stands still with the feedback on.")

    def _ohmic(self, bias: float) -> float:
        return self._current * float(np.sign(bias)) if self._feedback else self._current


def wave(place: Any) -> Floats:
    """Height of the surface, in nm, at (x, y) in nm: waves of 0.1 nm, 20 nm long along x and 30 nm along y."""
    x, y = place
    return 0.1 * np.sin(2 * np.pi * np.asarray(x) / 20) * np.cos(2 * np.pi * np.asarray(y) / 30)
