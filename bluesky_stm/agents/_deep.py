"""The deep kernel: the agent of choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bluesky_stm.agents._kernel_agents import KernelAgent
from bluesky_stm.agents._model import Features
from bluesky_stm.agents._net import features, weights_hash
from bluesky_stm.agents._rings import Rings
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Experience


class DKLAgent(KernelAgent):
    """Position, picture, and what a net trained on simulated surfaces makes of the picture.

    Position alone, with the picture, and with what the net makes of it are three kernels, each of which counts as far as it
    predicts: where the picture says nothing, or the net, the agent is the one without it.
    """

    kernels = {
        "kernel on xy": ("xy",),
        "kernel, net off": ("xy", "picture"),
        "deep kernel": ("xy", "deep"),
    }

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph, compute the features of all candidates once; forgets everything learned before."""
        if self.settings.net:
            self._rings = Rings(topograph, self.settings.layout(topograph.frame))
        super().observe(topograph, prior)

    def describe(self) -> dict[str, Any]:
        """JSON-able ``{"name", "settings", "seed", "weights"}``; the weights by their hash, None with the net off."""
        return {**super().describe(), "weights": weights_hash() if self.settings.net else None}

    def _features(self, points: Floats) -> Features:
        deep = {"deep": features(self._rings(points))} if self.settings.net else {}
        return super()._features(points) | deep
