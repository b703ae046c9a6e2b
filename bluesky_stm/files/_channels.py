"""Channels of the files of others: which is the current, which becomes dI/dV, and what clips.

A channel is known by its name, whatever suffix the average or the number of a sweep gives it, and a person can name any other.
A channel in S is taken as it is. Any other becomes dI/dV by its calibration against the current (`bluesky_stm.calibration`), so
that its unit does not matter; one recorded in V is that of a preamplifier's output, and 1 V there is noted as 1 nA (10^9 V/A).
Where no channel is found, or the data refuse all of them, dI/dV is the numerical derivative of the current.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from bluesky_stm import units
from bluesky_stm.calibration import calibrate, thinned
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._labels import Label, checked_unit, si_unit, split_unit
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import CHANNELS, Calibration, Grid, Quality, Spectrum
from bluesky_stm.validated import JSON

_LABELS: Final = {channel.label: channel for channel in CHANNELS}
_FURTHER: Final = {split_unit(label)[0]: channel.name for label, channel in _LABELS.items() if channel.optional}

_LOCKIN: Final = r"(LI|Lock-?In|SR ?8\d\d)"
_KNOWN: Final = [
    re.compile(pattern.replace(" ", "[ _]"), re.IGNORECASE)
    for pattern in (
        r"d ?I ?/? ?d ?V",
        rf"{_LOCKIN} *(Demod ?1 ?)?X ?1?( 1 ?(omega|w))?( 1)?",
        r"X ?% ?Lock-?In",
        rf"{_LOCKIN} *(Demod ?\d ?)?X ?\d?( ?1 ?(omega|w))?( \d)?",
        r"X ?\d?",
        _LOCKIN,
        rf"{_LOCKIN} *(Demod ?\d ?)?R ?\d?( ?1 ?(omega|w))?( \d)?",
        r"Input ?\d+",
    )
]
"""Names of lock-in channels, the surest first; X before the magnitude R, and inputs that anything may be connected to last."""


class SweptChannels(NamedTuple):
    """What the channels of a file make of a sweep.

    Attributes
    ----------
    arrays : dict of str to ndarray of shape (..., n)
        The channels of a `Spectrum` or `Grid` by name; NaN for a lock-in that was not there.
    quality : Quality
        DERIVED where dI/dV is the numerical derivative of the current.
    calibration : Calibration
        Which channel became dI/dV, and how; or why none did.
    """

    arrays: JSON
    quality: Quality
    calibration: Calibration


def spectroscopy(bias: Floats, channels: Mapping[str, Floats], unit_of: Mapping[str, str], didv: str = "") -> SweptChannels:
    """Return the arrays of a `Spectrum` or `Grid` from the channels of a file, and where their dI/dV comes from.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        In V.
    channels : mapping of name to ndarray of shape (..., n)
        In our units, by their names without unit. The way back counts where nothing was recorded on the way forth.
    unit_of : mapping of name to str
        Unit of each channel as the file has it.
    didv : str
        Name of the channel that becomes dI/dV; empty to look for one.

    Raises
    ------
    FileFormatError
        When no current was recorded, or not in a unit of current; when there is no channel of the name that was given.
    """
    signals = _signals(channels)
    current_name = next((name for name in signals if name.lower() == "current"), None)
    if current_name is None:
        raise FileFormatError(f"No current was recorded, only {sorted(channels)}: these are no tunneling spectra.")
    current = _mean([channels[name] for name in signals[current_name]])
    checked_unit(current_name, unit_of[signals[current_name][0]], units.CURRENT)
    missing = np.broadcast_to(np.nan, current.shape)
    arrays: JSON = {"current": current, "lockin_x": missing, "lockin_y": missing}
    refused = Calibration()
    found = None
    for name in _named(signals, didv) if didv else _candidates(signals, unit_of):
        x = _mean([channels[part] for part in signals[name]])
        if si_unit(unit_of[signals[name][0]])[0] == "S":
            arrays["didv"], found = x, Calibration(channel=name)
            break
        partner = signals.get(_partner(name), ())
        y = _mean([channels[part] for part in partner]) if partner else None
        one = replace(calibrate(bias, _unclipped(current), _unclipped(x), None if y is None else thinned(y)), channel=name)
        if not one.refused:
            arrays["lockin_x"], arrays["lockin_y"] = x, missing if y is None else y
            arrays["didv"], found = one.didv(x, y), one
            break
        refused = (
            refused if refused.refused else replace(one, refused=f"the channel {name!r} does not give dI/dV: {one.refused}")
        )
    if found and np.isnan(found.gain):  # beside a channel in S the raw lock-in is kept as it is
        arrays |= _raw(signals, channels, missing)
    if found is None:
        arrays |= _raw(signals, channels, missing) | {"didv": derivative(bias, current)}
    arrays |= {own: channels[name] for name, own in _FURTHER.items() if name in channels}
    return SweptChannels(arrays, Quality.GOOD if found else Quality.DERIVED, found or refused)


def derivative(bias: Floats, current: Floats) -> Floats:
    """Return the numerical derivative of the current, in nS; samples of one bias, between two segments, share it.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        In V.
    current : ndarray of shape (..., n)
        In nA.
    """
    places, first, at = np.unique(bias, return_index=True, return_inverse=True)
    if len(places) < 2:
        return np.full(current.shape, np.nan)
    return np.asarray(np.gradient(current[..., first], places, axis=-1)[..., at])


def ways(bias: Floats) -> tuple[slice, slice | None, str]:
    """Return the way forth of a sweep, the way back over the same biases if there is one, and what is left out.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        Sample bias, in V, in the order measured.

    Returns
    -------
    forth : slice
    back : slice or None
        It has as many samples as ``forth``, at the same biases in the other order.
    left_out : str
        Words about samples that belong to neither; empty where there are none.
    """
    steps = np.sign(np.diff(bias))
    moving = np.flatnonzero(steps)
    turned = np.flatnonzero(np.diff(steps[moving]))
    if not len(turned):
        return slice(0, len(bias)), None, ""
    # Measured once, the bias of the turn belongs to both ways; measured twice, to each once.
    count, begin = int(moving[turned[0]]) + 2, int(moving[turned[0] + 1])
    end = int(moving[turned[1] + 1]) + 1 if len(turned) > 1 else len(bias)
    forth, back = slice(0, count), slice(begin, min(end, begin + count))
    same = back.stop - back.start == count and np.allclose(bias[back][::-1], bias[forth], atol=1e-6 * float(np.ptp(bias)))
    used = back.stop if same else count
    left_out = f"the sweep turned round: {len(bias) - used} of {len(bias)} samples are left out" if used < len(bias) else ""
    return forth, back if same else None, left_out


def in_si(measured: Spectrum | Grid) -> dict[str, Floats]:
    """Return the arrays of a spectrum or grid by the labels that they have in a file, in SI.

    Parameters
    ----------
    measured : Spectrum or Grid
        Channels that are NaN throughout, such as a lock-in that was not there, are left out; the current never is.
    """
    arrays = {label: getattr(measured, channel.name) for label, channel in _LABELS.items()}
    there = {label for label, values in arrays.items() if np.isfinite(values).any() or _LABELS[label].name == "current"}
    return {label: units.to_si(values, _LABELS[label].units) for label, values in arrays.items() if label in there}


def conductance(bias: Floats, current: Floats, x: Floats, y: Floats | None = None) -> tuple[Floats, Quality, Calibration]:
    """Return the differential conductance, in nS: of the calibrated lock-in, or else the derivative of the current.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        Sample bias, in V.
    current : ndarray of shape (..., n)
        Tunneling current, in nA.
    x : ndarray of shape (..., n)
        Lock-in channel, in nA; NaN where there is none.
    y : ndarray of shape (..., n), optional
        The channel in quadrature, in nA.

    Returns
    -------
    didv : ndarray of shape (..., n)
        In nS.
    quality : Quality
        DERIVED for the derivative of the current.
    calibration : Calibration
    """
    channels = {"Current": current, "LI Demod 1 X": x, **({} if y is None else {"LI Demod 1 Y": y})}
    if not np.isfinite(x).any():
        channels = {"Current": current}
    arrays, quality, calibration = spectroscopy(bias, channels, dict.fromkeys(channels, "A"))
    return arrays["didv"], quality, calibration


def clipping_level(values: Floats) -> float:
    """Largest magnitude in the data if at least three samples in a row stick to it; infinite otherwise.

    Noise never repeats a value; the end of a range does. What is constant throughout was off, and not at the end of its range.
    """
    values = np.atleast_2d(values)
    high, low = np.fmax.reduce(values, axis=None, initial=-np.inf), np.fmin.reduce(values, axis=None, initial=np.inf)
    level = max(high, -low) * (1 - 1e-5)
    if not high > low or np.count_nonzero(values >= level) + np.count_nonzero(values <= -level) < 3:
        return np.inf
    stuck = (values >= level) | (values <= -level)
    in_a_row = stuck[..., :-2] & stuck[..., 1:-1] & stuck[..., 2:]
    return float(level) if in_a_row.any() else np.inf


def qualities(current: Floats, lockin_x: Floats) -> list[Quality]:
    """Return the quality of each of some spectra, flat.

    Parameters
    ----------
    current, lockin_x : ndarray of shape (..., n)
        Samples of the spectra, in any unit.

    Returns
    -------
    list of Quality
        CLIPPED where preamplifier or lock-in stuck to the end of its range, INCOMPLETE where a current is NaN.
    """
    clipped = np.zeros(current.shape[:-1], dtype=bool)
    for channel in (current, lockin_x):
        clipped |= (np.abs(channel) >= clipping_level(channel)).any(axis=-1)
    flags = Quality.CLIPPED * clipped + Quality.INCOMPLETE * np.isnan(current).any(axis=-1)
    return [Quality(int(flag)) for flag in flags.flat]


def _signals(channels: Mapping[str, Floats]) -> dict[str, list[str]]:
    """Return the names of the channels that make up each signal, by its base.

    The average of several sweeps counts before the single ones, which otherwise are averaged; the way back counts where there
    is no way forth, and smoothed values where there are no others.
    """
    grouped: dict[str, list[tuple[Label, str]]] = defaultdict(list)
    for name in channels:
        label = Label.of(name)
        grouped[label.base].append((label, name))
    chosen = {}
    for base, members in grouped.items():
        best = min((one.filtered, one.backward, not one.average, one.sweep is not None) for one, _ in members)
        chosen[base] = [n for one, n in members if (one.filtered, one.backward, not one.average, one.sweep is not None) == best]
    return chosen


def _mean(arrays: Sequence[Floats]) -> Floats:
    return arrays[0] if len(arrays) == 1 else np.mean(arrays, axis=0)


def _candidates(signals: Mapping[str, Sequence[str]], unit_of: Mapping[str, str]) -> list[str]:
    """Return the names that a lock-in channel may have, the surest first."""
    found = [(rank, name) for name in signals for rank, known in enumerate(_KNOWN) if known.fullmatch(name)]
    lengths = {name for name, parts in signals.items() if si_unit(unit_of[parts[0]])[0] == "m"}  # X is a place, too
    return list(dict.fromkeys(name for _, name in sorted(found, key=lambda one: one[0]) if name not in lengths))


def _named(signals: Mapping[str, Sequence[str]], didv: str) -> list[str]:
    wanted = Label.of(didv).base.lower()
    found = [name for name in signals if name.lower() == wanted]
    if not found:
        raise FileFormatError(f"There is no channel {didv!r} to become dI/dV, only {sorted(signals)}. Name one of these.")
    return found


def _partner(name: str) -> str:
    """Return the name of the channel in quadrature to X; empty for a name without X."""
    other = re.sub(r"X(?=[ _%\d]|$)", "Y", name, count=1)
    return "" if other == name else other


def _unclipped(values: Floats) -> Floats:
    """Return the spectra that are fitted, with NaN where they reach the end of the range."""
    spectra = thinned(values)
    return np.where(np.abs(spectra) >= clipping_level(spectra), np.nan, spectra)


def _raw(signals: Mapping[str, Sequence[str]], channels: Mapping[str, Floats], missing: Floats) -> dict[str, Floats]:
    """Return the raw lock-in of a file, X and Y, under our names."""
    name = next((name for name in signals if _KNOWN[1].fullmatch(name) or _KNOWN[2].fullmatch(name)), "")
    pair = {"lockin_x": signals.get(name), "lockin_y": signals.get(_partner(name)) if name else None}
    return {own: _mean([channels[part] for part in parts]) if parts else missing for own, parts in pair.items()}
