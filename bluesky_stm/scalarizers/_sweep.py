"""A spectrum prepared for scalarizers: sorted by bias, without samples that were not measured, with clipped samples marked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.scalarizers._base import NoValueError


@dataclass(frozen=True, eq=False)
class Sweep:
    """Samples of a spectrum, sorted by increasing bias, all finite.

    Attributes
    ----------
    bias : ndarray of shape (n,)
        In V.
    current : ndarray of shape (n,)
        In nA.
    didv : ndarray of shape (n,)
        In nS.
    clipped : ndarray of bool of shape (n,)
        True where the preamplifier was at the end of its range.
    """

    bias: Floats
    current: Floats
    didv: Floats
    clipped: NDArray[np.bool_]

    @classmethod
    def of(cls, spectrum: Spectrum) -> Self:
        """Return the samples of a spectrum swept in either direction.

        Raises
        ------
        NoValueError
            When fewer than two samples were measured.
        """
        measured = np.isfinite(spectrum.bias) & np.isfinite(spectrum.current) & np.isfinite(spectrum.didv)
        order = np.flatnonzero(measured)[np.argsort(spectrum.bias[measured], kind="stable")]
        if len(order) < 2:
            raise NoValueError(f"only {len(order)} of {len(spectrum.bias)} samples were measured")
        return cls(spectrum.bias[order], spectrum.current[order], spectrum.didv[order], spectrum.saturated[order])

    def __getitem__(self, which: slice | NDArray[np.bool_]) -> Self:
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    @property
    def clear(self) -> Self:
        """The samples that are not clipped."""
        return self[~self.clipped]

    @property
    def reach(self) -> float:
        """Distance from zero bias that the sweep reaches on both sides, in V.

        Raises
        ------
        NoValueError
            When it does not pass zero bias.
        """
        reach = min(self.bias[-1], -self.bias[0]) if len(self.bias) > 1 else 0.0
        if not reach > 0:
            raise NoValueError("the sweep does not pass zero bias, or is clipped on one side of it")
        return float(reach)

    def share(self, part: float, samples: int = 3) -> float:
        """Return a width that is a share of the sweep, in V.

        Parameters
        ----------
        part : float
            Share of the whole width of the sweep.
        samples : int
            Number of samples that it holds at least.
        """
        return max(part * float(np.ptp(self.bias)), (samples - 1) * float(np.median(np.diff(self.bias))) * (1 + 1e-9))

    def between(self, low: float, high: float) -> Self:
        """Return the samples in a range of bias.

        Parameters
        ----------
        low, high : float
            Ends of the range, in V.

        Raises
        ------
        NoValueError
            When the sweep does not reach both ends, has fewer than two samples in the range, or is clipped there.
        """
        step = np.diff(self.bias).max()
        if self.bias[0] > low + step or self.bias[-1] < high - step:
            raise NoValueError(f"the sweep from {self.bias[0]:g} to {self.bias[-1]:g} V does not cover {low:g} to {high:g} V")
        part = self[(self.bias >= low - 1e-9) & (self.bias <= high + 1e-9)]
        if len(part.bias) < 2:
            raise NoValueError(f"fewer than two samples between {low:g} and {high:g} V")
        if part.clipped.any():
            raise NoValueError(f"the preamplifier is clipped from {part.bias[part.clipped][0]:g} V on")
        return part
