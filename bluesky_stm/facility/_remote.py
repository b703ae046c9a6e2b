"""An agent on another machine: it learns from the stream of documents, its decisions come back through the queue server.

The plan on the instrument runs as always, with an agent device around a `RemoteAgent` that waits for answers. An answer counts
only if it was made from the very lessons that the instrument knows of: both sides form a digest of topograph, observations and
earlier runs. So a measurement that was taken in twice, or missed, cannot lead the tip anywhere, and the documents are those of
a local agent.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.agents import make_agent
from bluesky_stm.documents import Document
from bluesky_stm.errors import NotCapableError, SettingsError, STMError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Agent, Decision, Experience, Insight, Insightful, Observation, Posterior
from bluesky_stm.runs import prior_of
from bluesky_stm.settings import LAYOUT
from bluesky_stm.storage import Run
from bluesky_stm.teaching import TaughtAgent, Teaching
from bluesky_stm.validated import JSON, Data


class Mailbox:
    """A place where answers wait for the agent device; safe between threads."""

    def __init__(self) -> None:
        self._answers: dict[str, Data] = {}
        self._arrived = threading.Condition()

    def put(self, answer: Data) -> None:
        """Take in an answer, and wake whoever waits for it.

        Parameters
        ----------
        answer : mapping
            As an `AgentHost` sends it. Of several to the same lessons, the last one counts.
        """
        with self._arrived:
            self._answers[answer["lessons"]] = answer
            self._arrived.notify_all()

    def wait(self, lessons: str, mask: str | None, timeout: float) -> Data:
        """Wait for the answer to these training data, and where it matters, for this mask.

        Parameters
        ----------
        lessons : str
            Digest of what the agent has to know, as `lessons_digest` gives it.
        mask : str or None
            Digest of the candidates that are allowed, as `mask_digest` gives it; None where any mask will do.
        timeout : float
            Longest time to wait, in s.

        Returns
        -------
        mapping
            The answer, as the agent host has sent it.

        Raises
        ------
        STMError
            When none came in ``timeout`` s.
        """
        deadline = time.monotonic() + timeout
        with self._arrived:
            while not (answer := self._answers.get(lessons)) or (mask is not None and answer["mask"] != mask):
                if not self._arrived.wait(deadline - time.monotonic()):
                    raise STMError(
                        f"The remote agent has not answered in {timeout:g} s ({len(self._answers)} answers came for other "
                        "lessons). The tip stays where it is. Is it running, and does it get every document?"
                    )
            return answer


class RemoteAgent:
    """The agent on the instrument that stands for one somewhere else. It needs no torch.

    Parameters
    ----------
    description : mapping
        What the agent says in `describe`: the run is recorded, and replayed, as that agent's.
    mailbox : Mailbox
    timeout : float
        Longest time for an answer, in s.
    """

    def __init__(self, description: Data, mailbox: Mailbox, timeout: float = 120.0) -> None:
        self._description = dict(description)
        self._mailbox, self._timeout = mailbox, timeout
        layout = {key: value for key, value in description["settings"].items() if key in LAYOUT}
        self._layout = make_agent("space-filling", **layout)
        self._topograph: Topograph | None = None
        self._prior: Sequence[Experience] = ()
        self._observations: list[Observation] = []

    @property
    def candidates(self) -> Floats:
        """Places that it may suggest."""
        return self._layout.candidates

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Lay out the candidates; what was ingested before is forgotten.

        Parameters
        ----------
        topograph : Topograph
            Image of the frame. The agent on the other machine sees the same one in the stream.
        prior : sequence of Experience
            Earlier runs, for which the agent asks by itself.
        """
        self._layout.observe(topograph)
        self._topograph, self._prior, self._observations = topograph, tuple(prior), []

    def ingest(self, observations: Sequence[Observation]) -> None:
        """Note what the agent has to know before it answers.

        Parameters
        ----------
        observations : sequence of Observation
            In the order in which they were measured.
        """
        self._observations += observations

    def suggest(self, n: int = 1, pending: Sequence[Point] = (), mask: NDArray[np.bool_] | None = None) -> list[Decision]:
        """Wait for the decision of the agent on the other machine.

        Parameters
        ----------
        n : int
            Number of decisions; only 1 can be asked for.
        pending : sequence of Point
            Places that are being measured; there can be none.
        mask : ndarray of bool of shape (candidates,), optional
            True for each candidate that may be chosen; by default all that were not measured.

        Raises
        ------
        NotCapableError
            When more than one decision is asked for, or one ahead.
        SettingsError
            When the agent refuses, with its reason.
        STMError
            When no answer comes in time. The tip stays where it is.
        """
        if n != 1 or pending:
            raise NotCapableError("A remote agent decides one place at a time, without looking ahead. Use ahead=False.")
        answer = self._mailbox.wait(self._known, mask_digest(mask), self._timeout)
        if refused := answer.get("refused"):
            raise SettingsError(str(refused))
        return [Decision.from_fields(answer["decision"])]

    def posterior(self, points: ArrayLike | None = None) -> Posterior:
        """Return what it predicts for its candidates.

        Parameters
        ----------
        points : array_like, optional
            There can be none, as only candidates are predicted.

        Raises
        ------
        NotCapableError
            When other places are asked for.
        STMError
            When no answer comes in time.
        """
        if points is not None:
            raise NotCapableError("A remote agent predicts its candidates, not other places.")
        return Posterior(self._told("mean"), self._told("std"))

    def insight(self) -> Insight:
        """Return what it lets people see: its acquisition function and its features.

        Raises
        ------
        STMError
            When no answer comes in time.
        """
        return Insight(self._told("acquisition"), self._told("features").reshape(-1, 2))

    def checkpoint(self) -> JSON:
        """Return what it has to know; its settings are the agent host's and can't be changed from here."""
        return {"topograph": self._topograph, "prior": self._prior, "observations": list(self._observations)}

    def restore(self, state: Data) -> None:
        """Go back to a `checkpoint`.

        Parameters
        ----------
        state : mapping
            As `checkpoint` returned it, in this process.
        """
        if state["topograph"] is not None:
            self.observe(state["topograph"], state["prior"])
            self.ingest(state["observations"])

    def describe(self) -> JSON:
        """Describe it as the agent itself does."""
        return dict(self._description)

    def _told(self, name: str) -> Floats:
        """An array of its answer."""
        return np.array([_number(value) for value in self._mailbox.wait(self._known, None, self._timeout)[name]])

    @property
    def _known(self) -> str:
        if self._topograph is None:
            raise SettingsError("A remote agent has to see a topograph before it is asked.")
        return lessons_digest(self._topograph, self._observations, self._prior)


