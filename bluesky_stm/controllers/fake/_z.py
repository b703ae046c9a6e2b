"""The z feedback of the scripted microscope."""

from __future__ import annotations

from bluesky_stm.controllers.base import HOME
from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import WITHDRAWN, FakePart
from bluesky_stm.errors import LimitError, STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains


class FakeZ(FakePart):
    """Fulfils `protocols.ZControl`."""

    @asked
    def get_feedback(self) -> bool:
        """Return True when the feedback is closed."""
        return self.state.feedback

    @asked
    def set_feedback(self, on: bool) -> None:
        """Close or open the feedback."""
        if on and self.state.withdrawn:
            raise STMError("The tip is withdrawn, the feedback stays open. Approach.")
        self.state.feedback = bool(on)

    @asked
    def get_setpoint(self) -> Setpoint:
        """Return what the feedback keeps."""
        return self.state.setpoint

    @asked
    def set_setpoint_current(self, current: float) -> None:
        """Set the current that the feedback keeps, in nA."""
        self.state.current = current

    @asked
    def get_gains(self) -> FeedbackGains:
        """Return the gains."""
        return self.state.gains

    @asked
    def set_gains(self, gains: FeedbackGains) -> None:
        """Change the gains."""
        self.state.gains = gains

    @asked
    def is_withdrawn(self) -> bool:
        """Return True when the tip is out of reach of the surface."""
        return self.state.withdrawn

    @asked
    def withdraw(self) -> None:
        """Pull the tip back."""
        self.state.pull_back(WITHDRAWN)

    @asked
    def home(self) -> None:
        """Lift the tip by some nm."""
        if self.state.lift > HOME:
            raise LimitError(
                f"Home, {HOME:g} nm up, lies below the tip, {self.state.lift:g} nm up. Nothing has moved. Approach."
            )
        self.state.pull_back(HOME)

    @asked
    def approach(self) -> None:
        """Bring the tip back to the surface."""
        self.state.feedback, self.state.withdrawn, self.state.lift = True, False, 0.0
