"""Child rules: they place the frame of the next length scale inside the present one. Each is a part, chosen by name.

Two rules are the paper's (Narasimha et al., npj Comput. Mater. 11, 189 (2025)): where the agent measured most, and where the
measured values sum up highest. One asks the model what the child frame can be expected to hold, and one goes to the best place
that is known of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.parts import Part, setting
from bluesky_stm.protocols import Observation, Posterior
from bluesky_stm.settings import Limits
from bluesky_stm.valued import chance_of_value


@dataclass(frozen=True, eq=False)
class FrameKnowledge:
    """Knowledge of a frame when it has been explored.

    Attributes
    ----------
    frame : Frame
    candidates : ndarray of shape (n, 2)
        In nm.
    posterior : Posterior
        Prediction at the candidates.
    observations : sequence of Observation
    before : sequence of Observation
        Those inside that were made in the frames above.
    """

    frame: Frame
    candidates: Floats
    posterior: Posterior
    observations: Sequence[Observation]
    before: Sequence[Observation] = ()

    @property
    def measured(self) -> tuple[Floats, Floats]:
        """Places (m, 2) in nm and values (m,) of the spectra that have a value."""
        return _valued(self.observations)

    def outside(self, frames: Sequence[Frame]) -> FrameKnowledge:
        """Return what is known beyond ``frames``."""
        kept = ~np.any([frame.contains(self.candidates) for frame in frames], axis=0) if frames else slice(None)
        posterior = Posterior(self.posterior.mean[kept], self.posterior.std[kept])
        left = [[o for o in some if not any(f.contains(o.point) for f in frames)] for some in (self.observations, self.before)]
        return FrameKnowledge(self.frame, self.candidates[kept], posterior, *left)

    def best_inside(self, frame: Frame) -> Point | None:
        """Return where in ``frame`` the highest value was measured; None where nothing was."""
        known = (*self.observations, *self.before)
        inside = [(o.number, o.point) for o in known if o.has_value and frame.contains(o.point)]
        return max(inside, key=itemgetter(0))[1] if inside else None


@dataclass(frozen=True)
class ChildFrame:
    """The frame of the next scale, by which rule, and its score in that rule.

    Attributes
    ----------
    best : Point or None
        Where in it the highest value was measured; None where nothing was.
    """

    frame: Frame
    rule: str
    score: float
    best: Point | None = None

    @property
    def begin(self) -> tuple[tuple[float, float], ...]:
        """The place from the centre of the frame, in nm; as of `LengthScale`."""
        return () if self.best is None else ((self.best.x - self.frame.center.x, self.best.y - self.frame.center.y),)


class ChildRule(Part):
    """A rule that scores possible frames of the next length scale; the frame with the highest score becomes the child."""

    kind: ClassVar[str] = "child rule"

    def __call__(self, known: FrameKnowledge, centers: Floats, side: float) -> Floats:
        """Score possible child frames.

        Parameters
        ----------
        known : FrameKnowledge
            What is known of the parent frame.
        centers : ndarray of shape (k, 2)
            Centres of the possible child frames, as (x, y) in nm.
        side : float
            Side of a child frame, in nm.

        Returns
        -------
        ndarray of shape (k,)
            Score of each; the highest wins.
        """
        raise NotImplementedError


class MostPoints(ChildRule):
    """Go where most places were measured: the agent went where it was promising. The rule is one of the paper's."""

    name: str = "most-points"

    def __call__(self, known: FrameKnowledge, centers: Floats, side: float) -> Floats:
        """Return the number of measured places inside each frame; see `ChildRule`."""
        points, _ = known.measured
        return _inside(centers, points, side, known.frame.angle).sum(axis=1).astype(float)


