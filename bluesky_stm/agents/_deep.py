"""The agent with a deep kernel: the default choice.

Its net is described in `_net`, the inputs of the net in `_rings`, and the mixture of its kernels in `_mixture`.
"""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.agents._kernel_agents import KernelAgent
from bluesky_stm.agents._model import Features
from bluesky_stm.agents._net import features, weights_hash
from bluesky_stm.agents._rings import Rings
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Topograph
from bluesky_stm.parts import JSON


class DKLAgent(KernelAgent):
    """A Gaussian process on position, image, and the output of a net that was trained on simulated surfaces.

    Two kernels and a constant are mixed: position and image, position and net. Each counts as far as it predicts the values
    left out. Where the image or the net says nothing, the agent predicts as the one without it.
    """

    kernels = {
        "kernel, net off": ("xy", "picture"),
        "deep kernel": ("xy", "deep"),
    }

    @override
    def _look(self, topograph: Topograph) -> None:
        if self.settings.net:  # what is usual at the raster scales its inputs, before candidates move to spots
            self._rings = Rings(topograph, self.settings.layout(topograph.frame))
        super()._look(topograph)

    def describe(self) -> JSON:
        """Return the JSON-able ``{"name", "settings", "seed", "weights"}``.

        The weights are named by their hash; they are None with the net off.
        """
        return {**super().describe(), "weights": weights_hash() if self.settings.net else None}

    def _features(self, points: Floats) -> Features:
        deep = {"deep": features(self._rings(points))} if self.settings.net else {}
        return super()._features(points) | deep
