"""The piezo: drift, creep and hysteresis lead the tip to another place, and to another height, than was asked for.

A piezo goes on creeping after a move by the same part of it in each decade of time [1]_. That is the sum of relaxations of
which each takes ten times as long as the one before; here the first takes a second and the last 1000 s.

References
----------
.. [1] H. Jung and D.-G. Gweon, Rev. Sci. Instrum. 71, 1896 (2000), doi:10.1063/1.1150559
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.geometry import Floats, Frame, Point

RELAXATIONS: Final = np.array([1.0, 10.0, 100.0, 1000.0])
"""Times, in s, that together stand for the logarithmic creep of a piezo, one for each decade of time."""


class Creep:
    """The part of earlier moves that is still to come.

    Parameters
    ----------
    share : float
        Part of a move that comes in each decade of time.
    axes : int
        Number of directions that move independently.
    """

    def __init__(self, share: float, axes: int) -> None:
        self._share, self._time = share, 0.0
        self._late: Floats = np.zeros((len(RELAXATIONS), axes))
        self._velocity: Floats = np.zeros(axes)

    def move(self, way: ArrayLike, time: float, velocity: ArrayLike = 0.0, late: ArrayLike = 0.0) -> None:
        """Take note of a move.

        Parameters
        ----------
        way : array_like of shape (axes,)
            How far it went along each direction, in nm.
        time : float
            When it ended, in s.
        velocity : array_like of shape (axes,)
            Velocity at which it goes on slowly from there, in nm/s.
        late : array_like of shape (relaxations, axes)
            What was late before it beside the rest, in nm: that of going `to_and_fro`, which has ended.
        """
        # Relaxations are linear: what is left of earlier moves goes on under the new one.
        self._late = self._each(time) + np.asarray(late, dtype=float) - self._share * np.asarray(way, dtype=float)
        self._time, self._velocity = time, np.broadcast_to(np.asarray(velocity, dtype=float), self._late.shape[1:])

    def behind(self, time: ArrayLike) -> Floats:
        """Return the real place less the place asked for, in nm; shape (..., axes).

        Parameters
        ----------
        time : array_like of shape (...)
            In s, after the last move.
        """
        return self._each(time).sum(axis=-2)

    def to_and_fro(self, along: ArrayLike, way: ArrayLike, time: float) -> Floats:
        """Return what each relaxation adds on a way that is gone to and fro evenly; shape (..., relaxations, axes), in nm.

        It comes on top of what is late in the middle. What is slow does not follow the turns at all, so that the way falls
        short; on the way back it adds the opposite at the same time after the turn.

        Parameters
        ----------
        along : array_like of shape (...)
            Place on the way forth, from 0 at its beginning to 1 at its end.
        way : array_like of shape (axes,)
            The way forth, in nm.
        time : float
            Time that it takes, in s.
        """
        left = np.exp(-time * np.asarray(along, dtype=float)[..., None] / RELAXATIONS)
        course = RELAXATIONS / time * (2 * left / (1 + np.exp(-time / RELAXATIONS)) - 1)
        return self._share * course[..., None] * np.asarray(way)

    def _each(self, time: ArrayLike) -> Floats:
        """Return what each relaxation adds, in nm; shape (..., relaxations, axes)."""
        left = np.exp(-(np.asarray(time, dtype=float)[..., None] - self._time) / RELAXATIONS)[..., None]
        return left * self._late - (1 - left) * self._share * RELAXATIONS[:, None] * self._velocity


class HeightDrift:
    """The drift of the height: the sample rises steadily, and after an approach the z piezo goes on towards it.

    Parameters
    ----------
    drift : float
        Rate at which the sample rises towards the tip, in nm/s.
    creep : float
        Part of a move in z that comes in each decade of time.
    """

    def __init__(self, drift: float, creep: float) -> None:
        self._drift, self._creep = drift, Creep(creep, 1)

    def move(self, way: float, time: float) -> None:
        """Take note of a long move in z.

        Parameters
        ----------
        way : float
            In nm; negative is towards the sample.
        time : float
            When it ended, in s.
        """
        self._creep.move([way], time)

    def rise(self, time: ArrayLike) -> Floats:
        """Return by how much the sample has risen as the z piezo counts, in nm; shape (...).

        Parameters
        ----------
        time : array_like of shape (...)
            In s of the controller's clock.
        """
        return self._drift * np.asarray(time, dtype=float) - self._creep.behind(time)[..., 0]


@dataclass(frozen=True)
class _Scan:
    """A scan under way.

    Attributes
    ----------
    corner, end, first : ndarray of shape (2,)
        Beginning, end and middle of the first line, in nm.
    step : ndarray of shape (2,)
        Way from one line to the next, in nm.
    velocity : ndarray of shape (2,)
        Along the slow direction, in nm/s.
    line_time, time : float
        Time for a line, forth, and when the scan began, in s.
    slack : ndarray of shape (rows, 2)
        How far the play is taken up where each line begins, in nm.
    """

    corner: Floats
    end: Floats
    step: Floats
    first: Floats
    velocity: Floats
    line_time: float
    time: float
    slack: Floats

    def ended(self, time: float, play: float) -> tuple[Floats, Floats]:
        """Return the beginning of the last line at a time, and how far the play is taken up after that line, in nm."""
        row = int(np.clip(np.ceil((time - self.time) / (2 * self.line_time) - 1e-6) - 1, 0, len(self.slack) - 1))
        there = np.clip(self.slack[row] + self.end - self.corner, -play, play)
        return self.corner + row * self.step, np.clip(there + self.corner - self.end, -play, play)


class Piezo:
    """The lateral scanner. It remembers its moves; `displacement` says how far off the tip is, in nm, along x and y.

    Hysteresis is the play operator of Prandtl and Ishlinskii: after a reversal the piezo is late by a part of the way, over a
    distance; then it follows. Within that distance it goes the same way to and fro, so that places of a frame that is smaller
    are where its image has them, whichever way the tip comes. In a wider frame the beginning of each line is drawn apart, as
    in images of real scanners.

    Parameters
    ----------
    drift : (float, float)
        Of the sample under the tip, in nm/s: where it goes in +x, a resting tip comes to lie at ever smaller x on it.
    creep : float
        Part of a move that comes in each decade of time.
    hysteresis, play : float
        Part of the way by which a reversal is late, and the distance in nm over which it is.
    """

    def __init__(self, drift: tuple[float, float], creep: float, hysteresis: float, play: float) -> None:
        self._drift, self._hysteresis, self._play = np.array(drift), hysteresis, play
        self._creep = Creep(creep, 2)
        self._compensated = np.zeros(2)
        self._drifted = np.zeros(2)
        self._slack: Floats = np.zeros(2)
        self._time = 0.0
        self._scans: _Scan | None = None

    @property
    def compensation(self) -> tuple[float, float]:
        """Drift that is compensated, in nm/s."""
        return float(self._compensated[0]), float(self._compensated[1])

    def compensate(self, velocity: tuple[float, float], time: float) -> None:
        """Compensate a drift from now on.

        Parameters
        ----------
        velocity : (float, float)
            Velocity at which the surface moves in the coordinates of the tip, in nm/s.
        time : float
            When it begins, in s.
        """
        self._pass_to(time)  # until now the sample drifted under the old compensation
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
        here: Floats = np.asarray(start, dtype=float)
        if (scan := self._scans) is None:
            self._creep.move(end - here, time)
        else:  # it is where the last line began, and what is late and the play are as after that line
            late = self._creep.to_and_fro(0.0, scan.end - scan.corner, scan.line_time)
            self._creep.move(end - (self._creeps_from(start, time) + scan.corner - scan.first), time, late=late)
            here, self._slack = scan.ended(time, self._play)
        self._scans = None
        self._slack = self._taken_up(self._slack, np.asarray(end) - here)

    def scan(self, start: Point, frame: Frame, line_time: float, time: float) -> None:
        """Take note that a scan begins: the tip goes to and fro, so that it creeps as if it stood in the middle of the lines.

        Parameters
        ----------
        start : Point
            Place asked for before it, in nm.
        frame : Frame
            What is scanned.
        line_time : float
            Time for a line, forth, in s.
        time : float
            When it begins, in s.
        """
        corner, end, above, first = frame.to_sample([(0, 0), (0, frame.pixels[1] - 1), (1, 0), (0, (frame.pixels[1] - 1) / 2)])
        velocity = (above - corner) / (2 * line_time)
        self._creep.move(first - self._creeps_from(start, time), time, velocity)
        slack, begun = self._taken_up(self._slack, corner - start), np.empty((frame.pixels[0], 2))
        for row in range(len(begun)):
            begun[row:] = slack
            if row and (begun[row] == begun[row - 1]).all():  # and so does every further line begin
                break
            slack = self._taken_up(self._taken_up(slack, end - corner), corner - end)
            slack = self._taken_up(slack, above - corner)
        self._scans = _Scan(corner, end, above - corner, first, velocity, line_time, time, begun)

    def traced(self, rows: slice, columns: int) -> Floats:
        """Return the real place less the place asked for on the way forth of some lines; shape (lines, columns, 2), in nm.

        Parameters
        ----------
        rows : slice
            Which lines of the scan that has begun.
        columns : int
            Pixels of a line.
        """
        assert self._scans is not None
        scan = self._scans
        times = scan.time + 2 * scan.line_time * np.arange(rows.start, rows.stop)
        share, way = np.linspace(0, 1, columns), scan.end - scan.corner
        slack = self._taken_up(scan.slack[rows, None, :], share[:, None] * way)
        within = self._creep.to_and_fro(share, way, scan.line_time).sum(axis=-2)
        middle = self.displacement(times) + self._hysteresis * self._slack
        return middle[:, None, :] + within - self._hysteresis * slack

    def displacement(self, time: ArrayLike) -> Floats:
        """Return the real place less the place asked for, in nm; shape (..., 2).

        Drift that is not compensated, creep and hysteresis add up in it.

        Parameters
        ----------
        time : array_like of shape (...)
            In s, after the last move.
        """
        later = np.asarray(time, dtype=float)[..., None] - self._time
        drifted = self._drifted - (self._drift - self._compensated) * later
        return drifted + self._creep.behind(time) - self._hysteresis * self._slack

    def opening(self, along: Floats, length: float) -> Floats:
        """Return how far the way back lies before the way forth, in nm.

        The line is scanned again and again, so that the play is taken up at both of its ends.

        Parameters
        ----------
        along : ndarray of shape (columns,)
            Distance from where the line begins on the way forth, in nm.
        length : float
            Length of the line, in nm.
        """
        # A line shorter than twice the play never takes it up whole.
        play = min(self._play, length / 2)
        forth, back = np.minimum(along - play, play), np.maximum(play - (length - along), -play)
        return self._hysteresis * (forth - back)

    def _creeps_from(self, start: Point, time: float) -> Floats:
        """Return the place around which the tip was until now, in nm."""
        if self._scans is None:
            return np.asarray(start)
        return self._scans.first + self._scans.velocity * (time - self._scans.time)

    def _taken_up(self, slack: Floats, way: ArrayLike) -> Floats:
        """Return how far the play is taken up after a way, in nm."""
        return np.minimum(np.maximum(slack + np.asarray(way), -self._play), self._play)

    def _pass_to(self, time: float) -> None:
        later = time - self._time
        self._drifted = self._drifted - (self._drift - self._compensated) * later
        self._time = time