class LargestSum(ChildRule):
    """Go where the measured values sum up highest, counted from the least one or, as in the paper, as they are."""

    name: str = "largest-sum"
    # Values that are negative, as of a gap that is to be small, would make the emptiest frame the best one.
    counted_from: Literal["least", "zero"] = setting(
        "least", "", "Value that adds nothing to a sum: the least one measured, or zero as in the paper."
    )

    def __call__(self, known: FrameKnowledge, centers: Floats, side: float) -> Floats:
        """Return the sum of the measured values inside each frame; see `ChildRule`."""
        points, values = known.measured
        excess = values - values.min() if len(values) and self.counted_from == "least" else values
        return _inside(centers, points, side, known.frame.angle) @ excess


class ExpectedMaximum(ChildRule):
    """Go where the expected highest value is largest, from mean and uncertainty of the posterior at the candidates.

    ``E[max] = t0 + integral over t > t0 of (1 - prod_i (1 - p_i (1 - Phi((t - mean_i) / std_i))) ** s) dt``, with ``t0`` the
    lowest mean and ``p_i`` the chance that a spectrum there has a value at all, from its measured neighbours.
    """

    name: str = "posterior"
    # Neighbouring candidates say much the same. If all of them counted, a frame would be chosen for its uncertainty alone.
    independent: int = setting(
        16, "", "Candidates in a child frame that count as independent at most, however many lie inside.", ge=1
    )

    def __call__(self, known: FrameKnowledge, centers: Floats, side: float) -> Floats:
        """Return the expected highest value inside each frame; see `ChildRule`."""
        from scipy.special import ndtr

        mean, std = known.posterior.mean, np.maximum(known.posterior.std, 1e-12 * (1 + np.abs(known.posterior.mean)))
        levels = np.linspace(mean.min(), (mean + 4 * std).max(), 64)
        # Below 1, or the logarithm of a sure candidate would be minus infinity, and 0 times that is NaN.
        chance = np.minimum(_chance(known), 1 - 1e-9)
        log_below = np.log1p(-chance * ndtr((mean - levels[:, None]) / std))  # (levels, candidates)
        inside = _inside(centers, known.candidates, side, known.frame.angle).astype(float)
        weight = np.minimum(1.0, self.independent / np.maximum(inside.sum(axis=1, keepdims=True), 1.0))
        below = np.exp(weight * (inside @ log_below.T))  # (centers, levels): all candidates inside lie below the level
        return levels[0] + np.trapezoid(1 - below, levels, axis=1)


class ConfidentMaximum(ChildRule):
    """Go to the best place that was measured or can be relied on, which comes to lie in the middle of the child frame.

    Places measured in a frame above count, too: a defect that was found there is not lost where the finer look missed it.
    What was not measured counts by its lower confidence bound, times the chance that a spectrum there has a value at all, both
    from the least value. Off the middle a place counts a hair less.
    """

    name: str = "confident"
    # At 1.645 standard deviations below its mean a prediction is exceeded in 19 of 20 cases.
    deviations: float = setting(
        1.645, "", "Standard deviations below its mean at which a prediction counts as relied on.", ge=0
    )

    def __call__(self, known: FrameKnowledge, centers: Floats, side: float) -> Floats:
        """Return the highest measured or relied-on value inside each frame; see `ChildRule`."""
        points, values = _valued((*known.observations, *known.before))
        bounds = known.posterior.mean - self.deviations * known.posterior.std
        numbers = np.concatenate([values, bounds[np.isfinite(bounds)]])
        least = float(numbers.min()) if len(numbers) else 0.0
        relied = np.where(np.isfinite(bounds), least + _chance(known) * (bounds - least), least)
        places, worth = np.concatenate([points, known.candidates]), np.concatenate([values, relied])
        hair = 1e-3 * np.ptp(worth) / side
        inside = _inside(centers, places, side, known.frame.angle)
        which, place = np.nonzero(inside)  # center by center
        found = worth[place] - hair * np.hypot(*(places[place] - centers[which]).T)
        scores, filled = np.full(len(centers), -np.inf), np.flatnonzero(inside.any(axis=1))
        scores[filled] = np.maximum.reduceat(found, np.searchsorted(which, filled)) if len(filled) else -np.inf
        return scores


