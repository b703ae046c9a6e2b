"""An agent as an ophyd device: fed by documents, asked by `trigger`, its decision as readings."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from event_model import DataKey
from ophyd import Component as Cpt
from ophyd import Device
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._signals import OMITTED, InstantSignal, data_key
from bluesky_stm.devices._worker import Worker
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Drift, Floats, Frame, Point
from bluesky_stm.measurements import OF_VALUE, Field, Topograph, declared
from bluesky_stm.protocols import Agent, Decision, Experience, Insight, Insightful, Observation, Posterior, Scalarizer
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import LengthScale
from bluesky_stm.teaching import Lesson, MeasuredDrift, TaughtAgent, Teaching, TipReference, mask_as_text, refusal
from bluesky_stm.validated import JSON, Data

FIELDS = (
    *declared(Decision).values(),
    Field("value", "", OF_VALUE, doc="Value ingested last; NaN where there was none."),
    Field("reason", "", dtype="string", doc="Why the spectrum ingested last has no value; empty where it has one."),
    Field("deviation", "", OF_VALUE, doc="Its standard deviation by the noise of the spectrum; NaN where that is unknown."),
    Field("best", "", OF_VALUE, doc="Highest value ingested."),
    Field("pending", "", dtype="integer", doc="Places that were being measured."),
    Field("mask", "", dtype="string", doc="Candidates that were allowed; empty for all."),
    Field("elapsed", "", units.TIME, doc="Wall time that the decision took."),
)
"""What an Event of the stream ``agent`` holds."""

Key = tuple[int, tuple[Point, ...], bytes | None]


class PosteriorMap(Device):
    """The prediction of an agent for each of its candidates, and how it decides among them, as far as it says."""

    def trigger(self) -> Status:
        """Let the agent predict, in its thread."""
        return self.parent.submit(self, self._predict)

    def describe(self) -> dict[str, DataKey]:
        """One number a candidate, of the features two; no candidates are known before the first topograph."""
        agent: AgentDevice = self.parent
        count, candidate = len(agent.candidates), f"{self.name}_candidate"
        source, unit = f"agent:{agent.agent_name}", agent.scalarizer.units
        return {
            f"{self.name}_mean": data_key(source, unit, "array", (count,), dims=(candidate,)),
            f"{self.name}_std": data_key(source, unit, "array", (count,), dims=(candidate,)),
            f"{self.name}_acquisition": data_key(source, "", "array", (count,), dims=(candidate,)),
            f"{self.name}_features": data_key(source, "", "array", (count, 2), dims=(candidate, f"{self.name}_feature")),
            f"{self.name}_ingested": data_key(source, dtype="integer"),
        }

    def read(self) -> dict[str, JSON]:
        """The prediction; NaN before the first."""
        known, then = self._map or (self._unknown, time.time())
        return {f"{self.name}_{key}": {"value": value, "timestamp": then} for key, value in known.items()}

    @property
    def values(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation as predicted last, (n,) each; NaN before the first prediction."""
        known = self._map[0] if self._map else self._unknown
        return known["mean"], known["std"]

    _map: tuple[JSON, float] | None = None

    @property
    def _unknown(self) -> JSON:
        count = len(self.parent.candidates)
        unknown = np.full(count, np.nan)
        return {"mean": unknown, "std": unknown, **_by_name(Insight.unknown(count)), "ingested": 0}

    def _predict(self) -> None:
        device: AgentDevice = self.parent
        device.learn()
        agent = device.agent
        insight = agent.insight() if isinstance(agent, Insightful) else Insight.unknown(len(device.candidates))
        posterior = _by_name(agent.posterior())
        self._map = {**posterior, **_by_name(insight), "ingested": len(device.observations)}, time.time()


def _by_name(arrays: Posterior | Insight) -> JSON:
    """Its arrays, each a fresh one."""
    return {name: np.array(values) for name, values in vars(arrays).items()}


