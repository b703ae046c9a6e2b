"""The instrument over a surface: images and spectra seen through a profile and a tip, without any state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from bluesky_stm.controllers.simulated._detection import Detection, Reading
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.controllers.simulated._tips import Tip
from bluesky_stm.controllers.simulated._wear import AROUND, Wear
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import HARMONICS, Setpoint
from bluesky_stm.protocols import LockInSettings, SweepSettings
from bluesky_stm.surface import Barrier, Surface, SurfacePoints, SweepIntegral

LEAST_GAP: Final = 0.1
"""Gap, in nm, below which a field is no longer computed: the tip touches long before."""


class Instrument:
    """A surface seen through a profile.

    Parameters
    ----------
    surface : Surface
    profile : Profile
    """

    def __init__(self, surface: Surface, profile: Profile) -> None:
        self.surface = surface
        self.profile, self._wear = profile, Wear(profile)
        self._middle = lru_cache(maxsize=8)(self._middle_gap)

    def image(self, places: Floats, setpoint: Setpoint, tip: Tip) -> Floats:
        """Return the height of the tip at constant current, in nm, noise left out.

        Parameters
        ----------
        places : ndarray of shape (..., 2)
            Places, (x, y) in nm.
        setpoint : Setpoint
            Bias (V) and current (nA) at which the feedback holds the tip.
        tip : Tip
            Shape and electronic state of the tip.
        """
        barrier = tip.barrier(self.surface.barrier)
        heights = [self.surface.height(places + apart, setpoint, tip.rise, barrier) for apart, _ in tip.apexes]
        return tip.length + _together(heights, tip, barrier.mean_decay)

    def seen(self, places: Floats, setpoint: Setpoint, tip: Tip) -> tuple[Floats, Floats]:
        """Return what one look at places tells: `image`, and the height, in nm, at which the tip would touch.

        Parameters
        ----------
        places : ndarray of shape (..., 2)
            Places, (x, y) in nm.
        setpoint : Setpoint
            Bias (V) and current (nA) at which the feedback holds the tip.
        tip : Tip
            Shape and electronic state of the tip.
        """

        def look(at: SurfacePoints) -> Floats:
            relief = at.relief(tip.rise)
            return np.column_stack([relief + at.standing(setpoint), relief])

        barrier = tip.barrier(self.surface.barrier)
        height, relief = np.moveaxis(self.surface.evaluate(places, look, barrier), -1, 0)
        others = [self.surface.height(places + apart, setpoint, tip.rise, barrier) for apart, _ in tip.apexes[1:]]
        return tip.length + _together([height, *others], tip, barrier.mean_decay), tip.length + relief

    def spectra(
        self,
        places: Floats,
        settings: SweepSettings,
        setpoint: Setpoint,
        lockin: LockInSettings,
        tip: Tip,
        rng: np.random.Generator | None,
        z: float | None = None,
        rise: Floats | None = None,
        harmonics: int = max(HARMONICS),
    ) -> Reading:
        """Return spectra, the feedback opened at ``setpoint``, or the tip held at height ``z``.

        Parameters
        ----------
        places : ndarray of shape (n, 2)
            Places, (x, y) in nm.
        settings : SweepSettings
            What is swept.
        setpoint : Setpoint
            Bias (V) and current (nA) at which the feedback is opened.
        lockin : LockInSettings
            How the lock-in is set, and what it makes of a current.
        tip : Tip
            Shape and electronic state of the tip.
        rng : Generator or None
            Draws the noise; None leaves out noise and drawn errors, but neither clip nor lock-in.
        z : float, optional
            Height at which the tip is held, in nm.
        rise : ndarray of shape (ways * J,), optional
            By how much the sample has risen under the held tip, in nm, point after point, forth and back.
        harmonics : int
            Number of harmonics that are demodulated.
        """
        barrier = tip.barrier(self.surface.barrier)
        sweep = self._sweep(settings, lockin.amplitude if lockin.modulated else 0.0, setpoint, barrier, harmonics)
        patches = [SurfacePoints(self.surface, places + apart, barrier) for apart, _ in tip.apexes]
        roughness, reliefs = np.zeros(len(places)), [patch.relief(tip.rise) for patch in patches[1:]]
        if rng is not None and self._wear.any:
            around = SurfacePoints(self.surface, (places + AROUND[:, None]).reshape(-1, 2), barrier)
            here, *others = around.relief(tip.rise).reshape(len(AROUND), -1)
            patches[0], roughness = around.first(len(places)), np.ptp(others, axis=0)
        else:
            here = patches[0].relief(tip.rise)
        gaps = [patch.gap(setpoint if z is None else self.surface.sample.reference) for patch in patches]
        heights = [relief + gap for relief, gap in zip([here, *reliefs], gaps, strict=True)]
        height = _together(heights, tip, barrier.mean_decay)
        lift = settings.z_offset + (self._hold_errors(rng, len(places)) if z is None else z - tip.length - height)
        parts = [patch.carried(sweep, gap + lift) for patch, gap in zip(patches, gaps, strict=True)]
        for part, own, (_, share) in zip(parts, heights, tip.apexes, strict=True):
            part *= (barrier.conductance * share * np.exp(barrier.mean_decay * (own - height)))[:, None]
        current, *modulated = sum(parts[1:], start=parts[0])
        detection = Detection(self.profile, lockin, settings)
        risen = np.exp(barrier.mean_decay * rise) if rise is not None else np.ones(current.shape[1] * (1 + settings.backward))
        jumped = self._changes(rng, settings, gaps[0] + lift, current * risen[: current.shape[1]], roughness)
        ways, at = [], (tip.length + height + lift, height + lift - heights[0] + gaps[0])
        for way in range(1 + settings.backward):
            points = slice(way * settings.points, (way + 1) * settings.points)
            turned = slice(None, None, -1 if way else 1)  # the way back is measured from its last bias to its first
            so_far, factor = jumped[:, points][:, turned], (jumped * risen)[:, points][:, turned]
            ways.append(detection.read(current * factor, np.array(modulated) * factor, at, so_far, rng, back=bool(way)))
        return ways[0].averaged(ways[1]) if settings.backward else ways[0]

    def _changes(
        self,
        rng: np.random.Generator | None,
        settings: SweepSettings,
        gap: Floats,
        current: Floats,
        roughness: Floats,
    ) -> Floats:
        """Factor by which changes of the tip have changed the current so far, in the order of time; shape (n, ways * J)."""
        ways = 1 + settings.backward
        own = rng and rng.spawn(1)[0]  # a stream of its own, drawn from or not, so that wear shifts no noise
        if own is None or not self._wear.any:
            return np.ones((len(gap), ways * settings.points))
        rate = self._wear.rate(settings.bias, np.maximum(gap, LEAST_GAP), current, roughness)
        dwell = (settings.settle + settings.integrate) * settings.averages
        return self._wear.changes(own, np.hstack([rate, rate[:, ::-1]]) if settings.backward else rate, dwell)

    def current(self, places: Floats, bias: float, gap: Floats, tip: Tip) -> Floats:
        """Return the current at one bias, in nA, noise left out.

        Parameters
        ----------
        places : ndarray of shape (n, 2)
            Places, (x, y) in nm.
        bias : float
            Bias of the sample, in V.
        gap : ndarray of shape (n,)
            Distance between the first apex and the surface, in nm.
        tip : Tip
            Shape and electronic state of the tip.
        """
        barrier = tip.barrier(self.surface.barrier)
        sweep = SweepIntegral(barrier, np.array([bias]), float(np.clip(np.median(gap), 0.2, 2.0)), finest=self.surface.finest)
        return SurfacePoints(self.surface, places, barrier).carried(sweep, gap)[0][:, 0]

    def _sweep(
        self, settings: SweepSettings, amplitude: float, setpoint: Setpoint, barrier: Barrier, harmonics: int
    ) -> SweepIntegral:
        ends, center = (settings.start, settings.stop, settings.points), self._middle(setpoint) + settings.z_offset
        return _kernels(*ends, round(center, 3), amplitude, replace(barrier, conductance=1.0), self.surface.finest, harmonics)

    def _middle_gap(self, setpoint: Setpoint) -> float:
        """Return the smaller of two gaps, in nm: good for places too near rather than for those too far."""
        gap, reference = self.surface.terrace_gap(setpoint), self.surface.sample.reference_gap
        return min(gap, reference) if np.isfinite(gap) else reference

    def _hold_errors(self, rng: np.random.Generator | None, count: int) -> Floats:
        """Error of the gap, in nm, at the moment when the feedback is opened."""
        if rng is None:
            return np.zeros(count)
        return -self.profile.hold_error * rng.standard_normal(count) / self.surface.barrier.mean_decay


@lru_cache(maxsize=16)
def _kernels(
    start: float, stop: float, points: int, center: float, amplitude: float, unit: Barrier, finest: float, harmonics: int
) -> SweepIntegral:
    """Return the kernels of a sweep: those of all surfaces and tips whose barriers differ in their conductance only."""
    return SweepIntegral(unit, np.linspace(start, stop, points), center, amplitude, finest, harmonics)


def _together(heights: Sequence[Floats], tip: Tip, decay: float) -> Floats:
    """Height, in nm, at which all apexes together carry what each alone carries at its own of ``heights``."""
    if len(heights) == 1:
        return heights[0]
    parts = [np.log(share) + decay * height for height, (_, share) in zip(heights, tip.apexes, strict=True)]
    return np.logaddexp(*parts) / decay
