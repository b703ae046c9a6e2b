"""Sources of spectra for an agent that chooses its own places: the spectra of a run, a simulator, or a dense grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import Decision, Observation, SweepSettings

if TYPE_CHECKING:
    from bluesky_stm.protocols import Controller, Scalarizer

Answers = Callable[[Point], Spectrum]
"""Returns a spectrum for any place, in nm: a simulator, or a dense grid."""


def answered_by(controller: Controller, settings: SweepSettings | None = None) -> Answers:
    """Return the answers of a controller that has the same surface: simulated, or a recorded dense grid.

    Parameters
    ----------
    controller : Controller
        The tip is moved to each place that is asked for.
    settings : SweepSettings, optional
        Settings of the bias sweep there; by default the usual ones.
    """

    def answer(point: Point) -> Spectrum:
        controller.move_tip(point)
        return controller.sweep(settings or SweepSettings())

    return answer


class Archive:
    """The spectra of a run, each of which can be had once.

    A spectrum answers for the candidate in whose cell of the lattice it was taken.

    Parameters
    ----------
    observations : list of Observation
        Observations of the run.
    candidates : ndarray of shape (n, 2)
        Places that the agent may suggest, in nm.
    """

    def __init__(self, observations: list[Observation], candidates: Floats) -> None:
        from scipy.spatial import KDTree

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
        """Return the candidates for which there is an answer, as a mask (n,)."""
        known = np.zeros(self._count, dtype=bool)
        known[list(self._of)] = True
        return known

    def answer(self, decision: Decision) -> Observation:
        """Return the observation at the candidate of a decision; it is not given again.

        Parameters
        ----------
        decision : Decision
            Its candidate is one of those that `can` shows.
        """
        return self._of.pop(decision.candidate)


class Simulator:
    """A simulator or a dense grid, which answers everywhere.

    Parameters
    ----------
    answers : callable
        Takes a place and returns the spectrum there.
    judge : Scalarizer
        Gives each spectrum its value.
    """

    def __init__(self, answers: Answers, judge: Scalarizer) -> None:
        self._answers, self._judge = answers, judge

    def can(self) -> None:
        """Return None: every candidate has an answer."""
        return

    def answer(self, decision: Decision) -> Observation:
        """Return the observation at the place of a decision, measured anew.

        Parameters
        ----------
        decision : Decision
            Its ``point`` counts, (x, y) in nm.
        """
        return Observation.of(self._answers(decision.point), self._judge)
