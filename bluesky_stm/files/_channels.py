"""Names and units of channels, clipping, and the calibration of a lock-in, which the formats of others share.

A lock-in channel recorded in volts is that of the preamplifier's output, and 1 V there is taken as 1 nA (10^9 V/A). Its gain
is fitted against the current of the same file, so that dI/dV does not depend on that choice. Without a lock-in channel, or
where that does not follow the current because it was off, dI/dV is the numerical derivative of the current. A channel
``dI/dV``, which our own files have, is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import cumulative_trapezoid

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import CHANNELS, Grid, Quality, Spectrum

LINEAR_CURRENT: Final = 0.3
"""Current, in nA, below which the lock-in gain is constant; it grows by a third towards 10 nA (measured on EuZn2As2)."""

LEAST_FOLLOWING: Final = 0.8
"""Share of the lock-in that the current explains, below which it was off or on another signal; real ones reach 0.95."""


def split_unit(label: str) -> tuple[str, str]:
    """Return name and unit of a label.

    Parameters
    ----------
    label : str
        Name of a channel as a file has it, such as ``"Current [bwd] (A)"``.

    Returns
    -------
    name : str
        Without the unit: ``"Current [bwd]"``.
    unit : str
        ``"A"``; empty where the label has none.
    """
    match = re.fullmatch(r"(.*?) *\(([^()]*)\)((?: *\[\w+])*)", label.strip())
    return (match[1] + match[3], match[2]) if match else (label.strip(), "")


_LABELS: Final = {channel.label: channel for channel in CHANNELS}
_OURS: Final = {
    "m": units.LENGTH,
    "V": units.BIAS,
    "Hz": units.FREQUENCY,
    "s": units.TIME,
    **{split_unit(label)[1]: channel.units for label, channel in _LABELS.items()},
}
_CURRENT: Final = re.compile(r"Current( \[AVG])?", re.IGNORECASE)
_CONDUCTANCE: Final = re.compile(r"dI/dV", re.IGNORECASE)
_LOCKIN: Final = {axis: re.compile(rf"(LI|Lock-?In)[ _]*(Demod 1 )?{axis}( 1 omega)?( 1)?", re.IGNORECASE) for axis in "XY"}


def our_unit(unit: str) -> str:
    """Return the unit that `in_our_unit` turns a unit of SI into.

    Parameters
    ----------
    unit : str
        Such as ``"m"``, of which ``"nm"`` is made; a unit that has no counterpart comes back as it is.
    """
    return _OURS.get(unit, unit)


def in_our_unit(values: ArrayLike, unit: str) -> Floats:
    """Return values in our units (nm, nA, V ...).

    Parameters
    ----------
    values : array_like of shape (...)
        Values in ``unit``.
    unit : str
        A unit of SI; what has no unit of ours stays as it is.

    Returns
    -------
    ndarray of shape (...)
    """
    values = np.asarray(values, dtype=float)
    return units.from_si(values, _OURS[unit]) if unit in _OURS else values


def timestamp(text: str | None) -> float:
    """Return a date of Nanonis as seconds since 1970; 0 where there is none.

    Parameters
    ----------
    text : str or None
        Such as ``"26.10.2021 10:48:37"``, which carries no time zone and is read as UTC.
    """
    try:
        return datetime.strptime((text or "").strip(), "%d.%m.%Y %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def date_of(time: float) -> str:
    """Inverse of `timestamp`, whole seconds."""
    return datetime.fromtimestamp(round(time), UTC).strftime("%d.%m.%Y %H:%M:%S")


def spectroscopy(bias: Floats, channels: Mapping[str, Floats]) -> tuple[dict[str, Floats], Quality]:
    """The arrays of a `Spectrum` or `Grid` from the channels of a file, and where their dI/dV comes from.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        In V.
    channels : mapping of name to ndarray of shape (..., n)
        In our units, by their names without unit; backward sweeps and other channels are left out.

    Returns
    -------
    arrays : dict
        The channels of `Swept` by name; NaN for a lock-in that was not there, and without channels that few files have.
    quality : Quality
        DERIVED where dI/dV is the numerical derivative of the current.

    Raises
    ------
    FileFormatError
        When no current was recorded.
    """
    current = _find(channels, _CURRENT)
    if current is None:
        raise FileFormatError(f"No current was recorded, only {sorted(channels)}: these are no tunneling spectra.")
    missing = np.full_like(current, np.nan)
    x, y = (_find(channels, _LOCKIN[axis]) for axis in "XY")
    didv, quality = _find(channels, _CONDUCTANCE), Quality.GOOD
    if didv is None:
        didv, quality = conductance(bias, current, missing if x is None else x)
    found = {
        "current": current,
        "lockin_x": missing if x is None else x,
        "lockin_y": missing if y is None else y,
        "didv": didv,
    }
    further = {channel.name: channels.get(split_unit(label)[0]) for label, channel in _LABELS.items() if channel.optional}
    return found | {name: values for name, values in further.items() if values is not None}, quality


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


def conductance(bias: Floats, current: Floats, lockin_x: Floats) -> tuple[Floats, Quality]:
    """Return the differential conductance, in nS: of the calibrated lock-in, or else the derivative of the current.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        Sample bias, in V.
    current : ndarray of shape (..., n)
        Tunneling current, in nA.
    lockin_x : ndarray of shape (..., n)
        Lock-in channel in phase, in nA; NaN where there is none.

    Returns
    -------
    didv : ndarray of shape (..., n)
        In nS.
    quality : Quality
        DERIVED for the derivative of the current.
    """
    if np.isfinite(lockin_x).any():
        gain, offset, following = calibrate_lockin(bias, current, lockin_x)
        if following >= LEAST_FOLLOWING:
            return (lockin_x - offset) / gain, Quality.GOOD
    return np.gradient(current, bias, axis=-1), Quality.DERIVED


def calibrate_lockin(bias: Floats, current: Floats, lockin_x: Floats) -> tuple[float, float, float]:
    """Gain (V) and offset (nA) for which ``(lockin_x - offset) / gain`` is the slope of the current.

    The integral of the lock-in over the bias is fitted by the current, which leaves the noise of a numerical derivative out;
    each spectrum has its own constant of integration. Large currents, where the gain grows, are left out.

    Parameters
    ----------
    bias : ndarray of shape (n,)
        Sample bias, in V.
    current, lockin_x : ndarray of shape (..., n)
        Tunneling current and the lock-in channel in phase, in nA.

    Returns
    -------
    gain, offset : float
    following : float
        Share, 0 to 1, of what the offset does not explain that the current does.
    """
    current, lockin_x = (np.atleast_2d(a).reshape(-1, len(bias)) for a in (current, lockin_x))
    area = cumulative_trapezoid(lockin_x, bias, initial=0.0, axis=-1)
    magnitude = np.abs(current)
    use = np.isfinite(area) & (magnitude <= max(LINEAR_CURRENT, np.nanmedian(magnitude)))
    signal, linear, target = (_centred(v, use) for v in (current, np.broadcast_to(bias, current.shape), area))
    terms = np.stack([signal, linear], axis=-1)
    (gain, offset), *_ = np.linalg.lstsq(terms, target)
    unexplained = np.sum((target - linear * (linear @ target) / (linear @ linear)) ** 2)
    following = 1 - np.sum((target - terms @ [gain, offset]) ** 2) / unexplained if unexplained else 0.0
    return float(gain), float(offset), float(following)


def clipping_level(values: Floats) -> float:
    """Largest magnitude in the data if at least three samples in a row stick to it; infinite otherwise.

    Noise never repeats a value; the end of a range does.
    """
    magnitude = np.abs(np.atleast_2d(values))
    level = np.nanmax(magnitude, initial=0.0) * (1 - 1e-5)
    stuck = magnitude >= level
    in_a_row = stuck[..., :-2] & stuck[..., 1:-1] & stuck[..., 2:]
    return float(level) if level > 0 and in_a_row.any() else np.inf


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


def _find(channels: Mapping[str, Floats], pattern: re.Pattern[str]) -> Floats | None:
    return next((values for name, values in channels.items() if pattern.fullmatch(name)), None)


def _centred(values: Floats, use: NDArray[np.bool_]) -> Floats:
    """The used samples, flat, less their mean in each spectrum."""
    mean = np.sum(values, axis=-1, where=use, keepdims=True) / np.maximum(use.sum(axis=-1, keepdims=True), 1)
    return (values - mean)[use]
