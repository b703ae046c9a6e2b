"""Agents around a Gaussian process: what all of them share, and the one on position alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from typing_extensions import override

from bluesky_stm.agents import _health
from bluesky_stm.agents._appearance import alike_to, collapsed, unseen
from bluesky_stm.agents._base import BaseAgent
from bluesky_stm.agents._computing import CPU, computed
from bluesky_stm.agents._embedding import principal_plane
from bluesky_stm.agents._features import ImageFeatures
from bluesky_stm.agents._fit import one_thread
from bluesky_stm.agents._inputs import AcquisitionFunction, AcquisitionInputs
from bluesky_stm.agents._kernel import part_of
from bluesky_stm.agents._model import Features, Model
from bluesky_stm.agents._spectra import Cube, Curves, complete_spectra, require_spectra
from bluesky_stm.agents._training import TrainingSet
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Decision, Experience, Health, Insight, Observation, Posterior
from bluesky_stm.valued import chance_of_value

LEAST_VALUES = 3
"""Number of values that a fit needs."""

TRIES = 3
"""Number of spectra that a place gets whose values are taken back each time."""

Kernels = dict[str, tuple[str, ...]]
"""Parts that each kernel takes ("xy", "picture", "deep"), by the name of the kernel."""


class KernelAgent(BaseAgent):
    """An agent with an exact Gaussian process, or a mixture of several; subclasses choose their kernels.

    Attributes
    ----------
    kernels : dict of str to tuple of str
        Parts that each kernel takes, by its name, the simplest kernel first. Each kernel counts as far as it predicts.
    """

    kernels: ClassVar[Kernels]
    """The simplest first; each counts as far as it predicts."""

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph and compute the features of all candidates once; everything learned before is forgotten.

        Values of earlier runs (``prior``) become training data. A part of the kernel to which all candidates look alike is
        noted, and each decision warns of it.
        """
        super().observe(topograph, prior)
        self._places: list[Features] = []
        self._forget()
        with one_thread():
            self._remember(self._inherited)
        self._noticed = [alike_to(part) for part in self._blind]

    @override
    def _look(self, topograph: Topograph) -> None:
        super()._look(topograph)
        self._center, self._half = np.asarray(topograph.frame.center), min(topograph.frame.size) / 2
        self._remembered: dict[Point, Features] = {}
        with one_thread():
            self._image_features = ImageFeatures(topograph, self._candidates, self.settings.windows(topograph.frame)[0])
            self._known = self._features(self._candidates)
        self._blind = collapsed(self._known, self.kernels)

    @override
    def ingest(self, observations: Sequence[Observation]) -> None:
        start = len(self.observations)
        super().ingest(observations)
        self._remember(self.observations[start:])

    @computed
    def posterior(self, points: ArrayLike | None = None) -> Posterior:
        """Return the prediction of the value, noise left out.

        Parameters
        ----------
        points : array_like of shape (m, 2), optional
            Places as (x, y), in nm; by default the candidates.

        Returns
        -------
        Posterior
            In the unit of the scalarizer; NaN before there are three values.
        """
        model = self._updated()
        if model is None:
            return super().posterior(points)
        return Posterior(*model.warp.moments(*self._warped(model, points)))

    @computed
    def insight(self) -> Insight:
        """Return the acquisition value and the feature space of the candidates, for display.

        The features are those of the kernel with the largest weight, in its length scales, reduced to two principal components.
        """
        scored = self._scored()
        if scored is None:
            return Insight.unknown(len(self._candidates))
        scores, model = scored
        said = np.isfinite(scores) & ~self._measured
        return Insight(np.where(said, scores, np.nan), principal_plane(model.appearance))

    @computed
    def quantiles(self, points: ArrayLike, levels: ArrayLike) -> Floats:
        """Return quantiles of the value that a spectrum would give, noise included.

        Parameters
        ----------
        points : array_like of shape (m, 2)
            Places as (x, y), in nm.
        levels : array_like of shape (k,)
            Probabilities, from 0 to 1.

        Returns
        -------
        ndarray of shape (m, k)
            In the unit of the scalarizer.

        Raises
        ------
        SettingsError
            Before there are three values.
        """
        model, mean, std = self._predictive(points)
        return model.warp.back(mean[:, None] + std[:, None] * ndtri(np.asarray(levels, dtype=float)))

    @computed
    def log_density(self, points: ArrayLike, values: ArrayLike) -> Floats:
        """Return the log density that was predicted for measured values.

        Parameters
        ----------
        points : array_like of shape (m, 2)
            Places as (x, y), in nm.
        values : array_like of shape (m,)
            Values measured there, in the unit of the scalarizer.

        Returns
        -------
        ndarray of shape (m,)
            Per unit of the value.

        Raises
        ------
        SettingsError
            Before there are three values.
        """
        model, mean, std = self._predictive(points)
        values = np.asarray(values, dtype=float)
        z = (model.warp(values) - mean) / std
        return -0.5 * z**2 - np.log(std) - 0.5 * np.log(2 * np.pi) + model.warp.log_slope(values)

    @computed
    def reconstruct(self, points: ArrayLike | None = None) -> Cube:
        """Predict the dI/dV that was not measured, with its uncertainty.

        Each principal component of the spectra so far is predicted with the kernels of this agent, fitted to it.

        Parameters
        ----------
        points : array_like of shape (m, 2), optional
            Places as (x, y), in nm; by default the candidates.

        Returns
        -------
        Cube
            Bias in V, dI/dV in nS.

        Raises
        ------
        SettingsError
            Before there are five whole spectra, as when observations came without their spectrum.
        """
        require_spectra(complete_spectra(self._all_observations), 5)
        curves, models, _ = self._components()
        count = len(self._candidates if points is None else np.atleast_2d(np.asarray(points)))
        mean, std = np.zeros((count, len(models))), np.zeros((count, len(models)))
        for k, model in enumerate(models):
            middle, spread = self._warped(model, points)
            mean[:, k], std[:, k] = model.warp.moments(middle, np.hypot(spread, model.noise))
        return curves.cube(mean, std)

    # ---- inside ------------------------------------------------------------------------------------------------------

    @property
    def _acquisition(self) -> AcquisitionFunction:
        function: AcquisitionFunction = self.settings.acquisition
        return function

    def _forget(self) -> None:
        """Drop everything that can be computed again."""
        self._model: Model | None = None
        self._curves: tuple[int, Curves, list[Model], Floats] | None = None

    def _remember(self, lessons: Sequence[Observation]) -> None:
        """Compute the features of the places where a value was measured."""
        for point in (o.point for o in lessons if o.has_value):
            if point not in self._remembered:  # each alone: the same bits in any batch
                self._remembered[point] = self._features(np.array([point], dtype=float))
            self._places.append(self._remembered[point])

    def _warped(self, model: Model, points: ArrayLike | None) -> tuple[Floats, Floats]:
        """Return mean and standard deviation, warped, noise left out, at ``points`` or (None) at the candidates."""
        if points is None:
            mean, variance = model.process.mean, model.process.variance
        else:
            mean, variance = model.process.at(self._features(np.atleast_2d(np.asarray(points, dtype=float))))
        return mean, np.sqrt(variance)

    def _predictive(self, points: ArrayLike) -> tuple[Model, Floats, Floats]:
        model = self._updated()
        if model is None:
            raise SettingsError(f"The agent {self.name!r} predicts from {LEAST_VALUES} values on; it has {len(self._places)}.")
        mean, std = self._warped(model, points)
        return model, mean, np.hypot(std, model.noise)

    @computed
    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        learned = model = self._updated()
        if learned is None or model is None:
            return self._fallen_back(free, pending, "fewer than three spectra have a value")
        for point in pending:
            model = model.fantasized(self._features(np.array([point], dtype=float)))
        inputs = self._acquisition_inputs(model, free, len(pending))
        scores = np.where(free, self._acquisition(inputs), -np.inf)
        if not np.isfinite(scores).any():
            return self._fallen_back(free, pending, "no candidate has a finite acquisition")
        chosen = int(np.argmax(scores))
        mean, std = model.warp.moments(*(part[[chosen]] for part in self._warped(model, None)))
        return self._decision(
            chosen,
            self._acquisition.name,
            mean=float(mean[0]),
            std=float(std[0]),
            acquisition=float(scores[chosen]),
            health=replace(self._health(learned), left=learned.left(free) if self._maximises else math.nan),
        )

    def _fallen_back(self, free: NDArray[np.bool_], pending: Sequence[Point], why: str) -> Decision:
        return super()._fallen_back(free, pending, "; ".join([why, *self._noticed]))

    def _scored(self) -> tuple[Floats, Model] | None:
        """Return the scores of all candidates with nothing pending, and the model behind them; None without a model."""
        model = self._updated()
        return None if model is None else (self._acquisition(self._acquisition_inputs(model, ~self._measured, 0)), model)

    def _acquisition_inputs(self, model: Model, free: NDArray[np.bool_], pending: int) -> AcquisitionInputs:
        last = self.observations[-1].point if self.observations else self.topograph.frame.center
        count = len(self.observations) + pending
        model = model.seeking
        mean, std = self._warped(model, None)

        return AcquisitionInputs(
            mean=mean,
            std=std,
            best=model.best,
            count=count,
            travel=np.hypot(*(self._candidates - np.asarray(last)).T),
            warp=model.warp,
            free=free,
            chance=self._chance(),
        )

    @override
    def _next(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        worth = self._worth_another(free) if self._maximises else None
        return super()._next(free, pending) if worth is None else self._once_more(worth)

    def _worth_another(self, free: NDArray[np.bool_]) -> int | None:
        """Return the candidate at which the highest value was taken back, if that was higher than any that stands.

        A changed tip takes the values since its last check with it, good ones among them, and the place of the best would else
        be left as one of many. A place may also be what spoils the tip: after `TRIES` spectra it is left.
        """
        doubted = [(o.doubted, self._nearest(o.point)) for o in self.observations if o.doubted is not None]
        times, best = Counter(place for _, place in doubted), max(self._values(), default=-math.inf)
        worth = [(value, place) for value, place in doubted if value > best and free[place] and times[place] < TRIES]
        return max(worth)[1] if worth else None

    @computed
    def _once_more(self, candidate: int) -> Decision:
        model = self._updated()
        value = self.posterior(self._candidates[[candidate]])
        health = self._health(model) if model else None
        return self._decision(candidate, "once more", float(value.mean[0]), float(value.std[0]), health=health)

    def _chance(self) -> Floats:
        """Return the probability (m,) that a spectrum of each candidate is of use.

        Observations that were taken back say nothing of their place.
        """
        stand = [not o.taken_back for o in self.observations]
        points = np.array([o.point for o in self.observations], dtype=float).reshape(-1, 2)
        return chance_of_value(self._candidates, points[stand], np.array(self._useful, dtype=bool)[stand])

    @property
    def _maximises(self) -> bool:
        """True when its acquisition function seeks large values."""
        return self._acquisition.maximises

    def _updated(self) -> Model | None:
        """Return the model of all values so far; None for fewer than three."""
        self._model = self._kept_up(self._model, self._places, self._values(), self.kernels, self._deviations())
        return self._model

    def _kept_up(
        self,
        model: Model | None,
        places: Sequence[Features],
        values: Floats,
        kernels: Kernels,
        deviations: Floats | None = None,
    ) -> Model | None:
        """Bring ``model`` up to date with all ``values`` (n,), measured at ``places``; None for fewer than three.

        ``deviations`` (n,) are those of the values by the noise of their spectra, as far as they are known.
        """
        if len(values) < LEAST_VALUES:
            return None
        known = np.zeros(len(values)) if deviations is None else deviations
        lessons = TrainingSet(self._groups(kernels), places, values, self._known, known)
        # Fitted anew when it is due; in between each value is one more row of the same fit.
        if model is None or model.due != lessons.due:
            model = Model.fitted(lessons, model)
        while model and model.count < len(values):
            model = model.extended(lessons)
        return model

    def _components(self) -> tuple[Curves, list[Model], Floats]:
        """Return the components of the whole spectra so far, a model of each, and the scores (n, c)."""
        lessons = self._all_observations
        spectra = complete_spectra(lessons)
        if self._curves is None or self._curves[0] != len(spectra):
            curves = Curves.fitted([spectrum for _, spectrum in spectra])
            scores = curves.scores([spectrum for _, spectrum in spectra])
            places = [self._features(np.array([lessons[i].point], dtype=float)) for i, _ in spectra]
            models = [model for model in (self._kept_up(None, places, column, self.kernels) for column in scores.T) if model]
            if len(models) < scores.shape[1]:
                raise SettingsError("The spectra so far cannot be fitted: some of their components are not finite numbers.")
            self._curves = len(spectra), curves, models, scores
        return self._curves[1:]

    def _groups(self, kernels: Kernels) -> dict[str, list[str]]:
        """Return the groups of features of each kernel, by its name.

        A kernel is left out where the image shows nothing of a part that it takes; position alone remains where none is left.
        """
        kinds = {group: part_of(group) for group in self._known}
        found = {name: [g for g, kind in kinds.items() if kind in takes] for name, takes in kernels.items()}
        there = {name: groups for name, groups in found.items() if {kinds[g] for g in groups} == set(kernels[name])}
        return there or {"kernel on xy": ["xy"]}

    def _features(self, points: Floats) -> Features:
        """Return features by group: "xy" in half sides of the frame, and the groups of the image."""
        xy = (points - self._center) / self._half
        return {"xy": xy} | dict(zip(self._image_features.groups, self._image_features(points), strict=True))

    def _health(self, model: Model) -> Health:
        residual, std = model.leave_one_out()
        error, covered = float(np.sqrt(model.shares @ residual**2)), _health.coverage(residual, std, model.shares)
        fit = model.leading.fit
        groups = fit.kernel.groups
        fallen = [f"{name!r} is left out, its fit is bad" for name in model.left_out]
        inside, off, failing = _health.ahead(self._missed(model))
        more = [*self._noticed, *unseen(model.process, self._blind), *fallen, *failing]
        return Health(
            model.name,
            error,
            covered,
            noise=model.noise * model.warp.spread * model.warp.scale,
            length=math.exp(fit.parameters[groups.index("xy")]) * self._half if "xy" in groups else float("nan"),
            depth=model.process.share("deep"),
            warning=self._warning(error, covered, model.count, more),
            device=CPU,
            ahead=inside,
            off=off,
        )

    def _missed(self, model: Model) -> Floats:
        """Return by how much each value of a chosen place missed what those before it predict; see `Model.ahead`."""
        seeds = len(self._inherited) + self.settings.seeds
        chosen = [i >= seeds for i, o in enumerate(self._all_observations) if o.has_value]
        return model.ahead()[np.array(chosen, dtype=bool)]


class PositionAgent(KernelAgent):
    """A Gaussian process on (x, y) alone, blind to the image.

    It is the baseline for everything that the image and the net contribute.
    """

    kernels = {"kernel on xy": ("xy",)}
