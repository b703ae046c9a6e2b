"""The module ZCtrl: the feedback, and whether the tip is withdrawn."""

from __future__ import annotations

from bluesky_stm.controllers.nanonis_server._acts import ACTS
from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.protocols import FeedbackGains
from bluesky_stm.units import CURRENT, LENGTH


class ZCtrlModule(Module):
    """The z controller.

    Attributes
    ----------
    tip_event : bool
        True for a Safe Tip event that nobody has seen to yet.
    withdrawn : bool
    held : bool
        True when somebody holds the feedback: it counts as on, and does not move the tip.
    lift : float
        Height, in nm, of the tip above where the feedback was opened.
    """

    name = "ZCtrl"
    tip_event = withdrawn = held = False
    lift = 0.0

    @property
    def height(self) -> float:
        """Height of the tip, in nm."""
        return self.controller.get_tip().z + self.lift

    def require_open(self) -> None:
        """Refuse what cannot be done with the feedback on."""
        if self.controller.get_feedback():
            raise NanonisError("The Z-Controller is on: switch it off first. Nothing has moved.")

    def withdraw(self) -> None:
        """End everything and pull the tip back."""
        with self.software.doing("withdraw"):
            self.software.halt(*(act for act in ACTS if act != "withdraw"))
            self.software.wait_for("switch off")
            self.lift, self.software.safe_tip.overload, self.tip_event, self.held = 0.0, False, False, False
            self.controller.withdraw()
            self.withdrawn = True

    def approach(self) -> None:
        """Bring the tip back, and let the feedback hold it."""
        self.controller.approach()
        self.held = self.withdrawn = self.tip_event = False
        self.lift = 0.0

    def open_feedback(self) -> None:
        """Z is averaged over the switch-off delay, then the tip lifted; nobody waits for it."""
        (delay,), (lift,) = self.registers.get("ZCtrl.SwitchOffDelay"), self.registers.get("ZCtrl.TipLift")

        def release() -> None:
            self.software.closing.wait(delay)
            if not self.withdrawn:
                self.held = False
                self.controller.set_feedback(False)
                self.lift = ours(lift, LENGTH)

        if (self.held or self.controller.get_feedback()) and not self.software.is_doing("switch off"):
            self.software.begin("switch off", release)

    def close_feedback(self) -> None:
        """The feedback holds the tip from now on."""
        self.software.wait_for("switch off")
        self.tip_event, self.held, self.lift = False, False, 0.0
        self.controller.set_feedback(True)

    def hold(self) -> None:
        """Hold the feedback as the button of the z controller does it."""
        if self.controller.get_feedback():
            self.held = True
            self.controller.set_feedback(False)

    # ---- commands ----

    def _z_pos_get(self) -> Answer:
        return [si(self.height, LENGTH)]

    def _z_pos_set(self, z: float) -> None:
        self.require_open()
        self.lift = ours(z, LENGTH) - self.controller.get_tip().z

    def _home(self) -> None:
        relative, home = self.registers.get("ZCtrl.HomeProps")
        self.controller.set_feedback(False)
        here = self.height if relative else 0.0
        self.lift = here + ours(home, LENGTH) - self.controller.get_tip().z

    def _on_off_set(self, on: int) -> None:
        """Switched on, it brings a withdrawn tip back as far as the z range reaches."""
        if on:
            self.software.wait_for("withdraw")
            return self.approach() if self.withdrawn else self.close_feedback()
        return self.open_feedback()

    def _on_off_get(self) -> Answer:
        return [self.held or self.controller.get_feedback()]

    def _status_get(self) -> Answer:
        if self.software.is_doing("withdraw"):
            return [ZStatus.WITHDRAWING]
        if self.tip_event:
            return [ZStatus.SAFE_TIP]
        if self.held or self.software.is_doing("sweep", "pulse"):
            return [ZStatus.HOLD]
        if self.software.is_doing("switch off"):
            return [ZStatus.SWITCHING_OFF]
        return [ZStatus.ON if self.controller.get_feedback() else ZStatus.OFF]

    def _setpnt_set(self, current: float) -> None:
        self.controller.set_setpoint_current(ours(current, CURRENT))

    def _setpnt_get(self) -> Answer:
        return [si(self.controller.get_setpoint().current, CURRENT)]

    def _gain_set(self, proportional: float, time: float, integral: float) -> None:
        rate = integral or (proportional / time if time else 0.0)
        self.controller.set_gains(FeedbackGains(ours(proportional, LENGTH), ours(rate, LENGTH)))

    def _gain_get(self) -> Answer:
        gains = self.controller.get_gains()
        time = gains.proportional / gains.integral if gains.integral else 0.0
        return [si(gains.proportional, LENGTH), time, si(gains.integral, LENGTH)]

    def _withdraw(self, waited_for: int, timeout: int) -> None:
        self.software.perform("withdraw", self.withdraw, waited_for, timeout)
