"""Shapes that defects are made of: values between 0 and 1 around a centre, with a finite reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bluesky_stm.geometry import Floats

_GAUSS = 4 * np.log(2)


class Envelope(Protocol):
    """The shape of the influence of a defect as a function of the vector from the defect.

    It is 1 at its maximum and falls to 0 far away, so that an amplitude, such as a height in nm, stands beside it and not in
    it.
    """

    @property
    def reach(self) -> float:
        """Distance from the defect, in nm, beyond which the value counts as zero."""

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Return the value at places around the defect; it is 1 at its maximum.

        Parameters
        ----------
        dx, dy : ndarray of shape (...)
            Vector from the defect to each place, in nm.

        Returns
        -------
        ndarray of shape (...)
        """


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian, ``exp(-4 ln 2 r**2 / width**2)``.

    Attributes
    ----------
    width : float
        Full width at half maximum, in nm.
    offset : (float, float)
        Vector from the defect to the centre of the Gaussian, in nm.
    """

    width: float
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def reach(self) -> float:
        """Distance at which the value has fallen to 1e-5, in nm.

        It counts from the defect: the way to the centre of the Gaussian is included.
        """
        return 2.04 * self.width + float(np.hypot(*self.offset))

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Return the value at ``dx``, ``dy`` nm from the defect."""
        squared = (dx - self.offset[0]) ** 2 + (dy - self.offset[1]) ** 2
        return np.exp(-_GAUSS / self.width**2 * squared)


@dataclass(frozen=True)
class Screened:
    """A screened potential: ``exp(-r / length)``, rounded off near the defect.

    Attributes
    ----------
    length : float
        Screening length, in nm.
    core : float
        Distance from the defect within which the potential is rounded off, in nm.
    """

    length: float
    core: float = 0.5

    @property
    def reach(self) -> float:
        """Distance at which the value has fallen to 1e-4, in nm."""
        return 9.2 * self.length

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Return the value at ``dx``, ``dy`` nm from the defect."""
        return np.exp((self.core - np.sqrt(dx**2 + dy**2 + self.core**2)) / self.length)


@dataclass(frozen=True)
class Triangle:
    """An equilateral triangle with rounded corners that is flat on top.

    Attributes
    ----------
    side : float
        Side of the triangle at half height before its corners are rounded, in nm.
    edge : float
        Distance outside over which the value falls by a factor of e, in nm.
    rounding : float
        Radius of the corners, in nm.
    corner : float
        Direction of one corner, in degrees counter-clockwise from x; the others are 120 degrees away.
    """

    side: float
    edge: float
    rounding: float = 0.25
    corner: float = 63.0

    @property
    def reach(self) -> float:
        """Distance at which the value at a corner has fallen to 1e-4, in nm."""
        return self.side / np.sqrt(3) + 2 * 9.2 * self.edge

    def __call__(self, dx: Floats, dy: Floats) -> Floats:
        """Return the value at ``dx``, ``dy`` nm from the defect."""
        facing = np.radians(self.corner + np.array([60.0, 180.0, 300.0]))
        out = [(dx * math.cos(a) + dy * math.sin(a)) / self.rounding for a in facing.tolist()]
        most = np.maximum(np.maximum(out[0], out[1]), out[2])
        over = most + np.log(sum(np.exp(one - most) for one in out))
        # Farther out than this nothing is left, and the exponential of single precision ends.
        outside = np.exp(np.minimum((self.rounding * over - self.side / (2 * math.sqrt(3))) / self.edge, 80.0))
        return (1 + self._at_center) / (1 + outside)

    @property
    def _at_center(self) -> float:
        return float(3 ** (self.rounding / self.edge) * np.exp(-self.side / (2 * np.sqrt(3)) / self.edge))
