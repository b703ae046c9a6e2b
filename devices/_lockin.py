"""The lock-in amplifier that modulates the bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ophyd import Component as Cpt
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._signals import CONFIG, ControllerSignal
from bluesky_stm.devices._stm_device import OphydValue, STMDevice, stm_of
from bluesky_stm.protocols import Controller


class Amplitude(ControllerSignal):
    """Peak amplitude of the modulation of the bias, in V."""

    @override
    def check_value(self, amplitude: float) -> None:
        """Refuse an amplitude that would take the present bias beyond its limits, in either direction.

        Parameters
        ----------
        amplitude : float
            Peak amplitude, in V.

        Raises
        ------
        LimitError
            Nothing has changed.
        """
        super().check_value(amplitude)
        stm = stm_of(self)
        for bias in (stm.bias.position - amplitude, stm.bias.position + amplitude):
            stm.check("bias", bias, f"bias with {self.name}")


def setting(field: str, signal: type[ControllerSignal] = ControllerSignal, **kwargs: OphydValue) -> Cpt:
    """Make the signal of one field of `LockInSettings`.

    Parameters
    ----------
    field : str
        Name of the field.
    signal : type
        Class of the signal.
    **kwargs
        Passed on to the signal: ``units``, ``precision``, bounds.

    Returns
    -------
    Component
        Reads the field from the controller, and writes it there with all other settings left as they are.
    """
    read: Callable[[Controller], object] = lambda c: getattr(c.get_lockin(), field)  # noqa: E731
    return Cpt(
        signal,
        read=read,
        write=lambda c, value: c.set_lockin(replace(c.get_lockin(), **{field: value})),
        kind=CONFIG,
        **kwargs,
    )


class LockIn(STMDevice):
    """Lock-in amplifier on the bias: amplitude (V, peak), frequency (Hz), phase (degrees), and on or off.

    The other settings are its calibration, see `LockInSettings`: with amplitude, frequency and phase they make the ``gain``, in
    V, which is read only. So dI/dV stays what it is when the modulation changes. Every setting is held by the controller.
    """

    amplitude = setting("amplitude", Amplitude, units=units.BIAS, precision=5, low=0.0)
    frequency = setting("frequency", units=units.FREQUENCY, precision=1, low=0.0)
    phase = setting("phase", units=units.ANGLE, precision=2)
    on = setting("on", form="boolean")
    response = setting("response", precision=4)
    offset = setting("offset", units=units.CURRENT, precision=6)
    preamplifier = setting("preamplifier", units=units.TIME, precision=7, low=0.0)
    reference = setting("reference", units=units.ANGLE, precision=2)
    gain = Cpt(ControllerSignal, read=lambda c: c.get_lockin().gain, kind=CONFIG, units=units.BIAS, precision=6)
