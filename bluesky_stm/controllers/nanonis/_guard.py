"""The guard of the tip, which keeps it off the surface: one act at a time, the state of the z controller, the way to safety.

The state is read each time that it matters, and never remembered.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bluesky_stm.controllers.nanonis._claim import Claim
from bluesky_stm.controllers.nanonis._height import at_retracted_end, height, is_at_rest_far_away
from bluesky_stm.controllers.nanonis._interlocks import Armed, Interlocks
from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis._links import POLL, Links
from bluesky_stm.controllers.nanonis_wire._commands import FOREVER, ZStatus
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.errors import LimitError, STMError, TipCrashError
from bluesky_stm.units import CONDUCTANCE_QUANTUM, CURRENT

WITHDRAWAL: Final = 120.0
"""Longest time for a withdrawal, in s."""

PASSAGE: Final = 10.0
"""Longest time for the bias to go to another set point and back, in s."""

ARRIVED: Final = 0.05
"""How far the tip may end from the place or below the height that was asked for, in nm."""

RETREATING: Final = {ZStatus.WITHDRAWING, ZStatus.SAFE_TIP}
"""States in which the controller itself takes the tip back."""


@dataclass
class Act:
    """An act under way.

    Attributes
    ----------
    checked : bool
        True when the act has read the state of the tip as its last request: it is not read once more.
    """

    checked: bool = False


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


class TipGuard:
    """Knows whether something holds the tip off the surface, and withdraws a tip that nothing holds.

    Parameters
    ----------
    links : Links
    interlocks : Interlocks
        Looked at before every act.
    claim : Claim
        On the instrument, looked at before an act now and then.

    Attributes
    ----------
    interlocks : Armed
    claim : Claim
    left_open : bool
        True when the feedback stands open because it was asked for.
    passing : bool
        True while the bias goes to another value with the feedback opened for it: closed at 0 V it would crash the tip.
    home : float
        Height, in nm, at which the tip was confirmed to be at home; infinite once the feedback is seen closed.
    withdrawing : bool
        True while a withdrawal is not yet confirmed: the real-time side may not have heard of it.
    """

    def __init__(self, links: Links, interlocks: Interlocks, claim: Claim) -> None:
        self.links, self.interlocks, self.claim = links, Armed(links, interlocks), claim
        self.left_open = self.passing = self.withdrawing = False
        self.home = math.inf
        self._acting = threading.RLock()
        self._turn, self._stops = threading.Condition(), 0
        self._deciding = threading.Lock()
        """Held while it is decided whether the feedback is closed, so that a tip on its way back stays on it.

        Who holds it asks over the watching connection only: the working one takes it when it connects again.
        """

    # ---- acts ----

    @contextmanager
    def act(self, *, sweeping: bool = False, away: bool = False) -> Iterator[Act]:
        """Do one act at a time; a stop ends this one and not the next. A Safe Tip event within it is its fault.

        A lost connection comes back before it begins, for then the state is read; then the interlocks are looked at.

        Parameters
        ----------
        sweeping : bool
            True for a sweep, which safe conditions of its own end.
        away : bool
            True for an act that takes the tip away from the surface: no interlock has to hold for it.

        Raises
        ------
        NanonisError
            When an interlock is not as it was asked for. Nothing was done.
        """
        with self._acting:
            with self._turn:
                self._turn.wait_for(lambda: not self._stops)
                self.links.stopped.clear()
            self.links.renew()
            if not away:
                self.claim.check(self.links.watch)
                self.interlocks.check(sweeping=sweeping)
            act = Act()
            try:
                yield act
            except NanonisError as refusal:
                self.check_tip(refusal)
                raise
            if not act.checked:
                self.check_tip()

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """End the act under way, while the next one waits: the commands that end everything would end that one, too."""
        with self._turn:
            self._stops += 1
            self.links.stopped.set()
        try:
            yield
        finally:
            with self._turn:
                self._stops -= 1
                self._turn.notify_all()

    # ---- looking ----

    def is_closed(self) -> bool:
        """Return True when the feedback is closed, or on hold, as the real-time side says it."""
        return bool(self.links.watch.ask("ZCtrl.OnOffGet")[0])

    def is_withdrawn(self) -> bool:
        """Return True when the tip is out of reach of the surface.

        The feedback is then open, and the tip is at home, at the retracted end of its range, or on its way there.
        """
        if self.is_closed():
            self.home = math.inf
            return False
        return self.is_away(self.links.status())

    def is_away(self, status: ZStatus) -> bool:
        """Return True when a tip whose feedback is open is out of reach of the surface, or on its way there.

        Parameters
        ----------
        status : ZStatus
            State of the z controller, as it was read just before.
        """
        return status in RETREATING or self.is_far(self.links.watch)

    def check_contact(self, what: str) -> ZState:
        """Refuse to measure with a tip that is withdrawn, or that nothing holds off the surface.

        Parameters
        ----------
        what : str
            What was not done, as in ``"swept"``.

        Returns
        -------
        ZState
            The state that was seen, so that the act need not ask again.

        Raises
        ------
        STMError
            When the tip is withdrawn, or when nothing holds it: then it was withdrawn.
        """
        state = self._state()
        if state.on:
            self.home = math.inf
        elif self.is_away(state.status):
            raise STMError(f"The tip is withdrawn: nothing was {what}. Approach first.")
        self._check_held(state)
        return state

    def check_tip(self, refusal: NanonisError | None = None) -> ZState:
        """Look at the z controller after an act, and refuse the act's result when the tip was lost meanwhile.

        Parameters
        ----------
        refusal : NanonisError, optional
            What the act was refused with; it is named as the cause.

        Raises
        ------
        TipCrashError
            When Safe Tip has withdrawn the tip.
        STMError
            When nothing keeps the tip off the surface; it was withdrawn.
        """
        state = self._state(brief=True)
        if state.status is ZStatus.SAFE_TIP:
            raise TipCrashError(
                f"Safe Tip has withdrawn the tip: the current was above its threshold. {refusal or ''} What was being measured "
                "is not to be used. Look at the tip before you approach."
            ) from refusal
        self._check_held(state)
        return state

    def check_feedback(self) -> None:
        """Refuse to go on when nothing keeps the tip off the surface.

        Raises
        ------
        STMError
            The tip was withdrawn.
        """
        self._check_held(self._state())

    def _state(self, *, brief: bool = False) -> ZState:
        """Look at the z controller, once; a hold that lasts but a moment, as at the end of a sweep, is waited for.

        Parameters
        ----------
        brief : bool
            True after an act: a module that says that the feedback is on is then believed without the real-time side, which is
            asked before the next act.
        """
        end = time.monotonic() + self.links.timeout
        while True:
            # The real-time side is asked last: what it says of the feedback is newer than what the module says.
            status = self.links.status()
            state = ZState((brief and status is ZStatus.ON) or self.is_closed(), status)
            if state.status is not ZStatus.HOLD or time.monotonic() > end:
                return state
            time.sleep(POLL)

    def _check_held(self, state: ZState) -> None:
        """Withdraw a tip that nothing keeps off the surface: its feedback is on hold, or open and nobody asked for that."""
        if state.status is ZStatus.HOLD:
            self.withdraw()
            raise STMError("Somebody else holds the feedback. The tip was withdrawn. End the hold, then approach.")
        if state.on:
            self.home = math.inf
        elif not (self.left_open or self.is_away(state.status)):
            self.withdraw()
            raise STMError(
                "Somebody else had opened the feedback. The tip was withdrawn. Look at the z controller, then approach."
            )

    def is_far(self, link: Link) -> bool:
        """Return True when the tip is at home, or at the retracted end of its range."""
        return height(link) >= self.home - ARRIVED or at_retracted_end(link)

    # ---- closing and opening the feedback ----

    def close_feedback(self) -> None:
        """Close the feedback, unless the tip is withdrawn or on its way back, or the bias is on its own way.

        Raises
        ------
        STMError
            When there is no bias by which the feedback could hold the tip; it was withdrawn.
        NanonisError
            When the feedback does not read back as closed within the time-out.
        """
        self.left_open = False
        with self._deciding:
            if self.withdrawing or self.passing or self.is_withdrawn():
                return
            if holds := self._can_hold():
                self.links.watch.ask("ZCtrl.OnOffSet", 1)
        if not holds:
            self.withdraw()
            raise STMError(
                "There is no bias by which the feedback could hold the tip. It was withdrawn. Set one, then approach."
            )
        self.links.until(lambda: self.withdrawing or self.passing or self.is_closed(), "Feedback on")

    def check_bias(self, what: str, bias: float | None = None) -> None:
        """Refuse a bias by which the closed feedback could not hold the tip, before anything has moved.

        Parameters
        ----------
        what : str
            What was not done, as in ``"An approach"``.
        bias : float, optional
            In V; that which stands if not given.

        Raises
        ------
        LimitError
            When it drives the set point through a contact only.
        """
        current = abs(ours(self.links.watch.ask("ZCtrl.SetpntGet")[0], CURRENT))
        bias = self.links.watch.ask("Bias.Get")[0] if bias is None else bias
        if current >= CONDUCTANCE_QUANTUM * abs(bias):
            raise LimitError(
                f"{what} at {bias:g} V would run the tip into the surface: no tunneling current of {current:g} nA flows there. "
                "Nothing has moved. Set another bias, or withdraw the tip before."
            )

    def open_feedback(self, link: Link) -> None:
        """Open the feedback, and return when the real-time side has done it.

        As long as the switch-off delay says, the tip is averaged and then lifted before the feedback is off.

        Parameters
        ----------
        link : Link
            Connection over which the command is sent.
        """
        link.ask("ZCtrl.OnOffSet", 0)
        self.links.until(lambda: not self.is_closed(), "Feedback off")

    def _can_hold(self) -> bool:
        """Return True when the bias drives the set point without a contact: through less than one quantum of conductance."""
        current = abs(ours(self.links.watch.ask("ZCtrl.SetpntGet")[0], CURRENT))
        return current < CONDUCTANCE_QUANTUM * abs(self.links.watch.ask("Bias.Get")[0])

    def begin_passage(self, link: Link) -> None:
        """Open the feedback for the bias to go to another value; whoever closes it waits until the bias is there.

        Parameters
        ----------
        link : Link
            Connection over which the command is sent.
        """
        with self._deciding:
            self.passing = True
        if self.is_closed():
            self.open_feedback(link)

    def wait_for_passage(self) -> None:
        """Wait until the act that opened the feedback for the bias has closed it, at the bias of before.

        Raises
        ------
        NanonisError
            When it does not within `PASSAGE`; the tip was withdrawn.
        """
        try:
            self.links.until(lambda: not self.passing, "The way of the bias to another set point", PASSAGE)
        except NanonisError:
            self.withdraw()
            raise

    # ---- to safety ----

    def withdraw(self) -> None:
        """Open the feedback and pull the tip back to the end of its range, over the connection that nothing blocks.

        Tried over every port there is before it fails.
        """
        try:
            self.withdraw_over(self.links.watch)
        except (OSError, NanonisError):
            self.links.watch.drop()
            spare = self.links.spare()
            try:
                self.withdraw_over(spare)
            finally:
                spare.close()

    def withdraw_over(self, link: Link) -> None:
        """Withdraw the tip over one connection, and return when it rests at the retracted end.

        The controller is not asked to wait for it: a silent one is then noticed within the time-out, not within `WITHDRAWAL`.

        Parameters
        ----------
        link : Link
            Connection over which it is asked.

        Raises
        ------
        NanonisError
            When the tip does not arrive.
        """
        with self._deciding:
            self.withdrawing = True
        try:
            link.ask("ZCtrl.Withdraw", 0, FOREVER)
            self.links.until(
                lambda: is_at_rest_far_away(link),
                "The withdrawal of the tip",
                going_on=lambda: link.ask("ZCtrl.StatusGet")[0] == ZStatus.WITHDRAWING,
                longest=WITHDRAWAL,
            )
            self.left_open = self.passing = False
        finally:
            self.withdrawing = False


class NanonisPart:
    """A part of the controller: it works over both connections, and under the guard of the tip."""

    def __init__(self, guard: TipGuard) -> None:
        self._guard, self._links = guard, guard.links
        self._work, self._watch = guard.links.work, guard.links.watch
