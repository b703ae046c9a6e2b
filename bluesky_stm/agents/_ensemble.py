"""Several kernels at once, the one on patches alone among them: where they disagree, the agent is not sure.

Every agent here mixes its kernels by how well each predicts what was left out (`_mixture`), and the disagreement of their means
adds to their own uncertainty. The deep kernel's agent mixes kernels that contain one another; this one mixes views that may
contradict each other: position alone, picture alone, both, and what the net makes of the picture.
"""

from __future__ import annotations

from bluesky_stm.agents._deep import DKLAgent


class EnsembleAgent(DKLAgent):
    """Position, picture, both and the net, each counting as far as it predicts."""

    name = "ensemble"
    kernels = {
        "kernel on xy": ("xy",),
        "kernel on patches": ("picture",),
        "kernel, net off": ("xy", "picture"),
        "deep kernel": ("xy", "deep"),
    }
