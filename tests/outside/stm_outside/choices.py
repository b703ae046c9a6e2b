"""An agent and an acquisition function."""

from typing import Annotated

from bluesky_stm.agents import AcquisitionFunction, AgentPart, make_agent
from bluesky_stm.parts import acquisition_functions, setting


class ProbabilityOfImprovement(AcquisitionFunction):
    """Probability that a spectrum exceeds the best posterior mean by a margin."""

    name: str = "pi"
    margin: float = setting(0.1, "", "Margin, in standard deviations of the values.", ge=0)

    def __call__(self, inputs):
        """Return the probability for each candidate."""
        from scipy.special import ndtr

        return inputs.expected(ndtr((inputs.mean - inputs.best - self.margin) / inputs.std))


class _Named:
    """The agent that a part has built, under the name and the settings of the part."""

    def __init__(self, part, agent):
        self._part, self._agent = part, agent

    def __getattr__(self, name):
        return getattr(self._agent, name)

    def describe(self):
        return {**self._agent.describe(), "name": self._part.name, "settings": self._part.given}


class Cautious(AgentPart):
    """Choose by a Gaussian process on (x, y)."""

    name: str = "cautious"
    weighing: Annotated[AcquisitionFunction, acquisition_functions] = setting(
        ProbabilityOfImprovement(), "", "How candidates are weighed."
    )

    def build(self, seed=0):
        """Make the agent."""
        kept = {key: value for key, value in self.given.items() if key != "weighing"}
        return _Named(self, make_agent("gp-xy", seed, acquisition=self.weighing.describe(), **kept))
