"""A spectrum made ready: in order of bias, without what was not measured, what is clipped known."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.scalarizers._base import NoValueError

CLIPPED_WITHIN = 1e-3
"""A sample of a clipped spectrum whose current is this close to the largest (relative) sits at the end of the preamp."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """Samples in order of rising bias, all finite: ``bias`` V, ``current`` nA, ``didv`` nS, ``clipped`` true or false."""

    bias: Floats
    current: Floats
    didv: Floats
    clipped: NDArray[np.bool_]

    @classmethod
    def of(cls, spectrum: Spectrum) -> Self:
        """From a spectrum swept either way; NaN left out."""
        size = np.abs(spectrum.current)
        clipped = size >= (1 - CLIPPED_WITHIN) * np.nanmax(size, initial=0) if spectrum.quality & Quality.CLIPPED else size < 0
        measured = np.isfinite(spectrum.bias) & np.isfinite(spectrum.current) & np.isfinite(spectrum.didv)
        order = np.flatnonzero(measured)[np.argsort(spectrum.bias[measured], kind="stable")]
        if len(order) < 2:
            raise NoValueError(f"only {len(order)} of {len(spectrum.bias)} samples were measured")
        return cls(*(np.asarray(a)[order] for a in (spectrum.bias, spectrum.current, spectrum.didv, clipped)))

    def __getitem__(self, which: slice | NDArray[np.bool_]) -> Self:
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    @property
    def clear(self) -> Self:
        """Without the clipped samples."""
        return self[~self.clipped]

    def between(self, low: float, high: float) -> Self:
        """The samples from ``low`` to ``high``, in V: at least two, none clipped, and the sweep has to reach both ends."""
        step = np.diff(self.bias).max()
        if self.bias[0] > low + step or self.bias[-1] < high - step:
            raise NoValueError(f"the sweep from {self.bias[0]:g} to {self.bias[-1]:g} V does not cover {low:g} to {high:g} V")
        part = self[(self.bias >= low - 1e-9) & (self.bias <= high + 1e-9)]
        if len(part.bias) < 2:
            raise NoValueError(f"fewer than two samples between {low:g} and {high:g} V")
        if part.clipped.any():
            raise NoValueError(f"the preamplifier is clipped from {part.bias[part.clipped][0]:g} V on")
        return part
