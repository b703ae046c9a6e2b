"""Acts on the tip that cannot be undone: bias pulses, and dips into the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final
from weakref import WeakSet

from ophyd.status import Status
from typing_extensions import override

from bluesky_stm.devices._signals import done, refusal
from bluesky_stm.devices._stm_device import OphydValue, STMDevice
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.protocols import TipShape

DEEPEST_DIP: Final = 10.0
"""Depth of a dip, in nm, beyond which the tip is not shaped but broken."""


@dataclass(frozen=True, eq=False)
class BiasPulse:
    """One bias pulse, which is fired once, however often a plan comes back to it.

    Attributes
    ----------
    bias : float
        Bias during the pulse, in V.
    width : float
        Duration, in s; positive.
    """

    bias: float
    width: float

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise SettingsError(f"A pulse needs a positive width, in s, not {self.width:g}. Nothing was done.")


class OneShot(STMDevice):
    """Does each act that it is set to once: ``bps.mv(stm.pulse, BiasPulse(4.0, 0.05))``.

    After a pause bluesky repeats the messages since the last checkpoint. The repeated message carries the same object, and what
    has been done is not done again. To do it twice, make two objects.
    """

    act: ClassVar[type]
    """Class of what it is set to."""
    timeout = 60.0
    """Longest time for an act, in s of wall time."""

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        # Weak, because an act that no plan holds any more cannot be repeated: nothing piles up over a night.
        self._done: WeakSet[OphydValue] = WeakSet()

    def check_value(self, act: OphydValue) -> None:
        """Refuse what is no such act, or lies outside the limits, before anything moves.

        Parameters
        ----------
        act : object
            What `set` was given: a `BiasPulse`, a `TipShape`.

        Raises
        ------
        LimitError
            Outside the limits.
        SettingsError
            For anything else than an act.
        """
        if not isinstance(act, self.act):
            raise refusal(self.name, f"a {self.act.__name__}", act)

    def perform(self, act: OphydValue) -> None:
        """Let the controller do the act, and return when it is done.

        It runs in the thread of the microscope, after `check_value`.

        Parameters
        ----------
        act : object
            What `set` was given.
        """
        raise NotImplementedError

    def set(self, act: OphydValue) -> Status:
        """Do ``act``, unless it has been done already.

        Raises
        ------
        LimitError
            Outside the limits.
        STMError
            After a fault that nobody has cleared, or with the tip withdrawn.
        """
        self.check_value(act)
        if act in self._done:
            return done(self)
        self.stm.require_contact()
        # Noted before the act begins: what was interrupted has reached the surface, and is not repeated either.
        self._done.add(act)
        return self.stm.worker.submit(self, self.perform, act, timeout=self.timeout)


class TipPulse(OneShot):
    """Fires bias pulses at the tip: ``bps.mv(stm.pulse, BiasPulse(4.0, 0.05))``."""

    act = BiasPulse

    @override
    def check_value(self, pulse: BiasPulse) -> None:
        """Refuse a bias outside the limits, or a pulse that may carry a high current for longer than the dose limit allows.

        Parameters
        ----------
        pulse : BiasPulse
            Bias (V) and width (s).

        Raises
        ------
        LimitError
            Nothing was done.
        """
        super().check_value(pulse)
        self.stm.check("bias", pulse.bias, f"{self.name} bias")
        self.stm.check_dose(self.name, pulse.width)

    @override
    def perform(self, pulse: BiasPulse) -> None:
        self.controller.pulse(pulse.bias, pulse.width)


class TipShaper(OneShot):
    """Dips the tip into the surface: ``bps.mv(stm.shaper, TipShape(depth=1.0))``."""

    act = TipShape

    @override
    def check_value(self, shape: TipShape) -> None:
        """Refuse a bias or a height outside the limits, and a dip beyond `DEEPEST_DIP` or longer than the dose limit allows.

        The heights are those of the dip and of the lift, from where the tip stands now.

        Parameters
        ----------
        shape : TipShape
            Depth and lift (nm), bias (V) and hold time (s).

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        super().check_value(shape)
        if not shape.depth <= DEEPEST_DIP:
            raise LimitError(
                f"{self.name} depth = {shape.depth:g} nm is more than {DEEPEST_DIP:g} nm: that breaks the tip. Nothing has "
                "moved. Dip less."
            )
        self.stm.check("bias", shape.bias, f"{self.name} bias")
        self.stm.check_dose(self.name, shape.hold)
        here = self.controller.get_tip().z
        for way in (-shape.depth, shape.lift):
            self.stm.check("z", here + way, f"{self.name} z")

    @override
    def perform(self, shape: TipShape) -> None:
        self.controller.shape_tip(shape)
