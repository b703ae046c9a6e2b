"""Records to the numbers of a report page: JSON, with large arrays packed as base64 of little-endian numbers.

A page stays below 5 MB whatever the runs hold, because the runs share fixed numbers of pixels, spectrum samples and map
values: above them images are averaged, spectra thinned and maps left out, evenly. What is shown is never made up between.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import CHANNELS, Field, Spectrum
from bluesky_stm.pictures import contrast, flattened, tones
from bluesky_stm.protocols import Decision
from bluesky_stm.validated import JSON
from bluesky_stm.views._pictures import COLORS, Mosaic, shrunk, within
from bluesky_stm.views._record import RunRecord

PIXELS = 500_000
SAMPLES = 360_000
MAP_VALUES = 240_000
"""Shared by all runs of a page: pixels of topographs, samples of spectra, values of maps."""

ABOUT = ("plan_name", "length_scale", "scalarizer", "agent", "controller", "plan_args", "versions", "operator", "child_rule")
"""What of the start document is shown as it stands."""


def payload(records: Sequence[RunRecord], title: str | None) -> JSON:
    """Return all that the page shows.

    Parameters
    ----------
    records : sequence of RunRecord
        At least one run; they share the room for pixels, samples and values of maps.
    title : str or None
        Title of the page; None for the sample.

    Returns
    -------
    dict
        Plain values for JSON, with arrays as `pack` gives them.
    """
    first = records[0].start_document
    return {
        "title": title,
        "sample": first.get("sample", "unknown sample"),
        "campaign": first.get("campaign"),
        "began": first["time"],
        "ended": max((record.stop_document or record.start_document)["time"] for record in records),
        "colors": {name: pack(_lookup_table(name), "u1") for name in COLORS},
        "runs": [run(record, records) for record in records],
    }


def run(record: RunRecord, records: Sequence[RunRecord]) -> JSON:
    """Return what the page shows of one run.

    Places are in nm from the lower left corner of its frame, along and up.

    Parameters
    ----------
    record : RunRecord
        The run.
    records : sequence of RunRecord
        All runs of the page, among which its children are found.
    """
    start, best = record.start_document, record.best
    return {
        "uid": record.uid,
        "parent": record.parent,
        "name": record.name,
        "label": record.quantity,
        "small": record.sign < 0,
        "units": record.units,
        "frame": record.frame.as_dict(),
        "children": [_outline(record.frame, child) for child in records if child.parent == record.uid],
        "masked": [_local(record.frame, area.corners) for area in record.masked],
        "topograph": _topograph(record, PIXELS // len(records)),
        "candidates": len(record.candidates),
        "budget": record.budget,
        "best": best and best.number,
        "curve": numbers(record.sign * record.learning_curve),
        "spectra": _spectra(record, SAMPLES // len(records)),
        "decisions": [_decision(decision, record.sign) for decision in record.decisions],
        "maps": _maps(record, MAP_VALUES // len(records)),
        "seed": start.get("agent", {}).get("seed"),
        "warnings": [f"after {count} spectra: {text}" for count, text in record.warnings]
        + list(filter(None, [record.failures])),
        "exit": record.stop_document.get("exit_status", "not finished"),
        "about": {key: start[key] for key in ABOUT if start.get(key)},
    }


def pack(values: ArrayLike, kind: str = "f4") -> JSON:
    """Return an array for the page's own ``unpack``.

    Parameters
    ----------
    values : array_like
        Numbers of any shape.
    kind : str
        Type of numpy in which they are sent, little-endian: ``"f4"`` keeps seven digits, ``"u1"`` whole numbers to 255.
    """
    array = np.ascontiguousarray(values, dtype=f"<{kind}")
    return {"kind": kind, "shape": array.shape, "data": base64.b64encode(array.tobytes()).decode()}


def numbers(values: ArrayLike) -> list[float | None]:
    """Return numbers for JSON, with seven significant figures: the page writes four, and five rounded twice are not the number.

    Parameters
    ----------
    values : array_like
        Numbers of any shape.

    Returns
    -------
    list of float or None
        Flat; None, which is null in JSON, for what is not finite.
    """
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in np.asarray(values, dtype=float).ravel()]


def _topograph(record: RunRecord, most: int) -> JSON | None:
    if record.topograph is None:
        return None
    image = shrunk(flattened(record.topograph.height), most)
    low, high = contrast(image, tails=0)
    setpoint = record.topograph.setpoint
    return {
        "levels": pack(_levels(image, low, high), "u2"),
        "range": [low, high],
        "tones": pack(tones(image)),
        "bias": setpoint.bias,
        "current": setpoint.current,
    }


def _levels(image: Floats, low: float, high: float) -> NDArray[np.uint16]:
    """1 to 65535 from low to high, 0 where not measured."""
    level = 1 + 65534 * (image - low) / (high - low)
    return np.where(np.isfinite(level), level, 0).round().astype(np.uint16)


def _outline(frame: Frame, child: RunRecord) -> JSON:
    return {"uid": child.uid, "name": child.name, "size": child.frame.size[0], "corners": _local(frame, child.frame.corners)}


def _local(frame: Frame, points: Floats) -> list[list[float]]:
    return np.round(within(frame, points), 4).tolist()


def _spectra(record: RunRecord, most: int) -> JSON:
    spectra = record.spectra
    curves = _curves(spectra)
    channels = {name: [getattr(spectrum, name) for spectrum in spectra] for name in ("bias", *(c.name for c in curves))}
    if all(np.array_equal(bias, channels["bias"][0]) for bias in channels["bias"]):
        channels["bias"] = channels["bias"][:1]
    thin = max(1, math.ceil(sum(len(row) for rows in channels.values() for row in rows) / most))
    return {
        "at": _local(record.frame, record.places),
        "place": np.round(record.places, 3).tolist(),
        "values": numbers(record.sign * record.values),
        "reasons": record.reasons,
        "quality": [spectrum.quality.words for spectrum in spectra],
        "curves": [
            {"name": c.name, "title": c.doc.rstrip("."), "units": c.units, "label": c.label.rpartition(" ")[0]} for c in curves
        ],
        **{name: pack([row[::thin] for row in rows]) for name, rows in channels.items()},
    }


def _curves(spectra: Sequence[Spectrum]) -> list[Field]:
    """Return the channels that are shown: current and derivatives, less those that the instrument does not measure."""
    shown = [channel for channel in CHANNELS if channel.name == "current" or channel.harmonic]
    return [c for c in shown if not c.optional or any(np.isfinite(getattr(s, c.name)).any() for s in spectra)]


def _decision(decision: Decision, sign: int) -> JSON:
    mean, std, acquisition = numbers([sign * decision.mean, decision.std, decision.acquisition])
    health = decision.health
    said = {"why": decision.why, "model": health.model, "warning": health.warning}
    return {**said, "mean": mean, "std": std, "acquisition": acquisition, "ingested": decision.ingested}


def _maps(record: RunRecord, most: int) -> JSON | None:
    candidates = record.candidates
    maps = [m for m in record.maps if len(m.mean) == len(candidates)]
    if not maps:
        return None
    worth = any(np.isfinite(m.acquisition).any() for m in maps)
    kept = max(1, min(len(maps), most // ((2 + worth) * len(candidates))))
    maps = [maps[round(i)] for i in np.linspace(len(maps) - 1, 0, kept)][::-1]
    mosaic = Mosaic(record.frame, candidates)
    return {
        "ingested": [m.ingested for m in maps],
        "mean": pack([record.sign * m.mean for m in maps]),
        "std": pack([m.std for m in maps]),
        "acquisition": pack([m.acquisition for m in maps]) if worth else None,
        "cells": pack(np.where(mosaic.index < 0, 65535, mosaic.index), "u2"),
    }


def _lookup_table(name: str) -> NDArray[np.uint8]:
    """256 colours as (256, 3) bytes."""
    import matplotlib as mpl

    return (mpl.colormaps[COLORS[name]](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