class AgentDevice(Device):
    """A device around any agent: what adaptive plans take.

    Subscribe `documents` to the RunEngine; each Event is learned once, after pauses and replays too. `trigger` learns what is
    new and asks for the next place, in a thread, so that a pause acts at once; triggered again with nothing new, it gives the
    same decision without a second fit.

    Parameters
    ----------
    agent : Agent
    scale : LengthScale, optional
        What it is used at; plans take frame, budget and rules from it.
    scalarizer : Scalarizer, optional
        Gives each spectrum its value; that of ``scale`` if not given.
    prior : mapping of str to Experience, optional
        Earlier runs, by uid, valued by the same scalarizer: the agent is given them with the topograph, and the start document
        names them.
    timeout : float
        Longest time for one decision, in s of wall time.
    """

    pending = Cpt(InstantSignal, value=(), kind=OMITTED)
    """Places that are being measured and won't be suggested: ``bps.mv(agent.pending, [point])``."""
    mask = Cpt(InstantSignal, value=None, kind=OMITTED)
    """Which candidates may be suggested, as booleans; None for all. The decision's document has it."""
    map = Cpt(PosteriorMap, kind=OMITTED)

    def __init__(
        self,
        agent: Agent,
        scale: LengthScale | None = None,
        *,
        scalarizer: Scalarizer | None = None,
        prior: Mapping[str, Experience] | None = None,
        name: str = "agent",
        timeout: float = 600.0,
        **kwargs: Any,
    ) -> None:
        if scalarizer is None and scale is None:
            raise SettingsError("An AgentDevice needs scale= or scalarizer=, to know what a spectrum is worth.")
        self.agent = agent
        self.scale = scale
        self.timeout = timeout
        self.decision: Decision | None = None
        self.agent_name = str(agent.describe()["name"])
        self._teaching = Teaching(scalarizer or make_scalarizer(scale.scalarizer), fixed=False)  # type: ignore[union-attr]
        self._prior = list(prior or {})
        self._taught = TaughtAgent(agent, prior)
        self._lessons: list[Lesson] = []
        self._lesson_count = 0
        self._worker = Worker(name)
        self._status: Status | None = None
        self._answered: Key | None = None
        self._elapsed, self._decided = 0.0, time.time()
        super().__init__("", name=name, labels={"agents"}, **kwargs)

    def __repr__(self) -> str:
        at = f" at {self.scale.name} ({self.scale.frame:g} nm)" if self.scale else ""
        learned = f"{len(self.observations)} spectra learned"
        return f"<AgentDevice {self.name!r}: {self.agent_name}{at}, {self.scalarizer.name}, {learned}>"

    def documents(self, name: str, doc: Data) -> None:
        """Take in a document; to be subscribed to the RunEngine or to a stream of documents."""
        self._teaching(name, doc)

    def inherit(self, uid: str, experience: Experience) -> None:
        """Give the agent one more earlier run, to be valued by its own scalarizer; before its first topograph."""
        if self.topograph is not None:
            raise SettingsError(
                f"The agent {self.name!r} has seen a topograph: earlier runs are given before that. Give them to a fresh agent."
            )
        self._prior.append(uid)
        self._taught.prior[uid] = experience.judged(self.scalarizer)

    @property
    def experience(self) -> Experience | None:
        """Experience of this agent, for another one to inherit; None before its first spectrum."""
        return self._taught.experience

    @property
    def candidates(self) -> Floats:
        """Places that the agent may suggest, (n, 2) in nm; none before its first topograph."""
        return self._taught.candidates

    @property
    def observations(self) -> Sequence[Observation]:
        """Observations as the agent knows them now: places corrected for drift, spectra of a changed tip taken back."""
        return self._taught.observations

    @property
    def best(self) -> float:
        """Highest value that it has learned and still holds true; NaN before the first."""
        return max((o.number for o in self.observations if o.has_value), default=math.nan)

    @property
    def masked(self) -> tuple[Frame, ...]:
        """Areas in which it may not look."""
        return self._taught.areas

    @property
    def left(self) -> int:
        """Number of candidates that are neither measured nor masked."""
        return self._taught.left

    @property
    def topograph(self) -> Topograph | None:
        """The topograph that the agent has looked at."""
        return self._taught.topograph

    @property
    def drift(self) -> Drift | None:
        """Motion of the surface since that topograph; None before it was measured."""
        return self._teaching.drift

    @property
    def drift_history(self) -> list[MeasuredDrift]:
        """The measurements of that motion, oldest first."""
        return self._teaching.drift_history

    @property
    def drift_reference(self) -> Topograph | None:
        """The image to which they were registered, where it was not the topograph."""
        return self._teaching.drift_reference

    @property
    def tip(self) -> TipReference | None:
        """What the tip was compared with; None before the first check."""
        return self._teaching.tip

    @property
    def scalarizer(self) -> Scalarizer:
        """Gives each spectrum its value."""
        return self._teaching.scalarizer

    @property
    def point(self) -> Point | None:
        """The place to measure next; None before the first decision."""
        return self.decision.point if self.decision else None

    @property
    def metadata(self) -> JSON:
        """Metadata for the start document: from this the agent can be made again."""
        return {"agent": {**self.agent.describe(), "prior": list(self._prior)}, "scalarizer": self.scalarizer.describe()}

    def trigger(self) -> Status:
        """Learn what is new and decide; the status ends with the decision, or with the fault of the agent."""
        if self._status is None or self._status.done:
            self._status = self.submit(self, self._decide)
        return self._status

    def submit(self, device: Device, act: Any) -> Status:
        """Do ``act()`` in the thread of the agent."""
        return self._worker.submit(device, act, timeout=self.timeout)

    def learn(self) -> None:
        """Give the agent what is new, one lesson after the other; a lesson at which it fails is given again."""
        self._lessons += self._teaching.take()
        while self._lessons:
            lesson = self._lessons[0]
            self._taught.give(lesson)
            self._lesson_count += 1
            del self._lessons[0]

    def refusal(self, settings: Data) -> str:
        """Return why the agent would not take these settings while it runs; empty when it would."""
        return refusal(self.agent, settings)

    @property
    def hints(self) -> dict[str, list[str]]:
        """Plots take what was found and what was expected."""
        return {"fields": [f"{self.name}_{field}" for field in ("value", "best", "mean", "std")]}

    def describe(self) -> dict[str, DataKey]:
        """Decision, value ingested last, and health of the model."""
        source, unit = f"agent:{self.agent_name}", self.scalarizer.units
        return {f"{self.name}_{f.name}": data_key(source, unit if f.units == OF_VALUE else f.units, f.dtype) for f in FIELDS}

    def read(self) -> dict[str, JSON]:
        """The last decision; before the first, NaN."""
        return {f"{self.name}_{field}": {"value": value, "timestamp": self._decided} for field, value in self._fields().items()}

    def stop(self, *, success: bool = False) -> None:
        """Nothing moves here; a fit under way comes to its end and its decision waits for the next `trigger`."""

    _allowed: Any = None
    """The mask that the last decision was made with."""

    def _decide(self) -> None:
        begun = time.monotonic()
        self.learn()
        pending = tuple(Point(*point) for point in self.pending.get())
        mask = self.mask.get()
        # What the decision follows from: the same question is answered by the same decision, without a second fit.
        asked = self._lesson_count, pending, None if mask is None else np.asarray(mask, dtype=bool).tobytes()
        if self.decision is None or asked != self._answered:
            self.decision = self._taught.suggest(pending, mask)
            self._answered, self._allowed = asked, mask
            self._elapsed, self._decided = time.monotonic() - begun, time.time()

    def _fields(self) -> JSON:
        decision = self.decision or Decision(Point(math.nan, math.nan), -1, "")
        last = self.observations[-1] if self.observations else None
        return {
            **decision.as_fields(),
            "value": last.number if last else math.nan,
            "reason": last.reason if last else "",
            "deviation": last.deviation if last else math.nan,
            "best": self.best,
            "pending": len(self.pending.get()),
            "mask": mask_as_text(self._allowed),
            "elapsed": self._elapsed,
        }
