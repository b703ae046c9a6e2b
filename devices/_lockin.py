"""The lock-in amplifier on the bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ophyd import Component as Cpt

from bluesky_stm import units
from bluesky_stm.devices._signals import CONFIG, ControllerSignal
from bluesky_stm.devices._stm_device import STMDevice, stm_of


class Amplitude(ControllerSignal):
    """Modulation of the bias, in V, peak."""

    def check_value(self, amplitude: float) -> None:
        """Refuse a modulation that would take the bias beyond its interlock."""
        super().check_value(amplitude)
        stm = stm_of(self)
        for bias in (stm.bias.position - amplitude, stm.bias.position + amplitude):
            stm.check("bias", bias, f"bias with {self.name}")


def setting(field: str, signal: type[ControllerSignal] = ControllerSignal, **kwargs: Any) -> Cpt:
    """Signal of one field of `LockInSettings`."""
    read: Callable[[Any], Any] = lambda c: getattr(c.get_lockin(), field)  # noqa: E731
    return Cpt(
        signal,
        read=read,
        write=lambda c, value: c.set_lockin(replace(c.get_lockin(), **{field: value})),
        kind=CONFIG,
        **kwargs,
    )


class LockIn(STMDevice):
    """Lock-in on the bias; ``gain`` and ``offset`` turn its raw X channel into dI/dV."""

    amplitude = setting("amplitude", Amplitude, units=units.BIAS, precision=5, low=0.0)
    frequency = setting("frequency", units=units.FREQUENCY, precision=1, low=0.0)
    gain = setting("gain", units=units.BIAS, precision=6)
    offset = setting("offset", units=units.CURRENT, precision=6)
    phase = setting("phase", units=units.ANGLE, precision=2)
    on = setting("on", form="boolean")
