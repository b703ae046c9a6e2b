"""Patterns that repeat over a surface without end: charge density waves, moire patterns, reconstructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bluesky_stm.geometry import Floats

Wave = tuple[float, float]


def hexagonal(period: float, angle: float = 0.0) -> tuple[Wave, Wave, Wave]:
    """Return the three shortest wave vectors of a triangular lattice.

    Parameters
    ----------
    period : float
        Distance of neighbouring maxima, in nm.
    angle : float
        Direction of one row of maxima, in degrees counter-clockwise from x.

    Returns
    -------
    tuple of three (float, float)
        In 1/nm, 120 degrees apart, so that their sum is zero and all have a maximum at the origin.
    """
    length, directions = 4 * np.pi / (np.sqrt(3) * period), np.radians(angle + np.array([30.0, 150.0, 270.0]))
    first, second, third = [(float(length * np.cos(d)), float(length * np.sin(d))) for d in directions]
    return first, second, third


@dataclass(frozen=True, eq=False)
class Zigzag:
    """Kinks of the wave fronts of a pattern, at equal distances, by which they turn to and fro.

    Attributes
    ----------
    direction : float
        Mean direction of the wave fronts, in degrees counter-clockwise from x.
    turn : float
        Angle between the wave fronts and their mean direction, in degrees; it changes its sign at every kink.
    length : float
        Distance from kink to kink along the mean direction, in nm.
    """

    direction: float
    turn: float
    length: float

    def straightened(self, points: Floats) -> Floats:
        """Return the places of a straight pattern at which places of the kinked one lie.

        Parameters
        ----------
        points : ndarray of shape (n, 2)
            Places as (x, y), in nm.

        Returns
        -------
        ndarray of shape (n, 2)
            Places as (x, y), in nm, moved across the mean direction only.
        """
        angle, slope = np.radians(self.direction), np.tan(np.radians(self.turn))
        along = points @ (np.cos(angle), np.sin(angle))
        aside = slope * np.abs((along + self.length / 2) % (2 * self.length) - self.length)
        return points - np.outer(aside, (-np.sin(angle), np.cos(angle)))


@dataclass(frozen=True, eq=False)
class Periodic:
    """A pattern that repeats: the mean of some plane waves, which changes the states and the height of the atoms.

    Attributes
    ----------
    waves : tuple of (float, float)
        Wave vectors, in 1/nm: ``2 pi`` over the distance of the wave fronts.
    phases : tuple of float
        Phase of each wave at the origin, in degrees; none for a maximum there.
    change : mapping of str to float
        Amounts that are added to the parameters of the sample's states at a maximum of all waves.
    relief : float
        Height of the atoms at a maximum of all waves above their mean, in nm.
    zigzag : Zigzag or None
        Kinks of the wave fronts.
    """

    waves: tuple[Wave, ...]
    phases: tuple[float, ...] = ()
    change: Mapping[str, float] = field(default_factory=dict)
    relief: float = 0.0
    zigzag: Zigzag | None = None

    def __call__(self, points: Floats) -> Floats:
        """Return the mean of the waves at the places ``points`` (n, 2), in nm: 1 at a maximum of all; shape (n,)."""
        places = points if self.zigzag is None else self.zigzag.straightened(points)
        phases = np.radians(self.phases) if self.phases else np.zeros(len(self.waves))
        return np.mean([np.cos(places @ wave + phase) for wave, phase in zip(self.waves, phases, strict=True)], axis=0)
