"""Any agent as an optimizer of bluesky-adaptive 1.x, by structure: nothing of that package is imported.

Our own plans are the better host: they think in a thread, and keep the decisions of an early stop.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Agent, Decision, Failed, Observation

_ID = "_id"


class Suggestion(TypedDict):
    """What is known of a suggestion: its place, and its value once there is one."""

    point: Point
    value: float | None


class OptimizerAdapter:
    """An agent that suggests mappings and ingests mappings, as bluesky-adaptive has it.

    Parameters
    ----------
    agent : Agent
        It has seen its topograph.
    x, y : str
        Names of the actuators.
    outcome : str
        Name of the outcome that is maximised; NaN or a missing one counts as failed.
    path : Path, optional
        File that `checkpoint` writes.
    stop : callable, optional
        From the decisions so far: why to stop, or None.
    """

    def __init__(
        self,
        agent: Agent,
        x: str = "stm_tip_x",
        y: str = "stm_tip_y",
        outcome: str = "value",
        path: Path | None = None,
        stop: Callable[[Sequence[Decision]], str | None] | None = None,
    ) -> None:
        self.agent = agent
        self.decisions: list[Decision] = []
        self._names, self._outcome, self._path, self._stop = (x, y), outcome, path, stop
        self._suggested: dict[Any, Suggestion] = {}

    def suggest(self, num_points: int | None = None) -> list[dict[str, Any]]:
        """The next places; those that are still out are not suggested again."""
        pending = [known["point"] for known in self._suggested.values() if known["value"] is None]
        decisions = self.agent.suggest(num_points or 1, pending)
        self.decisions += decisions
        return [self._registered(decision.point) for decision in decisions]

    def ingest(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Learn outcomes of suggestions, or of places that somebody else chose."""
        for point in points:
            value = point.get(self._outcome, math.nan)
            self._learn(self._place(point), point.get(_ID), float(value))

    def register_failures(self, suggestions: Sequence[Mapping[str, Any]]) -> None:
        """These were not measured, and count as tried."""
        for suggestion in suggestions:
            self._learn(self._place(suggestion), suggestion.get(_ID), math.nan)

    def get_best_points(self) -> list[tuple[Any, dict[str, float], dict[str, float]]]:
        """The suggestion with the highest outcome, its place and that outcome; nothing before the first."""
        values = {key: known["value"] for key, known in self._suggested.items()}
        valid = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
        if not valid:
            return []
        best = max(valid, key=lambda key: valid[key])
        place = dict(zip(self._names, self._suggested[best]["point"], strict=True))
        return [(best, place, {self._outcome: valid[best]})]

    def checkpoint(self) -> None:
        """Write the state of the agent to the file given at the start."""
        if self._path is None:
            raise SettingsError("There is no file for a checkpoint: as_optimizer(agent, path=...).")
        self._path.write_bytes(pickle.dumps({"agent": self.agent.checkpoint(), "suggested": self._suggested}))

    def restore(self) -> None:
        """Go back to what `checkpoint` wrote; the file has to be one's own."""
        if self._path is None or not self._path.is_file():
            raise SettingsError(f"There is no checkpoint at {self._path}.")
        state = pickle.loads(self._path.read_bytes())
        self.agent.restore(state["agent"])
        self._suggested = state["suggested"]

    def should_stop(self) -> tuple[bool, str | None]:
        """Whether the rule given at the start says so, and why."""
        reason = self._stop(self.decisions) if self._stop and self.decisions else None
        return reason is not None, reason

    def _registered(self, point: Point) -> dict[str, Any]:
        key = len(self._suggested)
        self._suggested[key] = {"point": point, "value": None}
        return {_ID: key, **dict(zip(self._names, point, strict=True))}

    def _place(self, point: Mapping[str, Any]) -> Point:
        known = self._suggested.get(point.get(_ID))
        if all(name in point for name in self._names):
            return Point(*(float(point[name]) for name in self._names))
        if known is None:
            raise SettingsError(f"An outcome needs the {_ID} of a suggestion, or {self._names}: {dict(point)} has neither.")
        return known["point"]

    def _learn(self, place: Point, key: Any, value: float) -> None:
        self.agent.ingest([Observation(place, value if math.isfinite(value) else Failed("the outcome is not a number"))])
        key = key if key is not None else f"other {len(self._suggested)}"
        self._suggested[key] = {"point": place, "value": value}


def as_optimizer(agent: Agent, **settings: Any) -> OptimizerAdapter:
    """``agent`` for the plans of bluesky-adaptive 1.x; ``settings`` as of `OptimizerAdapter`."""
    return OptimizerAdapter(agent, **settings)
