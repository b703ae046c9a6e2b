"""A spectrum prepared for scalarizers: sorted by bias, without samples that were not measured, with clipped samples marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.scalarizers._base import NoValueError

_TOGETHER = 256
"""Number of like spectra that are worked out at once: what they need fits into fast memory."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """Samples of a spectrum, sorted by increasing bias, all finite.

    Attributes
    ----------
    bias : ndarray of shape (n,)
        In V.
    current : ndarray of shape (n,)
        In nA; of several spectra with like samples (m, n).
    didv : ndarray of shape (n,)
        In nS; of several spectra (m, n).
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
        return type(self)(*(getattr(self, f.name)[..., which] for f in fields(self)))

    @property
    def clear(self) -> Self:
        """The samples that are not clipped."""
        return self[~self.clipped]

    @property
    def each(self) -> Iterator[Self]:
        """Each of several spectra by itself."""
        for current, didv in zip(self.current, self.didv, strict=True):
            yield type(self)(self.bias, current, didv, self.clipped)

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


@dataclass(frozen=True, eq=False)
class Alike:
    """Spectra that were measured, and clipped, at the same biases, to be worked out together.

    Attributes
    ----------
    numbers : list of int
        Which of the spectra they are.
    order : ndarray of int of shape (n,)
        Where each sample of ``sweep`` lies in the spectra.
    sweep : Sweep
        Their samples; current and dI/dV of shape (m, n).
    """

    numbers: list[int]
    order: NDArray[np.intp]
    sweep: Sweep


def alike(spectra: Sequence[Spectrum]) -> Iterator[Alike]:
    """Give spectra in groups of those with like samples; those with fewer than two that were measured are left out.

    Parameters
    ----------
    spectra : sequence of Spectrum
        Any spectra.
    """
    groups: dict[tuple[bytes, bytes, bytes], list[int]] = {}
    for number, each in enumerate(spectra):
        measured = np.isfinite(each.bias + each.current + each.didv)
        groups.setdefault((each.bias.tobytes(), measured.tobytes(), each.saturated.tobytes()), []).append(number)
    for (_, measured_, _), numbers in groups.items():
        measured = np.frombuffer(measured_, dtype=bool)
        first = spectra[numbers[0]]
        order = np.flatnonzero(measured)[np.argsort(first.bias[measured], kind="stable")]
        if len(order) < 2:
            continue
        for some in (numbers[start : start + _TOGETHER] for start in range(0, len(numbers), _TOGETHER)):
            current, didv = (np.array([getattr(spectra[i], name)[order] for i in some]) for name in ("current", "didv"))
            yield Alike(some, order, Sweep(first.bias[order], current, didv, first.saturated[order]))
