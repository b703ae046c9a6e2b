"""Values that suspenders look at: the controller is asked for them regularly while somebody subscribes to them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress

from ophyd import Component as Cpt

from bluesky_stm import units
from bluesky_stm.devices._signals import OMITTED, ControllerSignal
from bluesky_stm.devices._stm_device import OphydValue, STMDevice, stm_of
from bluesky_stm.protocols import Controller

LOST_CONTACT_SHARE = 0.1
"""Share of the set-point current below which a tip with its feedback closed has lost contact."""


class WatchedSignal(ControllerSignal):
    """A value that is asked for every ``period`` seconds in a thread, as long as there are subscribers.

    When the controller fails to answer, the last value stays, because that fault is reported by the acts. A signal with
    ``always`` False also keeps its value while the feedback is held during a spectrum, since it says nothing about the feedback
    then.
    """

    def __init__(self, *args: OphydValue, period: float = 0.2, always: bool = True, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        self.period, self.always = period, always
        self._over: threading.Event | None = None

    def subscribe(self, callback: Callable[..., object], event_type: str | None = None, run: bool = True) -> int:
        """Call ``callback`` with each new value; the first subscriber starts the thread.

        Parameters
        ----------
        callback : callable
            Called with ``value``, ``old_value`` and ``timestamp`` by keyword.
        event_type : str, optional
            Kind of event of ophyd; new values if not given.
        run : bool
            True to call ``callback`` at once with the value of now.

        Returns
        -------
        int
            Token by which ophyd can unsubscribe.
        """
        token = super().subscribe(callback, event_type=event_type, run=run)
        if self._over is None:
            self._over = threading.Event()
            threading.Thread(target=self._look, args=(self._over,), name=f"{self.name}-watch", daemon=True).start()
        return token

    def clear_sub(self, cb: Callable[..., object], event_type: str | None = None) -> None:
        """Stop calling ``cb``; the thread ends with the last subscriber."""
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
    """Return True when the feedback is closed and finds no current.

    A current that is no number counts as none.
    """
    return (
        controller.get_feedback()
        and not abs(controller.read_current()) >= LOST_CONTACT_SHARE * controller.get_setpoint().current
    )


def z_margin(controller: Controller) -> float:
    """Return the distance of the tip to the nearer end of its z range, in nm.

    With the feedback open z is held and says nothing about the surface; half of the range is returned then.
    """
    low, high = controller.ranges["z"]
    if not controller.get_feedback():
        return (high - low) / 2
    z = controller.get_tip().z
    return min(z - low, high - z)


class Watch(STMDevice):
    """Values for suspenders.

    They are the magnitude of the current (nA), whether the contact is lost, the room that is left in z (nm), and the speed of
    the drift that is compensated (nm/s).
    """

    current = Cpt(WatchedSignal, read=lambda c: abs(c.read_current()), units=units.CURRENT, precision=5, kind=OMITTED)
    lost_contact = Cpt(WatchedSignal, read=lost_contact, form="boolean", always=False, kind=OMITTED)
    z_margin = Cpt(WatchedSignal, read=z_margin, units=units.LENGTH, precision=2, always=False, kind=OMITTED)
    drift = Cpt(WatchedSignal, read=lambda c: math.hypot(*c.get_drift()), units=units.SPEED, precision=4, kind=OMITTED)
