"""What all agents share: candidates, what has been measured, seed points, a state that follows from the lessons alone.

An agent here is a pure function of (settings, seed, topograph, ordered observations): whatever is fitted or factorised on the
way is a cache that a fresh agent with the same lessons builds again, bit for bit, however often either was asked in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from bluesky_stm.agents import _health
from bluesky_stm.agents._agent_part import AgentPart
from bluesky_stm.agents._checkpoint import (
    packed_observations,
    packed_topograph,
    unpacked_observations,
    unpacked_topograph,
)
from bluesky_stm.agents._kinds import SpotKinds
from bluesky_stm.agents._masks import clean
from bluesky_stm.agents._sampling import quasi_random
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Decision, Experience, Failed, Health, Observation, Posterior

RING = 6
"""Seed points in a ring around a place to begin at."""

RINGS = (1 / 4, 1 / 2)
"""Radii of the rings, as shares of the window."""

POOR = 1 / 3
"""Share of the values so far, the least of them, that count as none when seed points of an agent that seeks large values are
placed: where all spectra of a region are poor, not every kind of its spots is worth one."""

SAME = 1e-9
"""Candidates closer than this, in nm, are one place."""

LARGEST_VALUE = 1e300
"""Size of a value beyond which sums of a few are no longer numbers."""


class BaseAgent:
    """An agent without a model: seed points, and what `_choose` of a subclass makes of the rest.

    Parameters
    ----------
    settings : AgentPart
        Its settings; a subclass knows those of its own part.
    seed : int
        Seed of everything that is drawn at random.
    """

    def __init__(self, settings: AgentPart, seed: int = 0) -> None:
        self.seed = int(seed)
        self.settings: Any = settings
        self.observations: list[Observation] = []
        self._topograph: Topograph | None = None
        self._candidates: Floats = np.empty((0, 2))
        self._inherited: list[Observation] = []

    def __repr__(self) -> str:
        seen = (
            f"{len(self.observations)} spectra, {len(self._candidates)} candidates" if self._topograph else "no topograph yet"
        )
        return f"<{type(self).__name__} {self.name!r}: {seen}, seed {self.seed}>"

    @property
    def name(self) -> str:
        """The name by which it is chosen."""
        return str(self.settings.name)

    @property
    def candidates(self) -> Floats:
        """Places that it may suggest; shape (n, 2), (x, y) in nm."""
        return self._candidates

    @property
    def topograph(self) -> Topograph:
        """What it looks at."""
        if self._topograph is None:
            raise SettingsError(
                f"The agent {self.name!r} has not seen a topograph yet: call observe() before asking it anything."
            )
        return self._topograph

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph and lay out the candidates; forgets everything learned before.

        Of ``prior`` it keeps the spectra that lie in this frame and were not taken back: those of a parent scale, or of an
        earlier night; those without a value serve the agents that need none. An agent with a kernel learns from them as from
        its own, which they are not: they take no place of its own seed points, and where they were taken may be measured
        again. One that learns nothing heeds them as little as its own.
        """
        frame = topograph.frame
        self._kinds = SpotKinds(topograph, *self.settings.windows(frame)) if self.settings.on_spots else None
        self._candidates = self._kinds.candidates if self._kinds else self.settings.layout(frame)
        self._topograph = topograph
        known = [_finite(o) for experience in prior for o in experience.observations if frame.contains(o.point)]
        self._inherited = [o for o in known if not o.taken_back]
        self._begin = self._beginnings(frame)
        self._tree = KDTree(self._candidates)
        self._measured = np.zeros(len(self._candidates), dtype=bool)
        self._clean = clean(topograph, self._candidates, self.settings.windows(topograph.frame)[0], self.settings.tallest)
        self.observations = []

    def ingest(self, observations: Sequence[Observation]) -> None:
        """Learn from spectra, in the order they were taken; a value that is no finite number counts as failed."""
        assert self.topograph
        for observation in observations:
            if not observation.taken_back:
                self._measured[self._same(observation.point)] = True
            self.observations.append(_finite(observation))

    def suggest(self, n: int = 1, pending: Sequence[Point] = (), mask: NDArray[np.bool_] | None = None) -> list[Decision]:
        """The next ``n`` places, none of them measured or pending."""
        free = self._free(pending, mask)
        if n < 1 or np.count_nonzero(free) < n:
            raise SettingsError(
                f"{n} places were asked for, and {np.count_nonzero(free)} of {len(free)} candidates are left: "
                f"{np.count_nonzero(self._measured)} are measured, {len(pending)} pending, the others masked or dirty. "
                "Stop here, widen the mask or take a finer step."
            )
        decisions: list[Decision] = []
        for _ in range(n):
            decision = self._next(free, [*pending, *(d.point for d in decisions)])
            decisions.append(decision)
            free[self._same(decision.point)] = False
        return decisions

    def posterior(self, points: ArrayLike | None = None) -> Posterior:
        """Prediction at ``points`` (m, 2) in nm, or at the candidates; NaN for an agent that does not predict."""
        count = len(self._candidates) if points is None else len(np.atleast_2d(np.asarray(points)))
        return Posterior(np.full(count, np.nan), np.full(count, np.nan))

    def checkpoint(self) -> dict[str, Any]:
        """Its lessons, from which all else follows."""
        topograph = self._topograph and packed_topograph(self._topograph)
        lessons = {"inherited": packed_observations(self._inherited), "observations": packed_observations(self.observations)}
        return {**self.describe(), "topograph": topograph, **lessons}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `checkpoint`, settings and seed included; one of the time before agents inherited has nothing of it."""
        if missing := [key for key in ("seed", "settings", "topograph", "observations") if key not in state]:
            raise SettingsError(
                f"This is no whole checkpoint of an agent, {', '.join(missing)} is missing. The agent is as it was; "
                "give what checkpoint() gave."
            )
        if (other := state.get("name", self.name)) != self.name:
            raise SettingsError(
                f"This is a checkpoint of an agent {other!r}, and this agent is a {self.name!r}. It is as it was; "
                f"restore into make_agent({other!r})."
            )
        self.seed, self.settings = int(state["seed"]), type(self.settings).parse({"name": self.name, **state["settings"]})
        if state["topograph"] is not None:
            topograph = unpacked_topograph(state["topograph"])
            self.observe(topograph, [Experience(topograph, unpacked_observations(state.get("inherited", ())))])
            self.ingest(unpacked_observations(state["observations"]))

    def describe(self) -> dict[str, Any]:
        """JSON-able ``{"name", "settings", "seed", "weights"}``, from which it can be made again."""
        return {"name": self.name, "settings": self.settings.given, "seed": self.seed, "weights": None}

    # ---- for subclasses ----------------------------------------------------------------------------------------------

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        """A decision beyond the seed points."""
        raise NotImplementedError

    @property
    def _all_observations(self) -> list[Observation]:
        """All that it knows, that of earlier runs first."""
        return [*self._inherited, *self.observations]

    @property
    def _useful(self) -> list[bool]:
        """Of each observation, whether it has what this agent asks for: a value."""
        return [not isinstance(o.value, Failed) for o in self.observations]

    @property
    def _maximises(self) -> bool:
        """Whether it seeks large values; so do the seed points of agents that learn nothing, for a fair comparison."""
        return True

    def _values(self) -> Floats:
        """Values (n,) of the spectra that have one."""
        return np.array([o.value for o in self._all_observations if not isinstance(o.value, Failed)], dtype=float)

    def _generator(self, ordinal: int) -> np.random.Generator:
        """Random numbers of the decision made with ``ordinal`` spectra taken or on their way."""
        return np.random.default_rng([abs(self.seed), ordinal])

    def _spread(self, free: NDArray[np.bool_], ordinal: int, why: str) -> Decision:
        """The free candidate nearest to a point of an even, never-ending sequence."""
        low, high = self._candidates.min(axis=0), self._candidates.max(axis=0)
        return self._nearest_free(free, low + (high - low) * quasi_random(self.seed, ordinal), why)

    def _nearest_free(self, free: NDArray[np.bool_], target: Floats, why: str) -> Decision:
        index = np.flatnonzero(free)
        return self._decision(int(index[np.argmin(((self._candidates[index] - target) ** 2).sum(axis=1))]), why)

    def _at_random(self, free: NDArray[np.bool_], ordinal: int, why: str) -> Decision:
        return self._decision(int(self._generator(ordinal).choice(np.flatnonzero(free))), why)

    def _fallen_back(self, free: NDArray[np.bool_], pending: Sequence[Point], why: str) -> Decision:
        """A place that fills space, as there is no model, or none to go by."""
        decision = self._spread(free, len(self.observations) + len(pending), "space filling")
        return replace(decision, health=Health("space filling", warning=why))

    def _warning(self, error: float, covered: float, count: int, more: Sequence[str] = ()) -> str:
        """What a person should look at; see `_health.warnings`."""
        chosen = np.array([o.point for o in self.observations[self.settings.seeds :]][-_health.RECENT :]).reshape(-1, 2)
        failed = sum(isinstance(o.value, Failed) for o in self.observations[-_health.RECENT :])
        return _health.warnings(error, covered, count, chosen, self._candidates, failed, more)

    def _decision(self, candidate: int, why: str, **more: Any) -> Decision:
        more.setdefault("health", Health("space filling" if why != "random" else "random"))
        return Decision(Point(*self._candidates[candidate].tolist()), candidate, why, ingested=len(self.observations), **more)

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _next(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        ordinal = len(self.observations) + len(pending)
        if ordinal >= self.settings.seeds:
            return self._choose(free, pending)
        if ordinal < len(self._begin):
            return self._nearest_free(free, self._begin[ordinal], "seed")
        if self.settings.first == "random":
            return self._at_random(free, ordinal, "seed")
        spot = self._next_kind(free, pending)
        return self._spread(free, ordinal, "seed") if spot is None else self._decision(spot, "seed")

    def _beginnings(self, frame: Frame) -> Floats:
        """Places (n, 2), in nm, of the first seed points: a place that was found is missed by a little."""
        angles = np.arange(RING) * 2 * np.pi / RING
        ring = self.settings.windows(frame)[0] * np.column_stack([np.cos(angles), np.sin(angles)])
        places = np.asarray(frame.center) + np.asarray(self.settings.begin, dtype=float).reshape(-1, 1, 2)
        return (places + np.concatenate([np.zeros((1, 2)), *(share * ring for share in RINGS)])).reshape(-1, 2)

    def _next_kind(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> int | None:
        """A spot that looks like none so far; None where candidates do not sit on spots, or no spot is left."""
        if self._kinds is None:
            return None
        standing = [not o.taken_back for o in self.observations]
        measured = [self._nearest(point) for point in [*(o.point for o in compress(self.observations, standing)), *pending]]
        return self._kinds.next(free, measured, [*compress(self._promising, standing), *(True for _ in pending)])

    @property
    def _promising(self) -> list[bool]:
        """Of each observation, whether another of its kind nearby may be worth a seed point."""
        if not self._maximises:
            return self._useful
        values = [-np.inf if isinstance(o.value, Failed) else o.value for o in self.observations]
        least = np.quantile([value for value in values if np.isfinite(value)] or [0.0], POOR)
        return [bool(value >= least) for value in values]

    def _free(self, pending: Sequence[Point], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        assert self.topograph
        free = self._clean & ~self._measured
        if mask is not None:
            if np.shape(mask) != free.shape:
                raise SettingsError(
                    f"A mask needs one boolean for each of the {len(free)} candidates, not shape {np.shape(mask)}."
                )
            free &= np.asarray(mask, dtype=bool)
        for point in pending:
            free[self._same(point)] = False
        return free

    def _nearest(self, point: Sequence[float]) -> int:
        if not np.isfinite(point).all():
            raise SettingsError(f"A spectrum needs a place that is finite, not {tuple(point)}.")
        return int(self._tree.query(np.asarray(point, dtype=float))[1])

    def _same(self, point: Sequence[float]) -> list[int]:
        """The candidate nearest to a place, and any other that lies where it does."""
        return self._tree.query_ball_point(self._candidates[self._nearest(point)], SAME)


def _finite(observation: Observation) -> Observation:
    if isinstance(observation.value, Failed) or abs(observation.value) <= LARGEST_VALUE:
        return observation
    why = f"the value {observation.value} is not a number that can be computed with (beyond {LARGEST_VALUE})"
    return Observation(observation.point, Failed(why), observation.spectrum)
