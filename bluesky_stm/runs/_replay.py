"""Replay: the stored documents teach the same agent again, and it should decide the same."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from bluesky_stm.documents import Stream, machine, version_of
from bluesky_stm.errors import ReplayError, SettingsError
from bluesky_stm.geometry import Point
from bluesky_stm.parts import register
from bluesky_stm.protocols import Decision, Health, Observation
from bluesky_stm.runs._claims import Claims, Difference, listed, relative, same
from bluesky_stm.runs._rebuild import as_run, learned_from, lineage, prior_of, rebuild_agent, taught_documents
from bluesky_stm.storage import Run, Verified, making_sense, proof_of
from bluesky_stm.teaching import Lesson, Revision, TaughtAgent, Teaching, decision_from, mask_from
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.protocols import Agent

_NUMBERS = ("mean", "std", "acquisition")

PROVES: Final = {
    "whole": "which the chain of digests proves",
    "closed later": "which the chain of digests proves only since it was made",
    "altered": "and the chain of digests does not hold",
    "without a chain": "which nothing proves, as the run has no chain of digests",
    "not finished": "whose chain of digests is not closed yet",
}
"""What the chain of digests says of what is not compared, by its state."""

UNPROVED: Final = {
    "closed later": "has a chain of digests that was made later, and not when it ended",
    "without a chain": "has no chain",
    "not finished": "has not ended",
}
"""Why the documents of a run that replays are not proved."""

NOT_HERE: Final = "is not here as the file that was written"


@dataclass(frozen=True)
class Compared:
    """One decision as it was recorded, and as the agent makes it now.

    Attributes
    ----------
    ordinal : int
        Number of the decision, from 0.
    recorded : Decision
    own : Decision or None
        None when the agent makes no decision.
    refusal : str
        Why it makes none.
    """

    ordinal: int
    recorded: Decision
    own: Decision | None
    refusal: str = ""

    @property
    def same_place(self) -> bool:
        """True when both decisions name the same candidate for the same reason.

        The numbers behind them may differ; see `difference`.
        """
        return self.own is not None and all(
            getattr(self.own, name) == getattr(self.recorded, name) for name in ("candidate", "point", "why")
        )

    @property
    def difference(self) -> float:
        """Largest relative difference of prediction and acquisition value; 0 when they agree bit for bit.

        It is infinite when the agent makes no decision, or where a number is NaN in one of them only.
        """
        if self.own is None:
            return math.inf
        return max(relative(getattr(self.own, name), getattr(self.recorded, name)) for name in _NUMBERS)

    def __str__(self) -> str:
        own = f"{_words(self.own)}; {self.fit}" if self.own else f"no decision ({self.refusal})"
        return f"decision {self.ordinal}, after {self.recorded.ingested} spectra: recorded {_words(self.recorded)}; now {own}"

    @property
    def fit(self) -> str:
        """The differences of the fit behind the decision, recorded -> now, in words."""
        if self.own is None:
            return "no fit"
        both = ((f.name, getattr(self.recorded.health, f.name), getattr(self.own.health, f.name)) for f in fields(Health))
        differ = [f"{name} {_short(then)} -> {_short(now)}" for name, then, now in both if not same(then, now)]
        return f"its fit: {', '.join(differ)}" if differ else "from the same fit"


@dataclass(frozen=True, eq=False, repr=False)
class Replay:
    """The result of a replay.

    Attributes
    ----------
    run : Run
    agent : Agent
        The agent, taught everything that the run holds.
    decisions : list of Compared
        All decisions of the run, recorded and made again.
    claims : Claims
        What else the documents claim, compared with what they lead to.
    proof : Verified or None
        What the chain of digests says; None where the bytes of the journal are not at hand.
    changed : mapping of str to (str, str)
        What differs between then and now: versions of packages, processor, BLAS, number of threads.
    earlier : mapping of str to (Verified or None)
        What their chains say of the runs that this one resumes and of those that its agent was given, by uid.
    """

    run: Run
    agent: Agent
    decisions: list[Compared]
    claims: Claims
    proof: Verified | None
    changed: Mapping[str, tuple[str, str]]
    earlier: Mapping[str, Verified | None] = field(default_factory=dict)

    @property
    def reproduced(self) -> bool:
        """True when every decision led to the same place for the same reason, and no document is missing or was altered."""
        return all(compared.same_place for compared in self.decisions) and not self.claims.gaps and not self.altered

    @property
    def exact(self) -> bool:
        """True when also every number is the same, bit for bit, and a chain that the run itself closed proves all the rest.

        So are the runs from which its agent learned; one whose process died may have been closed by who found it.
        What follows from no other document, images and currents, is proved by the bytes of a journal alone: it is False of
        documents from memory or from a facility, of which `agrees` says what can be said.
        """
        return self.agrees and not self._unproved

    @property
    def agrees(self) -> bool:
        """True when every number that was compared is the same, bit for bit: predictions, values, bests, maps, health, drift.

        It can be expected with the same libraries on the same kind of machine; others may round otherwise. Whether the
        documents are those that were measured is another question (`exact`).
        """
        return self.reproduced and not self.claims.differences and all(compared.difference == 0 for compared in self.decisions)

    @property
    def altered(self) -> bool:
        """True when a chain of digests does not hold: somebody, or a disk, has changed what the agent learned from."""
        return any(proof is not None and proof.faults for proof in (self.proof, *self.earlier.values()))

    @property
    def divergence(self) -> Compared | None:
        """The first decision that led elsewhere; later ones differ in consequence. None where all led to the same places."""
        return next((compared for compared in self.decisions if not compared.same_place), None)

    @property
    def difference(self) -> Difference | None:
        """The first claim beside the decisions that does not follow from the documents; None where all do."""
        return self.claims.differences[0] if self.claims.differences else None

    def __repr__(self) -> str:
        return f"<Replay: {self._told}>"

    def __str__(self) -> str:
        why = [] if self.agrees else self._reasons
        first = [f"First difference in {self.difference}."] if self.difference else []
        return " ".join([self._told, *first, *why, self.scope])

    @property
    def scope(self) -> str:
        """What was compared beside the decisions and what was not, in words."""
        state = PROVES[self.proof.state] if self.proof else "whose chain of digests is not at hand"
        return f"Compared as well: {self.claims}. Not compared: {listed(self.claims.left_out)}, {state}."

    @property
    def _told(self) -> str:
        """How many decisions were reached again, and how far the others are off."""
        start = self.run.start
        scale = start.get("length_scale") or {}
        who = f"Run {self.run.uid[:8]} ({scale.get('name', 'no scale')}, {start.get('agent', {}).get('name', 'agent')})"
        alike = sum(compared.same_place for compared in self.decisions)
        counted = f"{who}: {alike} of {len(self.decisions)} decisions reproduced"
        if self.exact:
            return f"{counted}, bit for bit."
        if self.agrees:
            return f"{counted}, with the same numbers. {self._unproved}: nothing is proved."
        if self.divergence is not None:
            return f"{counted}. First divergence at {self.divergence}."
        size = max(compared.difference for compared in self.decisions)
        return f"{counted}; their numbers differ by up to {size:.1g} of their size." if size else f"{counted}."

    @property
    def _unproved(self) -> str:
        """Why the documents are not proved to be those that were measured; empty where they are."""
        if self.proof is None or not self.proof.whole:
            return f"The run {UNPROVED[self.proof.state] if self.proof else NOT_HERE}"
        for uid, proof in self.earlier.items():
            if proof is None or not (proof.whole or proof.chain.get("closed_by") == "recovery"):
                return f"Run {uid[:8]}, from which it learned, {UNPROVED[proof.state] if proof else NOT_HERE}"
        return ""

    @property
    def _alterations(self) -> list[str]:
        """What was altered, in this run and in those from which it learned."""
        named = {f"The documents of run {uid[:8]}, from which it learned,": proof for uid, proof in self.earlier.items()}
        proofs = {"The documents": self.proof, **named}
        return [f"{who} have been altered: {'; '.join(one.faults)}." for who, one in proofs.items() if one and one.faults]

    @property
    def stored_by(self) -> str:
        """The version of this package that stored the run, where it is not the one that replays it; else empty."""
        return self.changed["bluesky-stm"][0] if "bluesky-stm" in self.changed else ""

    @property
    def _reasons(self) -> list[str]:
        """The likely reasons, the most certain one first."""
        if self.altered:
            return self._alterations
        if self.claims.gaps:
            return ["Documents have been removed or added."]
        found = [*self._elsewhere, *self._older]
        others = {what: both for what, both in self.changed.items() if what != "bluesky-stm"}
        if others:
            changes = ", ".join(f"{what} {then} -> {now}" for what, (then, now) in others.items())
            return [f"It may be because something has changed since: {changes}.", *found]
        if found:
            return found
        if self.divergence and self.divergence.recorded.ingested and self.divergence.difference < 1e-6:
            return [
                "The numbers agree to a millionth, so a near tie was broken otherwise: another processor or number of threads."
            ]
        if self.proof is not None and self.proof.whole:
            return ["The documents are whole, and versions and processor the same: it is another agent, or a fault."]
        return ["Versions are the same: altered documents, another machine or number of threads, or another agent."]

    @property
    def _older(self) -> list[str]:
        """The change of version, where there is one: another version may value the same spectrum otherwise."""
        if not self.stored_by:
            return []
        return [
            f"It was stored by bluesky-stm {self.stored_by}, and replayed by {self.changed['bluesky-stm'][1]}, which may value "
            "spectra and decide otherwise: its decisions are compared for information. To check them, install that version."
        ]

    @property
    def _elsewhere(self) -> list[str]:
        """The change of device, if the numbers were computed on another one, which rounds otherwise."""
        both = {(c.recorded.health.device, c.own.health.device) for c in self.decisions if c.own}
        moved = sorted(f"{then} -> {now}" for then, now in both if then and now and then != now)
        return [f"They were computed on another device ({', '.join(moved)}), whose last digits differ."] if moved else []


def replay(run: object, agent: Agent | None = None, *, parts: Iterable[Any] = ()) -> Replay:
    """Teach an agent the stored documents in their order and compare each decision with the recorded one.

    Parameters
    ----------
    run : Run, or anything that `storage.documents` takes
        The stored run.
    agent : Agent, optional
        A fresh agent; by default that of the start document, with its settings and seed.
    parts : iterable
        Parts of one's own that the run names: classes or objects, which are registered in this process.

    Returns
    -------
    Replay

    Raises
    ------
    ReplayError
        When the run holds no decision, or its agent cannot be built again.
    CatalogError
        When its documents make no sense, and nothing proves that they are those that were measured.
    """
    register(*parts)
    run = as_run(run)
    proof = proof_of(run)
    with making_sense(run, "replayed", [proof]):
        earlier = {one.uid: proof_of(one) for one in learned_from(run)}
    with making_sense(run, "replayed", [proof, *earlier.values()]):
        agent = agent or rebuild_agent(lineage(run)[0].start)
        claims = Claims()
        decisions = list(_compare(run, TaughtAgent(agent, prior_of(run)), claims))
    if not decisions:
        raise ReplayError(f"{run!r} holds no decision of an agent: there is nothing to compare.")
    return Replay(run, agent, decisions, claims, proof, _changes(run.start, proof.chain if proof else {}), earlier)


def _compare(run: Run, taught: TaughtAgent, claims: Claims) -> Iterator[Compared]:
    """Yield each decision again, made at its moment: after as many observations as it says, with later ones kept back."""
    claims.begin(run.start)
    teaching = Teaching()
    waiting: deque[Lesson] = deque()
    decided: list[Decision] = []
    for stream, event in teaching.events(taught_documents(run)):
        waiting.extend(teaching.take())
        mine, data = teaching.run == run.uid, event["data"]
        match stream:
            case Stream.AGENT:
                recorded = decision_from(data)
                _catch_up(taught, waiting, recorded.ingested)
                if mine:
                    again = _again(taught, recorded, data, decided)
                    claims.decision(len(decided), data, again.own, taught)
                    yield again
                decided.append(recorded)
            case Stream.MAPS:
                _catch_up(taught, waiting, next(int(value) for key, value in data.items() if key.endswith("_ingested")))
                if mine:
                    claims.map(data, taught)
            case Stream.DRIFT | Stream.DRIFT_FINE:
                claims.drift(teaching.data(event), teaching.topograph, compare=mine)
            case Stream.INTERVENTION if mine:
                claims.intervention(data, taught)
    _catch_up(taught, waiting, sys.maxsize)
    claims.counts(teaching, run.stop)


def _catch_up(taught: TaughtAgent, waiting: deque[Lesson], until: int) -> None:
    """Teach what is waiting, except what would take the agent beyond ``until`` observations."""
    while waiting and _known_after(waiting[0], taught) <= until:
        taught.give(waiting.popleft())


def _known_after(lesson: Lesson, taught: TaughtAgent) -> int:
    """Return the number of observations that the agent knows once it has had this lesson."""
    if isinstance(lesson, Observation):
        return len(taught.observations) + 1
    return len(lesson.observations) if isinstance(lesson, Revision) else 0


def _again(taught: TaughtAgent, recorded: Decision, data: Data, decided: list[Decision]) -> Compared:
    """Make the decision in ``data`` once more, with the same places pending and the same mask."""
    try:
        return Compared(len(decided), recorded, taught.suggest(_pending(data, decided), mask_from(data)))
    except SettingsError as error:
        return Compared(len(decided), recorded, None, str(error))


def _pending(data: Data, decided: list[Decision]) -> list[Point]:
    """Return the places that were being measured, which are those decided last."""
    count = next((int(value) for key, value in data.items() if key.endswith("_pending")), 0)
    return [decision.point for decision in decided[len(decided) - count :]]


def _changes(start: Data, chain: Data) -> dict[str, tuple[str, str]]:
    """Return what differs between then and now: versions, and what the run was closed on where its chain says that."""
    versions = {**chain.get("versions", {}), **start.get("versions", {})}
    changed = {name: (str(then), now) for name, then in versions.items() if (now := version_of(name) or "none") != then}
    there, here = chain.get("machine") or {}, machine()
    for name in ("processor", "blas", "threads"):
        if name in there and there[name] != here[name]:
            changed[name] = str(there[name]), str(here[name])
    return changed


def _short(value: float | str) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.6g}"


def _words(decision: Decision) -> str:
    place = f"({decision.point.x:.3f}, {decision.point.y:.3f}) nm by {decision.why}"
    if math.isnan(decision.mean):
        return place
    return f"{place}, expecting {decision.mean:.6g} ± {decision.std:.3g}, acquisition {decision.acquisition:.6g}"
