"""The piezo: drift, creep and hysteresis lead the tip to another place than was asked for."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.geometry import Floats, Point

RELAXATIONS: Final = np.array([1.0, 10.0, 100.0])
"""Times, in s, that together stand for the logarithmic creep of a piezo over its first minutes."""


class Piezo:
    """The lateral scanner. It remembers its moves; `displacement` says how far off the tip is, in nm, along x and y.

    Hysteresis is the play operator of Prandtl and Ishlinskii: after a reversal the piezo is late by a part of the way, over a
    distance; then it follows.

    Parameters
    ----------
    drift : (float, float)
        Of the sample under the tip, in nm/s: where it goes in +x, a resting tip comes to lie at ever smaller x on it.
    creep : float
        Part of a move that comes late.
    hysteresis, play : float
        Part of the way by which a reversal is late, and the distance in nm over which it is.
    """

    def __init__(self, drift: tuple[float, float], creep: float, hysteresis: float, play: float) -> None:
        self._drift, self._creep, self._hysteresis, self._play = np.array(drift), creep, hysteresis, play
        self._compensated = np.zeros(2)
        self._drifted = np.zeros(2)
        self._late = np.zeros((len(RELAXATIONS), 2))
        self._slack = np.zeros(2)
        self._time = 0.0

    @property
    def compensation(self) -> tuple[float, float]:
        """Drift that is compensated, in nm/s."""
        return float(self._compensated[0]), float(self._compensated[1])

    def compensate(self, velocity: tuple[float, float], time: float) -> None:
        """Compensate a drift, in nm/s, from ``time`` on."""
        self._pass_to(time)
        self._compensated = np.array(velocity, dtype=float)

    def move(self, start: Point, end: Point, time: float) -> None:
        """Take note of a move, after which the piezo creeps and lags.

        Parameters
        ----------
        start, end : Point
            Places asked for before and after it, in nm.
        time : float
            When it ended, in s.
        """
        self._pass_to(time)
        way = np.subtract(end, start)
        self._late -= self._creep * way / len(RELAXATIONS)
        self._slack = np.clip(self._slack + way, -self._play, self._play)

    def displacement(self, time: ArrayLike) -> Floats:
        """Real place less the place asked for, at times (...), in nm; shape (..., 2)."""
        later = np.asarray(time, dtype=float)[..., None] - self._time
        drifted = self._drifted - (self._drift - self._compensated) * later
        late = np.exp(-later / RELAXATIONS) @ self._late
        return drifted + late - self._hysteresis * self._slack

    def opening(self, along: Floats, length: float) -> Floats:
        """Return how far the way back lies before the way forth, in nm.

        The line is ``length`` nm long and is scanned again and again.

        ``along`` is the distance from where the line begins on the way forth.
        """
        play = min(self._play, length / 2)
        forth, back = np.minimum(along - play, play), np.maximum(play - (length - along), -play)
        return self._hysteresis * (forth - back)

    def _pass_to(self, time: float) -> None:
        later = time - self._time
        self._drifted = self._drifted - (self._drift - self._compensated) * later
        self._late = self._late * np.exp(-later / RELAXATIONS)[:, None]
        self._time = time
