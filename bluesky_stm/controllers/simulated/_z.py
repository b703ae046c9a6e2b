"""The simulated microscope at one place: bias, current, feedback, lock-in, drift."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np

from bluesky_stm.controllers.base._acts import SPEED, Acts
from bluesky_stm.controllers.base._clock import Clock
from bluesky_stm.controllers.simulated._instrument import Instrument
from bluesky_stm.controllers.simulated._junction import Junction
from bluesky_stm.controllers.simulated._noise import NoiseSource
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.controllers.simulated._tips import TipChange
from bluesky_stm.errors import LimitError, STMError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, LockInSettings, TipState
from bluesky_stm.surface import Surface

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "bias": (-10.0, 10.0),
    "current": (0.0, 10.0),
    "setpoint": (0.001, 5.0),
    "x": (-1000.0, 1000.0),
    "y": (-1000.0, 1000.0),
    "z": (-500.0, 500.0),
    "speed": (0.0, 10000.0),
}
"""What the hardware can do."""

SLEW: Final = 10.0
"""Rate of a bias ramp, in V/s."""


MODULATION: Final = 977.1
"""Frequency of the lock-in, in Hz, as published."""


class SimulatedJunction:
    """The part of `SimulatedController` that reads and sets what stands.

    Parameters
    ----------
    surface : Surface
    profile : Profile
    seed : int
        Of the noise.
    clock : Clock or None
    name : str
    """

    def __init__(self, surface: Surface, profile: Profile, seed: int, clock: Clock | None, name: str) -> None:
        self.name, self.seed, self.profile = name, seed, profile
        self._noise = NoiseSource(seed)
        self._junction = Junction(Instrument(surface, profile), surface.sample.reference, self._noise)
        self._acts = Acts(clock, self._rest)
        response = profile.modulation * profile.lockin_response
        self._lockin = LockInSettings(profile.modulation, MODULATION, response, profile.lockin_offset)

    @property
    def surface(self) -> Surface:
        """The surface as it is now: with what the tip has left on it."""
        return self._junction.instrument.surface

    @property
    def tip_changes(self) -> list[TipChange]:
        """When, why and into what the tip has changed: the truth, for tests and benchmarks."""
        return list(self._junction.tips.changes)

    # ---- what is read ----

    def now(self) -> float:
        """Time of the clock, in s."""
        return self._acts.clock.now()

    def get_bias(self) -> float:
        """Bias now, in V."""
        return self._junction.setpoint.bias

    def get_setpoint(self) -> Setpoint:
        """Bias and current that the closed feedback keeps."""
        return self._junction.setpoint

    def get_feedback(self) -> bool:
        """Whether the feedback is closed."""
        return self._junction.feedback

    def is_withdrawn(self) -> bool:
        """Whether the tip is out of reach of the surface."""
        return self._junction.withdrawn

    def get_gains(self) -> FeedbackGains:
        """Gains of the feedback."""
        return self._junction.gains

    def get_lockin(self) -> LockInSettings:
        """Settings of the lock-in; gain and offset as they were calibrated."""
        return self._lockin

    def get_drift(self) -> tuple[float, float]:
        """Drift that is compensated, in nm/s."""
        return self._junction.piezo.compensation

    def get_tip(self) -> TipState:
        """Where the tip was asked to be, and its height."""
        return TipState(*self._junction.asked, self._junction.z)

    def get_speed(self) -> float:
        """Speed of a move where none is asked for, in nm/s."""
        return SPEED

    def read_current(self) -> float:
        """Tunneling current now, in nA, with the noise of a point of a spectrum."""
        current, profile = self._junction.current(self.now()), self.profile
        spread = math.hypot(profile.current_white, profile.current_slow, profile.junction * current)
        noisy = current + profile.current_offset + spread * self._noise.next("current").standard_normal()
        return float(np.clip(noisy, -profile.preamp_range, profile.preamp_range))

    # ---- what is set ----

    def ramp_bias(self, bias: float) -> None:
        """Ramp to ``bias``, in V; a closed feedback follows, into the surface where nothing carries the current."""
        self._check(bias=bias)
        with self._acts.one():
            self._acts.take(abs(bias - self.get_bias()) / SLEW)
            self._set(Setpoint(float(bias), self.get_setpoint().current))

    def set_setpoint_current(self, current: float) -> None:
        """Current, in nA, that the feedback keeps."""
        self._check(setpoint=current)
        with self._acts.one():
            self._set(Setpoint(self.get_bias(), float(current)))

    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback; opened, z stays where it is. A withdrawn tip must `approach` first."""
        with self._acts.one():
            if on and self._junction.withdrawn:
                raise STMError("The tip is withdrawn, the feedback stays open. Call approach().")
            self._junction.feedback = on
            self._junction.settle(self.now())

    def set_gains(self, gains: FeedbackGains) -> None:
        """Change the gains of the feedback.

        Raises
        ------
        LimitError
            For gains with which it would not find its height.
        """
        if not (gains.integral > 0 and gains.proportional >= 0):
            raise LimitError(f"A feedback with {gains} never finds its height. Nothing has changed. Ask for I > 0 and P >= 0.")
        self._junction.gains = gains

    def set_lockin(self, settings: LockInSettings) -> None:
        """Change the settings of the lock-in."""
        self._lockin = settings

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s."""
        with self._acts.one():
            self._junction.piezo.compensate(velocity, self.now())

    # ---- inside ----

    def _rest(self) -> None:
        if not self._junction.withdrawn:
            self._junction.close_feedback(self.now())

    def _set(self, setpoint: Setpoint) -> None:
        self._junction.setpoint = setpoint
        self._junction.settle(self.now())

    def _check(self, **values: float) -> None:
        for name, value in values.items():
            low, high = RANGES[name]
            if not low <= value <= high:
                raise LimitError(
                    f"{name} = {value:g} is outside what this microscope can do, {low:g} to {high:g}. Nothing has moved. "
                    "Ask for a value inside."
                )

    def _check_frame(self, frame: Frame) -> None:
        for x, y in frame.corners:
            self._check(x=x, y=y)

    def _check_contact(self) -> None:
        if self._junction.withdrawn:
            raise STMError("The tip is withdrawn: nothing was done. Approach first.")

    @contextmanager
    def _at_setpoint(self, setpoint: Setpoint | None) -> Iterator[None]:
        """What stood before comes back, after a fault too."""
        if setpoint is None:
            yield
            return
        before = self.get_setpoint()
        self._check(bias=setpoint.bias, setpoint=setpoint.current)
        try:
            self._set(setpoint)
            yield
        finally:
            self._set(before)
