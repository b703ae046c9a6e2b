"""Training data of the kernels, and the schedule by which each kernel is fitted to them.

Kernels are fitted at set numbers of values, each at its own, and extended by one row in between. All of it is a function of the
training data and their order alone: a fit starts from the prior, and a process that was kept and extended has the same bits as
one that is built again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bluesky_stm.agents._fit import Fit, fitted, leave_one_out
from bluesky_stm.agents._kernel import Kernel, squared_distances
from bluesky_stm.agents._mixture import Features
from bluesky_stm.agents._process import Process, gram, noises, solved
from bluesky_stm.agents._shares import shares
from bluesky_stm.agents._targets import TAILS, Warp
from bluesky_stm.geometry import Floats

# From 200 to 250 values 9 of 50 steps refit a kernel (benchmarks/results/agents_step.md).
# Fits to each value up to 60 find no more: in the arena (commits 8be0338, 4b6e12d; pairs; 95 %) found -0.020 +- 0.025,
# regret +0.002 +- 0.028 and map -0.015 +- 0.023 on 57 problems; +0.005 +- 0.022, -0.002 +- 0.013 and -0.002 +- 0.013 on 68
# fresh scenes; for 9 and 38 % more processor time.
REFIT_EACH, REFIT_GROWTH = 20, 1.05
"""Number of values up to which kernels are fitted to each new one, and the factor in their number from fit to fit beyond."""


LARGEST_DEVIATION = 1e3
"""Standard deviation, in those of the values, beyond which a value says nothing, however much larger it is."""


def fitted_at(count: int, phase: float = 0.0) -> int:
    """Return the number of values to which the parameters in use at ``count`` values were fitted.

    Parameters
    ----------
    count : int
        Number of values now.
    phase : float
        Shift of the schedule, from 0 to 1, as a share of the interval between two fits.
    """
    if count <= REFIT_EACH:
        return count
    turns = math.floor(math.log(count / REFIT_EACH) / math.log(REFIT_GROWTH) - phase + 1e-9)
    return max(REFIT_EACH, math.ceil(REFIT_EACH * REFIT_GROWTH ** (turns + phase) - 1e-9))


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Values measured at places, and the kernels that learn them.

    Attributes
    ----------
    kernels : mapping of str to sequence of str
        Groups of features of each kernel, by its name. The first is the simplest one: it decides how heavy the tails of the
        values are.
    places : sequence of Features
        Features of the measured places, one place in each element.
    values : ndarray of shape (n,)
        In the unit of the scalarizer.
    candidates : Features
        Features of the candidates.
    deviations : ndarray of shape (n,)
        Standard deviation of each value by the noise of its spectrum, in the unit of the scalarizer; 0 or NaN where unknown.
    """

    kernels: Mapping[str, Sequence[str]]
    places: Sequence[Features]
    values: Floats
    candidates: Features
    deviations: Floats

    def known(self, count: int) -> Floats:
        """Return the variance of each value that is known beforehand, (n,), warped as ordinary values are.

        The warp is that of the first ``count`` values with tails for ordinary values: it follows from the data alone, and a
        process that is kept and extended has the same numbers as one that is built again.
        """
        if count not in self._known:
            self._known[count] = self._warped_variance(count)
        return self._known[count].copy()

    def shares(self, count: int) -> Floats:
        """Return for how much of the surface each of the first ``count`` values stands, (count,)."""
        if count not in self._shares:
            self._shares[count] = shares(self.candidates, self.places[:count])
        return self._shares[count].copy()

    @cached_property
    def _known(self) -> dict[int, Floats]:
        """What `known` has returned: each kernel asks for it several times in a step."""
        return {}

    @cached_property
    def _shares(self) -> dict[int, Floats]:
        """What `shares` has returned."""
        return {}

    def _warped_variance(self, count: int) -> Floats:
        deviations = np.nan_to_num(self.deviations)
        if not deviations.any():
            return np.zeros(len(deviations))
        slope = np.exp(Warp.fitted(self.values[:count], shares=self.shares(count)).log_slope(self.values))
        return np.minimum(deviations * slope, LARGEST_DEVIATION) ** 2

    @property
    def due(self) -> dict[str, int]:
        """Number of values to which each kernel is to be fitted, by name.

        The kernels take turns, so that no step has to refit them all.
        """
        return {name: fitted_at(len(self.values), i / len(self.kernels)) for i, name in enumerate(self.kernels)}

    @property
    def simplest(self) -> str:
        """Name of the first kernel."""
        return next(iter(self.kernels))

    def tails(self, count: int) -> tuple[Warp, Fit]:
        """Return the warp with which the simplest kernel predicts the first ``count`` values best, and the fit of that kernel.

        Predictions are compared by the leave-one-out log density of the values, in their own unit.
        """
        squared, known = self._squared(self.simplest, count), self.known(count)[:count]
        values, trials = self.values[:count], list[tuple[float, Warp, Fit]]()
        stand_for = self.shares(count)
        for warp in (Warp.fitted(values, far, stand_for) for far in TAILS):
            warped = warp(values)
            fit = fitted(Kernel(tuple(self.kernels[self.simplest])), squared, warped, known)
            trials.append((_log_score(fit, squared, warped, known) + float(warp.log_slope(values).sum()), warp, fit))
        return max(trials, key=lambda trial: trial[0])[1:]

    def fit(self, name: str, count: int, known: Mapping[int, Warp]) -> Fit:
        """Fit a kernel to the first ``count`` values, warped as they are at that count.

        Parameters
        ----------
        name : str
            Name of the kernel.
        count : int
            Number of values.
        known : mapping of int to Warp
            Warps that were found before, by the number of values.

        Returns
        -------
        Fit
        """
        at = fitted_at(count)
        warp = known[at] if at in known else self.tails(at)[0]
        warped = warp(self.values[:count])
        return fitted(Kernel(tuple(self.kernels[name])), self._squared(name, count), warped, self.known(count)[:count])

    def process(self, name: str, fit: Fit, count: int) -> Process:
        """Return the process of a fitted kernel on the first ``count`` places, with values of zero.

        The caller sets the values by `Process.with_values`.

        Parameters
        ----------
        name : str
            Name of the kernel.
        fit : Fit
            Its parameters.
        count : int
            Number of places.

        Returns
        -------
        Process
        """
        candidates = [self.candidates[group] for group in self.kernels[name]]
        return Process.conditioned(fit, self._stacked(name, count), np.zeros(count), candidates, self.known(count)[:count])

    def _squared(self, name: str, count: int) -> list[Floats]:
        places = self._stacked(name, count)
        return squared_distances(places, places)

    def _stacked(self, name: str, count: int) -> list[Floats]:
        return [np.concatenate([place[group] for place in self.places[:count]]) for group in self.kernels[name]]


def _log_score(fit: Fit, squared: Sequence[Floats], values: Floats, known: Floats) -> float:
    """Return the log density of all warped values, each predicted from all others."""
    factor = np.linalg.cholesky(gram(fit, squared, noises(fit, known)))
    residual, std = leave_one_out(factor, solved(factor, solved(factor, values), transposed=True))
    return float((-0.5 * (residual / std) ** 2 - np.log(std)).sum())
