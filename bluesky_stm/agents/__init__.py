"""Agents: where to measure next. Chosen by name, with settings: ``make_agent("dkl", seed=7, acquisition="variance")``.

Others' agents are found by the entry point ``bluesky_stm.agents``. Torch is loaded when an agent that needs it is made.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from bluesky_stm.agents._optimizer import as_optimizer
from bluesky_stm.errors import UnknownNameError
from bluesky_stm.protocols import Agent

__all__ = ["as_optimizer", "known_agents", "make_agent"]

ENTRY_POINT = "bluesky_stm.agents"

_AGENTS = {
    "dkl": "bluesky_stm.agents._deep:DKLAgent",
    "ensemble": "bluesky_stm.agents._ensemble:EnsembleAgent",
    "gp-patch": "bluesky_stm.agents._kernel_agents:PatchAgent",
    "gp-xy": "bluesky_stm.agents._kernel_agents:PositionAgent",
    "novelty": "bluesky_stm.agents._novelty:NoveltyAgent",
    "paper-dkl": "bluesky_stm.agents._published:PublishedAgent",
    "pareto": "bluesky_stm.agents._pareto:ParetoAgent",
    "random": "bluesky_stm.agents._plain:RandomAgent",
    "space-filling": "bluesky_stm.agents._plain:SpaceFillingAgent",
}


def known_agents() -> list[str]:
    """Names that `make_agent` knows."""
    return sorted({*_AGENTS, *(point.name for point in entry_points(group=ENTRY_POINT))})


def make_agent(name: str, seed: int = 0, **settings: Any) -> Agent:
    """The agent of a name. Of what one says in `describe` as ``d``: ``make_agent(d["name"], seed=d["seed"], **d["settings"])``.

    Parameters
    ----------
    name : str
        One of `known_agents`.
    seed : int
        Of everything that it draws at random.
    **settings
        ``patch``, ``step`` (nm), ``seeds``, ``candidates`` of any agent; ``acquisition`` of those that predict.

    Raises
    ------
    UnknownNameError, SettingsError
        For a name that nobody knows, for settings that make no sense.
    """
    if name in _AGENTS:
        module, _, attribute = _AGENTS[name].partition(":")
        return getattr(import_module(module), attribute)(seed=seed, **settings)
    for point in entry_points(group=ENTRY_POINT, name=name):
        return point.load()(seed=seed, **settings)
    raise UnknownNameError.among("agent", name, known_agents())
