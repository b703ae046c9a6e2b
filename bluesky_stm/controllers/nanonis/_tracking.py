"""Atom tracking of Nanonis: the tip goes round in a small circle and climbs to what stands out, and so follows the sample."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._drift import NanonisDrift
from bluesky_stm.controllers.nanonis._guard import NanonisPart, TipGuard
from bluesky_stm.controllers.nanonis._links import OF_TRACKER, POLL, STOPPING, TRACKING
from bluesky_stm.controllers.nanonis._rescue import rescued
from bluesky_stm.controllers.nanonis._tip import NanonisTip
from bluesky_stm.controllers.nanonis._witness import Standing
from bluesky_stm.controllers.nanonis._z import NanonisZ
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.errors import SettingsError, STMError
from bluesky_stm.geometry import Floats
from bluesky_stm.protocols import AtomTracking

OF_MODULATION: Final = 0
"""Code of the circle in ``AtomTrack.CtrlSet``."""

WIDEST: Final = 1.0
"""Radius of the circle, in nm, above which no single feature is held."""


class NanonisTracking(NanonisPart, AtomTracking):
    """Fulfils `protocols.AtomTracking`, with gain, frequency and radius as they stand in the module: they are a person's."""

    def __init__(self, guard: TipGuard, *, tip: NanonisTip, z: NanonisZ, drift: NanonisDrift) -> None:
        super().__init__(guard)
        self._tip, self._z, self._drift = tip, z, drift

    @override
    def track(self, seconds: float) -> Floats:
        """Switch the tracking on where the tip is, read its place again and again, and switch it off.

        Parameters
        ----------
        seconds : float
            How long, in s.

        Returns
        -------
        ndarray of shape (n, 3)
            Time (s), x and y (nm); shorter when `stop` ended it.

        Raises
        ------
        SettingsError
            When the module has no gain, no circle, or one wider than `WIDEST`. Nothing has moved.
        NanonisError
            When it does not switch on, ends by itself, or does not switch off.
        STMError
            When nothing holds the tip off the surface, or when somebody changes set point or compensation meanwhile: what the
            tip has followed was not the drift alone.
        """
        guard, links = self._guard, self._links
        with guard.act():
            gain, _, radius, *_ = self._work.ask("AtomTrack.PropsGet")
            if not gain or not 0 < ours(radius, units.LENGTH) <= WIDEST:
                raise SettingsError(
                    f"The atom tracking has a gain of {gain:g} and a circle of {ours(radius, units.LENGTH):g} nm: it would "
                    f"hold nothing. Nothing has moved. Set a gain, and a radius below {WIDEST:g} nm, in the module."
                )
            if not guard.check_contact("tracked").on:
                raise STMError("The feedback is open: nothing is tracked without a height. Nothing has moved. Close it.")
            stood = Standing(self._z.get_setpoint(), others=self._drift.read())
            places: list[tuple[float, float, float]] = []
            with rescued(self._end):
                links.own.add(TRACKING)
                for which in (OF_MODULATION, OF_TRACKER):
                    self._work.ask("AtomTrack.CtrlSet", which, 1)
                if not links.is_running(TRACKING):
                    raise NanonisError("The atom tracking did not switch on. Nothing was tracked. Look at its module.")
                begun = links.clock.now()
                while (now := links.clock.now()) - begun < seconds and not links.stopped.is_set():
                    places.append((now, *self._tip.place()))
                    if not links.is_running(TRACKING) and not links.stopped.is_set():
                        raise NanonisError("The atom tracking ended by itself, or somebody ended it. What it held is not used.")
                    time.sleep(POLL)  # as often as it can be: each place lies somewhere on the circle
                self._end()
            links.own.discard(TRACKING)
            if changes := stood.changes(Standing(self._z.get_setpoint(), others=self._drift.read())):
                raise STMError(f"While a feature was held somebody changed {changes}. It is not used. Hold it once more.")
        return np.array(places).reshape(-1, 3)

    def _end(self) -> None:
        """Switch controller and circle off, and see that they are."""
        command, values = STOPPING[TRACKING]
        self._watch.ask(command, *values)
        self._watch.ask(command, OF_MODULATION, 0)
        self._links.until(lambda: not self._links.is_running(TRACKING), "The end of the atom tracking")
