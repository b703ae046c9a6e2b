"""The z feedback of the simulated microscope, and the ways of its tip from the surface and back."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.errors import STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, ZControl

WITHDRAWING, LIFTING, APPROACHING = 1.0, 0.5, 5.0
"""Times to withdraw the tip, to lift it home, and to approach, in s."""


class SimulatedZ(ZControl):
    """Fulfils `protocols.ZControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def get_feedback(self) -> bool:
        return self._bench.junction.feedback

    @override
    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback; opened, z stays where it is.

        Parameters
        ----------
        on : bool
            True to close it.

        Raises
        ------
        STMError
            When a withdrawn tip is to be held; it must `approach` first. The feedback stays open.
        TipCrashError
            When the feedback is closed where nothing carries the current; the tip is withdrawn.
        """
        with self._bench.acts.one():
            if on and self._bench.junction.withdrawn:
                raise STMError("The tip is withdrawn, the feedback stays open. Call approach().")
            junction, now = self._bench.junction, self._bench.now()
            if on:
                junction.close_feedback(now)
            else:
                junction.open_feedback(now)

    @override
    def get_setpoint(self) -> Setpoint:
        return self._bench.junction.setpoint

    @override
    def set_setpoint_current(self, current: float) -> None:
        with self._bench.acts.one():
            self._bench.change(Setpoint(self._bench.junction.setpoint.bias, current))

    @override
    def get_gains(self) -> FeedbackGains:
        return self._bench.junction.gains

    @override
    def set_gains(self, gains: FeedbackGains) -> None:
        """Set the gains of the feedback; a closed one settles with them at once.

        Raises
        ------
        TipCrashError
            When the tip touches the surface with them; it is withdrawn.
        """
        with self._bench.acts.one():
            self._bench.junction.gains = gains
            self._bench.junction.settle(self._bench.now())

    @override
    def is_withdrawn(self) -> bool:
        return self._bench.junction.withdrawn

    @override
    def withdraw(self) -> None:
        with self._bench.acts.one():
            self._bench.junction.withdraw(self._bench.now())
            self._bench.acts.clock.sleep(WITHDRAWING)

    @override
    def home(self) -> None:
        with self._bench.acts.one():
            self._bench.junction.lift_home(self._bench.now())
            self._bench.acts.clock.sleep(LIFTING)

    @override
    def approach(self) -> None:
        with self._bench.acts.one():
            self._bench.acts.clock.sleep(APPROACHING)
            self._bench.junction.approach(self._bench.now())
