"""The base of all agents: candidates, observations, seed points, and a state that follows from the observations alone.

An agent here is a pure function of (settings, seed, topograph, ordered observations). Whatever is fitted or factorised on the
way is a cache that a fresh agent with the same observations builds again, bit for bit, however often either was asked before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.agents import _health
from bluesky_stm.agents._agent_part import AgentPart
from bluesky_stm.agents._checkpoint import packed_observations, unpacked_observations
from bluesky_stm.agents._kinds import SpotKinds
from bluesky_stm.agents._masks import clean
from bluesky_stm.agents._sampling import quasi_random
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Decision, Experience, Health, Observation, Posterior
from bluesky_stm.validated import JSON, Data

RING = 6
"""Number of seed points in a ring around a place to begin at."""

RINGS = (1 / 4, 1 / 2)
"""Radii of the rings, as shares of the window."""

POOR = 1 / 3
"""Share of the values so far, the smallest of them, that count as poor when seed points of an agent that maximises are placed.
Where all spectra of a region are poor, not every kind of its spots is worth one."""

SAME = 1e-9
"""Distance, in nm, below which two candidates are one place."""


class BaseAgent:
    """An agent without a model: seed points first, and then what `_choose` of a subclass decides.

    Parameters
    ----------
    settings : AgentPart
        Its settings; a subclass knows those of its own part.
    seed : int
        Seed of everything that is drawn at random.

    Attributes
    ----------
    observations : list of Observation
        All that was ingested, in its order.
    """

    def __init__(self, settings: AgentPart, seed: int = 0) -> None:
        self.seed = int(seed)
        self.settings: Any = settings
        self.observations: list[Observation] = []
        self._topograph: Topograph | None = None
        self._looked_at: tuple[Topograph, Any] | None = None
        self._candidates: Floats = np.empty((0, 2))
        self._inherited: list[Observation] = []

    def __repr__(self) -> str:
        seen = (
            f"{len(self.observations)} spectra, {len(self._candidates)} candidates" if self._topograph else "no topograph yet"
        )
        return f"<{type(self).__name__} {self.name!r}: {seen}, seed {self.seed}>"

    @property
    def name(self) -> str:
        """Name by which it is chosen."""
        return str(self.settings.name)

    @property
    def candidates(self) -> Floats:
        """Places that it may suggest; shape (n, 2), (x, y) in nm."""
        return self._candidates

    @property
    def topograph(self) -> Topograph:
        """The topograph that it has observed.

        Raises
        ------
        SettingsError
            Before the first `observe`.
        """
        if self._topograph is None:
            raise SettingsError(
                f"The agent {self.name!r} has not seen a topograph yet: call observe() before asking it anything."
            )
        return self._topograph

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph and lay out the candidates; everything learned before is forgotten.

        Parameters
        ----------
        topograph : Topograph
            Image of the frame in which spectra may be suggested.
        prior : sequence of Experience
            Earlier runs, such as that of a parent scale or of an earlier night. Their spectra that lie in this frame and were
            not taken back become training data of an agent with a kernel; those without a value serve the agents that need
            none. They take no place of its own seed points, and the places where they were taken may be measured again. An
            agent without a model ignores them.
        """
        frame = topograph.frame
        before, self._looked_at = self._looked_at, None
        if before is None or before[0] is not topograph or before[1] is not self.settings:
            self._look(topograph)
        self._looked_at = topograph, self.settings
        self._topograph = topograph
        known = [o for experience in prior for o in experience.observations if frame.contains(o.point)]
        self._inherited = [o for o in known if not o.taken_back]
        self._begin = self._beginnings(frame)
        self._measured = np.zeros(len(self._candidates), dtype=bool)
        self.observations = []

    def _look(self, topograph: Topograph) -> None:
        """Lay out the candidates, and compute all else that follows from the image and the settings alone.

        It is not done again where places or values of the same image are revised, as after each drift that was measured.
        """
        from scipy.spatial import KDTree

        frame = topograph.frame
        self._kinds = SpotKinds(topograph, *self.settings.windows(frame)) if self.settings.on_spots else None
        self._candidates = self._kinds.candidates if self._kinds else self.settings.layout(frame)
        self._tree = KDTree(self._candidates)
        self._clean = clean(topograph, self._candidates, self.settings.windows(frame)[0], self.settings.tallest)

    def ingest(self, observations: Sequence[Observation]) -> None:
        """Learn from spectra, in the order in which they were taken.

        An observation without a value, or whose value is no finite number, marks its place as measured. One that was taken back
        does not.

        Parameters
        ----------
        observations : sequence of Observation
            Places (nm), values in the unit of the scalarizer, and spectra.
        """
        assert self.topograph
        for observation in observations:
            if not observation.taken_back:
                self._measured[self._same(observation.point)] = True
            self.observations.append(observation)

    def suggest(self, n: int = 1, pending: Sequence[Point] = (), mask: NDArray[np.bool_] | None = None) -> list[Decision]:
        """Return the next places, none of them measured or pending.

        Parameters
        ----------
        n : int
            Number of places.
        pending : sequence of Point
            Places that are being measured, in nm.
        mask : ndarray of bool of shape (candidates,), optional
            True where the agent may look.

        Returns
        -------
        list of Decision
            They follow from the state alone: asking twice gives the same answer.

        Raises
        ------
        SettingsError
            When fewer than ``n`` candidates are left.
        """
        free = self._free(pending, mask)
        if n < 1 or np.count_nonzero(free) < n:
            raise SettingsError(
                f"{n} places were asked for, and {np.count_nonzero(free)} of {len(free)} candidates are left: "
                f"{np.count_nonzero(self._measured)} are measured, {len(pending)} pending, the others masked or dirty. "
                "Stop here, widen the mask or take a finer step."
            )
        decisions: list[Decision] = []
        for _ in range(n):
            # Each place is pending for the next ones.
            decision = self._next(free, [*pending, *(d.point for d in decisions)])
            health, missing = decision.health, _health.without_value(self._reasons)
            if missing and missing[0] not in health.warning:  # without a model, nobody has said so
                warning = "; ".join(filter(None, [health.warning, *missing]))
                decision = replace(decision, health=replace(health, warning=warning))
            decisions.append(decision)
            free[self._same(decision.point)] = False
        return decisions

    def posterior(self, points: ArrayLike | None = None) -> Posterior:
        """Return the prediction at ``points`` (m, 2) in nm, or at the candidates.

        An agent without a model predicts NaN.
        """
        count = len(self._candidates) if points is None else len(np.atleast_2d(np.asarray(points)))
        return Posterior(np.full(count, np.nan), np.full(count, np.nan))

    def checkpoint(self) -> JSON:
        """Return its settings, seed and observations, from which all else follows.

        Values are numbers, text, lists and arrays, so that msgpack or HDF5 can keep them; the spectra are among them.
        """
        topograph = self._topograph and self._topograph.as_fields()
        lessons = {"inherited": packed_observations(self._inherited), "observations": packed_observations(self.observations)}
        return {**self.describe(), "topograph": topograph, **lessons}

    def restore(self, state: Data) -> None:
        """Go back to a `checkpoint`, settings and seed included.

        A checkpoint written before agents inherited spectra of earlier runs has none of them.

        Raises
        ------
        SettingsError
            When it is no whole checkpoint, or that of another kind of agent; the agent then stays as it was.
        """
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
            topograph = Topograph.from_fields(state["topograph"])
            self.observe(topograph, [Experience(topograph, unpacked_observations(state.get("inherited", ())))])
            self.ingest(unpacked_observations(state["observations"]))

    def describe(self) -> JSON:
        """Return the JSON-able ``{"name", "settings", "seed", "weights"}`` from which it can be made again."""
        return {"name": self.name, "settings": self.settings.given, "seed": self.seed, "weights": None}

    # ---- for subclasses ----------------------------------------------------------------------------------------------

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        """Return a decision beyond the seed points."""
        raise NotImplementedError

    @property
    def _all_observations(self) -> list[Observation]:
        """All observations, those of earlier runs first."""
        return [*self._inherited, *self.observations]

    @property
    def _useful(self) -> list[bool]:
        """One bool for each observation: True when it has what this agent asks for, which is a value here."""
        return [o.has_value for o in self.observations]

    @property
    def _maximises(self) -> bool:
        """True when it seeks large values.

        Agents without a model count as maximising, so that their seed points are those of the agents with which they are
        compared.
        """
        return True

    def _values(self) -> Floats:
        """Return the values (n,) of the spectra that have one, those of earlier runs first."""
        return np.array([o.number for o in self._all_observations if o.has_value])

    def _deviations(self) -> Floats:
        """Return the standard deviations (n,) of these values by the noise of their spectra; NaN where it is unknown."""
        return np.array([o.deviation for o in self._all_observations if o.has_value])

    def _generator(self, ordinal: int) -> np.random.Generator:
        """Return the random generator of the decision that is made with ``ordinal`` spectra taken or pending."""
        # Seeded anew for each decision: a question that is asked twice, or left out, shifts no later draw.
        return np.random.default_rng([abs(self.seed), ordinal])

    def _spread(self, free: NDArray[np.bool_], ordinal: int, why: str) -> Decision:
        """Choose the free candidate nearest to a point of an even, unending sequence."""
        low, high = self._candidates.min(axis=0), self._candidates.max(axis=0)
        return self._nearest_free(free, low + (high - low) * quasi_random(self.seed, ordinal), why)

    def _nearest_free(self, free: NDArray[np.bool_], target: Floats, why: str) -> Decision:
        index = np.flatnonzero(free)
        return self._decision(int(index[np.argmin(((self._candidates[index] - target) ** 2).sum(axis=1))]), why)

    def _at_random(self, free: NDArray[np.bool_], ordinal: int, why: str) -> Decision:
        return self._decision(int(self._generator(ordinal).choice(np.flatnonzero(free))), why)

    def _fallen_back(self, free: NDArray[np.bool_], pending: Sequence[Point], why: str) -> Decision:
        """Choose a place that fills space, for want of a usable model; ``why`` becomes the warning."""
        decision = self._spread(free, len(self.observations) + len(pending), "space filling")
        return replace(decision, health=Health("space filling", warning=why))

    def _warning(self, error: float, covered: float, count: int, more: Sequence[str] = ()) -> str:
        """Return what a person should look at; see `_health.warnings`.

        Parameters
        ----------
        error : float
            Leave-one-out error, in standard deviations of the values.
        covered : float
            Share of the values inside their leave-one-out 90 % interval.
        count : int
            Number of values.
        more : sequence of str
            Warnings found elsewhere.
        """
        chosen = np.array([o.point for o in self.observations[self.settings.seeds :]][-_health.RECENT :]).reshape(-1, 2)
        return _health.warnings(error, covered, count, chosen, self._candidates, self._reasons, more)

    @property
    def _reasons(self) -> list[str]:
        """One for each spectrum: why it has no value, on one line and without what separates warnings; else empty."""
        return [o.reason.replace(";", ",") if not o.has_value else "" for o in self.observations]

    def _decision(
        self,
        candidate: int,
        why: str,
        mean: float = math.nan,
        std: float = math.nan,
        acquisition: float = math.nan,
        health: Health | None = None,
    ) -> Decision:
        point = Point(*self._candidates[candidate].tolist())
        health = health or Health("space filling" if why != "random" else "random")
        return Decision(point, candidate, why, mean, std, acquisition, len(self.observations), health)

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
        """Return the places (n, 2), in nm, of the first seed points.

        Each place to begin at is surrounded by rings, since the position of a place that an earlier image showed is a little
        off.
        """
        angles = np.arange(RING) * 2 * np.pi / RING
        ring = self.settings.windows(frame)[0] * np.column_stack([np.cos(angles), np.sin(angles)])
        places = np.asarray(frame.center) + np.asarray(self.settings.begin, dtype=float).reshape(-1, 1, 2)
        return (places + np.concatenate([np.zeros((1, 2)), *(share * ring for share in RINGS)])).reshape(-1, 2)

    def _next_kind(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> int | None:
        """Return a spot unlike all measured ones; None where candidates do not sit on spots, or no spot is left."""
        if self._kinds is None:
            return None
        kept = [not o.taken_back for o in self.observations]
        measured = [self._nearest(point) for point in [*(o.point for o in compress(self.observations, kept)), *pending]]
        return self._kinds.next(free, measured, [*compress(self._promising, kept), *(True for _ in pending)])

    @property
    def _promising(self) -> list[bool]:
        """One bool for each observation: True when another spot of its kind nearby may be worth a seed point."""
        if not self._maximises:
            return self._useful
        values = [o.number if o.has_value else -np.inf for o in self.observations]
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
        """Return the candidate nearest to a place, and any other that lies at the same place."""
        return self._tree.query_ball_point(self._candidates[self._nearest(point)], SAME)
