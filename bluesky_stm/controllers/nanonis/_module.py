"""The bias spectroscopy module of the Nanonis software, and how a sweep has to find it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bluesky_stm.controllers.base import SLEW
from bluesky_stm.controllers.nanonis._links import Links
from bluesky_stm.controllers.nanonis_wire._commands import Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.units import LENGTH

Z_AVERAGE, FIRST_SETTLE, END_SETTLE, Z_CONTROL = 0.05, 0.005, 0.005, 0.05
"""Times of a sweep beside its points, in s: those of the published spectra."""


@dataclass(frozen=True)
class _Setting:
    """A setting of the bias spectroscopy module.

    Attributes
    ----------
    what : str
        What a person calls it.
    name : str
        Its commands are ``BiasSpectr.{name}Set`` and ``BiasSpectr.{name}Get``.
    send : sequence
        Values of ``Set``, in SI.
    expect : sequence of float
        What ``Get`` has to answer.
    read : callable
        Takes the values of ``Get`` that are compared.
    """

    what: str
    name: str
    send: Sequence[Any]
    expect: Sequence[float]
    read: Callable[[list[Any]], Sequence[float]] = list


def set_up(links: Links, settings: SweepSettings, harmonics: Collection[int] = ()) -> None:
    """Set up the bias spectroscopy module where it reads otherwise: a person may have changed it since the last sweep.

    Only what is read back is believed, so that a setting that already reads as it should need not be sent.

    Parameters
    ----------
    links : Links
        Connections to the instrument.
    settings : SweepSettings
        The sweep that is asked for.
    harmonics : collection of int
        Further harmonics of the lock-in that are recorded.

    Raises
    ------
    NanonisError
        When what was set does not read back.
    """
    wrong = [setting for setting in _settings_of(links, settings, harmonics) if not _reads(links, setting)[0]]
    for setting in wrong:
        links.work.ask(f"BiasSpectr.{setting.name}Set", *setting.send)
    # All are read again after the last one was sent: the z offset is one value that stands in two of them.
    for setting in wrong:
        same, read = _reads(links, setting)
        if not same:
            raise NanonisError(
                f"The {setting.what} of the bias spectroscopy were set to {setting.expect} and read back {read}. "
                "Nothing was swept. Look at the module in the Nanonis software."
            )


def _reads(links: Links, setting: _Setting) -> tuple[bool, list[float]]:
    """Return True when a setting reads as it should, and how it reads."""
    read = [float(value) for value in setting.read(links.work.ask(f"BiasSpectr.{setting.name}Get"))]
    wanted = [float(value) for value in setting.expect]
    return len(read) == len(wanted) and np.allclose(read, wanted, rtol=1e-5, atol=1e-15), read


def _settings_of(links: Links, settings: SweepSettings, harmonics: Collection[int]) -> list[_Setting]:
    channels = [links.channels.current, links.channels.lockin_x, links.channels.lockin_y]
    channels += [index for harmonic in harmonics for index in links.channels.harmonics[harmonic]]
    offset, points, averages = si(settings.z_offset, LENGTH), settings.points, settings.averages
    timing = (Z_AVERAGE, offset, FIRST_SETTLE, SLEW, settings.settle, settings.integrate, END_SETTLE, Z_CONTROL)
    ends, backward = (settings.start, settings.stop), settings.backward
    props = (Switch.OFF, averages, Switch.of(backward), points, offset, Switch.KEEP, Switch.OFF)
    found = [
        _Setting("channels", "Chs", (channels,), channels, lambda read: read[0]),
        # Averages, backward and points, and the last one: a dialog would wait for a person at the end.
        _Setting(
            "averages, backward, points, dialog", "Props", props, (0, averages, backward, points, 0), lambda r: [*r[:4], r[-1]]
        ),
        _Setting("timing", "Timing", timing, timing),
        _Setting("limits", "Limits", ends, ends),
        # Bias reset and z hold; whether the final z is recorded and the lock-in is run is left as it is.
        _Setting(
            "bias reset and Z hold",
            "AdvProps",
            (Switch.ON, Switch.ON, Switch.KEEP, Switch.KEEP),
            (1, 1),
            lambda read: read[:2],
        ),
    ]
    # A sweep without an offset, which is read back in two of the settings, has nothing to return from: that saves a request.
    return [*found, _Setting("return from the Z offset", "ZOffRevert", (Switch.ON,), (1,))] if offset else found
