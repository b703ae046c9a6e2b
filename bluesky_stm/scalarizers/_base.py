"""What all scalarizers share: settings, a sign, and one way to say that there is no value."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.parts import Part, setting
from bluesky_stm.protocols import Failed


class NoValueError(Exception):
    """This spectrum has no value, because ...: becomes `Failed`, never leaves this package."""


class ScalarizerPart(Part):
    """A scalarizer: its fields are its settings, and `value` computes the scalar property.

    Attributes
    ----------
    name : str
        By which it is chosen.
    prefer : {"large", "small"}
        An agent seeks large values. With ``"small"`` the value comes back with its sign changed, so that
        ``{"name": "gap", "prefer": "small"}`` seeks the smallest gap and reports minus the gap.
    """

    kind: ClassVar[str] = "scalarizer"

    prefer: Literal["large", "small"] = setting(
        "large", "", "Values that the agent seeks: small ones come back with their sign changed."
    )

    refused: ClassVar[Quality] = Quality.LOST_CONTACT | Quality.TIP_CHANGED
    """Flags with which no number is to be trusted; what is clipped or incomplete matters only where it is looked at."""

    @property
    def units(self) -> str:
        """Unit of the value."""
        raise NotImplementedError

    @property
    def sign(self) -> int:
        """What the value is multiplied by for an agent, who seeks the largest: -1 where the smallest is sought."""
        return 1 if self.prefer == "large" else -1

    def value(self, spectrum: Spectrum) -> float:
        """The value, in ``units``, before the sign of ``prefer``; raises `NoValueError` with the reason."""
        raise NotImplementedError

    def __call__(self, spectrum: Spectrum) -> float | Failed:
        """Value in ``units``, or why there is none."""
        if spectrum.quality & self.refused:
            return Failed(f"{self.name}: the spectrum is {(spectrum.quality & self.refused).words}")
        try:
            value = float(self.value(spectrum))
        except NoValueError as why:
            return Failed(f"{self.name}: {why}")
        if not math.isfinite(value):
            return Failed(f"{self.name}: the value is not a finite number")
        return self.sign * value
