"""The base of all scalarizers: settings, a sign, and one way to say that there is no value."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.parts import Part, setting
from bluesky_stm.protocols import Failed, Mark, as_value
from bluesky_stm.scalarizers._noise import replicas


class NoValueError(Exception):
    """A spectrum has no value; the message says why.

    The method `value` of a scalarizer raises it. The scalarizer returns a `Failed` instead, with its name before the message,
    so that the error never leaves this package.
    """


class ScalarizerPart(Part):
    """A scalarizer: its fields are its settings, and `value` computes the scalar property.

    Attributes
    ----------
    name : str
        Name by which it is chosen.
    prefer : {"large", "small"}
        An agent seeks large values. With ``"small"`` the value comes back with its sign changed, so that
        ``{"name": "gap", "prefer": "small"}`` seeks the smallest gap and reports minus the gap.
    """

    kind: ClassVar[str] = "scalarizer"

    prefer: Literal["large", "small"] = setting(
        "large", "", "Values that the agent seeks: small ones come back with their sign changed."
    )

    refused: ClassVar[Quality] = Quality.LOST_CONTACT | Quality.TIP_CHANGED | Quality.UNMODULATED | Quality.DISTURBED
    """Quality flags with which a spectrum has no value. Clipped or incomplete ones are refused where that part counts.

    A spectrum without modulation has no dI/dV, so that only a scalarizer of the current alone takes it.
    """

    @property
    def units(self) -> str:
        """Unit of the value; empty for a number without one.

        It may follow from the settings, as that of an integral does from its channel.
        """
        raise NotImplementedError

    @property
    def needs_distance(self) -> bool:
        """True where the value follows from I(z), which an exploration then takes at each place."""
        return False

    @property
    def sign(self) -> int:
        """Factor of the value for an agent, which seeks large values.

        It is -1 where small ones are preferred, else 1.
        """
        return 1 if self.prefer == "large" else -1

    def value(self, spectrum: Spectrum) -> float:
        """Return the value, in ``units``, before the sign of ``prefer``.

        Raises
        ------
        NoValueError
            When the spectrum has no value; the message says why.
        """
        raise NotImplementedError

    def deviation(self, spectrum: Spectrum) -> float:
        """Return the standard deviation of the value by the noise of the spectrum, in ``units``; NaN where it is unknown.

        It is that of the values of `replicas` of the spectrum; scalarizers that know it themselves return that.
        """
        found = [self(replica) for replica in replicas(spectrum)]
        values = [value for value in found if not isinstance(value, Failed)]
        # A value that noise makes fail every other time has no deviation that would mean anything.
        return float(np.std(values, ddof=1)) if len(values) > len(found) / 2 else math.nan

    def marks(self, spectrum: Spectrum) -> list[Mark]:
        """Return what was seen on the spectrum, for pictures; as much of it as could be found where there is no value.

        A scalarizer that has something to show overrides `seen`.
        """
        if spectrum.quality & self.refused:
            return []
        try:
            return self.seen(spectrum)
        except NoValueError:
            return []

    def seen(self, spectrum: Spectrum) -> list[Mark]:
        """Return marks of a spectrum, from which its value follows; nothing unless a scalarizer overrides it.

        Raises
        ------
        NoValueError
            When nothing can be marked.
        """
        return []

    def check_resolution(self, amplitude: float, temperature: float) -> None:
        """Refuse a lock-in or a sample that leaves another resolution than the settings assume; most scalarizers assume none.

        Parameters
        ----------
        amplitude : float
            Peak amplitude of the modulation, in V; NaN where it is not known.
        temperature : float
            Temperature of the sample, in K; NaN where it is not known.

        Raises
        ------
        SettingsError
            With both numbers.
        """

    def __call__(self, spectrum: Spectrum) -> float | Failed:
        """Return the value in ``units`` with the sign of ``prefer``, or why there is none."""
        if spectrum.quality & self.refused:
            return Failed(f"{self.name}: the spectrum is marked: {(spectrum.quality & self.refused).words}")
        try:
            value = as_value(self.value(spectrum))
        except NoValueError as why:
            return Failed(f"{self.name}: {why}")
        return replace(value, reason=f"{self.name}: {value.reason}") if isinstance(value, Failed) else self.sign * value
