"""The z feedback of the simulated microscope, and the ways of its tip from the surface and back."""

from __future__ import annotations

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.errors import STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains

WITHDRAWING, LIFTING, APPROACHING = 1.0, 0.5, 5.0
"""Times to withdraw the tip, to lift it home, and to approach, in s."""


class SimulatedZ:
    """Fulfils `protocols.ZControl`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def get_feedback(self) -> bool:
        """Return True when the feedback is closed."""
        return self._bench.junction.feedback

    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback; opened, z stays where it is. A withdrawn tip must `approach` first."""
        with self._bench.acts.one():
            if on and self._bench.junction.withdrawn:
                raise STMError("The tip is withdrawn, the feedback stays open. Call approach().")
            self._bench.junction.feedback = on
            self._bench.junction.settle(self._bench.now())

    def get_setpoint(self) -> Setpoint:
        """Return bias and current that the closed feedback keeps."""
        return self._bench.junction.setpoint

    def set_setpoint_current(self, current: float) -> None:
        """Set the current, in nA, that the feedback keeps."""
        with self._bench.acts.one():
            self._bench.change(Setpoint(self._bench.junction.setpoint.bias, current))

    def get_gains(self) -> FeedbackGains:
        """Return the gains of the feedback."""
        return self._bench.junction.gains

    def set_gains(self, gains: FeedbackGains) -> None:
        """Change the gains of the feedback."""
        with self._bench.acts.one():
            self._bench.junction.gains = gains
            self._bench.junction.settle(self._bench.now())

    def is_withdrawn(self) -> bool:
        """Return True when the tip is out of reach of the surface."""
        return self._bench.junction.withdrawn

    def withdraw(self) -> None:
        """Pull the tip back to the end of its range; `stop` does not end it."""
        with self._bench.acts.one():
            self._bench.junction.withdraw(self._bench.now())
            self._bench.acts.clock.sleep(WITHDRAWING)

    def home(self) -> None:
        """Lift the tip to its home height, the feedback open."""
        with self._bench.acts.one():
            self._bench.junction.lift_home(self._bench.now())
            self._bench.acts.clock.sleep(LIFTING)

    def approach(self) -> None:
        """Bring a withdrawn tip back, and close the feedback."""
        with self._bench.acts.one():
            self._bench.acts.clock.sleep(APPROACHING)
            self._bench.junction.approach(self._bench.now())
