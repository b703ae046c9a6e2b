"""Records to the numbers of a report page: JSON, with large arrays packed as base64 of little-endian numbers.

A page stays below 5 MB whatever the runs hold, and below 3 MB with a thousand spectra, because the runs share fixed numbers of
pixels, spectrum samples and map values: above them images are averaged, spectra thinned and maps left out, evenly. What is
shown is never made up between.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.pictures import flattened, tones
from bluesky_stm.validated import JSON
from bluesky_stm.views._measured import measured
from bluesky_stm.views._pack import levelled, numbers, pack
from bluesky_stm.views._pictures import COLORS, Mosaic, color_table, shrunk, within
from bluesky_stm.views._record import RunRecord
from bluesky_stm.views._scan_lines import line_jumps
from bluesky_stm.views._spectra_payload import spectra_payload
from bluesky_stm.views._trust import WITHIN, Trust

PIXELS = 400_000
SAMPLES = 500_000
MAP_VALUES = 160_000
"""Shared by all runs of a page: pixels of topographs, samples of spectra, values of maps."""

ABOUT = ("plan_name", "length_scale", "scalarizer", "agent", "controller", "plan_args", "versions", "operator", "child_rule")
"""What of the start document is shown as it stands."""


@dataclass(frozen=True)
class Check:
    """What somebody found who looked at a stored run again: a replay, a verification of its digests.

    Attributes
    ----------
    kind : str
        What was done: ``"replay"``, ``"verification"``.
    good : bool or None
        Whether the run passed; None where nothing can be said.
    text : str
        What was found.
    """

    kind: str
    good: bool | None
    text: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """What another scalarizer or agent would have made of the spectra of a run.

    Attributes
    ----------
    name : str
        What was asked.
    text : str
        What came of it.
    units : str
        Unit of its values.
    recorded, other : ndarray of shape (n,)
        Best value so far after each spectrum, as people see it: in the order of the run, and in the other one. NaN before the
        first value.
    """

    name: str
    text: str
    units: str
    recorded: Floats
    other: Floats


Checks = Mapping[str, Sequence[Check]]
"""What is known of runs, by uid."""

Comparisons = Mapping[str, Sequence[Comparison]]
"""What was compared with runs, by uid."""

NOTHING: Final[Mapping[str, Sequence[Check]]] = {}


def payload(
    records: Sequence[RunRecord], title: str | None, checks: Checks = NOTHING, comparisons: Comparisons | None = None
) -> JSON:
    """Return all that the page shows.

    Parameters
    ----------
    records : sequence of RunRecord
        At least one run; they share the room for pixels, samples and values of maps.
    title : str or None
        Title of the page; None for the sample.
    checks : mapping of str to sequence of Check
        What a replay and a verification found, by the uid of the run.
    comparisons : mapping of str to sequence of Comparison, optional
        What-if comparisons, by the uid of the run.

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
        "colors": colors(),
        "runs": [
            {
                **run(record, records),
                "checks": [vars(check) for check in _checks(record, checks.get(record.uid, ()))],
                "comparisons": [_comparison(one) for one in (comparisons or {}).get(record.uid, ())],
            }
            for record in records
        ],
    }


def _checks(record: RunRecord, found: Sequence[Check]) -> Iterator[Check]:
    """Yield what was found, and that a run was altered also where nobody has asked for a verification."""
    yield from found
    if record.faults and not any(check.kind == "verification" for check in found):
        yield Check("verification", False, f"ALTERED since it was closed: {'; '.join(record.faults)}.")


def colors() -> JSON:
    """Return the colour maps of the page, packed, by their names."""
    return {name: pack(color_table(name), "u1") for name in COLORS}


