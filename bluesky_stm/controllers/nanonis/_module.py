"""The bias spectroscopy module of the Nanonis software, and how a sweep has to find it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bluesky_stm.controllers.base import SLEW
from bluesky_stm.controllers.nanonis._links import Links
from bluesky_stm.controllers.nanonis_wire._commands import LINEAR, DigSync, Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.units import LENGTH

Z_AVERAGE, FIRST_SETTLE, END_SETTLE, Z_CONTROL = 0.05, 0.005, 0.005, 0.05
"""Times of a sweep beside its points, in s: those of the published spectra."""


@dataclass(frozen=True)
class Setting:
    """A setting of a module.

    Attributes
    ----------
    what : str
        What a person calls it.
    name : str
        Its commands are ``{module}.{name}Set`` and ``{module}.{name}Get``.
    send : sequence
        Values of ``Set``, in SI.
    expect : sequence of float
        What ``Get`` has to answer.
    read : callable
        Takes the values of ``Get`` that are compared.
    module : str
        Name of the module.
    """

    what: str
    name: str
    send: Sequence[Any]
    expect: Sequence[float]
    read: Callable[[list[Any]], Sequence[float]] = list
    module: str = "BiasSpectr"

    def reads(self, read: Sequence[float]) -> bool:
        """Return True when the values are those that it should have."""
        wanted = [float(value) for value in self.expect]
        return len(read) == len(wanted) and np.allclose(read, wanted, rtol=1e-5, atol=1e-15)


class SetUp(NamedTuple):
    """How the bias spectroscopy module was found before a sweep.

    Attributes
    ----------
    run : bool
        True when it runs the lock-in for its sweeps.
    meddled : list of str
        What somebody had changed since it was set here last, and was set again.
    """

    run: bool
    meddled: list[str]


def set_up(links: Links, settings: SweepSettings, harmonics: Collection[int] = (), base: str = "") -> SetUp:
    """Set up the bias spectroscopy module where it reads otherwise: a person may have changed it since the last sweep.

    Only what is read back is believed, so that a setting that already reads as it should need not be sent. The channels are
    read at the first sweep only: the answer of each later one names them.

    Parameters
    ----------
    links : Links
        Connections to the instrument.
    settings : SweepSettings
        The sweep that is asked for.
    harmonics : collection of int
        Further harmonics of the lock-in that are recorded.
    base : str
        Beginning of the name of the file in which Nanonis saves the spectrum; empty to leave that as it stands.

    Returns
    -------
    SetUp

    Raises
    ------
    NanonisError
        When what was set does not read back.
    """
    run = False

    def of(setting: Setting) -> list[float]:
        nonlocal run
        read = links.work.ask(f"{setting.module}.{setting.name}Get")
        run = bool(read[3]) if setting.name == "AdvProps" else run
        return [float(value) for value in setting.read(read)]

    wanted = _settings_of(links, settings, harmonics, base)
    wrong = bring_about(links, wanted, of)
    meddled = [setting.what for setting in wrong if links.module.get(setting.name) == list(setting.expect)]
    links.recorded = _channels(links, harmonics)
    links.module |= {setting.name: list(setting.expect) for setting in wanted}
    return SetUp(run, meddled)


def bring_about(links: Links, wanted: Sequence[Setting], of: Callable[[Setting], list[float]]) -> list[Setting]:
    """Set what reads otherwise, and return that.

    Parameters
    ----------
    links : Links
        Connections to the instrument.
    wanted : sequence of Setting
        As they have to stand.
    of : callable
        Reads a setting.

    Raises
    ------
    NanonisError
        When what was set does not read back.
    """
    wrong = [setting for setting in wanted if not setting.reads(of(setting))]
    for setting in wrong:
        links.work.ask(f"{setting.module}.{setting.name}Set", *setting.send)
    # All are read again after the last one was sent: the z offset of a bias sweep is one value that stands in two of them.
    for setting in wrong:
        read = of(setting)
        if not setting.reads(read):
            raise NanonisError(
                f"The {setting.what} of the module {setting.module} were set to {setting.expect} and read back {read}. "
                "Nothing was swept. Look at the module in the Nanonis software."
            )
    return wrong


def _channels(links: Links, harmonics: Collection[int]) -> list[int]:
    channels = [links.channels.current, links.channels.lockin_x, links.channels.lockin_y]
    return channels + [index for harmonic in harmonics for index in links.channels.harmonics[harmonic]]


def _settings_of(links: Links, settings: SweepSettings, harmonics: Collection[int], base: str) -> list[Setting]:
    channels = _channels(links, harmonics)
    offset, points, averages = si(settings.z_offset, LENGTH), settings.points, settings.averages
    timing = (Z_AVERAGE, offset, FIRST_SETTLE, SLEW, settings.settle, settings.integrate, END_SETTLE, Z_CONTROL)
    ends, backward = (settings.start, settings.stop), settings.backward
    saved = Switch.ON if base else Switch.KEEP
    props = (Switch.OFF, averages, Switch.of(backward), points, offset, saved, Switch.OFF)
    found = [
        # Averages, backward and points, and the last one: a dialog would wait for a person at the end.
        Setting(
            "averages, backward, points, dialog",
            "Props",
            props,
            (0, averages, backward, points, *((1,) if base else ()), 0),
            lambda r: [*r[:4], *(r[-2:] if base else r[-1:])],
        ),
        Setting("timing", "Timing", timing, timing),
        Setting("limits", "Limits", ends, ends),
        # Bias reset and z hold; whether the final z is recorded and the lock-in is run is left as it is.
        Setting(
            "bias reset and Z hold",
            "AdvProps",
            (Switch.ON, Switch.ON, Switch.KEEP, Switch.KEEP),
            (1, 1),
            lambda read: read[:2],
        ),
    ]
    # Segments, another set point or pulses that somebody left on would be applied to the junction before anything is seen.
    found += [
        Setting("sweep mode", "MLSMode", (LINEAR,), (1,), lambda read: [read[0] == LINEAR]),
        Setting("alternate set point", "AltZCtrl", (Switch.OFF, 1e-10, 0.1), (0,), lambda read: read[:1]),
        Setting("synchronisation", "DigSync", (DigSync.OFF,), (DigSync.OFF - 1,)),
    ]
    if channels != links.recorded:
        found.append(Setting("channels", "Chs", (channels,), channels, lambda read: read[0]))
    # A sweep without an offset, which is read back in two of the settings, has nothing to return from: that saves a request.
    return [*found, Setting("return from the Z offset", "ZOffRevert", (Switch.ON,), (1,))] if offset else found
