"""Shapes that defects are made of: a value between 0 and 1 around a centre, and how far it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bluesky_stm.geometry import Floats

_GAUSS = 4 * np.log(2)


class Envelope(Protocol):
    """How the influence of a defect falls off."""

    @property
    def reach(self) -> float:
        """Distance from the defect, in nm, beyond which it is taken as zero."""

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Value at ``dx``, ``dy`` nm from the defect; 1 at its highest."""


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian of full width at half maximum ``width``, in nm, with its centre ``offset`` nm from the defect."""

    width: float
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def reach(self) -> float:
        """Where it has fallen to 1e-5."""
        return 2.04 * self.width + float(np.hypot(*self.offset))

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Value at ``dx``, ``dy`` nm from the defect."""
        squared = (dx - self.offset[0]) ** 2 + (dy - self.offset[1]) ** 2
        return np.exp(-_GAUSS / self.width**2 * squared)


@dataclass(frozen=True)
class Screened:
    """A potential that is screened: ``exp(-r / length)``, rounded off within ``core`` nm of the defect."""

    length: float
    core: float = 0.5

    @property
    def reach(self) -> float:
        """Where it has fallen to 1e-4."""
        return 9.2 * self.length

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Value at ``dx``, ``dy`` nm from the defect."""
        return np.exp((self.core - np.sqrt(dx**2 + dy**2 + self.core**2)) / self.length)


@dataclass(frozen=True)
class Triangle:
    """A triangle with rounded corners, flat on top.

    Attributes
    ----------
    side : float
        Of the triangle at half height before its corners are rounded, in nm.
    edge : float
        Length over which the value falls by e outside, in nm.
    rounding : float
        Radius of the corners, in nm.
    corner : float
        Direction of one corner, in degrees from x; the others are 120 degrees away.
    """

    side: float
    edge: float
    rounding: float = 0.25
    corner: float = 63.0

    @property
    def reach(self) -> float:
        """Where it has fallen to 1e-4, at a corner."""
        return self.side / np.sqrt(3) + 2 * 9.2 * self.edge

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Value at ``dx``, ``dy`` nm from the defect."""
        facing = np.radians(self.corner + np.array([60.0, 180.0, 300.0]))
        over = sum(np.exp((dx * np.cos(a) + dy * np.sin(a)) / self.rounding) for a in facing)
        outside = over ** (self.rounding / self.edge) * np.exp(-self.side / (2 * np.sqrt(3)) / self.edge)
        return (1 + self._at_center) / (1 + outside)

    @property
    def _at_center(self) -> float:
        return float(3 ** (self.rounding / self.edge) * np.exp(-self.side / (2 * np.sqrt(3)) / self.edge))
