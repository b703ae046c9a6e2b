"""An adapter that makes any agent an optimizer of bluesky-adaptive 1.x, by structure: nothing of that package is imported.

The plans of this package are the better host for an agent: it computes in a thread, and the decisions of a run that was stopped
early are kept.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Agent, Decision, Observation

_ID = "_id"

Key = int | float | str
"""What identifies a suggestion: the number that `OptimizerAdapter.suggest` gave it, or what somebody else chose."""

Outcome = Mapping[str, Key]
"""Outcomes, coordinates and ``_id`` of a suggestion, by name."""


class Suggestion(TypedDict):
    """A suggested place, and its value once there is one.

    Attributes
    ----------
    point : Point
        Place as (x, y), in nm.
    value : float or None
        Value that was ingested for it, NaN where it failed; None while there is no outcome.
    """

    point: Point
    value: float | None


class OptimizerAdapter:
    """An agent that suggests mappings and ingests mappings, as bluesky-adaptive expects.

    Parameters
    ----------
    agent : Agent
        An agent that has observed its topograph.
    x, y : str
        Names of the actuators.
    outcome : str
        Name of the outcome that is maximised; NaN or a missing one counts as failed.
    path : Path, optional
        File that `checkpoint` writes.
    stop : callable, optional
        Takes the decisions so far and returns why to stop, or None.

    Attributes
    ----------
    decisions : list of Decision
        All decisions so far.
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
        self._suggested: dict[Key, Suggestion] = {}

    def suggest(self, num_points: int | None = None) -> list[dict[str, int | float]]:
        """Return the next ``num_points`` places (one if None), by the names of the actuators, each with an ``_id``.

        Places that were suggested and have no outcome yet are not suggested again.
        """
        pending = [known["point"] for known in self._suggested.values() if known["value"] is None]
        decisions = self.agent.suggest(num_points or 1, pending)
        self.decisions += decisions
        return [self._registered(decision.point) for decision in decisions]

    def ingest(self, points: Sequence[Outcome]) -> None:
        """Learn outcomes.

        Parameters
        ----------
        points : sequence of mapping
            Each holds the outcome, and the ``_id`` of a suggestion or the coordinates of a place that somebody else chose.

        Raises
        ------
        SettingsError
            When neither ``_id`` nor coordinates are given.
        """
        for point in points:
            value = point.get(self._outcome, math.nan)
            self._learn(self._place(point), point.get(_ID), float(value))

    def register_failures(self, suggestions: Sequence[Outcome]) -> None:
        """Count suggestions as tried without an outcome.

        Parameters
        ----------
        suggestions : sequence of mapping
            As `suggest` returned them.
        """
        for suggestion in suggestions:
            self._learn(self._place(suggestion), suggestion.get(_ID), math.nan)

    def get_best_points(self) -> list[tuple[Key, dict[str, float], dict[str, float]]]:
        """Return the suggestion with the highest outcome.

        Returns
        -------
        list of (id, dict, dict)
            At most one: its ``_id``, its coordinates by actuator, and its outcome by name.
        """
        values = {key: known["value"] for key, known in self._suggested.items()}
        valid = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
        if not valid:
            return []
        best = max(valid, key=lambda key: valid[key])
        place = dict(zip(self._names, self._suggested[best]["point"], strict=True))
        return [(best, place, {self._outcome: valid[best]})]

    def checkpoint(self) -> None:
        """Write the state of the agent to the file given at the start.

        Raises
        ------
        SettingsError
            When no file was given.
        """
        if self._path is None:
            raise SettingsError("There is no file for a checkpoint: as_optimizer(agent, path=...).")
        self._path.write_bytes(pickle.dumps({"agent": self.agent.checkpoint(), "suggested": self._suggested}))

    def restore(self) -> None:
        """Go back to what `checkpoint` wrote.

        The file is unpickled, which can run code: it has to be one's own.

        Raises
        ------
        SettingsError
            When there is no such file.
        """
        if self._path is None or not self._path.is_file():
            raise SettingsError(f"There is no checkpoint at {self._path}.")
        state = pickle.loads(self._path.read_bytes())
        self.agent.restore(state["agent"])
        self._suggested = state["suggested"]

    def should_stop(self) -> tuple[bool, str | None]:
        """Ask the rule given at the start whether to stop.

        Returns
        -------
        stop : bool
            False without a rule, and before the first decision.
        reason : str or None
            Why to stop; None when not.
        """
        reason = self._stop(self.decisions) if self._stop and self.decisions else None
        return reason is not None, reason

    def _registered(self, point: Point) -> dict[str, int | float]:
        key = len(self._suggested)
        self._suggested[key] = {"point": point, "value": None}
        return {_ID: key, **dict(zip(self._names, point, strict=True))}

    def _place(self, point: Outcome) -> Point:
        known = self._suggested.get(point.get(_ID, ""))
        if all(name in point for name in self._names):
            return Point(*(float(point[name]) for name in self._names))
        if known is None:
            raise SettingsError(f"An outcome needs the {_ID} of a suggestion, or {self._names}: {dict(point)} has neither.")
        return known["point"]

    def _learn(self, place: Point, key: Key | None, value: float) -> None:
        self.agent.ingest([Observation(place, value)])
        key = key if key is not None else f"other {len(self._suggested)}"
        self._suggested[key] = {"point": place, "value": value}


def as_optimizer(agent: Agent, **settings: Any) -> OptimizerAdapter:
    """Return an `OptimizerAdapter` around ``agent``, for the plans of bluesky-adaptive 1.x.

    Parameters
    ----------
    agent : Agent
        An agent that has observed its topograph.
    **settings
        Further parameters of `OptimizerAdapter`.
    """
    return OptimizerAdapter(agent, **settings)
