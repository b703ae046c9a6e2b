"""The agents of this package as parts: names and settings, for which no heavy library is loaded."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import model_validator
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.agents._acquisition import ExpectedImprovement
from bluesky_stm.agents._agent_part import AgentPart
from bluesky_stm.agents._inputs import AcquisitionFunction
from bluesky_stm.parts import Part, acquisition_functions, scalarizers, setting
from bluesky_stm.protocols import Agent
from bluesky_stm.scalarizers import Conductance, Gap

WEIGHING = "How an agent weighs what it predicts, chosen by name."
NET = "True to use the net that was trained on simulated surfaces."


class RandomPlaces(AgentPart):
    """Choose any candidate that has not been measured, each with the same probability; a baseline."""

    name: str = "random"

    @override
    def build(self, seed: int = 0) -> Agent:
        from bluesky_stm.agents._plain import RandomAgent

        return RandomAgent(self, seed)


class SpaceFilling(AgentPart):
    """Choose candidates that cover the frame evenly, ever more densely; a baseline."""

    name: str = "space-filling"

    @override
    def build(self, seed: int = 0) -> Agent:
        from bluesky_stm.agents._plain import SpaceFillingAgent

        return SpaceFillingAgent(self, seed)


class KernelPart(AgentPart):
    """The settings of an agent around a Gaussian process."""

    acquisition: Annotated[AcquisitionFunction, acquisition_functions] = setting(ExpectedImprovement(), "", WEIGHING)


class PositionGP(KernelPart):
    """Predict with a Gaussian process on (x, y) alone, blind to the image; a strong baseline."""

    name: str = "gp-xy"

    @override
    def build(self, seed: int = 0) -> Agent:
        from bluesky_stm.agents._kernel_agents import PositionAgent

        return PositionAgent(self, seed)


class DKL(KernelPart):
    """Predict with a deep kernel: position, image, and the output of a net that was trained on simulated surfaces."""

    name: str = "dkl"
    net: bool = setting(True, "", NET)

    @override
    def build(self, seed: int = 0) -> Agent:
        from bluesky_stm.agents._deep import DKLAgent

        return DKLAgent(self, seed)


class NoveltySearch(AgentPart):
    """Seek kinds of spectra that have not been seen yet, with a deep kernel on whole spectra; no scalar is needed."""

    name: str = "novelty"
    net: bool = setting(True, "", NET)
    neighbours: int = setting(3, "", "Spectra already taken, the nearest ones, to which the distance counts.", ge=1)

    @override
    def build(self, seed: int = 0) -> Agent:
        from bluesky_stm.agents._novelty import NoveltyAgent

        return NoveltyAgent(self, seed)


class ParetoSearch(AgentPart):
    """Seek places that no measured place exceeds in two objectives, without a weight between them."""

    name: str = "pareto"
    net: bool = setting(True, "", NET)
    objectives: tuple[Annotated[Part, scalarizers], Annotated[Part, scalarizers]] = setting(
        (Gap(prefer="small"), Conductance(bias=0.8)), "", "Two scalarizers, chosen by name; large values of both are sought."
    )

    @model_validator(mode="after")
    def _two(self) -> Self:
        first, second = (objective.describe() for objective in self.objectives)
        if first == second:
            raise ValueError(f"both objectives are {first}: give two, or take an agent that seeks one")
        return self

    @override
    def build(self, seed: int = 0) -> Agent:
        from bluesky_stm.agents._pareto import ParetoAgent

        return ParetoAgent(self, seed)


class PublishedDKL(AgentPart):
    """Predict by deep kernel learning on windows alone, with the settings and the schedule of the published runs."""

    name: str = "paper-dkl"
    first: Literal["spread", "random"] = setting("random", "", "Seed points: at random as published, or spread evenly.")
    begin: tuple[tuple[float, float], ...] = setting(
        (), units.LENGTH, "Not heeded where the seed points are random: the published runs began nowhere in particular."
    )
    steps: int = setting(200, "", "Steps of the fit.", ge=1)
    start: float = setting(10.0, "", "Value of beta, the square of the bound's factor, up to 20 spectra.", ge=0)
    decay: float = setting(0.9, "", "Factor by which beta falls with each further spectrum.", gt=0, le=1)
    least: float = setting(0.001, "", "Value below which beta does not fall.", ge=0)

    @override
    def build(self, seed: int = 0) -> Agent:
        from bluesky_stm.agents._published import PublishedAgent

        return PublishedAgent(self, seed)