def run(record: RunRecord, records: Sequence[RunRecord], shares: int = 0) -> JSON:
    """Return what the page shows of one run.

    Places are in nm from the lower left corner of its frame, along and up.

    Parameters
    ----------
    record : RunRecord
        The run.
    records : sequence of RunRecord
        All runs of the page, among which its children are found.
    shares : int
        Number of equal shares into which the room of a page is divided; as many as there are runs, if 0.
    """
    start, best, shares = record.start_document, record.best, shares or len(records)
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
        "topograph": record.kept.of(("topograph", shares), (record.topograph,), lambda: _topograph(record, PIXELS // shares)),
        "candidates": len(record.candidates),
        "budget": record.budget,
        "best": best and best.number,
        "curve": numbers(record.sign * record.learning_curve),
        "measured": measured(record),
        "spectra": spectra_payload(record, SAMPLES // shares),
        "decisions": _decisions(record),
        "onward": _onward(record),
        "trust": _trust(Trust.of(record)),
        "maps": _maps(record, MAP_VALUES // shares),
        "seed": start.get("agent", {}).get("seed"),
        "warnings": [f"after {count} spectra: {text}" for count, text in record.warnings]
        + list(filter(None, [record.failures])),
        "exit": record.stop_document.get("exit_status", "not finished"),
        "reason": str(record.stop_document.get("reason") or ""),
        "about": {key: _legible(start[key]) for key in ABOUT if start.get(key)},
    }


def _legible(item: Any) -> Any:
    """Return plain JSON, in which what is no number is a word: a browser refuses the whole page for one infinity."""
    if isinstance(item, dict):
        return {key: _legible(inner) for key, inner in item.items()}
    if isinstance(item, list | tuple):
        return [_legible(inner) for inner in item]
    return str(item) if isinstance(item, float) and not math.isfinite(item) else item


def _topograph(record: RunRecord, most: int) -> JSON | None:
    if record.topograph is None:
        return None
    image = shrunk(flattened(record.topograph.height), most)
    setpoint = record.topograph.setpoint
    return {
        "heights": levelled(image),
        "tones": pack(tones(image)),
        "bias": setpoint.bias,
        "current": setpoint.current,
        "jumps": [[one.line + 1, numbers([one.height])[0]] for one in line_jumps(record.topograph.height)],
    }


def _outline(frame: Frame, child: RunRecord) -> JSON:
    return {"uid": child.uid, "name": child.name, "size": child.frame.size[0], "corners": _local(frame, child.frame.corners)}


def _local(frame: Frame, points: Floats) -> list[list[float]]:
    return np.round(within(frame, points), 4).tolist()


def _decisions(record: RunRecord) -> JSON:
    """Return the decisions, a column for each thing that they say."""
    decisions, sign = record.decisions, record.sign
    health = [decision.health for decision in decisions]
    words = list(dict.fromkeys(decision.why for decision in decisions))
    return {
        "kinds": words,
        "why": [words.index(decision.why) for decision in decisions],
        "mean": pack([sign * decision.mean for decision in decisions]),
        "std": pack([decision.std for decision in decisions]),
        "acquisition": pack([decision.acquisition for decision in decisions]),
        "ingested": [decision.ingested for decision in decisions],
        "warnings": {number: one.warning for number, one in enumerate(health) if one.warning},
        "health": {name: pack([getattr(one, name) for one in health]) for name in ("error", "coverage", "noise", "left")},
    }


def _onward(record: RunRecord) -> JSON | None:
    """Return where the last decision would have gone on, within the frame and on the sample; None where all are measured."""
    if len(record.decisions) <= len(record.observations):
        return None
    place = record.decisions[-1].point
    return {"at": numbers(within(record.frame, place)), "place": numbers(place)}


def _trust(trust: Trust) -> JSON:
    return {
        "numbers": trust.numbers.tolist(),
        "predicted": numbers(trust.predicted),
        "std": numbers(trust.std),
        "measured": numbers(trust.measured),
        "trusted": trust.trusted,
        "verdict": trust.verdict,
        "words": trust.words,
        "within": [trust.within(deviations) for deviations in WITHIN],
    }


def _comparison(one: Comparison) -> JSON:
    return {
        "name": one.name,
        "text": one.text,
        "units": one.units,
        "recorded": numbers(one.recorded),
        "other": numbers(one.other),
    }


def _maps(record: RunRecord, most: int) -> JSON | None:
    candidates = record.candidates
    maps = [m for m in record.maps if len(m.mean) == len(candidates)]
    if not maps:
        return None
    worth = any(np.isfinite(m.acquisition).any() for m in maps)
    kept = max(1, min(len(maps), most // ((2 + worth) * len(candidates))))
    maps = [maps[round(i)] for i in np.linspace(len(maps) - 1, 0, kept)][::-1]
    mosaic = record.kept.of(("mosaic", record.frame), (candidates,), lambda: Mosaic(record.frame, candidates))
    return {
        "ingested": [m.ingested for m in maps],
        "mean": levelled(np.array([record.sign * m.mean for m in maps])),
        "std": levelled(np.array([m.std for m in maps])),
        "acquisition": levelled(np.array([m.acquisition for m in maps])) if worth else None,
        "cells": pack(np.where(mosaic.index < 0, 65535, mosaic.index), "u2"),
    }
