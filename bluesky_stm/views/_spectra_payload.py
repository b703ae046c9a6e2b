"""Spectra of a record to the numbers of a report page: their channels, what is usual in them, and what the scalarizer saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import CHANNELS, Spectrum, ZSpectrum, declared
from bluesky_stm.protocols import NORMALIZED, Z_CURRENT, Mark
from bluesky_stm.scalarizers import normalized_curves
from bluesky_stm.validated import JSON
from bluesky_stm.views._pack import compressed, numbers, pack
from bluesky_stm.views._pictures import within
from bluesky_stm.views._record import RunRecord

FIRST: Final = ("current", "didv")
"""Channels that keep their samples longest, as the value of a spectrum follows from them."""

CURVE_SAMPLES: Final = 60_000
"""Points of fitted curves on a page; beyond that they are thinned evenly."""

BACK: Final = "_backward"

KINDS: Final = ("edge", "window", "level", "point", "curve")
"""Kinds of marks, by whose numbers the page knows them."""


@dataclass(frozen=True)
class Channel:
    """A channel that the page shows.

    Attributes
    ----------
    name : str
        By which the page asks for it.
    title, label, units : str
        Words above its chart, at its axis, and its unit.
    rows : list of ndarray of shape (n,)
        Its samples, of each spectrum.
    """

    name: str
    title: str
    label: str
    units: str
    rows: list[Floats]


def spectra_payload(record: RunRecord, most: int) -> JSON:
    """Return what the page shows of the spectra of a run.

    Parameters
    ----------
    record : RunRecord
        The run.
    most : int
        Samples that may be sent: half of them for current and dI/dV, half for all other channels. Beyond that channels are
        thinned evenly.
    """
    sources = (*record.observations, record.scalarizer)
    return record.kept.of(("spectra", most, record.frame), sources, lambda: _payload(record, most))


def _payload(record: RunRecord, most: int) -> JSON:
    spectra = record.spectra
    channels = _channels(record)
    bias = [spectrum.bias for spectrum in spectra]
    same = all(np.array_equal(row, bias[0]) for row in bias)
    groups = [[c for c in channels if (c.name in FIRST) == first] for first in (True, False)]
    thins = [max(1, math.ceil(sum(len(row) for row in bias) * len(group) / (most / 2))) for group in groups]
    saturated = np.array([spectrum.saturated for spectrum in spectra]) if same else np.empty(0, dtype=bool)
    sent: JSON = {}
    for group, thin in zip(groups, thins, strict=True):
        for channel in group:
            rows = channel.rows
            sent[channel.name] = {
                "title": channel.title,
                "label": channel.label,
                "units": channel.units,
                "thin": thin,
                "rows": compressed(_table([row[::thin] for row in rows])),
                "usual": _usual(rows, saturated, thin) if same and len(rows) else None,
            }
    sent |= _of_distance(spectra, most)
    return {
        "at": pack(within(record.frame, record.places)),
        "place": pack(record.places),
        "values": numbers(record.sign * record.values),
        "deviations": numbers([o.deviation for o in record.observations]),
        "reasons": _indexed(record.reasons),
        "quality": _indexed([spectrum.quality.words for spectrum in spectra]),
        "times": pack([spectrum.time - spectra[0].time for spectrum in spectra]),
        "bias": pack(_table(bias[:1] if same else bias)),
        "channels": sent,
        "marks": _marks(record.all_marks, bias[0] if same and bias else np.empty(0)),
    }


def _of_distance(spectra: Sequence[Spectrum], most: int) -> JSON:
    """Return I(z) beside the spectra as a channel along the distance; nothing where none was taken, or not all alike."""
    first = next((s.z_sweep for s in spectra if s.z_sweep), None)
    if first is None or not all(s.z_sweep is None or np.array_equal(s.z_sweep.distance, first.distance) for s in spectra):
        return {}
    thin = max(1, math.ceil(len(first.distance) * len(spectra) / (most / 2)))
    nothing = np.full(len(first.distance), np.nan)
    fields = declared(ZSpectrum)
    return {
        Z_CURRENT: {
            "title": fields["current"].doc.rstrip("."),
            "label": "current",
            "units": fields["current"].units,
            "thin": thin,
            "rows": compressed(_table([(s.z_sweep.current if s.z_sweep else nothing)[::thin] for s in spectra])),
            "usual": None,
            "along": {"label": "distance", "units": fields["distance"].units, "values": pack(first.distance[::thin])},
        }
    }


def _channels(record: RunRecord) -> list[Channel]:
    """Return the channels that at least one spectrum has: those measured, each on its way back, and the normalised one."""
    spectra, found = record.spectra, []

    def add(name: str, title: str, label: str, units: str, rows: list[Floats]) -> None:
        if any(np.isfinite(row).any() for row in rows):
            found.append(Channel(name, title, label, units, rows))

    for field in CHANNELS:
        title, label = field.doc.rstrip("."), field.label.rpartition(" ")[0].replace("LI Demod 1", "lock-in")
        add(field.name, title, label, field.units, [getattr(s, field.name) for s in spectra])
        back = [s.backward.get(field.name, np.full(len(s.bias), np.nan)) for s in spectra]
        add(field.name + BACK, f"{title} on the way back", label, field.units, back)
    asked = [((NORMALIZED, number, s.quality), (s.current, s.didv)) for number, s in enumerate(spectra)]
    normalized = record.kept.of_each(asked, lambda new: normalized_curves([spectra[number] for number in new]))
    add(NORMALIZED, "Normalised conductance", "(dI/dV) / (I/V)", "", normalized)
    return found


def _usual(rows: Sequence[Floats], saturated: NDArray[np.bool_], thin: int) -> JSON:
    """Return lower and upper tenths of a channel at each bias: what is usual in this run."""
    seen = np.where(saturated, np.nan, np.array(rows))[:, ::thin]
    known = np.isfinite(seen).any(axis=0)
    ends = np.full((2, seen.shape[1]), np.nan)
    if known.any():
        ends[:, known] = np.nanpercentile(seen[:, known], [10, 90], axis=0)
    return pack(ends)


def _table(rows: Sequence[Floats]) -> Floats:
    """Return rows of unequal length as one array, the short ones filled up with NaN."""
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def _indexed(words: Sequence[str]) -> JSON:
    """Return texts, each once, and which of them each spectrum has."""
    kinds = list(dict.fromkeys(words))
    index = {word: number for number, word in enumerate(kinds)}
    return {"kinds": kinds, "index": [index[word] for word in words]}


def _marks(marks: Sequence[Sequence[Mark]], bias: Floats) -> JSON:
    """Return what was seen on each spectrum, as rows of numbers; labels and channels are told once.

    Parameters
    ----------
    marks : sequence of sequence of Mark
        Of each spectrum.
    bias : ndarray of shape (n,)
        Bias of all spectra, of which a curve takes a part; empty where they differ.

    Returns
    -------
    dict
        A row begins with the numbers of kind, label and channel, and with the deviation or None. A curve goes on with where
        its values begin and end among all, and where its biases begin in those of the spectra or, negative, among those that
        are sent by themselves; any other mark with its biases and values.
    """
    labels, channels = (
        list(dict.fromkeys(getattr(mark, name) for each in marks for mark in each)) for name in ("label", "channel")
    )
    curves = [mark for each in marks for mark in each if mark.kind == "curve"]
    thin = max(1, math.ceil(sum(len(mark.bias) for mark in curves) / CURVE_SAMPLES))
    shown: list[list[list[float | None]]] = []
    along: list[float] = []
    up: list[float] = []
    for each in marks:
        rows: list[list[float | None]] = []
        for mark in each:
            std = float(f"{mark.std:.4g}") if math.isfinite(mark.std) else None
            row: list[float | None] = [KINDS.index(mark.kind), labels.index(mark.label), channels.index(mark.channel), std]
            if mark.kind == "curve":
                start = _start(mark.bias, bias)
                row += [len(up), len(up) + len(mark.values[::thin]), -1 - len(along) if start is None else start]
                along += mark.bias[::thin] if start is None else ()
                up += mark.values[::thin]
            else:
                row += numbers([*mark.bias, *mark.values])
            rows.append(row)
        shown.append(rows)
    told = {"kinds": KINDS, "labels": labels, "channels": channels, "thin": thin}
    return {**told, "each": shown, "bias": pack(along), "values": compressed(np.array([up]))}


def _start(part: Sequence[float], bias: Floats) -> int | None:
    """Return where a part of the biases begins among all of them; None where it is no such part."""
    if not len(part) or not len(bias):
        return None
    start = int(np.argmin(np.abs(bias - part[0])))
    return start if np.array_equal(bias[start : start + len(part)], part) else None