class AgentHost:
    """The agent on the other machine: feed it documents, and it answers after each lesson.

    A document that comes twice counts once.

    Parameters
    ----------
    agent : Agent
    run : str
        Which run it is for: ``remote`` in the start document.
    send : callable
        Brings an answer, plain JSON, to the instrument's `Mailbox`.
    earlier : callable
        From the uid of an earlier run that the agent is to know: its documents, those of the runs that it goes on with first.

    Attributes
    ----------
    stop : mapping or None
        The stop document of the run, once it has ended.
    """

    def __init__(
        self,
        agent: Agent,
        run: str,
        send: Callable[[JSON], Any],
        earlier: Callable[[str], Iterable[Document]],
    ) -> None:
        self.agent, self.run = agent, run
        self.stop: Data | None = None
        self._send, self._earlier = send, earlier
        self._teaching: Teaching = Teaching(fixed=False)
        self._taught = TaughtAgent(agent)
        self._runs: set[str] = set()

    def __call__(self, name: str, doc: Data) -> None:
        """Take in a document of any run, and answer if it taught something."""
        if self._learn(name, doc):
            self._send(self._answer())

    def catch_up(self, documents: Iterable[Document]) -> None:
        """Take in what was missed, and answer once.

        Parameters
        ----------
        documents : iterable of (str, mapping)
            Name and content of each, in their order; those that are known already do not count.
        """
        if any([self._learn(name, doc) for name, doc in documents]):
            self._send(self._answer())

    @property
    def observations(self) -> Sequence[Observation]:
        """The observations that the agent has learned."""
        return self._taught.observations

    def _learn(self, name: str, doc: Data) -> bool:
        """Return True when the document held a lesson, and the agent can be asked."""
        if name == "start" and doc.get("remote") == self.run and doc["uid"] not in self._runs:
            self._runs.add(doc["uid"])
            self._inherit(doc)
        run = doc["uid"] if name == "start" else doc.get("run_start")
        if run is not None and run not in self._runs:
            return False  # and without its descriptor an Event of another run teaches nothing
        if name == "stop":
            self.stop = doc
        self._teaching(name, doc)
        lessons = self._teaching.take()
        self._taught.learn(lessons)
        return bool(lessons) and self._taught.topograph is not None

    def _inherit(self, start: Data) -> None:
        """Get the earlier runs that a start document names."""
        known = {uid: Run(list(self._earlier(uid))) for uid in start["agent"]["prior"]}
        self._taught.prior = prior_of(Run([("start", start)], known))

    def _answer(self) -> JSON:
        assert self._taught.topograph is not None
        known = lessons_digest(self._taught.topograph, self._taught.observations, tuple(self._taught.prior.values()))
        answer: JSON = {"lessons": known, "mask": mask_digest(self._taught.mask)}
        try:
            decision = self._taught.suggest()
        except SettingsError as error:
            answer["refused"] = str(error)
        else:
            answer["decision"] = _plain(decision.as_fields())
        agent = self.agent
        insight = agent.insight() if isinstance(agent, Insightful) else Insight.unknown(len(agent.candidates))
        arrays = vars(agent.posterior()) | vars(insight)
        return {**answer, **{name: _plain(array.ravel().tolist()) for name, array in arrays.items()}}


def lessons_digest(topograph: Topograph, observations: Sequence[Observation], prior: Sequence[Experience] = ()) -> str:
    """Return a digest of what an agent knows, in its order and to the last bit, by which host and instrument compare notes.

    Parameters
    ----------
    topograph : Topograph
        Image that the agent has seen.
    observations : sequence of Observation
        Training data, in the order in which they were measured.
    prior : sequence of Experience
        Earlier runs that the agent was told of.

    Returns
    -------
    str
        SHA-256, in hexadecimal digits.
    """
    digest = hashlib.sha256(np.ascontiguousarray(topograph.height, dtype="<f8").tobytes())
    digest.update(json.dumps(topograph.frame.as_dict()).encode())
    for observation in observations:
        failed = [observation.reason, observation.taken_back, observation.doubted]
        said = observation.number.hex() if observation.has_value else failed
        digest.update(json.dumps([[float(x).hex() for x in observation.point], said]).encode())
    for experience in prior:
        digest.update(lessons_digest(experience.topograph, experience.observations).encode())
    return digest.hexdigest()


def mask_digest(mask: NDArray[np.bool_] | None) -> str:
    """Return a digest of which candidates are allowed.

    Parameters
    ----------
    mask : ndarray of bool of shape (candidates,) or None
        True for each that is allowed; None for all.

    Returns
    -------
    str
        SHA-256, in hexadecimal digits; empty for None.
    """
    return "" if mask is None else hashlib.sha256(np.asarray(mask, dtype=bool).tobytes()).hexdigest()


def _plain(value: Any) -> Any:
    """JSON that every parser reads: no NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
