"""Cards of proposals: place, time, dose and the limits that are touched, as a rehearsal on the simulated twin has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from bluesky_stm import units
from bluesky_stm.desk._errors import Refused
from bluesky_stm.desk._live_record import LiveRecord
from bluesky_stm.facility import Facility, outlook, rehearse, twin
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.plans import spectra_at
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import Limits
from bluesky_stm.steer import Steer
from bluesky_stm.validated import JSON, Data
from bluesky_stm.views import numbers

UNITS = {"x": units.LENGTH, "y": units.LENGTH, "bias": units.BIAS}
"""Unit of each limit that a card names."""
NEAR = 0.1
"""A limit is touched by what comes nearer to it than this share of its range."""


class Cards:
    """Rehearses proposals on a twin of the microscope; nothing real is touched.

    Parameters
    ----------
    settings : Facility
        Settings of the place.
    """

    def __init__(self, settings: Facility) -> None:
        self._settings = settings

    def of_request(self, record: LiveRecord, act: str, content: Data) -> JSON:
        """Return the card of a request.

        Parameters
        ----------
        record : LiveRecord
            The run that goes on.
        act : str
            ``"measure"``, ``"mask"`` or ``"scalarize"``.
        content : mapping
            Settings of the request.

        Raises
        ------
        STMError
            When it would be refused.
        """
        trial = Steer("rehearsal", "the twin")
        trial.request(act, content)
        (asked,) = trial.take()
        match act:
            case "measure":
                return self._spectrum(record, asked.point)
            case "mask":
                return _masked(record, asked.area)
            case _:
                return _judged(record, asked.settings)

    def of_night(self, night: Data) -> JSON:
        """Return the card of a night: what it will do, what it risks, and what happened when it was rehearsed.

        Raises
        ------
        STMError
            When it would be refused, or fails on the twin.
        """
        with twin(self._settings) as session:
            expected, stm = outlook(session, night), session.stm
            limits, sweep, current = stm.limits, stm.sweep.settings, stm.controller.get_setpoint().current
        seen = rehearse(self._settings, night)
        failed = [end for end in seen.ends if not end.startswith("success")]
        ends = [(name, value) for place in seen.places for name, value in zip("xy", place, strict=True)]
        ends += [("bias", sweep.start), ("bias", sweep.stop)]
        return {
            "place": ", ".join(f"{scale.name} {scale.frame:g} nm, {scale.budget} spectra" for scale in expected.scales)
            + f"; on the twin {_extent(seen.places)}",
            "time": str(expected.time),
            "dose": f"{current * seen.hours * units.HOUR:.3g} nC at the set point of {current:g} nA, "
            f"in {seen.hours:.2g} h on the twin",
            "limits touched": ", ".join(_near(limits, ends)) or "none",
            "care": str(expected.care),
            "risks": " ".join(expected.risks) or "none known",
            "rehearsed": f"{len(seen.ends)} runs, {seen.streams['primary']} spectra, {seen.revoked} taken back, "
            f"tip left {'withdrawn' if seen.withdrawn else 'in contact'}",
            "failed on the twin": "; ".join(failed) or "nothing",
        }

    def _spectrum(self, record: LiveRecord, place: Point) -> JSON:
        start = record.start_document
        limits = Limits.parse({name: value for name, value in start["limits"].items() if value is not None})
        with twin(self._settings, limits) as session:
            stm = session.stm
            stm.tip.check_value(place)
            began, setpoint = stm.controller.now(), stm.controller.get_setpoint()
            session.RE(spectra_at(stm, [place]))
            run = session.catalog[-1]
            seconds = stm.controller.now() - began
            quality = run.spectra[0].quality.words if run.spectra else "no spectrum"
            touched = _near(stm.limits, [("x", place[0]), ("y", place[1])])
        inside = record.frame.contains([place]).all()
        return {
            "place": f"({place[0]:.6g}, {place[1]:.6g}) nm, {'inside' if inside else 'OUTSIDE'} the frame of the run",
            "time": f"{seconds:.1f} s on the twin",
            "dose": f"{setpoint.current * seconds:.3g} nC at the set point of {setpoint.current:g} nA",
            "limits touched": ", ".join(touched) or "none",
            "rehearsed": f"one spectrum, {quality}",
        }


def _masked(record: LiveRecord, area: Frame) -> JSON:
    places = record.candidates
    inside = int(area.contains(places).sum()) if len(places) else 0
    if len(places) and inside == len(places):
        raise Refused("refused", "The area holds every candidate: nothing would be left to measure.")
    width, height = area.size
    return {
        "place": f"{width:g} x {height:g} nm around ({area.center.x:.6g}, {area.center.y:.6g}) nm",
        "time": "none",
        "dose": "none: the tip is not moved by it",
        "limits touched": "none",
        "rehearsed": f"{inside} of {len(places)} candidates would be left out",
    }


def _judged(record: LiveRecord, described: Data) -> JSON:
    scalarizer = make_scalarizer(described)
    if scalarizer.units != record.units:
        raise Refused(
            "refused", f"Its values are in {scalarizer.units}, those of this run in {record.units}: start another run."
        )
    values = [scalarizer(spectrum) for spectrum in record.spectra]
    found = numbers([value for value in values if isinstance(value, float) and math.isfinite(value)])
    spread = f", from {min(found):.4g} to {max(found):.4g} {scalarizer.units}" if found else ""  # type: ignore[type-var]
    return {
        "place": "all spectra of the run",
        "time": "none",
        "dose": "none: the tip is not moved by it",
        "limits touched": "none",
        "rehearsed": f"{len(found)} of {len(values)} spectra have a value{spread}",
    }


def _extent(places: Sequence[Point]) -> str:
    """Say from where to where spectra were taken."""
    if not places:
        return "no spectrum"
    (left, low), (right, high) = np.min(places, axis=0), np.max(places, axis=0)
    return f"spectra from ({left:.4g}, {low:.4g}) to ({right:.4g}, {high:.4g}) nm"


def _near(limits: Limits, reached: Iterable[tuple[str, float]]) -> list[str]:
    """Say which limits are come near to, and how near."""
    nearest: dict[str, float] = {}
    for name, value in reached:
        low, high = getattr(limits, name)
        left = min(value - low, high - value)
        if left < NEAR * (high - low):
            nearest[name] = min(left, nearest.get(name, left))
    return [f"{name} within {left:.4g} {UNITS[name]} of its limit" for name, left in nearest.items()]
