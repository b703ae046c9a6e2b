"""The z feedback of the scripted microscope."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.base import HOME
from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import WITHDRAWN, FakePart
from bluesky_stm.errors import LimitError, STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains, ZControl


class FakeZ(FakePart, ZControl):
    """Fulfils `protocols.ZControl`."""

    @override
    @asked
    def get_feedback(self) -> bool:
        return self.state.feedback

    @override
    @asked
    def set_feedback(self, on: bool) -> None:
        if on and self.state.withdrawn:
            raise STMError("The tip is withdrawn, the feedback stays open. Approach.")
        self.state.feedback = bool(on)

    @override
    @asked
    def get_setpoint(self) -> Setpoint:
        return self.state.setpoint

    @override
    @asked
    def set_setpoint_current(self, current: float) -> None:
        self.state.current = current

    @override
    @asked
    def get_gains(self) -> FeedbackGains:
        return self.state.gains

    @override
    @asked
    def set_gains(self, gains: FeedbackGains) -> None:
        self.state.gains = gains

    @override
    @asked
    def is_withdrawn(self) -> bool:
        return self.state.withdrawn

    @override
    @asked
    def withdraw(self) -> None:
        self.state.pull_back(WITHDRAWN)

    @override
    @asked
    def home(self) -> None:
        if self.state.lift > HOME:
            raise LimitError(
                f"Home, {HOME:g} nm up, lies below the tip, {self.state.lift:g} nm up. Nothing has moved. Approach."
            )
        self.state.pull_back(HOME)

    @override
    @asked
    def approach(self) -> None:
        self.state.feedback, self.state.withdrawn, self.state.lift = True, False, 0.0
