"""The bench that the parts of a simulated microscope share.

On it are the junction as it stands, one act at a time, the noise and the lock-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bluesky_stm.controllers.base import Acts, Clock
from bluesky_stm.controllers.simulated._instrument import Instrument
from bluesky_stm.controllers.simulated._junction import SimulatedJunction
from bluesky_stm.controllers.simulated._noise import NoiseSource
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.errors import STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import LockInCalibration, LockInSettings
from bluesky_stm.surface import Surface

MODULATION: Final = 977.1
"""Frequency of the lock-in, in Hz, as published."""


class Bench:
    """State of a simulated microscope, and what changes it one act after the other.

    Parameters
    ----------
    surface : Surface
    profile : Profile
    seed : int
        Seed of the noise.
    clock : Clock or None
        Lets the time pass that each act takes; simulated time for None.

    Attributes
    ----------
    junction : SimulatedJunction
    acts : Acts
    noise : NoiseSource
    lockin : LockInSettings
    """

    def __init__(self, surface: Surface, profile: Profile, seed: int, clock: Clock | None) -> None:
        self.profile = profile
        self.noise = NoiseSource(seed)
        self.junction = SimulatedJunction(Instrument(surface, profile), surface.sample.reference, self.noise)
        self.acts = Acts(clock, self._hold)
        self.lockin = _calibrated(profile)

    @property
    def surface(self) -> Surface:
        """The surface as it is now, with what the tip has left on it."""
        return self.junction.instrument.surface

    def now(self) -> float:
        """Return the time of the clock, in s."""
        return self.acts.clock.now()

    def change(self, setpoint: Setpoint) -> None:
        """Apply another set point; a closed feedback follows, into the surface where nothing carries the current."""
        self.junction.setpoint = setpoint
        self.junction.settle(self.now())

    def check_contact(self) -> None:
        """Refuse to measure with a tip that is withdrawn."""
        if self.junction.withdrawn:
            raise STMError("The tip is withdrawn: nothing was done. Approach first.")

    @contextmanager
    def at_setpoint(self, setpoint: Setpoint | None) -> Iterator[None]:
        """Hold another set point for a while; what stood before comes back, after a fault too."""
        if setpoint is None:
            yield
            return
        before = self.junction.setpoint
        try:
            self.change(setpoint)
            yield
        finally:
            self.change(before)

    def _hold(self) -> None:
        if not self.junction.withdrawn:
            self.junction.close_feedback(self.now())


def _calibrated(profile: Profile) -> LockInSettings:
    """Return the lock-in as it was calibrated at `MODULATION`, its phase such that the displacement lies in Y alone."""
    raw = LockInCalibration(offset=profile.lockin_offset, preamplifier=profile.response)
    return LockInSettings(
        amplitude=profile.modulation,
        frequency=MODULATION,
        response=profile.lockin_response / raw.passed(MODULATION),
        offset=profile.lockin_offset,
        preamplifier=profile.response,
        reference=raw.lag(MODULATION),
    )
