"""The first questions and acts at each connection to a Nanonis controller, before anything else is sent over it."""

from __future__ import annotations

import logging
import time

from bluesky_stm.controllers.nanonis._claim import Claim
from bluesky_stm.controllers.nanonis._guard import RETREATING, TipGuard
from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis._links import POLL, RUNNING, STOPPING, runs
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.errors import STMError

log = logging.getLogger("bluesky_stm.nanonis")


class Meeting:
    """Reads the state, ends what was left running, and withdraws a tip that is without feedback in reach of the surface.

    Parameters
    ----------
    guard : TipGuard
        Its links are not yet open. Its interlocks are set by `arm`, and once more when a lost connection comes back: the
        software may have been started anew meanwhile.
    claim : Claim
        On the instrument. It is held before anything is ended or set.
    """

    def __init__(self, guard: TipGuard, claim: Claim) -> None:
        self._guard, self._links, self._claim = guard, guard.links, claim
        self._armed = False
        self._links.work.on_connect = self._meet

    def arm(self) -> None:
        """Set the interlocks and read them back.

        From now on a tip found without feedback is one that was lost on the way: it is withdrawn, and what was being done
        fails.

        Raises
        ------
        SettingsError
            When they contradict each other, the set point or the preamplifier; none was sent.
        NanonisError
            When an interlock does not read back.
        """
        self._guard.interlocks.judge()
        self._armed = True
        self._guard.interlocks.arm()

    def _meet(self, link: Link) -> None:
        if not self._links.read_only:
            self._claim.hold(link)
        self._end_what_was_left(link)
        if self._armed:
            self._links.find_channels(link)
            self._guard.interlocks.arm()

    def _end_what_was_left(self, link: Link) -> None:
        """End a sweep, scan or approach that nobody waits for, and withdraw a tip left without feedback.

        Raises
        ------
        STMError
            When such a tip is found after a connection was lost: what was being done cannot go on. Also while an act of
            somebody else is running then.
        """
        running = [act for act in RUNNING if runs(link, act)]
        if self._links.read_only:
            return
        if self._armed and (foreign := [act for act in running if act not in self._links.own]):
            raise STMError(
                f"Somebody else's {' and '.join(foreign)} is running, begun while the connection was lost. Nothing was done, "
                "and it was left alone. Wait for its end, or end it in the Nanonis software."
            )
        for act in running:
            log.warning("A %s was still running: it is stopped.", act)
            command, values = STOPPING[act]
            link.ask(command, *values)
            self._links.until(lambda act=act: not runs(link, act), f"The end of a {act}")  # type: ignore[misc]
        if not self._stays_held(link) and self._is_safe(link):
            self._guard.passing = False
            return
        log.warning("The feedback was open or held with the tip in reach of the surface: it is withdrawn.")
        self._guard.withdraw_over(link)
        if self._armed:
            raise STMError(
                "After the connection was lost the tip stood without feedback in reach of the surface. It was withdrawn, and "
                "nothing else was done. Look at it, then approach."
            )

    def _is_safe(self, link: Link) -> bool:
        closed = link.ask("ZCtrl.OnOffGet")[0]
        return bool(closed or link.ask("ZCtrl.StatusGet")[0] in RETREATING or self._guard.is_far(link))

    def _stays_held(self, link: Link) -> bool:
        """Return True when the feedback is on hold, and not just for a moment as at the end of a sweep."""
        end = time.monotonic() + self._links.timeout
        while held := link.ask("ZCtrl.StatusGet")[0] == ZStatus.HOLD:
            if time.monotonic() > end:
                break
            time.sleep(POLL)
        return held