def _valued(observations: Sequence[Observation]) -> tuple[Floats, Floats]:
    valid = [(o.point, o.number) for o in observations if o.has_value]
    return np.array([p for p, _ in valid]).reshape(-1, 2), np.array([v for _, v in valid])


def _chance(known: FrameKnowledge) -> Floats:
    """Chance that a spectrum has a value, for each candidate."""
    points, valued = [o.point for o in known.observations], [o.has_value for o in known.observations]
    return chance_of_value(known.candidates, points, valued)


def choose_child(
    rule: ChildRule,
    known: FrameKnowledge,
    side: float,
    pixels: int,
    limits: Limits,
    *,
    masked: Sequence[Frame] = (),
    tried: Sequence[Frame] = (),
) -> ChildFrame | None:
    """Frame of ``side`` nm where the rule scores highest, inside the parent frame and the scan range; None where none is left.

    Ties (no knowledge at all) go to the place nearest to the centre of the parent.

    Parameters
    ----------
    rule : ChildRule
        Scores the possible frames.
    known : FrameKnowledge
        What is known of the parent frame.
    side : float
        Side of the child frame, in nm.
    pixels : int
        Rows and columns of its topograph.
    limits : Limits
        Its corners have to lie within the limits of x and y.
    masked : sequence of Frame
        Areas that it must not overlap.
    tried : sequence of Frame
        Child frames explored before: its centre lies in none of them, and what was measured in them does not count.

    Returns
    -------
    ChildFrame or None
        None where no place is left.
    """
    parent = known.frame
    places = np.concatenate([known.candidates.reshape(-1, 2), [parent.center]])
    # A hair less than half a side: a child that touches the rim of its parent still lies inside.
    places = places[parent.contains(places, side / 2 - 1e-6)]
    places = places[_allowed(places, Frame.square((0.0, 0.0), side, pixels, parent.angle), limits)]
    places = places[~np.any([earlier.contains(places) for earlier in tried] or [np.zeros(len(places), dtype=bool)], axis=0)]
    frames = [Frame.square(place, side, pixels, parent.angle) for place in places]
    frames = [f for f in frames if not any(f.overlaps(area) for area in masked)] if masked else frames
    if not frames:
        return None
    centers = np.array([f.center for f in frames])
    left = known.outside(tried)
    scores = rule(left, centers, side)
    distance = np.hypot(*(centers - np.asarray(parent.center)).T)
    # The last key counts first.
    best = int(np.lexsort((distance, -scores))[0])
    return ChildFrame(frames[best], rule.name, float(scores[best]), left.best_inside(frames[best]))


def _allowed(places: Floats, frame: Frame, limits: Limits) -> NDArray[np.bool_]:
    """Return which places (n, 2) a frame, given around (0, 0), may have as its centre for its corners to be in the limits."""
    low, high = places + frame.corners.min(axis=0), places + frame.corners.max(axis=0)
    ends = np.array([limits.x, limits.y]).T
    return ((ends[0] <= low) & (high <= ends[1])).all(axis=1)


def _inside(centers: Floats, points: Floats, side: float, angle: float) -> NDArray[np.bool_]:
    """Return which points (m, 2) lie in the square around which centre (k, 2); boolean (k, m)."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned = np.array([[cos, -sin], [sin, cos]])
    (along, up), (x, y) = (centers @ turned).T[..., None], (points @ turned).T
    inside, reach = np.empty((len(centers), len(points)), dtype=bool), side / 2 + 1e-9  # as `Frame.contains`
    for some in _blocks(*inside.shape):
        np.less_equal(np.abs(x - along[some]), reach, out=inside[some])
        inside[some] &= np.abs(y - up[some]) <= reach
    return inside


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield the rows of a table, a few at a time, so that it is never whole in memory: 2 MB of numbers each."""
    some = max(1, 2**18 // max(1, columns))
    return (slice(first, first + some) for first in range(0, rows, some))
