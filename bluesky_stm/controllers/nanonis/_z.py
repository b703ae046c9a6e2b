"""The z controller, which holds the tip by its feedback, and brings it to safety.

Its state is read each time that it matters, and never remembered.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import Final

from bluesky_stm.controllers.nanonis._connected import ARRIVED, POLL, Connected
from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis_wire._commands import FOREVER, ScanAction, ZStatus
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.errors import LimitError, MotionStoppedError, STMError, TipCrashError
from bluesky_stm.units import CONDUCTANCE_QUANTUM, CURRENT, LENGTH

log = logging.getLogger("bluesky_stm.nanonis")

RETRACTED: Final = 0.01
"""Part of the z range below its retracted end within which a tip counts as withdrawn."""

WITHDRAWAL: Final = 120.0
"""Longest time for a withdrawal, in s."""

APPROACH: Final = 3600.0
"""Longest time for an approach, in s."""

PASSAGE: Final = 10.0
"""Longest time for the bias to go to another set point and back, in s."""

CLEAR: Final = 1.0
"""How far above the tip a home position has to be, in nm."""

RETREATING: Final = {ZStatus.WITHDRAWING, ZStatus.SAFE_TIP}
"""States in which the controller itself takes the tip back."""

RUNNING: Final = {"sweep": "BiasSpectr.StatusGet", "scan": "Scan.StatusGet", "approach": "AutoApproach.OnOffGet"}
STOPPING: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "sweep": ("BiasSpectr.Stop", ()),
    "scan": ("Scan.Action", (ScanAction.STOP, 0)),
    "approach": ("AutoApproach.OnOffSet", (0,)),
}
"""Commands by act: whether it is under way, and what ends it; harmless where it is not."""


@dataclass(frozen=True)
class ZState:
    """State of the z controller, as one look at it says.

    Attributes
    ----------
    on : bool
        What the real-time side says of the feedback. A feedback on hold counts as on.
    status : ZStatus
        What the module says. It alone knows of a hold, of a Safe Tip event and of a withdrawal.
    """

    on: bool
    status: ZStatus


class NanonisZ(Connected):
    """The part of `protocols.Controller` that closes and opens the feedback, withdraws and approaches."""

    _withdrawing = False
    """Set while a withdrawal is not yet confirmed: the real-time side may not have heard of it."""

    _left_open = False
    """Whether the feedback stands open because it was asked for."""

    _passing = False
    """Set while the bias goes to another value with the feedback opened for it: closed at 0 V it would crash the tip."""

    _home = math.inf
    """Height, in nm, at which the tip was confirmed to be at home; forgotten once the feedback is seen closed."""

    def get_feedback(self) -> bool:
        """Return True when the feedback is closed."""
        return bool(self._watch.ask("ZCtrl.OnOffGet")[0])

    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback; returns when the real-time side has done it."""
        with self._act():
            if on and self.is_withdrawn():
                raise STMError("The tip is withdrawn: the feedback would run it into the surface. Nothing was done. Approach.")
            if on:
                self._close_feedback()
            else:
                self._open_feedback(self._work)
            self._left_open = not on

    def is_withdrawn(self) -> bool:
        """Return True when the tip is out of reach of the surface.

        The feedback is then open, and the tip is at home, at the retracted end of its range, or on its way there.
        """
        if self.get_feedback():
            self._home = math.inf
            return False
        return self._is_away(self.status())

    def approach(self) -> None:
        """Bring a withdrawn tip back with the auto-approach, until the feedback holds it."""
        with self._act():
            self._work.ask("AutoApproach.Open")
            self._work.ask("AutoApproach.OnOffSet", 1)
            what, going_on = "An approach to the set point", lambda: self.is_running("approach")
            self._until(self._approach_is_over, what, self._timeout, going_on, APPROACH)
            if self._stopped.is_set():
                raise MotionStoppedError("The approach was stopped on its way. Ask for it again, or withdraw.")
            self._left_open = self._passing = False

    def withdraw(self) -> None:
        """Open the feedback and pull the tip back to the end of its range, over the connection that nothing blocks.

        Tried over every port there is before it fails.
        """
        try:
            self._withdraw_over(self._watch)
        except (OSError, NanonisError):
            self._watch.drop()
            spare = Link(self.host, self._ports[::-1], self._timeout, read_only=self.read_only, announce=self._announce)
            try:
                self._withdraw_over(spare)
            finally:
                spare.close()

    def home(self) -> None:
        """Open the feedback and lift the tip to the home position that stands in the Nanonis software."""
        relative, home = self._watch.ask("ZCtrl.HomePropsGet")
        here = _height(self._watch)
        target = ours(home, LENGTH) + (here if relative else 0.0)
        if not target >= here + CLEAR:
            raise LimitError(
                f"Home is at z = {target:g} nm, not {CLEAR:g} nm above the tip at {here:g} nm. Nothing has moved. Set a home "
                "position away from the surface in the Nanonis software, or withdraw."
            )
        with self._act():
            self._open_feedback(self._work)
            self._work.ask("ZCtrl.Home")
            self._until(lambda: _height(self._watch) >= target - ARRIVED, f"A tip at z = {target:g} nm", self._timeout)
            self._home = target

    def is_running(self, act: str) -> bool:
        """Return True while a ``"sweep"``, ``"scan"`` or ``"approach"`` is under way, whoever began it."""
        return bool(self._watch.ask(RUNNING[act])[0])

    # ---- inside ----

    def _approach_is_over(self) -> bool:
        """Neither word alone says so: the one for the approach may lag behind the command that began it."""
        return self._stopped.is_set() or (not self.is_running("approach") and self.status() is ZStatus.ON)

    def _is_far(self, link: Link) -> bool:
        return _height(link) >= self._home - ARRIVED or _at_retracted_end(link)

    def _is_away(self, status: ZStatus) -> bool:
        """Return True when a tip whose feedback is open is out of reach of the surface, or on its way there."""
        return status in RETREATING or self._is_far(self._watch)

    def _state(self) -> ZState:
        """Look at the z controller, once; a hold that lasts but a moment, as at the end of a sweep, is waited for."""
        end = time.monotonic() + self._timeout
        while True:
            # The real-time side is asked last: what it says of the feedback is newer than what the module says.
            status = self.status()
            state = ZState(self.get_feedback(), status)
            if state.status is not ZStatus.HOLD or time.monotonic() > end:
                return state
            time.sleep(POLL)

    def _check_contact(self, what: str) -> ZState:
        """Refuse to do ``what`` with a tip that is withdrawn, or that nothing holds; the state that was seen is carried on."""
        state = self._state()
        if state.on:
            self._home = math.inf
        elif self._is_away(state.status):
            raise STMError(f"The tip is withdrawn: nothing was {what}. Approach first.")
        self._check_held(state)
        return state

    def _check_tip(self, refusal: NanonisError | None = None) -> ZState:
        """Raise when Safe Tip has withdrawn the tip, or when nothing keeps it off the surface."""
        state = self._state()
        if state.status is ZStatus.SAFE_TIP:
            raise TipCrashError(
                f"Safe Tip has withdrawn the tip: the current was above its threshold. {refusal or ''} What was being measured "
                "is not to be used. Look at the tip before you approach."
            ) from refusal
        self._check_held(state)
        return state

    def _check_feedback(self) -> ZState:
        """Raise when nothing keeps the tip off the surface."""
        state = self._state()
        self._check_held(state)
        return state

    def _check_held(self, state: ZState) -> None:
        """Withdraw a tip that nothing keeps off the surface: its feedback is on hold, or open and nobody asked for that."""
        if state.status is ZStatus.HOLD:
            self.withdraw()
            raise STMError("Somebody else holds the feedback. The tip was withdrawn. End the hold, then approach.")
        if state.on:
            self._home = math.inf
        elif not (self._left_open or self._is_away(state.status)):
            self.withdraw()
            raise STMError(
                "Somebody else had opened the feedback. The tip was withdrawn. Look at the z controller, then approach."
            )

    def _stays_held(self, link: Link) -> bool:
        """Return True when the feedback is on hold, and not just for a moment as at the end of a sweep."""
        end = time.monotonic() + self._timeout
        while held := link.ask("ZCtrl.StatusGet")[0] == ZStatus.HOLD:
            if time.monotonic() > end:
                break
            time.sleep(POLL)
        return held

    def _close_feedback(self) -> None:
        """Close the feedback, but not of a tip that is withdrawn or on its way back, nor while the bias is on its own way."""
        self._left_open = False
        with self._deciding:
            if self._withdrawing or self._passing or self.is_withdrawn():
                return
            if holds := self._can_hold():
                self._watch.ask("ZCtrl.OnOffSet", 1)
        if not holds:
            self.withdraw()
            raise STMError(
                "There is no bias by which the feedback could hold the tip. It was withdrawn. Set one, then approach."
            )
        self._until(lambda: self._withdrawing or self._passing or self.get_feedback(), "Feedback on", self._timeout)

    def _can_hold(self) -> bool:
        """Return True when the bias drives the set point without a contact: through less than one quantum of conductance."""
        current = abs(ours(self._watch.ask("ZCtrl.SetpntGet")[0], CURRENT))
        return current < CONDUCTANCE_QUANTUM * abs(self._watch.ask("Bias.Get")[0])

    def _begin_passage(self, link: Link) -> None:
        """Open the feedback for the bias to go to another value; whoever closes it waits until the bias is there."""
        with self._deciding:
            self._passing = True
        if self.get_feedback():
            self._open_feedback(link)

    def _wait_for_passage(self) -> None:
        """The act that opened the feedback closes it, at the bias of before; if it does not, the tip is withdrawn."""
        try:
            self._until(lambda: not self._passing, "The way of the bias to another set point", PASSAGE)
        except NanonisError:
            self.withdraw()
            raise

    def _open_feedback(self, link: Link) -> None:
        """The tip is averaged and lifted before the feedback is off, as long as the switch-off delay says."""
        link.ask("ZCtrl.OnOffSet", 0)
        self._until(lambda: not self.get_feedback(), "Feedback off", self._timeout)

    def _withdraw_over(self, link: Link) -> None:
        """Not waited for by the controller, so that a silent one is noticed within the time-out; over when the tip is there."""
        with self._deciding:
            self._withdrawing = True
        try:
            link.ask("ZCtrl.Withdraw", 0, FOREVER)
            over, going_on = (lambda: _is_withdrawn(link)), (lambda: link.ask("ZCtrl.StatusGet")[0] == ZStatus.WITHDRAWING)
            self._until(over, "The withdrawal of the tip", self._timeout, going_on, WITHDRAWAL)
            self._left_open = self._passing = False
        finally:
            self._withdrawing = False

    def _end_what_was_left(self, link: Link) -> None:
        """A sweep, scan or approach that nobody waits for is ended, and a tip left without feedback withdrawn.

        Raises
        ------
        STMError
            When such a tip is found after a connection was lost: what was being done cannot go on.
        """
        running = [act for act, command in RUNNING.items() if link.ask(command)[0]]
        if self.read_only:
            return
        for act in running:
            log.warning("A %s was still running: it is stopped.", act)
            command, values = STOPPING[act]
            link.ask(command, *values)
            self._until(lambda act=act: not link.ask(RUNNING[act])[0], f"The end of a {act}", self._timeout)  # type: ignore[misc]
        held = self._stays_held(link)
        if not held and (link.ask("ZCtrl.OnOffGet")[0] or link.ask("ZCtrl.StatusGet")[0] in RETREATING or self._is_far(link)):
            self._passing = False
            return
        log.warning("The feedback was open or held with the tip in reach of the surface: it is withdrawn.")
        self._withdraw_over(link)
        if self._met:
            raise STMError(
                "After the connection was lost the tip stood without feedback in reach of the surface. It was withdrawn, and "
                "nothing else was done. Look at it, then approach."
            )


def _height(link: Link) -> float:
    """Return the height of the tip, in nm."""
    return ours(link.ask("ZCtrl.ZPosGet")[0], LENGTH)


def _at_retracted_end(link: Link) -> bool:
    high, low = (ours(end, LENGTH) for end in link.ask("ZCtrl.LimitsGet"))
    return _height(link) >= high - RETRACTED * (high - low)


def _is_withdrawn(link: Link) -> bool:
    """Feedback off, no longer moving, and where a withdrawn tip is: none of them alone is proof."""
    if link.ask("ZCtrl.OnOffGet")[0] or link.ask("ZCtrl.StatusGet")[0] == ZStatus.WITHDRAWING:
        return False
    return _at_retracted_end(link)
