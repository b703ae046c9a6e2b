"""The z controller: feedback, set point, gains, withdrawal and approach."""

from __future__ import annotations

from dataclasses import replace
from operator import methodcaller

from ophyd import Component as Cpt
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._signals import CONFIG, HINTED, NORMAL, ControllerSignal, DescribedSignal
from bluesky_stm.devices._steady import GainSignal
from bluesky_stm.devices._stm_device import OphydValue, STMDevice


class Contact(DescribedSignal):
    """True while the tip is at the surface: ``bps.mv(stm.z.contact, False)`` withdraws it, True approaches."""

    def get(self, **kwargs: OphydValue) -> bool:
        """Return False after a withdrawal."""
        return not self.parent.stm.withdrawn

    def set(self, value: bool, *, timeout: float | None = None, settle_time: float | None = None) -> Status:
        """Withdraw the tip, or approach the surface.

        Parameters
        ----------
        value : bool
            False to withdraw, True to approach.
        timeout, settle_time : float, optional
            Accepted because bluesky passes them; the time-out is that of the z controller.

        Returns
        -------
        Status
            Ends on arrival, or with the fault.

        Raises
        ------
        SettingsError
            For anything but True and False.
        """
        self.check_value(value)
        return self.parent.approach() if value else self.parent.withdraw()

    def stop(self, *, success: bool = False) -> None:
        """End an approach that is under way; a withdrawal goes on."""
        self.parent.stop(success=success)


class ZController(STMDevice):
    """Keeps the tip at its distance from the surface: feedback on or off, set point (nA), gains; withdraws and approaches.

    The height of the tip is in nm, the proportional gain in nm and the integral gain in nm/s.
    """

    height = Cpt(ControllerSignal, read=lambda c: c.get_tip().z, units=units.LENGTH, precision=4, quantity="z", kind=HINTED)
    feedback = Cpt(
        ControllerSignal,
        read=methodcaller("get_feedback"),
        write=lambda c, on: c.set_feedback(bool(on)),
        form="boolean",
        kind=NORMAL,
    )
    setpoint = Cpt(
        ControllerSignal,
        read=lambda c: c.get_setpoint().current,
        write=lambda c, current: c.set_setpoint_current(float(current)),
        units=units.CURRENT,
        precision=5,
        quantity="setpoint",
        kind=CONFIG,
    )
    proportional = Cpt(
        GainSignal,
        read=lambda c: c.get_gains().proportional,
        write=lambda c, gain: c.set_gains(replace(c.get_gains(), proportional=float(gain))),
        units=units.LENGTH,
        precision=5,
        low=0.0,
        kind=CONFIG,
    )
    integral = Cpt(
        GainSignal,
        read=lambda c: c.get_gains().integral,
        write=lambda c, gain: c.set_gains(replace(c.get_gains(), integral=float(gain))),
        units=units.SPEED,
        precision=3,
        low=0.0,
        kind=CONFIG,
    )

    contact = Cpt(Contact, form="boolean", kind=NORMAL)

    timeout: float | None = 600.0
    """Longest time for an approach or a withdrawal, in s of wall time."""

    def withdraw(self) -> Status:
        """End what is under way and pull the tip back to the end of its range; this waits for no other act."""
        self.stm.worker.stopping(success=True)
        return self.stm.worker.submit(self, self.stm.withdraw_now, timeout=self.timeout, urgent=True)

    def home(self) -> Status:
        """Open the feedback and lift the tip to the home height of the controller; `approach` brings it back.

        Returns
        -------
        Status
            Ends on arrival, or with the fault, such as a home height that is nearer to the surface than the tip.
        """
        return self.stm.worker.submit(self, self.controller.home, timeout=self.timeout)

    def approach(self) -> Status:
        """Bring the tip back until the set point is reached; the feedback is closed then.

        Raises
        ------
        STMError
            After a fault, which a person has to clear first.
        SettingsError
            At a bias at which no current would hold the tip.
        """
        self.stm.require_no_fault("approached")
        self.stm.check_junction(f"{self.name} bias", self.controller.get_bias(), self.controller.get_setpoint().current)
        return self.stm.worker.submit(self, self.controller.approach, timeout=self.timeout)
