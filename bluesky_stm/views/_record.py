"""The documents of one run, gathered into what a picture shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from typing_extensions import override

from bluesky_stm.documents import IMPORT, Document, Stream, StreamRouter
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.protocols import Decision, Insight, Mark, Marking, Observation, Scalarizer
from bluesky_stm.scalarizers import marks_of_all, sign_of
from bluesky_stm.spots import described
from bluesky_stm.teaching import (
    Judging,
    MeasuredDrift,
    Recorded,
    RunKnowledge,
    Teaching,
    decision_from,
    drift_from,
    spectrum_from,
)
from bluesky_stm.validated import Data
from bluesky_stm.views._absent import Absent, scalarizer_of
from bluesky_stm.views._kept import Kept

MOST_REASONS = 4
"""Reasons that are named of spectra without a value; the most frequent ones."""


@dataclass(frozen=True, eq=False)
class PredictedMap:
    """Prediction of the agent at its n candidates after ``ingested`` spectra, and how it decided among them.

    ``mean``, ``std`` and ``acquisition`` are of shape (n,), ``features`` of (n, 2), see `Insight`; NaN where not on record.
    """

    ingested: int
    mean: Floats
    std: Floats
    acquisition: Floats
    features: Floats


@dataclass(frozen=True)
class Best:
    """The highest value so far.

    Attributes
    ----------
    number : int
        Number, from 0, of the spectrum that has it.
    value : float
        The value for the agent: the negative where the smallest is sought, in the unit of the scalarizer.
    """

    number: int
    value: float


class RunRecord(StreamRouter):
    """Everything that one run measured and decided. Feed it documents live, or use `of` on stored ones.

    Spectra, their places and their values are those that the agent was taught: drift, doubts and interventions on record are
    followed. Where the run's scalarizer is not installed here, its values are those that the agent recorded as ingested.

    Attributes
    ----------
    start_document, stop_document : mapping
        Empty before they come.
    decisions : list of Decision
        The first chose the place of the first spectrum, and so on; the last says where one would go on.
    maps : list of PredictedMap
    tip_checks : list of str
        What each check of the tip found: ``"good"``, ``"changed"`` ...
    drifts : list of MeasuredDrift
        Each measurement of the drift.
    scalarizer : Scalarizer
        What counts now: that of the start document, or the one that a person has chosen since.
    kept : Kept
        What was worked out for a picture.
    faults : tuple of str
        What is not as the run was closed, where whoever gave it could tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start_document: Data = {}
        self.stop_document: Data = {}
        self.decisions: list[Decision] = []
        self.maps: list[PredictedMap] = []
        self.tip_checks: list[str] = []
        self.drifts: list[MeasuredDrift] = []
        self.kept = Kept()
        self.faults: tuple[str, ...] = ()
        self._known = RunKnowledge()
        self.scalarizer: Scalarizer = Absent({})
        self._teaching = Teaching(self.scalarizer)
        self._waiting: Data | None = None
        self._recorded: Recorded | None = None

    def __repr__(self) -> str:
        seen = (
            "no topograph" if self.topograph is None else f"{len(self.observations)} spectra, {len(self.decisions)} decisions"
        )
        return f"<RunRecord {self.start_document.get('uid', 'without a start')[:8]}: {seen}>"

    @classmethod
    def of(cls, documents: Iterable[Document]) -> RunRecord:
        """Return the record of a whole run.

        Parameters
        ----------
        documents : iterable of (str, mapping)
            Name and content of each of its documents, in their order.
        """
        record = cls()
        record._recorded = Recorded()
        return record.read(documents)

    # ---- documents ---------------------------------------------------------------------------------------------------

    @override
    def begin(self, start: Data) -> None:
        self.start_document = start
        self.scalarizer = scalarizer_of(start)
        self._teaching = Teaching(self.scalarizer, fixed=False)
        self._teaching.begin(start)
        self._learn_all()

    @override
    def give(self, stream: str, event: Data) -> None:
        data = self.data(event)
        if self._recorded is not None and stream != Stream.MAPS:
            # the decision behind a spectrum says which value the agent was given for it
            held, self._waiting = self._waiting, None
            spectrum = None if held is None else spectrum_from(held)
            known = self._recorded.observation(spectrum, data) if stream == Stream.AGENT else None
            if held is not None:
                self._teaching.learn(Stream.PRIMARY, held, None if isinstance(self.scalarizer, Absent) else known, spectrum)
                self._learn_all()
            if stream == Stream.PRIMARY:
                self._waiting = data
                return
        match stream:
            case Stream.AGENT:
                self._decide(data)
            case Stream.MAPS:
                self._predict(data)
            case _:
                if stream == Stream.TIP_CHECK and "tip_check_verdict" in data:
                    self.tip_checks.append(str(data["tip_check_verdict"]))
                elif stream == Stream.DRIFT:
                    self.drifts.append(drift_from(data))
                self._teaching.learn(stream, data)
                self._learn_all()

    @override
    def end(self, stop: Data) -> None:
        self.stop_document = stop

    @override
    def read(self, documents: Iterable[Document]) -> Self:
        super().read(documents)
        if self._waiting is not None:
            self._teaching.learn(Stream.PRIMARY, self._waiting)
            self._learn_all()
            self._waiting = None
        return self

    # ---- what they say -----------------------------------------------------------------------------------------------

    @property
    def topograph(self) -> Topograph | None:
        """The last topograph; None before the first."""
        return self._known.topograph

    @property
    def observations(self) -> list[Observation]:
        """The observations, one for each spectrum."""
        return self._known.observations

    @property
    def masked(self) -> Sequence[Frame]:
        """Areas in which the agent may not look."""
        return self._known.areas

    @property
    def uid(self) -> str:
        """The uid of the run."""
        return self.start_document["uid"]

    @property
    def parent(self) -> str | None:
        """The uid of the run whose frame holds this one's."""
        return self.start_document.get("parent_run")

    @property
    def scale(self) -> Data:
        """The `LengthScale`, as it stands in the start document; empty for a run that had none."""
        return self.start_document.get("length_scale", {})

    @property
    def name(self) -> str:
        """The name of the length scale."""
        return str(self.scale.get("name", self.start_document.get("plan_name", "run")))

    @property
    def title(self) -> str:
        """Name and size: ``"mesa, 50 nm"``."""
        width, height = self.frame.size
        return f"{self.name}, {width:g} nm" if width == height else f"{self.name}, {width:g} x {height:g} nm"

    @property
    def budget(self) -> int:
        """Spectra that the run may take; of an import those that it holds."""
        if self.start_document.get("plan_name") == IMPORT:
            return len(self.observations)
        return int(self.scale.get("budget", len(self.observations)))

    @property
    def frame(self) -> Frame:
        """The region that the run explored: as the topograph says, else as was planned, else a box around its spectra.

        Centre and size are in nm, the angle in degrees counter-clockwise.

        Raises
        ------
        SettingsError
            When the run has none of them: it is no exploration.
        """
        if self.topograph is None and "frame" not in self.start_document and self.observations:
            return _box(self.places)
        if self.topograph is None and "frame" not in self.start_document:
            plan = self.start_document.get("plan_name", "unnamed")
            raise SettingsError(
                f"Run {self.start_document.get('uid', 'without a start')} of the plan {plan!r} is no exploration: it has "
                "neither a frame nor a topograph, and no map can be drawn of it. Nothing has been written. Leave it out."
            )
        return self.topograph.frame if self.topograph else Frame.from_dict(self.start_document["frame"])

    @property
    def spectra(self) -> list[Spectrum]:
        """The spectra, in the order taken."""
        return [o.spectrum for o in self.observations if o.spectrum is not None]

    @property
    def places(self) -> Floats:
        """Places of the spectra, (n, 2) as (x, y) in nm."""
        return np.array([o.point for o in self.observations], dtype=float).reshape(-1, 2)

    @property
    def candidates(self) -> Floats:
        """Places where a spectrum might be taken, (n, 2) as (x, y) in nm; the values of a map belong to them.

        It is empty where they are not on record.
        """
        frame, topograph = self.frame, self.topograph
        return self.kept.of(("candidates", frame), (topograph, self.start_document), lambda: self._candidates(frame))

    # ---- values: the agent seeks the highest ---------------------------------------------------------------------------

    @property
    def quantity(self) -> str:
        """The quantity of the values, in words: the name of the scalarizer."""
        return self.scalarizer.name.replace("_", " ")

    @property
    def units(self) -> str:
        """The unit of the values."""
        return self.scalarizer.units

    @property
    def values(self) -> Floats:
        """Value of each spectrum for the agent, (n,), in `units`; NaN where there is none.

        Multiply by `sign` to show them to people.
        """
        return np.array([o.number for o in self.observations])

    @property
    def reasons(self) -> list[str]:
        """One for each spectrum: why there is no value, else empty."""
        return [o.reason for o in self.observations]

    @property
    def failures(self) -> str:
        """Words on the spectra without a value, with the reasons and how often each holds; empty where all have one.

        Reasons that differ in numbers only count as one.
        """
        counted = Counter(re.sub(r"[-+]?\d[\d.e+-]*", "#", reason) for reason in self.reasons if reason)
        said = {re.sub(r"[-+]?\d[\d.e+-]*", "#", reason): reason for reason in reversed(self.reasons) if reason}
        if not counted or not self.start_document.get("scalarizer"):  # of a grid no value was asked
            return ""
        each = "; ".join(f"{count} x {said[kind]}" for kind, count in counted.most_common(MOST_REASONS))
        return f"{counted.total()} of {len(self.reasons)} spectra have no value: {each}"

    @property
    def warnings(self) -> list[tuple[int, str]]:
        """The warnings of the agent that were new: after how many spectra, and what a person should look at."""
        found: list[tuple[int, str]] = []
        known: set[str] = set()
        for decision in self.decisions:
            warnings = decision.health.warnings
            found += [(decision.ingested, text) for kind, text in warnings.items() if kind not in known]
            known = set(warnings)
        return found

    @property
    def best(self) -> Best | None:
        """The highest value so far, None while there is none.

        It is the highest as the agent sees it, which is the smallest for people where `sign` is -1.
        """
        values = self.values
        if not np.isfinite(values).any():
            return None
        return Best(int(np.nanargmax(values)), float(np.nanmax(values)))

    @property
    def learning_curve(self) -> Floats:
        """Highest value after each spectrum, (n,), in `units`; NaN before the first value.

        Multiply by `sign` to show it to people.
        """
        return np.fmax.accumulate(self.values)

    @property
    def sign(self) -> int:
        """Factor of a value for people.

        It is -1 where the smallest value is sought and the agent is given the negative, else 1.
        """
        return sign_of(self.scalarizer.describe())

    @property
    def sought(self) -> str:
        """``"smallest"`` or ``"largest"``: which value the agent is after."""
        return "smallest" if self.sign < 0 else "largest"

    def marks(self, number: int) -> list[Mark]:
        """Return what the scalarizer saw on a spectrum; nothing where it does not say.

        Parameters
        ----------
        number : int
            Number of the spectrum, from 0.
        """
        return self._marks_of({number: self.spectra[number]})[0]

    @property
    def all_marks(self) -> list[list[Mark]]:
        """What the scalarizer saw on each spectrum, in their order; nothing where it does not say."""
        return self._marks_of(dict(enumerate(self.spectra)))

    def chosen_by(self, known: PredictedMap) -> Floats:
        """Return where the agent wanted to go by what it knew then.

        Parameters
        ----------
        known : PredictedMap
            A map of this run; the decision is the last one after as many spectra.

        Returns
        -------
        ndarray of shape (1, 2) or (0, 2)
            Place as (x, y), in nm; empty where no such decision is on record.
        """
        points = [decision.point for decision in self.decisions if decision.ingested == known.ingested]
        return np.array(points[-1:], dtype=float).reshape(-1, 2)

    # ---- inside ----------------------------------------------------------------------------------------------------------

    def _marks_of(self, spectra: Mapping[int, Spectrum]) -> list[list[Mark]]:
        scalarizer = self._teaching.scalarizer
        if not isinstance(scalarizer, Marking):
            return [[] for _ in spectra]
        each = list(spectra.values())
        # A place that is corrected for drift changes none of these
        asked = [(("marks", n, s.quality), (scalarizer, s.current, s.didv)) for n, s in spectra.items()]
        return self.kept.of_each(asked, lambda new: marks_of_all(scalarizer, [each[number] for number in new]))

    def _candidates(self, frame: Frame) -> Floats:
        settings = {**self.scale, "sites": "raster", **self.start_document.get("agent", {}).get("settings", {})}
        places = described(settings, frame, self.topograph)
        return np.empty((0, 2)) if places is None else places

    def _learn_all(self) -> None:
        for lesson in self._teaching.take():
            self._known.give(lesson)
            if isinstance(lesson, Judging):  # a person wanted another property to count
                self.scalarizer = lesson.scalarizer
            if isinstance(lesson, Topograph):  # a run has one; of another that is begun with it, no decision counts
                self.decisions, self.maps = [], []

    def _decide(self, data: Data) -> None:
        self.decisions.append(decision_from(data))
        if isinstance(self.scalarizer, Absent) and self.observations:
            value = next(value for key, value in data.items() if key.endswith("_value"))
            if value is not None and np.isfinite(value):
                self.observations[-1] = replace(self.observations[-1], value=float(value))

    def _predict(self, data: Data) -> None:
        said = {key.rpartition("_")[2]: value for key, value in data.items()}
        unknown = Insight.unknown(len(said["mean"]))
        names = "mean", "std", "acquisition", "features"
        arrays = {name: np.asarray(said.get(name, getattr(unknown, name, None)), dtype=float) for name in names}
        self.maps.append(PredictedMap(int(said["ingested"]), **arrays))


def _box(places: Floats) -> Frame:
    """Return a square frame around places (n, 2), in nm, for spectra of which no image is known."""
    known = places[np.isfinite(places).all(axis=1)]
    low, high = (known.min(axis=0), known.max(axis=0)) if len(known) else (np.zeros(2), np.zeros(2))
    x, y = ((low + high) / 2).tolist()
    return Frame.square((x, y), max(1.0, 1.2 * float((high - low).max())), 8)


def record_all(runs: Iterable[Iterable[Document] | RunRecord]) -> list[RunRecord]:
    """Return the records of runs.

    Parameters
    ----------
    runs : iterable
        Each run as its documents, which are read, or already as a record, which is returned as it is.
    """
    return [run if isinstance(run, RunRecord) else RunRecord.of(run) for run in runs]
