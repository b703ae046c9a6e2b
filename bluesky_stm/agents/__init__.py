"""Agents, which decide where to measure next, and their acquisition functions.

They are chosen by name, with settings: ``make_agent("dkl", seed=7, acquisition="variance")``. The settings of an agent are a
part, `AgentPart`, which knows how to build it; packages bring others by entry points. Torch is loaded when an agent that needs
it is built, not before.
"""

from __future__ import annotations

from typing import Any

from bluesky_stm import parts
from bluesky_stm.agents._acquisition import (
    ExpectedImprovement,
    MaximumVariance,
    Near,
    UpperConfidenceBound,
    WithinRange,
)
from bluesky_stm.agents._agent_part import AgentPart
from bluesky_stm.agents._inputs import AcquisitionFunction, AcquisitionInputs
from bluesky_stm.agents._optimizer import as_optimizer
from bluesky_stm.agents._parts import (
    DKL,
    KernelPart,
    NoveltySearch,
    ParetoSearch,
    PositionGP,
    PublishedDKL,
    RandomPlaces,
    SpaceFilling,
)
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Agent
from bluesky_stm.settings import as_seed
from bluesky_stm.validated import Data

__all__ = [
    "DKL",
    "AcquisitionFunction",
    "AcquisitionInputs",
    "AgentPart",
    "ExpectedImprovement",
    "KernelPart",
    "MaximumVariance",
    "Near",
    "NoveltySearch",
    "ParetoSearch",
    "PositionGP",
    "PublishedDKL",
    "RandomPlaces",
    "SpaceFilling",
    "UpperConfidenceBound",
    "WithinRange",
    "as_optimizer",
    "make_agent",
]


def make_agent(choice: str | Data | Part, seed: int = 0, **settings: Any) -> Agent:
    """Return the agent that is chosen.

    An agent whose `describe` gives ``d`` is made again by ``make_agent(d["name"], seed=d["seed"], **d["settings"])``.

    Parameters
    ----------
    choice : str, mapping or AgentPart
        A name, a name with settings in one text (``"dkl:acquisition=ucb"``), ``{"name": ..., **settings}``, or the part.
    seed : int
        Seed of everything that it draws at random.
    **settings
        Settings of the part beside those in ``choice``: ``patch``, ``step`` (nm), ``seeds``, ``candidates`` of any agent,
        ``acquisition`` of those that predict.

    Raises
    ------
    UnknownNameError
        When no package has brought an agent of that name.
    SettingsError
        When a setting does not exist or makes no sense.
    """
    part: AgentPart = parts.agents.make(choice, **settings)
    return part.build(as_seed(seed))
