"""Lessons, which documents teach, and the agent that takes the lessons in: the same live and in a replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from bluesky_stm.data import Data
from bluesky_stm.errors import SettingsError, STMError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Agent, Decision, Experience, Observation, Scalarizer


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


class RunKnowledge:
    """What the lessons of a run add up to; the one place that says what each of them does.

    Attributes
    ----------
    topograph : Topograph or None
        The last topograph; None before the first.
    observations : list of Observation
        Observations with places and values as they are known now.
    areas : tuple of Frame
        Areas in which an agent may not look.
    placings : list of Placing
        Positions of earlier runs on the present surface.
    """

    def __init__(self) -> None:
        self.topograph: Topograph | None = None
        self.observations: list[Observation] = []
        self.areas: tuple[Frame, ...] = ()
        self.placings: list[Placing] = []

    @property
    def experience(self) -> Experience | None:
        """What another agent can learn from this run; None before its first spectrum."""
        seen = self.topograph
        return Experience(seen, tuple(self.observations)) if seen is not None and self.observations else None

    def give(self, lesson: Lesson) -> None:
        """Take in one lesson.

        A topograph makes earlier observations void; a revision replaces them.

        Parameters
        ----------
        lesson : Lesson
            What a document taught, in the order of the documents.
        """
        match lesson:
            case Topograph():
                self.topograph, self.observations = lesson, []
            case Revision():
                self.topograph, self.observations = lesson.topograph, list(lesson.observations)
            case Observation():
                self.observations.append(lesson)
            case Masking():
                self.areas = tuple(lesson.areas)
            case Placing():
                self.placings.append(lesson)

    def learn(self, lessons: Iterable[Lesson]) -> Self:
        """Take in lessons in their order, and return this object.

        Parameters
        ----------
        lessons : iterable of Lesson
            What the documents taught, the topograph first.
        """
        for lesson in lessons:
            self.give(lesson)
        return self


class TaughtAgent(RunKnowledge):
    """An agent together with what it was taught.

    Parameters
    ----------
    agent : Agent
        It is changed by each lesson.
    prior : mapping of str to Experience, optional
        Earlier runs, by uid.

    Attributes
    ----------
    prior : dict of str to Experience
        Earlier runs with their present values and places; the agent is given them with every topograph. A run whose surface
        was searched and not found is left out, since the places of its spectra are unknown.
    """

    def __init__(self, agent: Agent, prior: Mapping[str, Experience] | None = None) -> None:
        super().__init__()
        self.agent = agent
        self.prior = dict(prior or {})

    @override
    def give(self, lesson: Lesson) -> None:
        # The agent is first: a lesson at which it fails is not noted here, and is given to it again.
        match lesson:
            case Topograph():
                self.agent.observe(lesson, tuple(self.prior.values()))
            case Revision():
                self.agent.observe(lesson.topograph, tuple(self.prior.values()))
                self.agent.ingest(lesson.observations)
            case Observation():
                self.agent.ingest([lesson])
            case Retuning():
                retune(self.agent, lesson.settings)
            case Judging():
                self.prior = {uid: experience.judged(lesson.scalarizer) for uid, experience in self.prior.items()}
            case Placing(run, shift) if run in self.prior:
                if shift is None:
                    del self.prior[run]
                else:
                    self.prior[run] = self.prior[run].moved(shift)
        super().give(lesson)

    @property
    def candidates(self) -> Floats:
        """Places that the agent may suggest, (n, 2) in nm; none before its first topograph."""
        return np.empty((0, 2)) if self.topograph is None else self.agent.candidates

    @property
    def left(self) -> int:
        """Number of candidates that are neither measured nor masked.

        A candidate whose spectrum was taken back counts as not measured.
        """
        from scipy.spatial import KDTree

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
