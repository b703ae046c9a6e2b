"""Checks of the tip: a spectrum at a place of reference is compared with the first one there; a changed tip is pulsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Spectrum
from bluesky_stm.plans._metadata import describe_run
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._readable import INTEGER, STRING, PlanReadable, record
from bluesky_stm.plans._safety import safely
from bluesky_stm.plans._stubs import spectrum_of
from bluesky_stm.plans._tip_check import SUSPICIOUS, TipCheck, judge
from bluesky_stm.plans._tip_places import places_around

if TYPE_CHECKING:
    from bluesky_stm.devices import STM
    from bluesky_stm.teaching import TipReference

TIP_CHECK_FIELDS = {
    "verdict": STRING,
    "reason": STRING,
    "revoked": INTEGER,
    "attempt": INTEGER,
    "x": units.LENGTH,
    "y": units.LENGTH,
}
"""Fields of an Event in the stream ``tip_check``, beside the spectrum.

``verdict`` is ``reference`` (the first), ``good``, ``doubtful`` (to be confirmed), ``changed`` or ``renewed`` (taken as the new
reference). ``revoked`` is the number of spectra, the last ones, that are taken back with it.
"""


REFERENCES = 3
"""Spectra without a mark of which the middle one is the reference."""


class TipWatch:
    """Checks the tip during a run.

    Parameters
    ----------
    stm : STM
        Microscope.
    check : TipCheck
        Settings of the checks.
    place : Point
        Place of reference on the topograph, in nm.
    where : callable
        Returns the place to which the tip has to go now to stand on a place of the topograph.
    spared : Frame, optional
        Region that pulses keep out of, if it is more than the present frame: one above it, to which the exploration may come
        back.
    known : TipReference, optional
        What the tip was compared with in the part of the run with which this one goes on: it may have changed since.

    Attributes
    ----------
    reference : Spectrum or None
        Spectrum with which others are compared; None before `begin`.
    away : bool
        True when the tip was led out of the frame since somebody set this to False.
    """

    def __init__(
        self,
        stm: STM,
        check: TipCheck,
        place: Point,
        where: Callable[[Point], Point] = lambda p: p,
        spared: Frame | None = None,
        known: TipReference | None = None,
    ) -> None:
        self.stm, self.check, self.where = stm, check, where
        self.place = known.place if known else place
        self.reference: Spectrum | None = _middle(known.spectra) if known else None
        self.away = False
        self._unsure = known is not None
        self._readable = PlanReadable(Stream.TIP_CHECK, TIP_CHECK_FIELDS)
        self._clean = places_around(spared or stm.scanner.frame, check.aside, place)

    def due(self, spectra: int, last: Spectrum | None, contrast: float) -> bool:
        """Return True when the tip is to be checked.

        Parameters
        ----------
        spectra : int
            Number of spectra since the last check.
        last : Spectrum or None
            The last of them; a suspicious one calls for a check at once.
        contrast : float
            Contrast of the last quick image, relative to the reference.
        """
        suspicious = last is not None and bool(last.quality & SUSPICIOUS)
        changed = not 1 / self.check.contrast < contrast < self.check.contrast
        return self._unsure or spectra >= self.check.every or (spectra > 0 and (suspicious or changed))

    def look(self, revocable: int) -> MsgGenerator[str]:
        """Check the tip, and pulse it where it has changed and the settings allow that.

        One Event in the stream ``tip_check`` is emitted for each spectrum. A doubtful spectrum is repeated before the tip
        counts as changed.

        Parameters
        ----------
        revocable : int
            Number of spectra that were taken since the last time that the tip was good; they are revoked with a changed tip.

        Returns
        -------
        str
            Why the run has to end; empty if it may go on.
        """
        self._unsure = False
        reason = yield from self._compare(revocable)
        return (yield from self._give_up(reason)) if reason else ""

    def look_back(self, revocable: int) -> MsgGenerator[None]:
        """Check the tip when a run is over, and pulse a changed one, so that the next run begins with a good one.

        Parameters
        ----------
        revocable : int
            Number of spectra that were taken since the last time that the tip was good.
        """
        yield from self._compare(revocable)

    def _compare(self, revocable: int) -> MsgGenerator[str]:
        """Compare the tip with the reference and condition a changed one; why it stays changed, or nothing."""
        reason = yield from self._ask(0, 0, confirmed=False)
        if not reason:
            return ""
        reason = yield from self._ask(0, revocable, confirmed=True)
        for attempt in range(1, self.check.attempts + 1 if reason and self.check.pulse else 1):
            clean = self._next_clean()
            if clean is None:
                reason += f"; no place {self.check.aside:g} nm outside the frame and within the limits is left for a pulse"
                break
            yield from self._pulse(clean)
            reason = yield from self._ask(attempt, 0, confirmed=True)
            if not reason:
                return ""
        return reason

    def begin(self) -> MsgGenerator[None]:
        """Take the spectrum of reference, the middle one of three without a mark, where there is none."""
        if self.reference is not None:
            return
        yield from self._renew("reference", "")

    def _give_up(self, reason: str) -> MsgGenerator[str]:
        if self.check.then == "stop":
            return f"the tip has changed: {reason}"
        if self.check.then == "pause":
            yield from bps.checkpoint()
            yield from bps.pause()  # a person looks; going on means: with this tip
        yield from self._renew("renewed", reason)
        return ""

    def _renew(self, verdict: str, reason: str) -> MsgGenerator[None]:
        taken: list[Spectrum] = []
        for _ in range(2 * REFERENCES):
            yield from self._sweep()
            spectrum = spectrum_of(self.stm)
            if spectrum is None:  # the plan is only simulated
                return
            taken.append(spectrum)
            self.reference = _middle(taken)
            yield from self._write(verdict, reason, 0, 0)
            if sum(not one.quality & SUSPICIOUS for one in taken) >= REFERENCES:
                return

    def _ask(self, attempt: int, revocable: int, *, confirmed: bool) -> MsgGenerator[str]:
        """Take a spectrum at the place of reference; return why the tip has changed, or nothing.

        One that is marked itself says little of the tip: before it counts, some more are taken.
        """
        reason = ""
        for left in range(REFERENCES - 1 if confirmed else 0, -1, -1):
            yield from self._sweep()
            spectrum = spectrum_of(self.stm)
            if spectrum is None or self.reference is None:
                return ""
            reason = judge(self.reference, spectrum, self.check)
            again = left > 0 and bool(spectrum.quality & SUSPICIOUS)
            verdict = "good" if not reason else "changed" if confirmed and not again else "doubtful"
            yield from self._write(verdict, reason, revocable if verdict == "changed" else 0, attempt)
            if not again:
                break
        return reason

    def _sweep(self) -> MsgGenerator[None]:
        yield from bps.checkpoint()
        yield from bps.mv(self.stm.tip, self.where(self.place))
        yield from bps.trigger(self.stm.sweep, wait=True)

    def _next_clean(self) -> Point | None:
        """Return the place to which the tip has to go now to stand where nothing was pulsed before.

        None is returned when the limits leave no such place.
        """
        (left, bottom), (right, top) = self.stm.tip.limits
        while self._clean:
            place = self.where(self._clean.pop(0))
            if left <= place.x <= right and bottom <= place.y <= top:
                return place
        return None

    def _pulse(self, place: Point) -> MsgGenerator[None]:
        """Fire at ``place``, away from what is measured."""
        from bluesky_stm.devices import BiasPulse  # here, as who only reads of plans, as a replay does, needs no ophyd

        assert self.check.pulse
        self.away = True
        yield from bps.checkpoint()
        yield from bps.mv(self.stm.tip, place)
        yield from bps.mv(self.stm.pulse, BiasPulse(*self.check.pulse))

    def _write(self, verdict: str, reason: str, revoked: int, attempt: int) -> MsgGenerator[None]:
        x, y = self.place
        said = {"verdict": verdict, "reason": reason, "revoked": revoked, "attempt": attempt, "x": x, "y": y}
        yield from record(self._readable, self.stm.sweep, self.stm.tip, **said)


@queueable
def check_tip(
    stm: STM,
    point: tuple[float, float] | None = None,
    *,
    times: int = 1,
    settings: Mapping[str, object] | None = None,
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[str]:
    """Take a spectrum of reference at a place and compare further ones with it, as one run.

    A tip that changed in between is pulsed, or left to a person, as the settings say.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    point : (float, float), optional
        Place (x, y), in nm; that of the tip if not given.
    times : int
        Number of comparisons.
    settings : mapping, optional
        Settings of `TipCheck`.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.
    """
    place = Point(*(stm.tip.position if point is None else point))
    stm.tip.check_value(place)
    stm.sweep.check_value(stm.sweep.settings)
    check = TipCheck.parse(settings or {})
    arguments = {"point": list(place), "times": times, "settings": check.model_dump(mode="json")}

    @bpp.stage_decorator([stm.sweep])
    @bpp.run_decorator(md={**describe_run("check_tip", arguments, stm, stm.scanner.frame), **(md or {})})
    def run() -> MsgGenerator[None]:
        watch = TipWatch(stm, check, place)
        yield from watch.begin()
        for _ in range(times):
            if (yield from watch.look(0)):
                return

    return (yield from safely(stm, run()))


def _middle(spectra: Sequence[Spectrum]) -> Spectrum:
    """Return the spectrum whose current lies nearest to the median of all; of those that are not marked, if there are any."""
    spectra = [one for one in spectra if not one.quality & SUSPICIOUS] or spectra
    currents = np.array([spectrum.current for spectrum in spectra])
    return spectra[int(np.argmin(np.abs(currents - np.median(currents, axis=0)).sum(axis=1)))]
