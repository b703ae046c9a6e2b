"""The module ZCtrl: the feedback, and whether the tip is withdrawn."""

from __future__ import annotations

from bluesky_stm.controllers.nanonis_server._acts import ACTS
from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.protocols import FeedbackGains
from bluesky_stm.units import CURRENT, LENGTH

CONTROLLERS = ("log Current", "Current", "Frequency (neg)")
"""Names of the z controllers."""

FREQUENCY = 2
"""Index of the one on the shift of a frequency: no force acts here, and it keeps the tip at its height whatever flows."""


class ZCtrlModule(Module):
    """The z controller.

    Attributes
    ----------
    tip_event : bool
        True for a Safe Tip event that nobody has seen to yet.
    withdrawn : bool
    held : bool
        True when somebody holds the feedback: it counts as on, and does not move the tip.
    active : int
        Index of the z controller that is active.
    floats : bool
        True while the controller on the frequency is on: the current does not hold the tip.
    lift : float
        Height, in nm, of the tip above where the feedback was opened.
    """

    name = "ZCtrl"
    tip_event = withdrawn = held = floats = False
    lift = 0.0
    active = 0

    @property
    def height(self) -> float:
        """Height of the tip, in nm."""
        return self.controller.get_tip().z + self.lift

    @property
    def is_on(self) -> bool:
        """True for a feedback that is closed or on hold, whichever controller does it."""
        return self.held or self.floats or self.controller.get_feedback()

    def require_open(self) -> None:
        """Refuse what cannot be done while the feedback is closed, as Nanonis does.

        Raises
        ------
        NanonisError
            When the feedback is closed. Nothing has moved.
        """
        if self.floats or self.controller.get_feedback():
            raise NanonisError("The Z-Controller is on: switch it off first. Nothing has moved.")

    def withdraw(self) -> None:
        """End every act and retract the tip.

        A lift, an overload, a hold and a Safe Tip event of before are over with it.
        """
        with self.software.doing("withdraw"):
            self.software.halt(*(act for act in ACTS if act != "withdraw"))
            self.software.wait_for("switch off")
            self.lift, self.software.safe_tip.overload = 0.0, False
            self.tip_event = self.held = self.floats = False
            self.controller.withdraw()
            self.withdrawn = True

    def approach(self) -> None:
        """Bring the tip back until the feedback holds it.

        A hold, a Safe Tip event and a lift of before are over with it.
        """
        self.controller.approach()
        self.held = self.withdrawn = self.tip_event = False
        self.lift = 0.0

    def open_feedback(self) -> None:
        """Begin to open the feedback, for which nobody waits.

        Z is averaged over the switch-off delay of ``ZCtrl.SwitchOffDelaySet`` (s), then the feedback opens and the tip is
        lifted by ``ZCtrl.TipLiftSet`` (m). Meanwhile ``ZCtrl.StatusGet`` answers `ZStatus.SWITCHING_OFF`.
        """
        (delay,), (lift,) = self.registers.get("ZCtrl.SwitchOffDelay"), self.registers.get("ZCtrl.TipLift")

        def release() -> None:
            self.software.pause(delay)
            if not self.withdrawn:
                self.held = self.floats = False
                self.controller.set_feedback(False)
                if lift:
                    self.go_to(self.controller.get_tip().z + ours(lift, LENGTH))

        if self.is_on and not self.software.is_doing("switch off"):
            self.software.begin("switch off", release)

    def close_feedback(self) -> None:
        """Close the feedback once it is not being opened any more.

        A hold, a Safe Tip event and a lift of before are over with it.
        """
        self.software.wait_for("switch off")
        self.tip_event, self.held = False, False
        self.floats = self.active == FREQUENCY
        if not self.floats:
            self.lift = 0.0
            self.controller.set_feedback(True)

    def hold(self) -> None:
        """Hold the feedback, as the button of the z controller does it; an open feedback is left open.

        It counts as on from then on, and does not move the tip.
        """
        if self.controller.get_feedback():
            self.held = True
            self.controller.set_feedback(False)

    # ---- commands ----

    def _z_pos_get(self) -> Answer:
        """Answer ``ZCtrl.ZPosGet`` with the height of the tip, in m.

        It has the lift in it that the software added to where the microscope stands.
        """
        return [si(self.height, LENGTH)]

    def _z_pos_set(self, z: float) -> None:
        """Answer ``ZCtrl.ZPosSet``: bring the tip to a height, the feedback being open.

        Parameters
        ----------
        z : float
            Height, in m; larger is further from the surface.

        Raises
        ------
        NanonisError
            When the feedback is closed. Nothing has moved.
        """
        self.require_open()
        self.go_to(ours(z, LENGTH))

    def go_to(self, height: float) -> None:
        """Bring a tip without feedback to a height, as far as the z limits let it.

        Parameters
        ----------
        height : float
            In nm; larger is further from the surface.

        Raises
        ------
        TipCrashError
            When it touches the surface on its way.
        """
        (enabled,) = self.registers.get("ZCtrl.LimitsEnabled")
        if enabled:
            high, low = (ours(end, LENGTH) for end in self.registers.get("ZCtrl.Limits"))
            height = min(max(height, low), high)
        move = getattr(self.controller, "set_height", None)
        if move is None or self.withdrawn:  # a microscope that knows nothing of heights, or a tip in the air
            self.lift = height - self.controller.get_tip().z
        else:
            self.lift = 0.0
            move(height)

    def _home(self) -> None:
        """Answer ``ZCtrl.Home``: open the feedback and bring the tip to its home height.

        ``ZCtrl.HomePropsSet`` says whether that is a height (m) or a distance from where the tip stands.
        """
        relative, home = self.registers.get("ZCtrl.HomeProps")
        self.controller.set_feedback(False)
        self.go_to((self.height if relative else 0.0) + ours(home, LENGTH))

    def _limits_set(self, high: float, low: float) -> None:
        """Answer ``ZCtrl.LimitsSet``, in m, which the vendor's software refuses while the limits are not enabled."""
        if not self.registers.get("ZCtrl.LimitsEnabled")[0]:
            raise NanonisError("The limits cannot be applied because the limitation of the Z position is not enabled yet")
        self.registers.set("ZCtrl.Limits", (high, low))

    def _limits_get(self) -> Answer:
        """Answer ``ZCtrl.LimitsGet``, in m, with those of the piezo while the limits are not enabled."""
        (enabled,), span = self.registers.get("ZCtrl.LimitsEnabled"), self.registers.get("Piezo.Range")[2]
        return list(self.registers.get("ZCtrl.Limits")) if enabled else [span / 2, -span / 2]

    def _ctrl_list_get(self) -> Answer:
        """Answer ``ZCtrl.CtrlListGet`` with the controllers and the index of the active one."""
        return [list(CONTROLLERS), self.active]

    def _active_ctrl_set(self, index: int) -> None:
        """Answer ``ZCtrl.ActiveCtrlSet``, once the feedback is not being opened any more.

        Both controllers on the current hold the tip alike; the choice counts when the feedback is closed.
        """
        if not 0 <= index < len(CONTROLLERS):
            raise NanonisError(f"There is no Z-Controller {index}, only 0 to {len(CONTROLLERS) - 1}.")
        self.software.wait_for("switch off")
        self.active = index

    def _on_off_set(self, on: int) -> None:
        """Answer ``ZCtrl.OnOffSet``: close or open the feedback.

        Closed, it brings a withdrawn tip back as far as the z range reaches, once a withdrawal under way is over.

        Parameters
        ----------
        on : int
            1 to close it, 0 to open it; nobody waits for its opening.
        """
        if on:
            self.software.wait_for("withdraw")
            return self.approach() if self.withdrawn else self.close_feedback()
        return self.open_feedback()

    def _on_off_get(self) -> Answer:
        """Answer ``ZCtrl.OnOffGet`` with 1 for a feedback that is closed or on hold.

        Where `Lag` is set it answers for a while as before the last command.
        """
        return [self.is_on]

    def _status_get(self) -> Answer:
        """Answer ``ZCtrl.StatusGet`` with a `ZStatus`.

        A withdrawal counts before a Safe Tip event, that before a hold, and a hold before the opening of the feedback. A sweep
        and a pulse hold the feedback.
        """
        if self.software.is_doing("withdraw"):
            return [ZStatus.WITHDRAWING]
        if self.tip_event:
            return [ZStatus.SAFE_TIP]
        if self.held or self.software.is_doing("sweep", "pulse"):
            return [ZStatus.HOLD]
        if self.software.is_doing("switch off"):
            return [ZStatus.SWITCHING_OFF]
        return [ZStatus.ON if self.is_on else ZStatus.OFF]

    def _setpnt_set(self, current: float) -> None:
        """Answer ``ZCtrl.SetpntSet``: set the current that the closed feedback keeps.

        Parameters
        ----------
        current : float
            Magnitude, in A.
        """
        self.controller.set_setpoint_current(ours(current, CURRENT))

    def _setpnt_get(self) -> Answer:
        """Answer ``ZCtrl.SetpntGet``.

        Returns
        -------
        list of float
            The magnitude of the current that the closed feedback keeps, in A.
        """
        return [si(self.controller.get_setpoint().current, CURRENT)]

    def _gain_set(self, proportional: float, time: float, integral: float) -> None:
        """Answer ``ZCtrl.GainSet``: set the gains of the feedback.

        Parameters
        ----------
        proportional : float
            In m.
        time : float
            Time constant P / I, in s; it counts where the integral gain is 0.
        integral : float
            In m/s; 0 to take P / T.
        """
        rate = integral or (proportional / time if time else 0.0)
        self.controller.set_gains(FeedbackGains(ours(proportional, LENGTH), ours(rate, LENGTH)))

    def _gain_get(self) -> Answer:
        """Answer ``ZCtrl.GainGet``.

        Returns
        -------
        list of float
            Proportional gain, in m; time constant P / I, in s, 0 where there is no integral gain; integral gain, in m/s.
        """
        gains = self.controller.get_gains()
        time = gains.proportional / gains.integral if gains.integral else 0.0
        return [si(gains.proportional, LENGTH), time, si(gains.integral, LENGTH)]

    def _withdraw(self, waited_for: int, timeout: int) -> None:
        """Answer ``ZCtrl.Withdraw``: open the feedback and retract the tip.

        Parameters
        ----------
        waited_for : int
            1 to answer when the tip is there, 0 to answer at once.
        timeout : int
            Longest time to wait, in ms; -1 for ever.
        """
        self.software.perform("withdraw", self.withdraw, waited_for, timeout)
