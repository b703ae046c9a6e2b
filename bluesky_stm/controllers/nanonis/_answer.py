"""The channels of a sweep, as the bias spectroscopy module answers them: names and rows in SI, shorter where it ended early."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._channels import ChannelNames
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.geometry import Floats
from bluesky_stm.protocols import SweepSettings

AVERAGE: Final = " [AVG]"
"""Part of the name of a channel that is the mean of several sweeps, as in ``"Current [AVG] (A)"``."""


def channels_of(
    channels: ChannelNames, settings: SweepSettings, names: list[str], data: Floats, harmonics: Collection[int] = ()
) -> tuple[list[Floats], list[Floats]]:
    """Return current, X and Y in nA, and X and Y of each further harmonic; NaN where the sweep had ended.

    They are returned forth and, where it was swept, back.

    Parameters
    ----------
    channels : ChannelNames
        What the channels are called.
    settings : SweepSettings
        The sweep that was asked for.
    names : list of str
        Names of the rows, the bias first.
    data : ndarray of shape (rows, points)
        What was measured, in SI.
    harmonics : collection of int
        Further harmonics of the lock-in that were recorded.

    Raises
    ------
    NanonisError
        When it is not what was asked for.
    """
    measured = data.shape[1] if len(data) else 0
    step = abs(settings.stop - settings.start) / (settings.points - 1)
    if len(data) != len(names) or not 0 <= measured <= settings.points:
        raise NanonisError(f"A sweep of {settings.points} points gave {names} and {data.shape} values. It was not used.")
    if measured and not np.allclose(data[0], settings.bias[:measured], rtol=0, atol=step / 2):
        raise NanonisError(
            f"A sweep from {settings.start:g} to {settings.stop:g} V came back from {data[0][0]:g} to {data[0][-1]:g} V. "
            "It was not used. Look at the bias spectroscopy module."
        )
    rows = dict(zip(plain(names), data, strict=True))
    asked = wanted(channels, harmonics)
    forth = [_padded(rows, name, settings, measured) for name in asked]
    return forth, [_padded(rows, _backward(name), settings, measured) for name in asked if settings.backward]


def wanted(channels: ChannelNames, harmonics: Collection[int]) -> list[str]:
    """Return the names of what a sweep has to record.

    Parameters
    ----------
    channels : ChannelNames
        What the channels are called.
    harmonics : collection of int
        Further harmonics of the lock-in.
    """
    further = [name for harmonic in harmonics for name in channels.harmonics[harmonic]]
    return [channels.current, channels.lockin_x, channels.lockin_y, *further]


def plain(names: Collection[str]) -> list[str]:
    """Return the names of channels without the mark of an average.

    Parameters
    ----------
    names : collection of str
        As the module answers them.
    """
    return [name.replace(AVERAGE, "") for name in names]


def _padded(rows: dict[str, Floats], name: str, settings: SweepSettings, measured: int) -> Floats:
    values = np.full(settings.points, np.nan)
    if measured:
        if name not in rows:
            raise NanonisError(f"A sweep gave no {name!r}, only {sorted(rows)}. It was not used.")
        values[:measured] = units.from_si(rows[name], units.CURRENT)
    return values


def _backward(name: str) -> str:
    """Return the name of a channel on the way back: ``"Current [bwd] (A)"``."""
    label, _, unit = name.rpartition(" (")
    return f"{label} [bwd] ({unit}"
