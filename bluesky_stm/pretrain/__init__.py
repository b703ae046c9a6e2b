"""Pretraining: simulated surfaces, and the training of the net whose weights agents start from.

``python -m bluesky_stm.pretrain`` made the weights that come with the package; see `train`.
"""

from bluesky_stm.pretrain._scenes import Scene, scene, varied
from bluesky_stm.pretrain._train import Task, task, train
from bluesky_stm.pretrain._values import components, scalars

__all__ = ["Scene", "Task", "components", "scalars", "scene", "task", "train", "varied"]
