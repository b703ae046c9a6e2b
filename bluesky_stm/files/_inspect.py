"""A file at a glance: what it holds, what becomes dI/dV, and what is missing to explore it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError, STMError
from bluesky_stm.files._3ds import Sweeps
from bluesky_stm.files._format import FileContents
from bluesky_stm.files._read import read, recognised
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import About, Grid, Quality, Setpoint, Spectrum, Swept, Topograph
from bluesky_stm.tip_changes import marked
from bluesky_stm.validated import JSON

KINDS: Final[Mapping[type, str]] = {
    Grid: "grid of spectra",
    RecordedRun: "image with spectra",
    Topograph: "image",
    Spectrum: "spectrum",
    Sweeps: "grid of sweeps",
}

MOST_FITTED: Final = 128
"""Sweeps of the distance that are fitted for the median of a grid."""


def inspect_file(path: str | Path, *, didv: str = "") -> JSON:
    """Return what a file holds, as JSON-able values by name.

    Parameters
    ----------
    path : path
        The file, or a folder of an image with its spectra.
    didv : str
        Name of the channel that becomes dI/dV; empty to look for one.

    Returns
    -------
    dict
        ``file``, ``format``, ``kind``, and as far as the file has them ``frame``, ``place``, ``setpoint``, ``ranges`` (each
        with its unit), ``channels``, ``temperature``, ``modulation``, ``comment``, ``didv``, ``quality``, ``scalarizer``; last
        ``missing``, what an exploration of the recording would need, and ``unknown``, what it could do better with. Of a file
        that cannot be read there is ``error`` instead.
    """
    path = Path(path)
    found: JSON = {"file": str(path)}
    try:
        found["format"] = "folder" if path.is_dir() else recognised(path).name
        held = read(path, didv=didv)
    except STMError as error:
        return {**found, "error": str(error)}
    about = held.about or About()
    found |= {"kind": KINDS[type(held)], **_seen(held), "channels": list(about.channels)}
    for name, value, unit in (
        ("temperature", about.temperature, units.TEMPERATURE),
        ("modulation", about.amplitude, units.BIAS),
        ("modulation_frequency", about.frequency, units.FREQUENCY),
    ):
        if np.isfinite(value):
            found[name] = _quantity(value, unit)
    for name, words in (("comment", about.comment), ("sample", about.sample), ("kept", about.kept)):
        if words:
            found[name] = words
    if not isinstance(held, Topograph | Sweeps):
        found["didv"] = str(about.calibration) if about.calibration else "dI/dV is as it was stored"
    return {**found, "missing": list(_missing(held)), "unknown": list(_unknown(held, about))}


def _seen(held: FileContents) -> JSON:
    """Return place, set point, ranges and quality of what was measured."""
    match held:
        case RecordedRun():
            image = held.topograph
            counted = _qualities(held)
            return {
                "frame": _frame(image.frame),
                "setpoint": _setpoint(image.setpoint),
                "ranges": {"height": _range(image.height, units.LENGTH), **_swept(held.spectra)},
                "spectra": len(held.spectra),
                "quality": counted,
                "scalarizer": held.suggested_scale()["scalarizer"],
            }
        case Grid():
            run = _explorable(held)
            return {
                "frame": _frame(held.frame),
                "setpoint": _setpoint(held.setpoint),
                "ranges": {"height": _range(held.height, units.LENGTH), **_swept([held])},
                "spectra": int(np.isfinite(held.current).any(axis=-1).sum()),
                "quality": _qualities(run) if run else held.quality.words,
                **({"scalarizer": run.suggested_scale()["scalarizer"]} if run else {}),
            }
        case Spectrum():
            place = {"place": [_quantity(v, units.LENGTH) for v in held.position]} if np.isfinite(held.position).all() else {}
            return {
                **place,
                "setpoint": _setpoint(held.setpoint),
                "ranges": _swept([held]),
                "points": len(held.bias),
                "quality": marked(held).quality.words,
            }
        case Sweeps():
            ranges = {held.swept: _range(held.values, held.units.get(held.swept, ""))}
            ranges |= {name: _range(values, held.units.get(name, "")) for name, values in held.channels.items()}
            setpoint = {"setpoint": _setpoint(held.setpoint)} if held.setpoint else {}
            alone = held.frame.pixels == (1, 1)
            place = {"place": [_quantity(v, units.LENGTH) for v in held.frame.center]}
            where = place if alone else {"frame": _frame(held.frame)}
            return {**where, **setpoint, "ranges": ranges, "points": len(held.values), **_barrier(held)}
        case Topograph():
            return {
                "frame": _frame(held.frame),
                "setpoint": _setpoint(held.setpoint),
                "ranges": {"height": _range(held.height, units.LENGTH)},
                "quality": held.quality.words,
            }
    raise FileFormatError(f"{type(held).__name__} is no measurement that can be inspected.")


def _missing(held: FileContents) -> Iterable[str]:
    """Say what an exploration of this recording would need and the file does not have."""
    match held:
        case Topograph():
            yield "spectra: import the image together with its point spectra"
        case Spectrum():
            yield "an image in which it was taken: import both together"
            if not np.isfinite(held.position).all():
                yield "the place where it was taken"
        case Sweeps():
            yield f"a sweep of the bias: it swept {held.swept}, of which no agent learns"
        case Grid():
            if np.isnan(held.height).all():
                yield "heights: without an image nothing can be explored"
            if np.isnan(held.current).all():
                yield "spectra: no pixel was measured"
        case RecordedRun() if not held.spectra:
            yield "spectra"


def _unknown(held: FileContents, about: About) -> Iterable[str]:
    """Say what the file does not have that values of its spectra depend on."""
    if isinstance(held, Spectrum | Grid | RecordedRun):
        setpoint = held.topograph.setpoint if isinstance(held, RecordedRun) else held.setpoint
        if not np.isfinite([setpoint.bias, setpoint.current]).all():
            yield "the set point, to which `gap` refers"
        first = held.spectra[0] if isinstance(held, RecordedRun) and held.spectra else held
        if isinstance(first, Swept) and first.quality & Quality.DERIVED:
            yield "a lock-in that gives dI/dV; the derivative of the current is noisier"
        if np.isnan(about.temperature) or np.isnan(about.amplitude):
            yield "temperature or modulation, which the fits of narrow lines have to be told"


def _explorable(grid: Grid) -> RecordedRun | None:
    """Return the run that a grid makes; None where it has no image or no spectrum."""
    try:
        return RecordedRun.of_grid(grid)
    except FileFormatError:
        return None


def _barrier(sweeps: Sweeps) -> JSON:
    """Return the median of the barrier heights of a sweep of the distance, or why there are none."""
    if not sweeps.of_distance:
        return {}
    measured = sweeps.measured
    found = [sweeps.barrier(pixel) for pixel in measured[:: 1 + (len(measured) - 1) // MOST_FITTED]]
    heights = np.array([one.value for one in found])
    reasons = Counter(one.reason for one in found if one.reason)
    known = np.isfinite(heights)
    said: JSON = {"barrier": _quantity(float(np.median(heights[known])) if known.any() else np.nan, units.ENERGY)}
    among = f", spread over {len(measured)}" if len(found) < len(measured) else ""
    said |= {"barrier_of": f"{known.sum()} of {len(found)} sweeps{among}"}
    return said | ({"barrier_missing": dict(reasons)} if reasons else {})


def _qualities(run: RecordedRun) -> dict[str, int]:
    """Return how many spectra have which flags, as documents and recorded runs would say it of them."""
    return dict(Counter(marked(one).quality.words for one in run.spectra))


def _swept(swept: Iterable[Swept]) -> JSON:
    """Return the ranges of bias, current and dI/dV over all spectra."""
    parts = list(swept)
    channels = (("bias", units.BIAS), ("current", units.CURRENT), ("didv", units.CONDUCTANCE))
    return {name: _range(np.concatenate([np.ravel(getattr(p, name)) for p in parts]), unit) for name, unit in channels if parts}


def _range(values: Floats, unit: str) -> JSON:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (None, None)
    return {"from": low, "to": high, "units": unit}


def _quantity(value: float, unit: str) -> JSON:
    return {"value": float(value) if np.isfinite(value) else None, "units": unit}


def _setpoint(setpoint: Setpoint) -> JSON:
    return {"bias": _quantity(setpoint.bias, units.BIAS), "current": _quantity(setpoint.current, units.CURRENT)}


def _frame(frame: Frame) -> JSON:
    return {
        "center": list(frame.center),
        "size": list(frame.size),
        "pixels": list(frame.pixels),
        "angle": frame.angle,
        "units": units.LENGTH,
    }
