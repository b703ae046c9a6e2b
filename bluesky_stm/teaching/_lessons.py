"""Lessons, which documents teach, and the agent that takes the lessons in: the same live and in a replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from bluesky_stm.errors import SettingsError, STMError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Agent, Decision, Experience, Observation, Scalarizer
from bluesky_stm.validated import Data


@dataclass(frozen=True, eq=False)
class Revision:
    """All observations so far, corrected: with other places, values taken back, or values of another scalarizer.

    Attributes
    ----------
    topograph : Topograph
    observations : sequence of Observation
    """

    topograph: Topograph
    observations: Sequence[Observation]


@dataclass(frozen=True, eq=False)
class Retuning:
    """A person changed settings of the agent.

    Attributes
    ----------
    settings : mapping
        The settings that change, by name; the others stay.
    """

    settings: Data


@dataclass(frozen=True, eq=False)
class Masking:
    """All areas in which the agent may not look from now on.

    Attributes
    ----------
    areas : sequence of Frame
        Their centre and size in nm; they replace those of an earlier lesson.
    """

    areas: Sequence[Frame]


@dataclass(frozen=True, eq=False)
class Judging:
    """Another scalarizer from now on.

    Earlier runs are valued by it, too; the observations of this run follow as a `Revision`.
    """

    scalarizer: Scalarizer


@dataclass(frozen=True, eq=False)
class Placing:
    """The position of the surface of an earlier run on the present one.

    Attributes
    ----------
    run : str
        Uid of the earlier run.
    shift : Point or None
        Displacement since that run, in nm; None where the surface was not found.
    """

    run: str
    shift: Point | None


Lesson = Topograph | Observation | Revision | Retuning | Masking | Judging | Placing


class TaughtAgent:
    """An agent together with what it was taught.

    Attributes
    ----------
    agent : Agent
    prior : dict of str to Experience
        Earlier runs, by uid, with their present values and places; the agent is given them with every topograph. A run whose
        surface was searched and not found is left out, since the places of its spectra are unknown.
    observations : list of Observation
        Observations as the agent knows them now.
    areas : tuple of Frame
        Areas in which it may not look.
    topograph : Topograph or None
        The topograph that it has observed.
    """

    def __init__(self, agent: Agent, prior: Mapping[str, Experience] | None = None) -> None:
        self.agent = agent
        self.prior = dict(prior or {})
        self.observations: list[Observation] = []
        self.areas: tuple[Frame, ...] = ()
        self.topograph: Topograph | None = None

    def give(self, lesson: Lesson) -> None:
        """Take in one lesson.

        A topograph or a revision makes the agent forget its observations; those of a revision follow at once.

        Parameters
        ----------
        lesson : Lesson
            What a document taught, in the order of the documents.
        """
        match lesson:
            case Topograph():
                self._look(lesson, [])
            case Revision():
                self._look(lesson.topograph, lesson.observations)
            case Retuning():
                retune(self.agent, lesson.settings)
            case Masking():
                self.areas = tuple(lesson.areas)
            case Judging():
                self.prior = {uid: experience.judged(lesson.scalarizer) for uid, experience in self.prior.items()}
            case Placing(run, shift) if run in self.prior:
                if shift is None:
                    del self.prior[run]
                else:
                    self.prior[run] = self.prior[run].moved(shift)
            case Observation():
                self.agent.ingest([lesson])
                self.observations.append(lesson)

    @property
    def candidates(self) -> Floats:
        """Places that the agent may suggest, (n, 2) in nm; none before its first topograph."""
        return np.empty((0, 2)) if self.topograph is None else self.agent.candidates

    @property
    def left(self) -> int:
        """Number of candidates that are neither measured nor masked.

        A candidate whose spectrum was taken back counts as not measured.
        """
        free = np.ones(len(self.candidates), dtype=bool) if self.mask is None else self.mask.copy()
        done = [o.point for o in self.observations if not o.taken_back]
        if done:
            free[KDTree(self.candidates).query(np.array(done))[1]] = False
        return int(free.sum())

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Mask of the candidates, (n,): False for those in the masked areas; None where all may be chosen."""
        if not self.areas:
            return None
        return ~np.any([area.contains(self.candidates) for area in self.areas], axis=0)

    def suggest(self, pending: Sequence[Point] = (), mask: NDArray[np.bool_] | None = None) -> Decision:
        """Return the next decision of the agent.

        Parameters
        ----------
        pending : sequence of Point
            Places that are being measured, in nm.
        mask : ndarray of bool of shape (candidates,), optional
            True where the agent may look, in addition to the masked areas.
        """
        allowed = self.mask
        if mask is not None:
            allowed = mask if allowed is None else allowed & mask
        return self.agent.suggest(1, pending, allowed)[0]

    def _look(self, topograph: Topograph, observations: Sequence[Observation]) -> None:
        self.agent.observe(topograph, tuple(self.prior.values()))
        self.agent.ingest(observations)
        self.observations, self.topograph = list(observations), topograph


def give(agent: Agent, lessons: Iterable[Lesson]) -> None:
    """Hand lessons to an agent, in their order.

    Parameters
    ----------
    agent : Agent
        It is changed; what it knew before a topograph is forgotten.
    lessons : iterable of Lesson
        All lessons of a run, the topograph first.
    """
    taught = TaughtAgent(agent)
    for lesson in lessons:
        taught.give(lesson)


def retune(agent: Agent, settings: Data) -> None:
    """Change settings of an agent; it keeps what it has learned.

    Raises
    ------
    SettingsError
        For an agent whose settings can't be changed, or a setting that makes no sense.
    """
    state = agent.checkpoint()
    if "settings" not in state:
        raise SettingsError(
            f"The agent {agent.describe()['name']!r} can't be changed while it runs. Start another run with it."
        )
    agent.restore({**state, "settings": {**state["settings"], **settings}})


def refusal(agent: Agent, settings: Data) -> str:
    """Return why the agent would refuse these settings; empty when it would not.

    The agent stays as it is.

    Parameters
    ----------
    agent : Agent
        It is asked by trying: its `checkpoint` is restored afterwards.
    settings : mapping
        The settings that are to change, by name.
    """
    state = agent.checkpoint()
    try:
        retune(agent, settings)
    except STMError as error:
        return str(error)
    finally:
        agent.restore(state)
    return ""
