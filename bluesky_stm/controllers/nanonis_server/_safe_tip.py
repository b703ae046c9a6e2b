"""The modules SafeTip, AutoApproach, Motor and TipShaper: what brings the tip away from the surface, back, and changes it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import STMError
from bluesky_stm.protocols import TipShape
from bluesky_stm.units import CURRENT, LENGTH

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

SAFE_TIP_PERIOD: Final = 0.02
"""How often Safe Tip looks at the current, in s."""


class SafeTipModule(Module):
    """The interlock that withdraws the tip at a large current.

    Attributes
    ----------
    overload : bool
        True when the preamplifier is at the end of its range, whatever the microscope says.
    """

    name = "SafeTip"
    overload = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the current from now on, every `SAFE_TIP_PERIOD`, whether anybody is connected or not.

        As in the real software the interlock does not need the program that measures. A withdrawn tip is not watched.
        """
        self._thread = threading.Thread(target=self._look_after_the_tip, name="nanonis-sim-safe-tip", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until it looks no more: the software is closing."""
        if self._thread:
            self._thread.join()

    def check_current(self, largest: float) -> None:
        """Withdraw the tip when Safe Tip is on and the current is above its threshold.

        Parameters
        ----------
        largest : float
            In nA; the sign does not count.
        """
        _, _, threshold = self.registers.get("SafeTip.Props")
        if self.registers.get("SafeTip.OnOff") == (1,) and abs(si(largest, CURRENT)) > threshold:
            self.retract()

    def retract(self) -> None:
        """Withdraw the tip in a Safe Tip event.

        Until somebody approaches, withdraws or switches the feedback on, ``ZCtrl.StatusGet`` answers `ZStatus.SAFE_TIP`.
        """
        self.software.z.withdraw()
        self.software.z.tip_event = True

    def overload_now(self) -> None:
        """Let the current run to the end of the range of the preamplifier, whatever the microscope says.

        It stays there until the tip is withdrawn. Safe Tip acts on it where its threshold lies within the range.
        """
        self.overload = True
        self.check_current(self.software.signals.full_scale)

    def _look_after_the_tip(self) -> None:
        while not self.software.closing.wait(SAFE_TIP_PERIOD):
            with suppress(STMError):
                if not self.software.z.withdrawn:
                    self.software.signals.current()

    def _signal_get(self) -> Answer:
        """Answer ``SafeTip.SignalGet``.

        Returns
        -------
        list of float
            The current that Safe Tip watches, in A; a current above the threshold withdraws the tip.
        """
        return [si(self.software.signals.current(), CURRENT)]


class AutoApproachModule(Module):
    """The coarse approach."""

    name = "AutoApproach"

    def _open(self) -> None:
        """Answer ``AutoApproach.Open``, which opens the module in the vendor's software.

        There is nothing to open here.
        """

    def _on_off_set(self, on: int) -> None:
        """Answer ``AutoApproach.OnOffSet``: begin an approach once a withdrawal under way is over, or end one.

        Nobody waits for the approach: ``AutoApproach.OnOffGet`` says when it is over.

        Parameters
        ----------
        on : int
            1 to begin, 0 to end.
        """
        if not on:
            return self.software.halt("approach")
        self.software.wait_for("withdraw")
        self.software.begin("approach", self.software.z.approach)
        return None

    def _on_off_get(self) -> Answer:
        """Answer ``AutoApproach.OnOffGet`` with 1 while an approach is under way.

        Where `Lag` is set it answers for a while as if the approach had not begun, or had not ended.
        """
        return [self.software.is_doing("approach")]


TOWARDS, COARSE_STEP = 5, 100.0
"""Direction of a step of the coarse motor towards the sample, and its length in nm."""


class MotorModule(Module):
    """The coarse motor: steps towards the sample bring a tip that stands in contact into it."""

    name = "Motor"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.drive: dict[int, tuple[float, float]] = {}

    def _start_move(self, direction: int, steps: int, group: int, waited_for: int) -> None:
        """Answer ``Motor.StartMove``, which is refused while the feedback is on; nothing else follows from it.

        Parameters
        ----------
        direction : int
            Code of the axis and its sense.
        steps : int
            Number of steps.
        group : int
            Group of motors.
        waited_for : int
            1 to answer when the motor stands.
        """
        self.software.z.require_open()
        if direction == TOWARDS and steps and not self.software.z.withdrawn:
            self.software.z.go_to(self.software.z.height - COARSE_STEP * steps)

    def _freq_amp_set(self, frequency: float, amplitude: float, axis: int) -> None:
        """Answer ``Motor.FreqAmpSet``: frequency (Hz) and amplitude (V) of the steps along an axis."""
        self.drive[axis] = (frequency, amplitude)

    def _freq_amp_get(self, axis: int) -> Answer:
        """Answer ``Motor.FreqAmpGet``."""
        return list(self.drive.get(axis, (1000.0, 100.0)))

    def _pos_get(self, group: int, timeout: int) -> Answer:
        """Answer ``Motor.PosGet``: the motor has no sensor, and reads 0."""
        return [0.0, 0.0, 0.0]

    def _stop_move(self) -> None:
        """A step is over at once."""


class TipShaperModule(Module):
    """The module TipShaper, of which only a bias pulse is simulated.

    The dip itself, by the depths of ``TipShaper.PropsSet``, moves nothing.
    """

    name = "TipShaper"

    def _start(self, waited_for: int, timeout: int) -> None:
        """Answer ``TipShaper.Start``: pulse the bias as ``TipShaper.PropsSet`` says, which may change the tip.

        The height is the bias of the dip where the module is to change the bias, else the one of the lift; the duration is the
        time of the first ramp.

        Parameters
        ----------
        waited_for : int
            1 to answer when it is over, 0 to answer at once.
        timeout : int
            Longest time to wait, in ms; -1 for ever.
        """
        _, change, bias, lift, first, lifted, hold, *_ = self.registers.get("TipShaper.Props")
        pulse, depth = (bias if change else lifted), -ours(lift, LENGTH)

        def shape() -> None:
            if depth > 0:
                self.controller.shape_tip(TipShape(depth, bias=pulse, hold=hold))
            else:
                self.controller.pulse(pulse, first)

        self.software.perform("pulse", shape, waited_for, timeout)
