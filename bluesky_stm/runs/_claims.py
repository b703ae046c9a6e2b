"""The claims of a stored run beside its decisions, and what its documents lead to now: values, bests, maps, drift, counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from bluesky_stm.documents import Stream, StreamRouter
from bluesky_stm.errors import STMError
from bluesky_stm.measurements import Topograph
from bluesky_stm.plans import DriftCheck, DriftFinder
from bluesky_stm.protocols import Decision, Health, Insight, Insightful
from bluesky_stm.steer import Intervention
from bluesky_stm.teaching import RunKnowledge, TaughtAgent, drift_from, refusal, topograph_from
from bluesky_stm.validated import JSON, Data

KINDS: Final = {"best": "highest values so far", "ingested": "numbers of observations"}
"""What is compared of a decision, by the name of the field, where its plural does not say it."""

FOLLOWED: Final = {Stream.AGENT, Stream.MAPS}
"""Streams that follow from others, so that all of them is compared."""
PARTLY: Final = {
    Stream.TOPOGRAPH: "images",
    Stream.PRIMARY: "currents and lock-in channels of the spectra",
    Stream.DRIFT: "images of the drift",
    Stream.DRIFT_FINE: "finer images of the drift",
    Stream.INTERVENTION: "words of the interventions",
    Stream.TIP_CHECK: "tip checks",
    Stream.OVERVIEW: "overviews",
    Stream.LINES: "lines of the scans",
    Stream.SWEEPS: "sweeps of other quantities",
}
"""What of a stream follows from no other document: only the chain of digests proves it. Of any other stream it is all."""


@dataclass(frozen=True)
class Difference:
    """A claim of the documents that does not follow from them.

    Attributes
    ----------
    what : str
        What is claimed, and where.
    recorded, now : object
        The value in the documents, and the one that they lead to.
    """

    what: str
    recorded: object
    now: object

    def __str__(self) -> str:
        return f"{self.what}: recorded {_short(self.recorded)}, now {_short(self.now)}"

    @property
    def size(self) -> float:
        """Relative difference of two numbers; infinite where they are none, or one of them is NaN."""
        both = [side for side in (self.recorded, self.now) if isinstance(side, int | float)]
        return relative(*both) if len(both) == 2 else math.inf


class Claims:
    """Comparison of what is recorded with what is reached again.

    Attributes
    ----------
    counted : Counter
        Number of comparisons, by what was compared.
    differences : list of Difference
        In the order of the documents.
    gaps : list of Difference
        Those that say that documents are missing, or are too many.
    left_out : tuple of str
        What this run holds and nothing was compared to.
    """

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.differences: list[Difference] = []
        self.gaps: list[Difference] = []
        self.left_out: tuple[str, ...] = ()
        self._watch: DriftFinder | None = None
        self._check: DriftCheck | None = None

    def begin(self, start: Data) -> None:
        """Take in the start document of a run."""
        asked = start.get("plan_args", {}).get("drift")
        try:
            self._check = DriftCheck.parse(asked) if asked else None
        except STMError:  # of a version with other settings
            self._check = None

    def decision(self, ordinal: int, data: Data, own: Decision | None, taught: RunKnowledge) -> None:
        """Compare what an Event of the stream ``agent`` says beside the decision itself.

        Parameters
        ----------
        ordinal : int
            Number of the decision, from 0.
        data : mapping
            The Event.
        own : Decision or None
            The decision that is made now.
        taught : RunKnowledge
            What the agent was taught before it.
        """
        last = taught.observations[-1] if taught.observations else None
        now: JSON = {
            "value": last.number if last else math.nan,
            "reason": last.reason if last else "",
            "deviation": last.deviation if last else math.nan,
            "best": max((one.number for one in taught.observations if one.has_value), default=math.nan),
        }
        if own is not None:
            now |= {
                "ingested": own.ingested,
                **{f"health_{field.name}": getattr(own.health, field.name) for field in fields(Health)},
            }
        prefix = next(key.removesuffix("candidate") for key in data if key.endswith("_candidate"))
        for name, value in now.items():
            if (key := f"{prefix}{name}") in data and name != "health_device":
                kind = "numbers of the model's health" if name.startswith("health") else KINDS.get(name, f"{name}s")
                self._compare(kind, f"{name.replace('health_', 'health, ')} of decision {ordinal}", data[key], value)

    def map(self, data: Data, taught: TaughtAgent) -> None:
        """Compare an Event of the stream ``maps``."""
        posterior, agent = taught.agent.posterior(), taught.agent
        insight = agent.insight() if isinstance(agent, Insightful) else Insight.unknown(len(taught.candidates))
        now = {**vars(posterior), **vars(insight)}
        number = self.counted["maps"]
        prefix = next(key.removesuffix("mean") for key in data if key.endswith("_mean"))
        for name, values in now.items():
            if (key := f"{prefix}{name}") in data:
                self._compare("", f"{name} of map {number}", np.asarray(data[key], dtype=float), np.asarray(values))
        self.counted["maps"] += 1

    def drift(self, data: Data, image: Topograph | None, compare: bool = True) -> None:
        """Measure the drift of an Event of the stream ``drift`` again, from its image.

        Parameters
        ----------
        data : mapping
            The Event.
        image : Topograph or None
            The topograph of the run.
        compare : bool
            False for an Event of a run that this one goes on with: it is followed only.
        """
        said = drift_from(data)
        if said.begins or self._watch is None:
            self._watch = self._follow(topograph_from(data) if said.begins else image, said.reference_time)
        if self._watch is None:
            return
        if compare and not said.begins:
            self._register(data, self._watch)
        self._watch.take(said)

    def _register(self, data: Data, watch: DriftFinder) -> None:
        said, number = drift_from(data), self.counted["drift"]
        found, trusted = watch.register(topograph_from(data), said.time)
        self._compare("", f"shift along x of drift {number}", said.shift[0], float(found.shift[0]))
        self._compare("", f"shift along y of drift {number}", said.shift[1], float(found.shift[1]))
        self._compare("drift", f"trust in drift {number}", said.trusted, trusted)

    def intervention(self, data: Data, taught: TaughtAgent) -> None:
        """Ask the agent again whether it would refuse what a person asked of it."""
        prefix = next(key.removesuffix("kind") for key in data if key.endswith("_kind"))
        said = {name: str(data[f"{prefix}{name}"]) for name in ("kind", "settings", "reason", "refused")}
        asked = Intervention.from_event(said)
        if taught.topograph is None:
            return
        self.counted["interventions"] += asked.kind in ("agent", "mask")
        if asked.kind == "agent":
            self._compare("", "refusal of an intervention", said["refused"], refusal(taught.agent, asked.settings))
        elif asked.kind == "mask":
            everything = bool(asked.area.contains(taught.candidates).all())
            self._compare("", "refusal of a mask", bool(said["refused"]), everything)

    def counts(self, router: StreamRouter, stop: Data | None) -> None:
        """Compare the Events that there are with the numbers that they have, and with the counts of the stop document.

        Parameters
        ----------
        router : StreamRouter
            It has taken in all documents of the run.
        stop : mapping or None
            The stop document.
        """
        found, said = router.counts, (stop or {}).get("num_events")
        held = [stream for stream, number in found.items() if number and stream not in FOLLOWED]
        self.left_out = (*(PARTLY.get(stream, f"the stream {stream!r}") for stream in held), "the start document", "times")
        for stream in sorted({*found, *(said or {})}):
            here = found.get(stream, 0)
            missing = router.missing.get(stream)
            if missing is not None:
                self.gaps.append(Difference(f"number of an Event of {stream!r}", missing, "missing"))
            if said is not None:
                self.counted["counts"] += 1
                if said.get(stream, 0) != here:
                    self.gaps.append(Difference(f"number of Events of {stream!r}", said.get(stream, 0), here))
        self.differences = [*self.gaps, *self.differences]

    def _follow(self, image: Topograph | None, time: float) -> DriftFinder | None:
        return None if self._check is None or image is None else DriftFinder(self._check, image, time)

    def _compare(self, kind: str, what: str, recorded: object, now: object) -> None:
        if kind:
            self.counted[kind] += 1
        if isinstance(recorded, np.ndarray):
            differ = differing(recorded, now)
            if differ is not None:
                self.differences.append(Difference(f"{what}, candidate {differ[0]}", *differ[1:]))
        elif not same(recorded, now):
            self.differences.append(Difference(what, recorded, now))

    def __str__(self) -> str:
        """Say what was compared, with how many of each."""
        listed = [f"{count} {kind}" for kind, count in self.counted.items() if count]
        return ", ".join(listed) or "nothing else"


def differing(recorded: np.ndarray, now: object) -> tuple[str, object, object] | None:
    """Return where two arrays differ first, with both values; None where they are the same, NaN included."""
    own = np.asarray(now)
    if recorded.shape != own.shape:
        return "all", f"shape {recorded.shape}", f"shape {own.shape}"
    apart = ~((recorded == own) | (np.isnan(recorded) & np.isnan(own)))
    if not apart.any():
        return None
    first = tuple(int(one) for one in np.argwhere(apart)[0])
    return ", ".join(map(str, first)), float(recorded[first]), float(own[first])


def same(one: object, other: object) -> bool:
    """Return True for equal values; NaN is the same as NaN, and as None, which JSON makes of it."""
    nothing = [value is None or value != value for value in (one, other)]
    return all(nothing) or (not any(nothing) and one == other)


def relative(one: float, other: float) -> float:
    """Return the relative difference of two numbers; 0 where both are NaN, infinite where one of them is."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    gap = abs(one - other) / max(abs(one), abs(other))
    return math.inf if math.isnan(gap) else gap


def _short(said: object) -> str:
    return f"{said:.17g}" if isinstance(said, float) else repr(said) if isinstance(said, str) else str(said)


def listed(words: Iterable[str]) -> str:
    """Return words as a list in a sentence."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
