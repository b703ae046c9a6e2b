"""An estimate of drift from all shifts that were measured, each with its error, and from what drift is possible at all."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bluesky_stm.geometry import Floats, Point

WANDER: Final = 0.005
"""Creep beside the steady drift, in nm/s**0.5: 0.05 nm in 100 s, as after moves of some nm at 1 % in a decade of time."""

STEADY: Final = 14400.0
"""Time in which the velocity of a drift changes by as much as it may be at first, in s: that of the room's temperature."""


class DriftEstimate:
    """Shift and velocity of the surface as a Kalman filter [1]_ knows them; the same for both axes.

    The velocity is at first zero within what is possible. An image tells more than that only in as far as the drift since the
    last one exceeds the error of registration, and the filter weighs the one against the other: two images soon after each
    other do not turn their errors into drift.

    Parameters
    ----------
    time : float
        Time of the first image, in s: the shift then is zero.
    speed : float
        Standard deviation of the velocity at first, in nm/s; infinite to take shifts as they are, creep included.

    Attributes
    ----------
    time : float
        Time of the last measurement, in s.
    shift, velocity : ndarray of shape (2,)
        Shift since the first image, in nm, and velocity that the compensation leaves, in nm/s, at that time. Whoever changes
        the compensation then changes the velocity as well.

    References
    ----------
    .. [1] R. E. Kalman, J. Basic Eng. 82, 35 (1960), doi:10.1115/1.3662552
    """

    def __init__(self, time: float, speed: float) -> None:
        self.time = time
        self.shift: Floats = np.zeros(2)
        self.velocity: Floats = np.zeros(2)
        self._turn, self._wander = (speed**2 / STEADY, WANDER**2) if math.isfinite(speed) else (0.0, 0.0)
        speed = min(speed, 1e3)
        self._known = np.diag([0.0, speed**2])

    def error(self, time: float) -> float:
        """Return the standard deviation of the shift along one axis at a later time, in nm."""
        return math.sqrt(self._later(time)[0, 0])

    @property
    def velocity_error(self) -> float:
        """Standard deviation of the velocity along one axis, in nm/s."""
        return math.sqrt(self._known[1, 1])

    def measured(self, time: float, shift: tuple[float, float], error: float) -> Point:
        """Take in a shift that was measured.

        Parameters
        ----------
        time : float
            Time of the image, in s, after that of the last one.
        shift : (float, float)
            Shift since the first image, in nm.
        error : float
            Standard deviation of the shift along one axis, in nm.

        Returns
        -------
        Point
            Shift, in nm, that all measurements together make the most likely.
        """
        expected = self.shift + self.velocity * (time - self.time)
        known = self._later(time)
        gain = known[:, 0] / (known[0, 0] + error**2)
        surprise = np.asarray(shift) - expected
        self.time, self.shift, self.velocity = time, expected + gain[0] * surprise, self.velocity + gain[1] * surprise
        self._known = known - np.outer(gain, known[0])
        return Point(float(self.shift[0]), float(self.shift[1]))

    def _later(self, time: float) -> Floats:
        """Covariance of shift and velocity at a time, (2, 2)."""
        passed = max(time - self.time, 0.0)
        way = np.array([[1.0, passed], [0.0, 1.0]])
        both = self._turn * passed**2 / 2  # the velocity walks at random, and so does the shift beside it
        shifts, velocities = self._turn * passed**3 / 3 + self._wander * passed, self._turn * passed
        return way @ self._known @ way.T + np.array([[shifts, both], [both, velocities]])
