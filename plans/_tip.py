"""The state of the tip: a spectrum at a place of reference, judged by rules against the one taken there first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator
from pydantic import Field

from bluesky_stm import units
from bluesky_stm.devices import Pulse
from bluesky_stm.geometry import Floats, Frame, Point, extract_patches
from bluesky_stm.imaging import level
from bluesky_stm.measurements import Quality, Spectrum, Topograph
from bluesky_stm.plans._metadata import describe_run
from bluesky_stm.plans._notes import COUNT, WORDS, Note, record
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._safety import safely
from bluesky_stm.plans._stubs import spectrum_of
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import Positive, Settings

if TYPE_CHECKING:
    from bluesky_stm.devices import STM

FIELDS = {"verdict": WORDS, "reason": WORDS, "revoked": COUNT, "attempt": COUNT, "x": units.LENGTH, "y": units.LENGTH}
"""Of an Event in the stream ``tip_check``, beside the spectrum.

``verdict`` is ``reference`` (the first), ``good``, ``doubtful`` (to be confirmed), ``changed`` or ``renewed`` (taken as the new
reference); ``revoked`` the number of spectra, the last ones, that are taken back with it.
"""

_RINGS = 5
"""Distances from the frame, multiples of that asked for, in which there is a place for a pulse on each side."""

SUSPICIOUS = Quality.TIP_CHANGED | Quality.LOST_CONTACT
"""Flags of a spectrum after which the tip is looked at."""


class TipCheck(Settings):
    """When and how the tip is looked at.

    Attributes
    ----------
    every : int
        Spectra between two checks; after a suspicious spectrum there is one at once.
    at : (float, float), optional
        Place of reference on the topograph, in nm; by default the smoothest one.
    onset : float
        How far a band edge may move, in V.
    shape : float
        How far the current may have changed, as the median absolute logarithm over the biases beyond the edges.
    leak : float
        How far the current inside the gap may rise, in its standard deviations in the reference.
    contrast : float
        How much rougher or smoother images may become, as a factor.
    pulse : (float, float), optional
        Condition a changed tip with pulses of that bias and width, V and s; None for not.
    aside : float
        How far outside the frame the tip is pulsed, in nm, since a pulse leaves something where it is fired.
    attempts : int
        Pulses after which that is given up.
    then : {"pause", "renew", "stop"}
        What to do with a tip that stays changed: let a person decide, go on with it as the new reference, or end the run.
    """

    every: int = Field(10, ge=1)
    at: tuple[float, float] | None = None
    onset: Positive = 0.15
    shape: Positive = 0.5
    leak: Positive = 12.0
    contrast: float = Field(2.0, gt=1)
    pulse: tuple[float, Positive] | None = None
    aside: Positive = 30.0
    attempts: int = Field(3, ge=1)
    then: Literal["pause", "renew", "stop"] = "pause"


def judge(reference: Spectrum, now: Spectrum, check: TipCheck) -> str:
    """Why ``now`` was taken with another tip than ``reference``, at the same place; empty when it was not."""
    if now.quality & (SUSPICIOUS | Quality.INCOMPLETE):
        return f"the spectrum is marked: {now.quality.words}"
    moved = _moved_edges(reference, now, check.onset)
    return moved or _leaks(reference, now, check.leak) or _reshaped(reference, now, check.shape)


def smoothest(image: Topograph, margin: float = 0.1) -> Point:
    """The place with the least relief around it, ``margin`` of the frame away from its edges."""
    height = level(np.where(np.isfinite(image.height), image.height, np.nanmean(image.height)))
    size = max(3, round(0.04 * min(height.shape)))
    pixels = np.stack(np.meshgrid(*(_inner(n, size, margin) for n in height.shape), indexing="ij"), axis=-1).reshape(-1, 2)
    relief = np.ptp(extract_patches(height, pixels, size), axis=(1, 2))
    x, y = image.frame.to_sample(pixels[np.argmin(relief)])
    return Point(float(x), float(y))


def places_around(frame: Frame, aside: float, kept: Point) -> list[Point]:
    """Where pulses do no harm: outside ``frame``, multiples of ``aside`` nm off its sides, so far at least from ``kept``."""
    sides = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)]) / 2
    away = [sides * (1 + 2 * ring * aside / np.array(frame.size)) for ring in range(1, _RINGS + 1)]
    shares = np.concatenate(away)[:, ::-1]  # (up, along) of the frame from its centre
    places = frame.to_sample((shares + 0.5) * frame.pixels - 0.5)
    return [Point(float(x), float(y)) for x, y in places if np.hypot(x - kept.x, y - kept.y) >= aside - 1e-9]


class TipWatch:
    """Looks after the tip of a run.

    Parameters
    ----------
    stm : STM
    check : TipCheck
    place : Point
        Of reference, on the topograph.
    where : callable
        Gives where the tip has to go now to stand on a place of the topograph.
    """

    def __init__(self, stm: STM, check: TipCheck, place: Point, where: Callable[[Point], Point] = lambda p: p) -> None:
        self.stm, self.check, self.place, self.where = stm, check, place, where
        self.reference: Spectrum | None = None
        self._note = Note("tip_check", FIELDS)
        self._clean = places_around(stm.scanner.frame, check.aside, place)

    def due(self, spectra: int, last: Spectrum | None, contrast: float) -> bool:
        """Whether to look: ``spectra`` after the last check, the last of them suspicious, images of another contrast."""
        suspicious = last is not None and bool(last.quality & SUSPICIOUS)
        changed = not 1 / self.check.contrast < contrast < self.check.contrast
        return spectra >= self.check.every or (spectra > 0 and (suspicious or changed))

    def look(self, revocable: int) -> MsgGenerator[str]:
        """Check the tip; ``revocable`` spectra were taken since the last time that it was good.

        Returns
        -------
        str
            Why the run has to end, empty if it may go on.
        """
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
        return (yield from self._give_up(reason)) if reason else ""

    def begin(self) -> MsgGenerator[None]:
        """Take the spectrum of reference: of three, the one in the middle."""
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
        taken = []
        for _ in range(3):
            yield from self._sweep()
            spectrum = spectrum_of(self.stm)
            if spectrum is None:  # the plan is only simulated
                return
            taken.append(spectrum)
            self.reference = _middle(taken)
            yield from self._write(verdict, reason, 0, 0)

    def _ask(self, attempt: int, revocable: int, *, confirmed: bool) -> MsgGenerator[str]:
        """One spectrum at the place of reference and what it says: why the tip has changed, or nothing."""
        yield from self._sweep()
        spectrum = spectrum_of(self.stm)
        if spectrum is None or self.reference is None:
            return ""
        reason = judge(self.reference, spectrum, self.check)
        verdict = "good" if not reason else "changed" if confirmed else "doubtful"
        yield from self._write(verdict, reason, revocable if verdict == "changed" else 0, attempt)
        return reason

    def _sweep(self) -> MsgGenerator[None]:
        yield from bps.checkpoint()
        yield from bps.mv(self.stm.tip, self.where(self.place))
        yield from bps.trigger(self.stm.sweep, wait=True)

    def _next_clean(self) -> Point | None:
        """Where the tip has to go now to stand where nothing was pulsed before; None when the limits leave no such place."""
        (left, bottom), (right, top) = self.stm.tip.limits
        while self._clean:
            place = self.where(self._clean.pop(0))
            if left <= place.x <= right and bottom <= place.y <= top:
                return place
        return None

    def _pulse(self, place: Point) -> MsgGenerator[None]:
        """Fire at ``place``, aside from what is measured."""
        assert self.check.pulse
        yield from bps.checkpoint()
        yield from bps.mv(self.stm.tip, place)
        yield from bps.mv(self.stm.pulse, Pulse(*self.check.pulse))

    def _write(self, verdict: str, reason: str, revoked: int, attempt: int) -> MsgGenerator[None]:
        x, y = self.place
        said = {"verdict": verdict, "reason": reason, "revoked": revoked, "attempt": attempt, "x": x, "y": y}
        yield from record("tip_check", self._note, self.stm.sweep, self.stm.tip, **said)


@queueable
def check_tip(
    stm: STM,
    point: tuple[float, float] | None = None,
    *,
    times: int = 1,
    settings: Mapping[str, Any] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take a spectrum of reference at ``point`` (x, y) in nm, else where the tip stands, and compare ``times`` more with it.

    One run; a tip that changed in between is conditioned, or left to a person, as ``settings`` (of `TipCheck`) say.
    """
    place = Point(*(stm.tip.position if point is None else point))
    stm.tip.check_value(place)
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


