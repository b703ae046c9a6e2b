"""An agent that others are compared with, registered by the benchmarks that ask for it: ``register(PatchGP)``."""

from __future__ import annotations

from bluesky_stm.agents import KernelPart
from bluesky_stm.agents._kernel_agents import KernelAgent


class PatchAgent(KernelAgent):
    """Gaussian process on the picture around a place alone, wherever that lies."""

    kernels = {"kernel on patches": ("picture",)}


class PatchGP(KernelPart):
    """Predict with a Gaussian process on the picture around a place alone, wherever that lies."""

    name: str = "gp-patch"

    def build(self, seed: int = 0) -> PatchAgent:
        """Make the agent; see `AgentPart.build`."""
        return PatchAgent(self, seed)
