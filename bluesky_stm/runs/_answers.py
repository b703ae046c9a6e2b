"""Who answers an agent that goes its own way: the spectra of a run, or something that has the surface before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import Decision, Observation, SweepSettings

if TYPE_CHECKING:
    from bluesky_stm.protocols import Controller, Scalarizer

Answers = Callable[[Point], Spectrum]
"""A spectrum for any place: a simulator, or a dense grid."""


def answered_by(controller: Controller, settings: SweepSettings | None = None) -> Answers:
    """Answers of a controller that has the same surface before it: simulated, or a recorded dense grid."""

    def answer(point: Point) -> Spectrum:
        controller.move_tip(point)
        return controller.sweep(settings or SweepSettings())

    return answer


class Archive:
    """Answers with the spectra of the run, each once: for the candidate in whose cell of the lattice it was taken."""

    def __init__(self, observations: list[Observation], candidates: Floats) -> None:
        places = np.array([observation.point for observation in observations])
        tree = KDTree(candidates)
        spacing = np.median(tree.query(candidates, k=min(2, len(candidates)))[0].reshape(len(candidates), -1)[:, -1])
        distance, nearest = tree.query(places)
        self._of = {
            int(candidate): observation
            for candidate, observation, gap in zip(nearest, observations, distance, strict=True)
            if gap <= spacing / np.sqrt(2) + 1e-9
        }
        self._count = len(candidates)

    def can(self) -> NDArray[np.bool_]:
        """For which candidates there is an answer."""
        known = np.zeros(self._count, dtype=bool)
        known[list(self._of)] = True
        return known

    def answer(self, decision: Decision) -> Observation:
        """The spectrum measured there."""
        return self._of.pop(decision.candidate)


class Simulator:
    """Answers everywhere."""

    def __init__(self, answers: Answers, judge: Scalarizer) -> None:
        self._answers, self._judge = answers, judge

    def can(self) -> None:
        """Everywhere."""
        return

    def answer(self, decision: Decision) -> Observation:
        """What the simulator or the grid measures there."""
        spectrum = self._answers(decision.point)
        return Observation(spectrum.position, self._judge(spectrum), spectrum)
