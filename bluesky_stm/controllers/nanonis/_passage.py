"""The way of bias, set point and feedback to those of a sweep, and back to those of before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bluesky_stm.controllers.nanonis._bias import BIAS_TOLERANCE, NanonisBias
from bluesky_stm.controllers.nanonis._guard import NanonisPart, TipGuard
from bluesky_stm.controllers.nanonis._links import GRID, STOPPING, TRACKING, Links, confirm
from bluesky_stm.controllers.nanonis._witness import same
from bluesky_stm.controllers.nanonis._z import NanonisZ
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.errors import STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings, ZSweepSettings
from bluesky_stm.units import CURRENT

OVERHEAD: Final = 10.0
"""Longest time of a sweep beside its points, in s."""


def patience(links: Links, settings: SweepSettings | ZSweepSettings | None = None) -> float:
    """Return the longest time, in s, until a sweep of these settings answers; until one that is stopped answers for None."""
    swept = 3 * settings.seconds if settings else 0.0
    return links.timeout + OVERHEAD + swept


@dataclass(frozen=True)
class Before:
    """State that a sweep has to leave as it found it.

    Attributes
    ----------
    setpoint : Setpoint
        Bias (V) and current (nA).
    feedback : bool
        True when the feedback was closed.
    """

    setpoint: Setpoint
    feedback: bool


class Passage(NanonisPart):
    """Goes to another set point within an act, and comes back whatever happened."""

    def __init__(self, guard: TipGuard, bias: NanonisBias, z: NanonisZ) -> None:
        super().__init__(guard)
        self._bias, self._z = bias, z

    def hold(self, before: Before, setpoint: Setpoint | None) -> Setpoint:
        """Return where the feedback holds the tip for a sweep: where it stood, or at another set point, still in contact.

        Parameters
        ----------
        before : Before
            State that was found.
        setpoint : Setpoint or None
            Bias (V) and current (nA) of the sweep; None for those that stand.

        Raises
        ------
        STMError
            When the set point does not read back, or the tip hangs free or has touched there.
        """
        if setpoint is None:
            return before.setpoint
        held = self.hold_at(setpoint)
        self._guard.check_contact("swept")
        return held

    def bring_back(self, before: Before, wanted: Before, read: Setpoint, *, closed: bool) -> bool:
        """Bring back what a sweep has changed: bias, set point and feedback.

        Parameters
        ----------
        before : Before
            State that was found.
        wanted : Before
            State to be left, in which what others have set meanwhile stays; see `left`.
        read : Setpoint
            As it stands now.
        closed : bool
            True when the feedback is closed now.

        Returns
        -------
        bool
            True when nothing had to be done.
        """
        untouched = self.restore(wanted, read) and closed == before.feedback
        if not untouched:
            self.restore_feedback(before)
        return untouched

    def hold_at(self, setpoint: Setpoint) -> Setpoint:
        """Go to another set point and return how it reads back.

        The feedback stands open while the bias goes there, for it could lose the current on the way.
        """
        self._guard.begin_passage(self._work)
        self._bias.ramp(setpoint.bias, self._work)
        self._work.ask("ZCtrl.SetpntSet", si(setpoint.current, CURRENT))
        read = self._z.get_setpoint()
        confirm("The set point", setpoint.current, read.current, CURRENT, 1e-6)
        self._guard.passing = False
        self._guard.close_feedback()
        return read

    def restore(self, before: Before, read: Setpoint) -> bool:
        """Bring back the bias and the set point of before a sweep, over the connection that watches.

        Parameters
        ----------
        before : Before
            Bias, set point and feedback of before the sweep.
        read : Setpoint
            As it stands now.

        Returns
        -------
        bool
            True when nothing had to be done.
        """
        moved = abs(read.bias - before.setpoint.bias) > BIAS_TOLERANCE
        changed = not np.isclose(read.current, before.setpoint.current, rtol=1e-5, atol=0)
        if moved and not self._guard.is_withdrawn():
            self._guard.begin_passage(self._watch)
        if moved:
            # No stop ends it: half way back, perhaps near 0 V, the feedback could not be closed.
            self._bias.ramp(before.setpoint.bias, self._watch, stoppable=False)
        if changed:
            self._watch.ask("ZCtrl.SetpntSet", si(before.setpoint.current, CURRENT))
            now = self._z.get_setpoint().current
            confirm("The set point of before", before.setpoint.current, now, CURRENT, 1e-6)
        self._guard.passing = False
        return not (moved or changed)

    def restore_feedback(self, before: Before) -> None:
        """Close or open the feedback as it was before the sweep.

        Parameters
        ----------
        before : Before
            State that was found.
        """
        on = self._guard.is_closed()
        if before.feedback and not on:
            self._guard.close_feedback()
        if not before.feedback and on:
            self._guard.open_feedback(self._watch)
        self._guard.left_open = not before.feedback

    def leave_as(self, before: Before) -> None:
        """End a sweep that failed, and bring back bias, set point and feedback over the watching connection.

        Parameters
        ----------
        before : Before
            State that was found.

        Raises
        ------
        STMError
            When that fails; the tip was withdrawn.
        """
        if self._links.read_only:
            return
        try:
            for act in (GRID, TRACKING, "sweep", "z sweep"):
                if self._links.is_running(act):
                    command, values = STOPPING[act]
                    self._watch.ask(command, *values, timeout=patience(self._links))
                    self._links.until(lambda act=act: not self._links.is_running(act), f"The end of a {act}")  # type: ignore[misc]
            self.restore(before, self._z.get_setpoint())
            self.restore_feedback(before)
        except STMError:
            self._guard.withdraw()
            raise


def left(before: Before, held: Setpoint, read: Setpoint) -> Before:
    """Return what a sweep has to leave behind: the state of before, but for what somebody else has set meanwhile.

    Parameters
    ----------
    before : Before
        State that was found.
    held : Setpoint
        Where the feedback was held for the sweep.
    read : Setpoint
        As others left it.
    """
    bias = before.setpoint.bias if abs(read.bias - held.bias) <= BIAS_TOLERANCE else read.bias
    current = before.setpoint.current if same(read.current, held.current) else read.current
    return replace(before, setpoint=Setpoint(bias, current))
