"""What suspenders look at: a few values of the controller, asked for regularly while somebody is subscribed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ophyd import Component as Cpt

from bluesky_stm import units
from bluesky_stm.devices._signals import OMITTED, ControllerSignal
from bluesky_stm.devices._stm_device import STMDevice, stm_of
from bluesky_stm.protocols import Controller

LOST_CONTACT_SHARE = 0.1
"""Share of the set-point current below which a tip with its feedback closed has lost contact."""


class WatchedSignal(ControllerSignal):
    """A value that is asked for every ``period`` s in a thread, as long as there are subscribers.

    A controller that fails to answer leaves the last value standing: that fault is for the acts to tell. So does, unless
    ``always``, a tip that is held during a spectrum: of the feedback it tells nothing.
    """

    def __init__(self, *args: Any, period: float = 0.2, always: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.period, self.always = period, always
        self._over: threading.Event | None = None

    def subscribe(self, callback: Callable[..., Any], event_type: str | None = None, run: bool = True) -> int:
        """Call ``callback`` with each new value; the first subscriber starts the thread."""
        token = super().subscribe(callback, event_type=event_type, run=run)
        if self._over is None:
            self._over = threading.Event()
            threading.Thread(target=self._look, args=(self._over,), name=f"{self.name}-watch", daemon=True).start()
        return token

    def clear_sub(self, cb: Callable[..., Any], event_type: str | None = None) -> None:
        """Call ``cb`` no more; without subscribers the thread ends."""
        super().clear_sub(cb, event_type=event_type)
        if self._over is not None and not any(self._callbacks[kind] for kind in self._callbacks):
            self._over.set()
            self._over = None

    def _look(self, over: threading.Event) -> None:
        while not over.wait(self.period):
            with suppress(Exception):
                if self._tells():
                    before, now = self._readback, self.get()
                    self._run_subs(sub_type=self.SUB_VALUE, old_value=before, value=now, timestamp=self.timestamp)

    def _tells(self) -> bool:
        stm = stm_of(self)
        return self.always or stm.withdrawn or stm.controller.get_feedback()


def lost_contact(controller: Controller) -> bool:
    """Whether the feedback is closed and finds no current, or what is no number."""
    return (
        controller.get_feedback()
        and not abs(controller.read_current()) >= LOST_CONTACT_SHARE * controller.get_setpoint().current
    )


def z_margin(controller: Controller) -> float:
    """Distance of the tip to the nearer end of its z range, in nm; half the range with the feedback open, when z is held."""
    low, high = controller.ranges["z"]
    if not controller.get_feedback():
        return (high - low) / 2
    z = controller.get_tip().z
    return min(z - low, high - z)


class Watch(STMDevice):
    """Values for suspenders: magnitude of the current, lost contact, room in z, speed of the drift that is compensated."""

    current = Cpt(WatchedSignal, read=lambda c: abs(c.read_current()), units=units.CURRENT, precision=5, kind=OMITTED)
    lost_contact = Cpt(WatchedSignal, read=lost_contact, form="boolean", always=False, kind=OMITTED)
    z_margin = Cpt(WatchedSignal, read=z_margin, units=units.LENGTH, precision=2, always=False, kind=OMITTED)
    drift = Cpt(WatchedSignal, read=lambda c: math.hypot(*c.get_drift()), units=units.SPEED, precision=4, kind=OMITTED)
