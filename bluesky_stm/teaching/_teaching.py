"""The conversion of documents to lessons: the one way in which an agent learns, live or from a stored run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from typing_extensions import override

from bluesky_stm.data import Data
from bluesky_stm.documents import Document, Stream, StreamRouter
from bluesky_stm.errors import ReplayError
from bluesky_stm.geometry import Drift, Frame, Point
from bluesky_stm.measurements import Quality, Spectrum, Topograph
from bluesky_stm.protocols import Agent, Experience, Failed, Observation, Scalarizer
from bluesky_stm.scalarizers import make_scalarizer, scalarizer_of
from bluesky_stm.steer import Intervention
from bluesky_stm.teaching._events import (
    CheckedTip,
    MeasuredDrift,
    drift_from,
    found_from,
    intervention_from,
    spectrum_from,
    tip_check_from,
    topograph_from,
)
from bluesky_stm.teaching._lessons import Judging, Lesson, Masking, Placing, Retuning, Revision, TaughtAgent


@dataclass
class _Taken:
    """A spectrum as it was taken, and why it was taken back (empty where it was not).

    ``repeat`` is True when the tip changed within it, for the first time at its place: the place is worth another spectrum.
    ``found`` is what ``judge`` says of it, which is asked once: drift moves it, and each time all that were taken before.
    """

    spectrum: Spectrum
    revoked: str = ""
    repeat: bool = False
    found: Observation | None = None
    judge: Scalarizer | None = None

    def judged(self, scalarizer: Scalarizer) -> Observation:
        """Return what a scalarizer says of the spectrum."""
        if self.found is None or self.judge is not scalarizer:
            self.found, self.judge = Observation.of(self.spectrum, scalarizer), scalarizer
        return self.found


@dataclass(frozen=True, eq=False)
class TipReference:
    """What the tip of a run is compared with.

    Attributes
    ----------
    place : Point
        Place of reference on the topograph, in nm.
    spectra : tuple of Spectrum
        Those that were taken there for it.
    since : int
        Number of spectra that were taken since the tip was last found good.
    compared : bool
        True when it is complete: something was measured after it.
    """

    place: Point
    spectra: tuple[Spectrum, ...]
    since: int = 0
    compared: bool = False


class Teaching(StreamRouter):
    """A router that turns the documents of a run into lessons, each Event once however often it is repeated.

    Spectra, images, measured drift, tip checks and interventions all become lessons: a decision that follows from them can be
    reached again from the documents alone.

    Parameters
    ----------
    scalarizer : Scalarizer or None
        It gives each spectrum its value; None for the one named in the start document.
    fixed : bool
        True keeps it even where a person changed the scalarizer during the run, to ask what it would have led to.
    """

    def __init__(self, scalarizer: Scalarizer | None = None, *, fixed: bool = True) -> None:
        super().__init__()
        self._scalarizer = scalarizer
        self._fixed = fixed and scalarizer is not None
        self._lessons: deque[Lesson] = deque()
        self._areas: list[Frame] = []
        self._parent = ""
        self._once = False
        self._topograph: Topograph | None = None
        self._forget()

    @property
    def scalarizer(self) -> Scalarizer:
        """The scalarizer that gives spectra their values now.

        It is the one that was given, else the one of the start document, or the one to which a person changed it since.
        """
        assert self._scalarizer is not None, "no start document has named a scalarizer yet"
        return self._scalarizer

    @property
    def topograph(self) -> Topograph | None:
        """The last topograph; None before the first."""
        return self._topograph

    @property
    def drift(self) -> Drift | None:
        """Displacement of the surface since the topograph, in nm; None before it was measured."""
        return self._drift

    @property
    def tip(self) -> TipReference | None:
        """What the tip is compared with; None before the first check."""
        return self._tip

    @property
    def drift_history(self) -> list[MeasuredDrift]:
        """The measurements of that displacement, oldest first."""
        return list(self._measured)

    @property
    def drift_reference(self) -> Topograph | None:
        """The image to which they were registered, where it was not the topograph."""
        return self._reference

    def begin(self, start: Data) -> None:
        """Take in the start document of a run.

        What is known of another run no longer matters, unless this one goes on with it.

        Parameters
        ----------
        start : mapping
            The start document.

        Raises
        ------
        ReplayError
            When no scalarizer was given and the document names none.
        """
        if self._scalarizer is None and "scalarizer" not in start:
            raise ReplayError(
                f"The start document of run {start['uid']} names no scalarizer: it is no exploration of this package."
            )
        self._scalarizer = self._scalarizer or scalarizer_of(start)
        self._parent = start.get("parent_run", "")
        self._once = start.get("controller", {}).get("answers") == "once"
        if "resumes" not in start:
            self._areas = []
        masked = [Frame.from_dict(area) for area in start.get("masked", ())]
        if masked or self._areas:
            self._mask([*self._areas, *masked])

    @override
    def give(self, stream: str, event: Data) -> None:
        self.learn(stream, self.data(event))

    def learn(self, stream: str, data: Data, recorded: Observation | None = None, spectrum: Spectrum | None = None) -> None:
        """Make lessons of what an Event teaches; `take` returns them.

        Parameters
        ----------
        stream : str
            Name of its stream, a `Stream`; others teach nothing.
        data : mapping
            Values of the Event by key, with arrays from files in their places.
        recorded : Observation, optional
            What the agent was given of the spectrum in it, where that is on record; else the scalarizer says it.
        spectrum : Spectrum, optional
            That in the Event, where it was made of ``data`` already.
        """
        match stream:
            case Stream.TOPOGRAPH:
                self._topograph = topograph_from(data)
                self._forget()
                self._lessons.append(self._topograph)
            case Stream.OVERVIEW if self._parent:
                self._lessons.append(Placing(self._parent, found_from(data)))
            case Stream.PRIMARY:
                spectrum = spectrum_from(data) if spectrum is None else spectrum
                if self._tip:
                    self._tip = replace(self._tip, compared=True, since=self._tip.since + 1)
                judge = None if recorded is None else self.scalarizer
                self._taken.append(_Taken(spectrum, "", self._changes_first(spectrum), recorded, judge))
                self._lessons.append(self._observation(self._taken[-1]))
            case Stream.DRIFT:
                measured = drift_from(data)
                if measured.begins:
                    self._reference = topograph_from(data)
                self._follow(measured)
            case Stream.TIP_CHECK:
                self._compare_tip(tip_check_from(data), data)
            case Stream.INTERVENTION:
                self._obey(intervention_from(data))

    def take(self) -> list[Lesson]:
        """Lessons since the last call, in the order of the documents. Safe beside a thread that feeds documents."""
        lessons = []
        # One by one, because the thread of the RunEngine may append meanwhile: a copy and a clear would lose what it appends.
        while self._lessons:
            lessons.append(self._lessons.popleft())
        return lessons

    def lessons(self, documents: Iterable[Document]) -> Iterator[Lesson]:
        """Take in documents one by one, and yield what they teach.

        Parameters
        ----------
        documents : iterable of (str, mapping)
            Name and content of each, in the order in which they were emitted.

        Yields
        ------
        Lesson
            A document may give none, one, or more than one.
        """
        for name, doc in documents:
            self(name, doc)
            yield from self.take()

    # ---- inside ----

    _taken: list[_Taken]
    _drift: Drift | None
    _measured: list[MeasuredDrift]
    _reference: Topograph | None
    _tip: TipReference | None

    def _follow(self, measured: MeasuredDrift) -> None:
        self._measured.append(measured)
        if not measured.trusted:
            return
        self._drift = self._drift or Drift(measured.reference_time)
        self._drift.measured(measured.time, measured.used, measured.velocity)
        self._revise()

    def _compare_tip(self, found: CheckedTip, data: Data) -> None:
        self._take_back(found.revoked, found.reason)
        if found.begins:
            known = self._tip if self._tip and self._tip.place == found.place and not self._tip.compared else None
            taken = (*(known.spectra if known else ()), spectrum_from(data))
            self._tip = TipReference(found.place, taken)
        elif self._tip:
            since = 0 if found.verdict == "good" else self._tip.since
            self._tip = replace(self._tip, compared=True, since=since)

    def _take_back(self, count: int, reason: str) -> None:
        doubtful = self._taken[max(0, len(self._taken) - count) :]
        for taken in doubtful:
            taken.revoked = reason
        if doubtful:
            self._revise()

    def _obey(self, asked: Intervention | None) -> None:
        if asked is None:
            return
        match asked.kind:
            case "mask" | "reject":
                self._mask([*self._areas, asked.area])
            case "unmask":
                self._mask([])
            case "agent":
                self._lessons.append(Retuning(asked.settings))
            case "scalarizer" if not self._fixed:
                self._scalarizer = make_scalarizer(asked.settings)
                self._lessons.append(Judging(self._scalarizer))
                self._revise()

    def _forget(self) -> None:
        self._taken, self._measured = [], []
        self._drift = self._reference = self._tip = None

    def _mask(self, areas: list[Frame]) -> None:
        self._areas = areas
        self._lessons.append(Masking(tuple(areas)))

    def _revise(self) -> None:
        if self._topograph is not None:
            self._lessons.append(Revision(self._topograph, [self._observation(taken) for taken in self._taken]))

    def _observation(self, taken: _Taken) -> Observation:
        spectrum = taken.spectrum
        if self._drift is not None:
            x, y = spectrum.position - self._drift.at(spectrum.time)
            spectrum = spectrum.at(Point(float(x), float(y)))
        found = replace(taken.judged(self.scalarizer), point=spectrum.position, spectrum=spectrum)
        if taken.revoked:
            return replace(found, value=Failed(taken.revoked, again=True, doubted=found.number if found.has_value else None))
        again = taken.repeat and not found.has_value
        return replace(found, value=Failed(found.reason, again=True)) if again else found

    def _changes_first(self, spectrum: Spectrum) -> bool:
        """Return True when the tip changed within a spectrum, and did not within an earlier one of the same pixel.

        A place where it changes again and again (something loose lies there) would otherwise be measured for ever; and a
        recording answers once with what it has.
        """
        if self._once or not spectrum.quality & Quality.TIP_CHANGED:
            return False
        near = max(self._topograph.frame.pixel_size) / 2 if self._topograph else 0.0
        before = (taken.spectrum for taken in self._taken if taken.spectrum.quality & Quality.TIP_CHANGED)
        return all(math.dist(one.position, spectrum.position) > near for one in before)


def teach(
    agent: Agent,
    documents: Iterable[Document],
    scalarizer: Scalarizer | None = None,
    prior: Mapping[str, Experience] | None = None,
) -> None:
    """Teach an agent a whole stored run.

    Parameters
    ----------
    agent : Agent
        A fresh agent.
    documents : iterable of (str, mapping)
        Documents of the run, in their order.
    scalarizer : Scalarizer, optional
        It gives each spectrum its value; by default the one named in the start document.
    prior : mapping of str to Experience, optional
        Earlier runs, by uid, that the agent of the run was given.
    """
    TaughtAgent(agent, prior).learn(Teaching(scalarizer).lessons(documents))
