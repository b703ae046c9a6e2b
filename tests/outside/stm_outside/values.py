"""A scalarizer."""

from typing import ClassVar

import numpy as np

from bluesky_stm.parts import setting
from bluesky_stm.scalarizers import NoValueError, ScalarizerPart


class ZeroBias(ScalarizerPart):
    """Mean dI/dV around zero bias."""

    name: str = "zero_bias"
    units: ClassVar[str] = "nS"
    window: float = setting(0.1, "V", "Width of the range of bias over which dI/dV is averaged.", gt=0)

    def value(self, spectrum):
        """Return the mean."""
        inside = np.abs(spectrum.bias) <= self.window / 2
        if not inside.any() or not np.isfinite(spectrum.didv[inside]).all():
            raise NoValueError("the sweep does not cover zero bias")
        return float(spectrum.didv[inside].mean())
