"""What an instrument makes of a surface: images and spectra with all imperfections of a profile, without any state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.controllers._noise import current_noise, jumps
from bluesky_stm.controllers._profile import Profile
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import LockInSettings, SweepSettings
from bluesky_stm.surface import Patch, Surface, Sweep


@dataclass(frozen=True, eq=False)
class Reading:
    """Spectra of n places at J biases: arrays (n, J) in nA, the tip height (n,) in nm, and where the preamplifier was full."""

    current: Floats
    lockin_x: Floats
    lockin_y: Floats
    height: Floats
    clipped: NDArray[np.bool_]

    @property
    def quality(self) -> Quality:
        """Clipped if any point is."""
        return Quality.CLIPPED if self.clipped.any() else Quality.GOOD


class Instrument:
    """A surface seen through a profile.

    Parameters
    ----------
    surface : Surface
    profile : Profile
    """

    def __init__(self, surface: Surface, profile: Profile) -> None:
        self.surface = surface
        self.profile = profile
        self._sweeps: Callable[..., Sweep] = lru_cache(maxsize=8)(self._prepared)

    def image(self, places: Floats, setpoint: Setpoint) -> Floats:
        """Tip height at constant current at the places (..., 2), in nm, noise left out."""
        return self.surface.height(places, setpoint, self.profile.slope)

    def spectra(
        self,
        places: Floats,
        settings: SweepSettings,
        setpoint: Setpoint,
        lockin: LockInSettings,
        rng: np.random.Generator | None,
        z: float | None = None,
    ) -> Reading:
        """Spectra at the places (n, 2), the feedback opened at ``setpoint``, or the tip held at height ``z``, in nm.

        ``rng`` draws the noise; None leaves out noise and drawn errors, but neither clip nor lock-in.
        """
        patch = Patch(self.surface, places)
        relief = patch.relief(self.profile.slope)
        gap = patch.gap(setpoint) if z is None else z - relief
        if rng is not None and z is None:
            gap = gap + self._hold_errors(rng, len(places))
        gap = gap + settings.z_offset
        sweep = self._sweeps(settings.start, settings.stop, settings.points, lockin.amplitude, setpoint, settings.z_offset)
        current, modulated = sweep(patch.density(sweep.energy), gap)
        averaging = settings.integrate * settings.averages * (2 if settings.backward else 1) / 0.010
        return self._read(current, modulated, gap + relief, lockin, rng, averaging)

    def current(self, places: Floats, bias: float, gap: Floats) -> Floats:
        """Current, in nA, of places (n, 2) at one bias and the given gaps, noise left out."""
        sweep = Sweep(self.surface.barrier, np.array([bias]), float(np.clip(np.median(gap), 0.2, 2.0)))
        return sweep(Patch(self.surface, places).density(sweep.energy), gap)[0][:, 0]

    def _prepared(self, start: float, stop: float, points: int, amplitude: float, setpoint: Setpoint, z_offset: float) -> Sweep:
        gap = self.surface.terrace_gap(setpoint)
        center = (gap if np.isfinite(gap) else 0.8) + z_offset
        return Sweep(self.surface.barrier, np.linspace(start, stop, points), center, amplitude)

    def _hold_errors(self, rng: np.random.Generator, count: int) -> Floats:
        """Error of the gap, in nm, at the moment when the feedback is opened."""
        return -self.profile.hold_error * rng.standard_normal(count) / self.surface.barrier.mean_decay

    def _read(
        self,
        current: Floats,
        modulated: Floats,
        height: Floats,
        lockin: LockInSettings,
        rng: np.random.Generator | None,
        averaging: float,
    ) -> Reading:
        profile = self.profile
        magnitude = np.abs(current)
        growth = 1 + np.minimum(profile.lockin_growth * magnitude, profile.lockin_growth_limit)
        x = profile.lockin_response * growth * modulated + profile.lockin_offset
        y = np.full_like(x, profile.lockin_quadrature)
        if not lockin.on:
            x, y = np.zeros_like(x), np.zeros_like(y)
        if rng is not None:
            jumped = jumps(rng, current.shape, profile)
            current, x = current * jumped, x * jumped
            current = current + current_noise(rng, current, profile, averaging)
            spread = (profile.lockin_noise + profile.lockin_junction * magnitude) / np.sqrt(averaging)
            x += spread * rng.standard_normal(x.shape)
            y += profile.lockin_noise / np.sqrt(averaging) * rng.standard_normal(y.shape)
        clipped = np.abs(current) >= profile.preamp_range
        return Reading(
            np.clip(current, -profile.preamp_range, profile.preamp_range),
            np.where(clipped, 0.0, x),
            np.where(clipped, 0.0, y),
            height,
            clipped,
        )
