"""What a night will do, how long it takes and what it risks: said, and rehearsed on the twin, before anything moves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bluesky_stm import units
from bluesky_stm.documents import Stream, StreamRouter
from bluesky_stm.engine import run_engine
from bluesky_stm.facility._estimate import Estimate, estimate
from bluesky_stm.facility._session import open_session, rehearsal
from bluesky_stm.geometry import Point
from bluesky_stm.night import Care, Night, check_setpoint, completed_record, swept_as, with_stop
from bluesky_stm.parts import samples
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import LengthScale, Limits
from bluesky_stm.spots import WIDTHS
from bluesky_stm.teaching import spectrum_from, tip_check_from
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.facility._settings import Facility
    from bluesky_stm.session import Session


@dataclass(frozen=True)
class Outlook:
    """What a night will do.

    Attributes
    ----------
    night : Night
        The description, with what is usual here.
    scales : list of LengthScale
        From large to small, each with the spectra that the budget of the night leaves it.
    care : Care
        What looks after tip and surface.
    time : Estimate
        Time that a real microscope needs.
    sweep : SweepSettings
        What each spectrum is.
    risks : list of str
        What may go wrong or be missed, each in a sentence.
    """

    night: Night
    scales: list[LengthScale]
    care: Care
    time: Estimate
    sweep: SweepSettings
    risks: list[str]

    def __str__(self) -> str:
        lines = [
            f"{scale.name}: {scale.frame:g} nm, {scale.pixels} x {scale.pixels} pixels, {scale.budget} spectra by "
            f"{scale.agent.name}, the {_end(scale)} {scale.scalarizer.name} sought, {_stopped(scale)}"
            for scale in self.scales
        ]
        lines.append(_words(self.sweep))
        budget = self.night.budget
        ends = [f"{budget.spectra} spectra" if budget.spectra else "", f"{budget.hours:g} h" if budget.hours else ""]
        lines.append(
            f"Ends with the scales{''.join(f', or after {end} in all' for end in filter(None, ends))}; then the tip "
            f"{'is withdrawn' if self.night.end == 'withdraw' else 'stays'}."
        )
        lines.append(f"Care: {self.care}.")
        lines.append(f"Time: {self.time}.")
        return "\n".join([*lines, *(f"Risk: {risk}" for risk in self.risks)])


def outlook(session: Session, description: Night | Data) -> Outlook:
    """Say what a night will do; nothing moves.

    Parameters
    ----------
    session : Session
        Where it would run.
    description : Night or mapping
        The night.

    Raises
    ------
    SettingsError
        When it would be refused.
    """
    night = session.as_night(description)
    completed_record(night.about, session.record)
    with swept_as(session.stm, night.sweep):
        return _outlook(session, night)


def _outlook(session: Session, night: Night) -> Outlook:
    if night.sample is not None:
        check_setpoint(night.sample, session.stm)
    scales = _affordable(with_stop(night, night.scales or session.scales.values()), night.budget.spectra)
    care = night.care(usual=getattr(session.stm.part, "care", True))
    time = estimate(session.stm, scales, care)
    return Outlook(night, scales, care, time, session.stm.sweep.settings, _risks(session, night, care, time))


def _affordable(scales: list[LengthScale], spectra: int | None) -> list[LengthScale]:
    """Return the scales with the spectra that they may take, one after the other, out of those of the night."""
    if spectra is None:
        return scales
    found = []
    for scale in scales:
        if spectra > 0:
            found.append(scale.changed(budget=min(scale.budget, spectra)))
        spectra -= scale.budget
    return found


def _words(sweep: SweepSettings) -> str:
    held, ways = sweep.setpoint, "both ways" if sweep.backward else "one way"
    times = f"{sweep.points} points of {1e3 * sweep.settle:g} + {1e3 * sweep.integrate:g} ms"
    many = f", {sweep.averages} averaged" if sweep.averages > 1 else ""
    where = f"{held.bias:g} V, {held.current:g} nA" if held else "the set point as it stands"
    moved = f", moved by {sweep.z_offset:g} nm" if sweep.z_offset else ""
    return f"Sweep: {sweep.start:g} to {sweep.stop:g} V, {times}, {ways}{many}, from {where}{moved}."


def _end(scale: LengthScale) -> str:
    return "smallest" if getattr(scale.scalarizer, "prefer", "large") == "small" else "largest"


def _stopped(scale: LengthScale) -> str:
    """Say what ends a scale; the rule ``budget`` never does."""
    rules = [rule for rule in getattr(scale.stop, "of", (scale.stop,)) if rule.name != "budget"]
    early = " or ".join(getattr(rule, "words", rule.name) for rule in rules)
    return f"ended by these spectra, or earlier by {early}" if early else "ended by these spectra"


def _risks(session: Session, night: Night, care: Care, time: Estimate) -> list[str]:
    said = []
    if night.budget.hours and time.total > night.budget.hours * units.HOUR:
        share = night.budget.hours * units.HOUR / time.total
        said.append(f"The time suffices for {100 * share:.0f} % of what the scales ask for.")
    sweep = session.stm.sweep.settings
    if night.sample is not None and night.sample.gap:
        low, high = night.sample.gap
        if not (min(sweep.start, sweep.stop) < low and max(sweep.start, sweep.stop) > high):
            said.append(
                f"The sweep from {sweep.start:g} to {sweep.stop:g} V does not reach beyond the gap, {low:g} to {high:g} eV: "
                "an edge that is not seen gives no value."
            )
    asked = list(night.scales or session.scales.values())
    if len(affordable := _affordable(asked, night.budget.spectra)) < len(asked):
        left_out = ", ".join(scale.name for scale in asked[len(affordable) :])
        said.append(f"The budget of {night.budget.spectra} spectra is spent before {left_out}: give the larger scales fewer.")
    said += [_blurred(scale) for scale in asked if scale.sites == "spots" and scale.frame / scale.pixels > _coarse(scale)]
    off = [name for name in Care.model_fields if getattr(care, name) is None]
    lost = {
        "drift": "Drift is not followed: places, and frames within frames, are missed as the surface moves.",
        "tip": "The tip is not checked: values of a changed tip are used.",
        "suspend": "Nothing waits for an over-current, a lost contact or the end of the range in z.",
    }
    said += [lost[name] for name in off] if getattr(session.stm.part, "care", True) else []
    if care.tip and care.tip.pulse:
        said.append(
            f"A changed tip is pulsed with {care.tip.pulse[0]:g} V, {care.tip.aside:g} nm outside the frame: debris stays."
        )
    if care.tip and care.tip.then == "pause":
        said.append("A tip that stays changed lets the night wait for a person.")
    if night.end == "stay":
        said.append("The tip stays in contact when the night is over, with nobody there.")
    if not (night.alerts.file or night.alerts.command or night.alerts.mail):
        said.append("The night names nobody who is told when something happens (alerts); only those of the settings file are.")
    return said


def _coarse(scale: LengthScale) -> float:
    """Return the size of a pixel, in nm, beyond which two of the three widths at which spots are looked for are one pixel."""
    return WIDTHS[1] * scale.patch


def _blurred(scale: LengthScale) -> str:
    pixel, enough = scale.frame / scale.pixels, math.ceil(scale.frame / _coarse(scale))
    return (
        f"A pixel of scale {scale.name!r} is {pixel:.2g} nm, more than an eighth of its patch: small spots are not told from "
        f"noise and streaks. Take {enough} pixels or, on a bad day, twice as many."
    )


@dataclass(eq=False)
class Rehearsal(StreamRouter):
    """What happened in a rehearsal.

    Attributes
    ----------
    streams : Counter
        Number of Events by stream.
    ends : list of str
        How each run has ended.
    places : list of Point
        Where spectra were taken, in nm.
    revoked : int
        Spectra that were taken back with a changed tip.
    hours : float
        Simulated time, in h.
    withdrawn : bool
        True when the tip was left withdrawn.
    """

    streams: Counter[str] = field(default_factory=Counter)
    ends: list[str] = field(default_factory=list)
    places: list[Point] = field(default_factory=list)
    revoked: int = 0
    hours: float = 0.0
    withdrawn: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def give(self, stream: str, event: Data) -> None:
        """Count an Event."""
        self.streams[stream] += 1
        if stream == Stream.PRIMARY:
            self.places.append(spectrum_from(event["data"]).position)
        if stream == Stream.TIP_CHECK:
            self.revoked += tip_check_from(event["data"]).revoked

    def end(self, stop: Data) -> None:
        """Note how a run has ended."""
        self.ends.append(f"{stop['exit_status']}: {stop.get('reason', '')}")

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {stream}" for stream, count in sorted(self.streams.items()))
        left = "withdrawn" if self.withdrawn else "in contact"
        runs = f"{len(self.ends)} {'run' if len(self.ends) == 1 else 'runs'}"
        head = f"Rehearsed: {runs} in {self.hours:.2f} h, tip left {left}; {self.revoked} spectra taken back."
        return "\n".join([head, f"Events: {counted}", *self.ends])


@contextmanager
def twin(settings: Facility, limits: Limits | None = None) -> Iterator[Session]:
    """Give a session at the simulated twin of a microscope, in simulated time, into a folder that nobody reads.

    Parameters
    ----------
    settings : Facility
        Settings of the place.
    limits : Limits, optional
        Limits that hold on the twin, such as those of a run; by default those of the settings.
    """
    with open_session(rehearsal(settings), run_engine({}, context_managers=[])) as session:
        with session.stm.within(limits) if limits else nullcontext():
            yield session


def rehearse(settings: Facility, description: Night | Data) -> Rehearsal:
    """Run a night on the simulated twin of the microscope, in simulated time, into a folder that nobody reads.

    Parameters
    ----------
    settings : Facility
        Settings of the place. The sample of the night is simulated where it is one of `parts.samples`.
    description : Night or mapping
        The night. The devices of the facility are left out, and nobody is told.
    """
    silent = rehearsal(settings)
    night = Night.taken(description, silent.usual)
    named = night.sample.name if night.sample is not None else ""
    if settings.microscope.real and named in samples:
        silent = silent.changed(microscope={"name": "simulated", "sample": named})
    with twin(silent) as session:
        seen = Rehearsal()
        session.RE.subscribe(seen)
        began = session.stm.controller.now()
        nobody: dict[str, object] = dict.fromkeys(("beside", "baseline", "monitors", "sinks"), ()) | {"alerts": {}}
        session.RE(session.night(night.changed(**nobody)))
        seen.hours = (session.stm.controller.now() - began) / units.HOUR
        seen.withdrawn = session.stm.withdrawn
    return seen
