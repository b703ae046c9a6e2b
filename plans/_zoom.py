"""Rules that place the frame of the next length scale inside the present one; each known by name.

The first two are the paper's (Narasimha et al., npj Comput. Mater. 11, 189 (2025)): where the agent measured most, and where
the measured values sum up highest. The third asks the model what the child frame can be expected to hold, the fourth goes
to the best place that is known of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.protocols import Observation, Posterior
from bluesky_stm.settings import Limits, Named
from bluesky_stm.valued import chance_of_value

INDEPENDENT = 16
"""Candidates in a child frame whose values are independent, at most."""

CONFIDENCE = 1.645
"""Standard deviations below its mean at which a prediction counts: it is exceeded in 19 of 20 cases."""


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What is known of a frame when it has been explored.

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

    def outside(self, frames: Sequence[Frame]) -> Knowledge:
        """What is known beyond ``frames``."""
        kept = ~np.any([frame.contains(self.candidates) for frame in frames], axis=0) if frames else slice(None)
        posterior = Posterior(self.posterior.mean[kept], self.posterior.std[kept])
        left = [[o for o in some if not any(f.contains(o.point) for f in frames)] for some in (self.observations, self.before)]
        return Knowledge(self.frame, self.candidates[kept], posterior, *left)

    def best_inside(self, frame: Frame) -> Point | None:
        """Where in ``frame`` the highest value was measured; None where nothing was."""
        known = (*self.observations, *self.before)
        inside = [(o.value, o.point) for o in known if isinstance(o.value, float) and frame.contains(o.point)]
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
        """That place from the centre of the frame, in nm; as of `LengthScale`."""
        return () if self.best is None else ((self.best.x - self.frame.center.x, self.best.y - self.frame.center.y),)


Rule = Callable[[Knowledge, Floats, float], Floats]
"""Knowledge, centres (k, 2) in nm and side in nm of possible child frames -> score (k,) of each, the highest wins."""


def most_points(known: Knowledge, centers: Floats, side: float) -> Floats:
    """Number of measured places inside: the agent went where it was promising."""
    points, _ = known.measured
    return _inside(centers, points, side, known.frame.angle).sum(axis=1).astype(float)


def largest_sum(known: Knowledge, centers: Floats, side: float) -> Floats:
    """Sum of the measured values inside, counted from the least value measured."""
    points, values = known.measured
    excess = values - values.min() if len(values) else values
    return _inside(centers, points, side, known.frame.angle) @ excess


def expected_maximum(known: Knowledge, centers: Floats, side: float) -> Floats:
    """Expected highest value inside, from mean and uncertainty of the posterior at the candidates there.

    ``E[max] = t0 + integral over t > t0 of (1 - prod_i (1 - p_i (1 - Phi((t - mean_i) / std_i))) ** s) dt``, with ``t0`` the
    lowest mean and ``p_i`` the chance that a spectrum there has a value at all, from its measured neighbours. Neighbouring
    candidates say much the same: however many lie inside, they count as `INDEPENDENT` ones (``s``), or a frame would be chosen
    for its uncertainty alone.
    """
    mean, std = known.posterior.mean, np.maximum(known.posterior.std, 1e-12 * (1 + np.abs(known.posterior.mean)))
    levels = np.linspace(mean.min(), (mean + 4 * std).max(), 64)
    log_below = np.log1p(-np.minimum(_chance(known), 1 - 1e-9) * ndtr((mean - levels[:, None]) / std))  # (levels, candidates)
    inside = _inside(centers, known.candidates, side, known.frame.angle).astype(float)
    weight = np.minimum(1.0, INDEPENDENT / np.maximum(inside.sum(axis=1, keepdims=True), 1.0))
    below = np.exp(weight * (inside @ log_below.T))  # (centers, levels): all candidates inside lie below the level
    return levels[0] + np.trapezoid(1 - below, levels, axis=1)


def confident_maximum(known: Knowledge, centers: Floats, side: float) -> Floats:
    """Highest value inside that was measured or can be relied on; the place that has it comes to lie in the middle.

    Measured here or in a frame above: a defect that was found there is not lost where the finer look missed it. What was not
    measured counts by its lower confidence bound, times the chance that a spectrum there has a value at all, both from the
    least value. Off the middle a place counts a hair less.
    """
    points, values = _valued((*known.observations, *known.before))
    bounds = known.posterior.mean - CONFIDENCE * known.posterior.std
    numbers = np.concatenate([values, bounds[np.isfinite(bounds)]])
    least = float(numbers.min()) if len(numbers) else 0.0
    relied = np.where(np.isfinite(bounds), least + _chance(known) * (bounds - least), least)
    places, worth = np.concatenate([points, known.candidates]), np.concatenate([values, relied])
    hair = 1e-3 * np.ptp(worth) / side
    off = np.hypot(*np.moveaxis(places - centers[:, None], -1, 0))  # (centers, places)
    return np.where(_inside(centers, places, side, known.frame.angle), worth - hair * off, -np.inf).max(axis=1)


def _valued(observations: Sequence[Observation]) -> tuple[Floats, Floats]:
    valid = [(o.point, o.value) for o in observations if isinstance(o.value, float)]
    return np.array([p for p, _ in valid]).reshape(-1, 2), np.array([v for _, v in valid])


def _chance(known: Knowledge) -> Floats:
    """Chance that a spectrum has a value, for each candidate."""
    points, valued = [o.point for o in known.observations], [isinstance(o.value, float) for o in known.observations]
    return chance_of_value(known.candidates, points, valued)


_RULES: dict[str, Rule] = {
    "most-points": most_points,
    "largest-sum": largest_sum,
    "posterior": expected_maximum,
    "confident": confident_maximum,
}


def check_child_rule(choice: Named) -> Rule:
    """The rule of that name; an unknown one is refused before anything moves."""
    if choice.name not in _RULES:
        raise UnknownNameError.among("child rule", choice.name, _RULES)
    if choice.settings:
        raise SettingsError(f"The child rule {choice.name!r} takes no settings, not {choice.settings}.")
    return _RULES[choice.name]


def choose_child(
    choice: Named,
    known: Knowledge,
    side: float,
    pixels: int,
    limits: Limits,
    *,
    masked: Sequence[Frame] = (),
    tried: Sequence[Frame] = (),
) -> ChildFrame | None:
    """Frame of ``side`` nm where the rule scores highest, inside the parent frame and the scan range; None where none is left.

    It overlaps no ``masked`` area; its centre lies in none of the frames ``tried`` before, and what lies in these does not
    count. Ties (no knowledge at all) go to the place nearest to the centre of the parent.
    """
    rule = check_child_rule(choice)
    parent = known.frame
    places = [*known.candidates, np.asarray(parent.center)]
    frames = [Frame.square(c, side, pixels, parent.angle) for c in places if parent.contains(c, side / 2 - 1e-6)]
    frames = [f for f in frames if _allowed(f, limits) and not any(f.overlaps(area) for area in masked)]
    frames = [f for f in frames if not any(earlier.contains(f.center) for earlier in tried)]
    if not frames:
        return None
    centers = np.array([f.center for f in frames])
    left = known.outside(tried)
    scores = rule(left, centers, side)
    distance = np.hypot(*(centers - np.asarray(parent.center)).T)
    best = int(np.lexsort((distance, -scores))[0])
    return ChildFrame(frames[best], choice.name, float(scores[best]), left.best_inside(frames[best]))


def _allowed(frame: Frame, limits: Limits) -> bool:
    x, y = frame.corners.T
    return bool(limits.x[0] <= x.min() and x.max() <= limits.x[1] and limits.y[0] <= y.min() and y.max() <= limits.y[1])


def _inside(centers: Floats, points: Floats, side: float, angle: float) -> NDArray[np.bool_]:
    """Which points (m, 2) lie in the square around which centre (k, 2); boolean (k, m)."""
    unit = Frame(Point(0, 0), (side, side), (1, 1), angle)
    return unit.contains(points[None, :, :] - centers[:, None, :])
