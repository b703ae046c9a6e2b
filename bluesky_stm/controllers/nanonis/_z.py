"""The z feedback of a Nanonis controller, and the ways of its tip from the surface and back."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._bias import NanonisBias
from bluesky_stm.controllers.nanonis._guard import ARRIVED, NanonisPart, TipGuard
from bluesky_stm.controllers.nanonis._height import height
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import LimitError, MotionStoppedError, STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, ZControl
from bluesky_stm.units import CURRENT, LENGTH

APPROACH: Final = 3600.0
"""Longest time for an approach, in s."""

CLEAR: Final = 1.0
"""How far above the tip a home position has to be, in nm."""


class NanonisZ(NanonisPart, ZControl):
    """Fulfils `protocols.ZControl`."""

    def __init__(self, guard: TipGuard, bias: NanonisBias) -> None:
        super().__init__(guard)
        self._bias = bias

    @override
    def get_feedback(self) -> bool:
        """Return True when the feedback is closed, as the real-time side says it. A feedback on hold counts as closed."""
        return self._guard.is_closed()

    @override
    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback, and return when the real-time side has done it.

        Before it opens, Nanonis averages z over the switch-off delay and lifts the tip as far as the module says.

        Parameters
        ----------
        on : bool
            True to close it.

        Raises
        ------
        STMError
            When a withdrawn tip is to be held: the feedback would run it into the surface. Nothing was done. Also when there is
            no bias by which the feedback could hold the tip; it was withdrawn.
        """
        with self._guard.act():
            if on and self._guard.is_withdrawn():
                raise STMError("The tip is withdrawn: the feedback would run it into the surface. Nothing was done. Approach.")
            if on:
                self._guard.close_feedback()
            else:
                self._guard.open_feedback(self._work)
            self._guard.left_open = not on

    @override
    def get_setpoint(self) -> Setpoint:
        """Return the bias (V) and the magnitude of the current (nA) that the closed feedback keeps.

        A sign that the current of ``ZCtrl.SetpntGet`` has is dropped; the bias is that of ``Bias.Get``.
        """
        return Setpoint(self._bias.get_bias(), abs(ours(self._watch.ask("ZCtrl.SetpntGet")[0], CURRENT)))

    @override
    def set_setpoint_current(self, current: float) -> None:
        with self._guard.act():
            self._work.ask("ZCtrl.SetpntSet", si(current, CURRENT))
            confirm("The set point", current, self.get_setpoint().current, CURRENT, 1e-6)

    @override
    def get_gains(self) -> FeedbackGains:
        proportional, _, integral = self._watch.ask("ZCtrl.GainGet")
        return FeedbackGains(ours(proportional, LENGTH), ours(integral, LENGTH))

    @override
    def set_gains(self, gains: FeedbackGains) -> None:
        """Set the gains of the feedback by ``ZCtrl.GainSet``.

        The time constant that Nanonis also has follows from them, T = P / I.

        Parameters
        ----------
        gains : FeedbackGains
            Proportional gain, in nm, and integral gain, in nm/s.

        Raises
        ------
        NanonisError
            When one of them does not read back as it was set.
        """
        time = gains.proportional / gains.integral
        with self._guard.act():
            self._work.ask("ZCtrl.GainSet", si(gains.proportional, LENGTH), time, si(gains.integral, LENGTH))
            confirm("The proportional gain", gains.proportional, self.get_gains().proportional, LENGTH, 1e-9)
            confirm("The integral gain", gains.integral, self.get_gains().integral, units.SPEED, 1e-6)

    @override
    def is_withdrawn(self) -> bool:
        return self._guard.is_withdrawn()

    @override
    def withdraw(self) -> None:
        """Open the feedback and retract the tip to the end of its range, over any connection there is.

        This is never refused. It is over when the feedback is off, the tip rests, and its height is that of the retracted end.
        """
        self._guard.withdraw()

    @override
    def home(self) -> None:
        """Open the feedback and lift the tip to the home position that stands in the Nanonis software.

        Raises
        ------
        LimitError
            When the home position is not at least `CLEAR` above the tip. Nothing has moved.
        NanonisError
            When the tip does not come there.
        """
        relative, home = self._watch.ask("ZCtrl.HomePropsGet")
        here = height(self._watch)
        target = ours(home, LENGTH) + (here if relative else 0.0)
        if not target >= here + CLEAR:
            raise LimitError(
                f"Home is at z = {target:g} nm, not {CLEAR:g} nm above the tip at {here:g} nm. Nothing has moved. Set a home "
                "position away from the surface in the Nanonis software, or withdraw."
            )
        with self._guard.act(away=True):
            self._guard.open_feedback(self._work)
            self._work.ask("ZCtrl.Home")
            self._links.until(lambda: height(self._watch) >= target - ARRIVED, f"A tip at z = {target:g} nm")
            self._guard.home = target

    @override
    def approach(self) -> None:
        """Bring a withdrawn tip back with the auto-approach, until the feedback holds it.

        Raises
        ------
        LimitError
            At a bias by which the feedback could not hold the tip. Nothing has moved.
        MotionStoppedError
            When `stop` ended it.
        NanonisError
            When it is not over within `APPROACH`, or ends without the feedback on.
        """
        with self._guard.act():
            self._guard.check_bias("An approach")
            self._links.own.add("approach")
            self._work.ask("AutoApproach.Open")
            self._work.ask("AutoApproach.OnOffSet", 1)
            self._links.until(
                self._approach_is_over,
                "An approach to the set point",
                going_on=lambda: self._links.is_running("approach"),
                longest=APPROACH,
            )
            self._links.own.discard("approach")
            if self._links.stopped.is_set():
                raise MotionStoppedError("The approach was stopped on its way. Ask for it again, or withdraw.")
            self._guard.left_open = self._guard.passing = False

    def _approach_is_over(self) -> bool:
        """Neither word alone says so: the one for the approach may lag behind the command that began it."""
        links = self._links
        return links.stopped.is_set() or (not links.is_running("approach") and links.status() is ZStatus.ON)
