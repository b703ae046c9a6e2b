"""The fitted model as a function of the training data: kernels are refitted in turns and extended by one row in between."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.agents._health import USELESS
from bluesky_stm.agents._mixture import Features, Mixture, select
from bluesky_stm.agents._process import Process
from bluesky_stm.agents._targets import Warp
from bluesky_stm.agents._training import TrainingSet
from bluesky_stm.geometry import Floats

__all__ = ["Features", "Model"]

CONSTANT = "constant"
"""Name of the model where nothing that is seen says anything of the values."""
FEW, DOUBT = 0.01, 0.1
"""Share of the places left that may be better than promised, and chance that it is more of them. That promises are kept as
often is measured, not proved (benchmarks/results/agents_promise.md): a kernel does not know of rare kinds of places."""


@dataclass(frozen=True, eq=False)
class Model:
    """The fitted kernels of an agent and their mixture.

    Attributes
    ----------
    names : tuple of str
        Kernels in use, in the order of the processes.
    due : mapping of str to int
        Number of values to which each kernel was fitted, by its name.
    count : int
        Number of values now.
    warp : Warp
        The map from values to warped values.
    process : Mixture
    shares : ndarray of shape (count,)
        For how much of the surface each value stands; they sum to 1.
    """

    names: tuple[str, ...]
    due: Mapping[str, int]
    count: int
    warp: Warp
    process: Mixture
    shares: Floats

    @classmethod
    def fitted(cls, training: TrainingSet, before: Model | None = None) -> Model | None:
        """Return the model at the last count at which a kernel was due, with all kernels.

        Kernels that are not sound are left out.

        Parameters
        ----------
        training : TrainingSet
            Values and the schedule of the fits.
        before : Model, optional
            An earlier model of the same data; its processes are not computed again.

        Returns
        -------
        Model or None
            None where not even the simplest kernel could be computed.
        """
        due, simplest = training.due, training.simplest
        count, found = max(due.values()), {}
        kept = before.kept if before else {}
        with suppress(np.linalg.LinAlgError):
            if before and (simplest, due[simplest]) in kept:
                warp, fit = before.warp, kept[simplest, due[simplest]].fit
            else:
                warp, fit = training.tails(due[simplest])
            values = warp(training.values[:count])
            for name, at in due.items():
                process = kept.get((name, at))
                if process is None:
                    own = fit if name == simplest else training.fit(name, at, {due[simplest]: warp})
                    process = training.process(name, own, at)
                known = training.known(at)
                for i in range(len(process.solved), count):
                    process = process.extended(select(process.fit, training.places[i]), values[0], float(known[i]))
                found[name] = process.with_values(values)
        sound = {name: process for name, process in found.items() if _sound(process)} or dict(list(found.items())[:1])
        if not sound:
            return None
        shares = training.shares(count)
        mixture = Mixture.stacked(list(sound.values()), shares)
        return cls(tuple(sound), due, count, warp, mixture, shares)

    def extended(self, training: TrainingSet) -> Model:
        """Return the model with the next value of its training data; parameters and weights stay.

        Parameters
        ----------
        training : TrainingSet
            More values than the model has, the first ones being its own.
        """
        place, value = training.places[self.count], training.values[self.count]
        warped = self.warp(np.array([value]))
        known = [float(training.known(self.due[name])[self.count]) for name in self.names]
        process, count = self.process.extended(place, warped[0], known), self.count + 1
        return replace(self, count=count, process=process, shares=training.shares(count))

    def fantasized(self, place: Features) -> Model:
        """Return the model as if its mean had been measured at a place, for a point that is pending.

        Parameters
        ----------
        place : Features
            Features of the place, each (1, d).

        Returns
        -------
        Model
            Its mean is the same (Kriging believer); its variance is smaller around the place.
        """
        mean, _ = self.process.at(place)
        return replace(self, process=self.process.extended(place, mean[0]))

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Predict each value from all others.

        Returns
        -------
        residual, std : ndarray of shape (n,)
            In standard deviations of the values, noise included.
        """
        return self.process.tested(Process.leave_one_out)

    @property
    def seeking(self) -> Model:
        """The model that acquisition functions ask: without the constant, which is no reason to prefer one place to another.

        It would only take away from what the kernels say, the same share at every place, and widen all intervals alike.
        """
        return replace(self, process=self.process.without_constant)

    def ahead(self) -> Floats:
        """Return by how much each value, (n,), missed what those before it predict, in predicted standard deviations."""
        residual, std = self.process.tested(Process.ahead)
        return residual / std

    def left(self, free: NDArray[np.bool_]) -> float:
        """Return by how much more than the best measured place the candidates that are left may give.

        Fewer than `FEW` of them give even more, but for a chance of `DOUBT`: the product is the share that is expected to, and
        by Markov's inequality a count is seldom many times what is expected, however its members depend on each other.

        Parameters
        ----------
        free : ndarray of bool of shape (m,)
            True for the candidates that are left, one at least.

        Returns
        -------
        float
            In the unit of the values, above the best posterior mean of a measured place; 0 where it is no more than that. NaN
            where the constant weighs most: what says nothing of the values cannot tell what is left of them.
        """
        if self.name == CONSTANT:
            return math.nan
        ends = self.warp.back(np.array([self.best, self.process.exceeded(FEW * DOUBT, free, self.best)]))
        return float(ends[1] - ends[0])

    @property
    def kept(self) -> dict[tuple[str, int], Process]:
        """Processes, by kernel and number of values to which it was fitted."""
        processes = zip(self.names, self.process.processes, strict=True)
        return {(name, self.due[name]): process for name, process in processes}

    @property
    def name(self) -> str:
        """Name of the kernel with the largest weight, or ``"constant"`` where the constant has a larger one."""
        largest = float(self.process.weights.max())
        return self.names[self.process.heaviest] if largest >= self.process.constant else CONSTANT

    @property
    def left_out(self) -> list[str]:
        """Names of the kernels that are not sound."""
        return [name for name in self.due if name not in self.names]

    @property
    def best(self) -> float:
        """Highest posterior mean of the measured places, warped.

        It stands for the highest value, which may be high by its noise.
        """
        return float(self.process.mean_where_measured.max())

    @property
    def leading(self) -> Process:
        """Process of the kernel with the largest weight."""
        return self.process.processes[self.process.heaviest]

    @property
    def appearance(self) -> Floats:
        """Features of the candidates, (m, d), in length scales of the kernel; position where no kernel takes anything else.

        The kernel is the one with the largest weight of those that take more than position.
        """
        weighed = zip(self.process.weights.tolist(), self.process.processes, strict=True)
        seeing = [(weight, process) for weight, process in weighed if process.fit.kernel.groups != ("xy",)]
        process = max(seeing, key=itemgetter(0))[1] if seeing else self.leading
        fit, candidates = process.fit, process.candidates
        groups = list(zip(fit.kernel.groups, candidates, fit.parameters, strict=False))  # lengths come first
        pictures = [features / math.exp(length) for group, features, length in groups if group != "xy"]
        return np.concatenate(pictures or candidates, axis=1)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of an ordinary value, warped.

        It is that of the fit; what a spectrum tells of its own noise comes on top.
        """
        return self.process.noise**0.5


def _sound(process: Process) -> bool:
    """Return True when all numbers of a process are finite and it predicts at least about as well as a constant."""
    residual, _ = process.leave_one_out()
    finite = bool(np.isfinite(process.mean).all() and np.isfinite(process.variance).all())
    return finite and math.sqrt(np.mean(residual**2)) < USELESS + 2.0 / len(residual) ** 0.5