# ---- rules -----------------------------------------------------------------------------------------------------------


def _moved_edges(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    for name in ("valence_edge", "conduction_edge"):
        before, after = (make_scalarizer(name)(spectrum) for spectrum in (reference, now))
        if not isinstance(before, float):  # it has no such edge, here
            continue
        if not isinstance(after, float):
            return f"no {name.replace('_', ' ')} any more: {after.reason}"
        if abs(after - before) > allowed:
            return f"the {name.replace('_', ' ')} moved by {after - before:+.3f} V, {allowed:g} V are allowed"
    return ""


def _leaks(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    gap = _gap(reference)
    if gap.sum() < 5:
        return ""
    noise = max(float(np.std(reference.current[gap])), 1e-5)
    excess = float(np.sqrt(np.mean((now.current[gap] - np.median(reference.current[gap])) ** 2))) / noise
    return f"the current in the gap is {excess:.0f} times its noise, {allowed:g} are allowed" if excess > allowed else ""


def _reshaped(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    before, after = np.abs(reference.current), np.abs(now.current)
    seen = (before > 0.05 * reference.setpoint.current) & ~_gap(reference) & np.isfinite(before) & np.isfinite(after)
    if seen.sum() < 5:
        return ""
    change = float(np.median(np.abs(np.log(np.maximum(after[seen], 1e-6) / before[seen]))))
    return f"the current changed by a factor {np.exp(change):.2f}, {np.exp(allowed):.2f} is allowed" if change > allowed else ""


def _gap(spectrum: Spectrum) -> np.ndarray:
    """Which samples lie inside the gap, a fifth of it away from both edges."""
    low, high = (make_scalarizer(name)(spectrum) for name in ("valence_edge", "conduction_edge"))
    if not (isinstance(low, float) and isinstance(high, float)):
        return np.zeros(len(spectrum.bias), dtype=bool)
    away = 0.2 * (high - low)
    return (spectrum.bias > low + away) & (spectrum.bias < high - away)


def _middle(spectra: Sequence[Spectrum]) -> Spectrum:
    """The spectrum whose current lies nearest to the median of all."""
    currents = np.array([spectrum.current for spectrum in spectra])
    return spectra[int(np.argmin(np.abs(currents - np.median(currents, axis=0)).sum(axis=1)))]


def _inner(pixels: int, size: int, margin: float) -> Floats:
    away = max(margin * pixels, size / 2)
    return np.arange(away, pixels - away)
