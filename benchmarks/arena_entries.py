"""Who plays in the arena: our agents as they are, and foreign programs unmodified, each behind an adapter of at most 30 lines.

An entry is told readings in the order in which they were taken, says which candidate comes next, and predicts the value at
every candidate: mean, standard deviation without noise, and the standard deviation of the noise. `FOREIGN` names what each one
needs; where that is not installed the entry is left out, and the arena says so.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from agents_scenes import Scene

from bluesky_stm.geometry import Floats, extract_patches
from bluesky_stm.imaging import fill_holes
from bluesky_stm.parts import agents as agent_parts
from bluesky_stm.protocols import Observation
from bluesky_stm.settings import as_seed

FIRST = 20
"""Places that come first, the same ones for everybody."""

Prediction = tuple[Floats, Floats, float]
"""Mean (m,), standard deviation (m,) without noise, standard deviation of the noise."""


class Entry(Protocol):
    """One that plays: what it is told, what it answers, what it predicts."""

    def tell(self, place: int, observation: Observation) -> None:
        """Take in what was measured at a candidate."""

    def ask(self, free: np.ndarray) -> int:
        """Say which of the ``free`` candidates comes next."""

    def predict(self) -> Prediction:
        """Predict the value at every candidate."""


class Ours:
    """An agent of the package, by its name and settings."""

    def __init__(self, scene: Scene, seed: int, choice: str) -> None:
        part = agent_parts.make(choice, candidates=scene.places.tolist(), patch=scene.patch, seeds=FIRST)
        self._agent = part.build(as_seed(seed))
        self._agent.observe(scene.topograph)
        self._noise, self._of_scalar = 0.0, "acquisition" in type(part).model_fields  # others fit something else

    def tell(self, place: int, observation: Observation) -> None:
        """Let it ingest the observation."""
        self._agent.ingest([observation])

    def ask(self, free: np.ndarray) -> int:
        """Let it decide."""
        decision = self._agent.suggest(mask=free)[0]
        self._noise = float(np.nan_to_num(decision.health.noise)) if self._of_scalar else 0.0
        return decision.candidate

    def predict(self) -> Prediction:
        """Return its posterior, and the noise of its last fit."""
        posterior = self._agent.posterior()
        return posterior.mean, posterior.std, self._noise


class Foreign:
    """What the adapters share: place and picture of each candidate as columns, and the values so far, centred and scaled."""

    def __init__(self, scene: Scene, seed: int, components: int = 4) -> None:
        from sklearn.decomposition import PCA

        frame, image = scene.topograph.frame, fill_holes(scene.topograph.height)
        pixels = max(3, round(scene.patch / frame.pixel_size[0]))
        windows = extract_patches(image, frame.to_pixel(scene.places), pixels).reshape(len(scene.places), -1)
        windows = windows - windows.mean(axis=1, keepdims=True)
        looks = PCA(components, random_state=0).fit_transform(windows)
        columns = np.column_stack([scene.places, looks])
        span = np.ptp(columns, axis=0)
        self.x = (columns - columns.min(axis=0)) / np.where(span > 0, span, 1.0)
        self.windows, self.seed = windows / windows.std(), seed
        self.taken: list[int] = []
        self.values: list[float] = []
        self._kept: tuple[int, Any] = (-1, None)

    def once(self, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives, made once for each number of values: choosing and predicting share a fit."""
        if self._kept[0] != len(self.values):
            self._kept = len(self.values), make()
        return self._kept[1]

    def tell(self, place: int, observation: Observation) -> None:
        """Keep a value; what has none is only left out."""
        if observation.has_value:
            self.taken.append(place)
            self.values.append(observation.number)

    @property
    def y(self) -> Floats:
        """The values so far, centred and scaled."""
        self.center, self.scale = float(np.mean(self.values)), float(np.std(self.values)) or 1.0
        return (np.array(self.values) - self.center) / self.scale

    def best_of(self, scores: Floats, free: np.ndarray) -> int:
        """The free candidate of the largest score."""
        return int(np.argmax(np.where(free, scores, -np.inf)))

    def scaled(self, mean: Floats, std: Floats, noise: float) -> Prediction:
        """Turn a prediction back into the unit of the values."""
        return self.center + self.scale * mean, self.scale * std, self.scale * noise


class RandomForest(Foreign):
    """scikit-learn's forest; the spread of its trees is the uncertainty, mean plus two of them is sought."""

    def ask(self, free: np.ndarray) -> int:
        """Seek the upper bound."""
        mean, std, _ = self.predict()
        return self.best_of(mean + 2 * std, free)

    def predict(self) -> Prediction:
        """Return mean and spread of the trees."""
        return self.once(self._grown)

    def _grown(self) -> Prediction:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(100, oob_score=True, random_state=self.seed).fit(self.x[self.taken], y := self.y)
        trees = np.array([tree.predict(self.x) for tree in forest.estimators_])
        return self.scaled(trees.mean(axis=0), trees.std(axis=0), float(np.std(y - forest.oob_prediction_)))


class BoTorch(Foreign):
    """BoTorch's SingleTaskGP and the logarithm of the expected improvement, as its tutorials use them."""

    def ask(self, free: np.ndarray) -> int:
        """Seek the expected improvement."""
        import torch
        from botorch.acquisition import LogExpectedImprovement

        model, y = self.once(self._fitted)
        with torch.no_grad():
            scores = LogExpectedImprovement(model, best_f=y.max())(torch.as_tensor(self.x)[:, None, :])
        return self.best_of(scores.numpy(), free)

    def predict(self) -> Prediction:
        """Return the posterior."""
        import torch

        model, _ = self.once(self._fitted)
        with torch.no_grad():
            posterior = model.posterior(torch.as_tensor(self.x))
        return self.scaled(
            posterior.mean[:, 0].numpy(), posterior.variance[:, 0].sqrt().numpy(), float(model.likelihood.noise.detach().sqrt())
        )

    def _fitted(self):
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        y = torch.as_tensor(self.y)[:, None]
        model = SingleTaskGP(torch.as_tensor(self.x[self.taken]), y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model, y


class GpCAM(Foreign):
    """gpCAM's GPOptimizer with its own kernel and training, and its expected improvement over the candidates."""

    def ask(self, free: np.ndarray) -> int:
        """Seek the expected improvement."""
        optimizer, left = self.once(self._trained), self.x[free]
        scores = optimizer.evaluate_acquisition_function(left, acquisition_function="expected improvement")
        return int(np.flatnonzero(free)[int(np.argmax(scores))])

    def predict(self) -> Prediction:
        """Return the posterior."""
        optimizer = self.once(self._trained)
        mean = optimizer.posterior_mean(self.x)["m(x)"]
        variance = optimizer.posterior_covariance(self.x, variance_only=True)["v(x)"]
        return self.scaled(mean.ravel(), np.sqrt(np.maximum(variance.ravel(), 0)), 0.1)

    def _trained(self):
        from gpcam import GPOptimizer

        y = self.y
        optimizer = GPOptimizer(self.x[self.taken], y, noise_variances=np.full(len(y), 0.01))
        optimizer.train(max_iter=20)
        return optimizer


class GPax(Foreign):
    """gpax's viDKL on the windows alone, with the steps and the bound of the published runs."""

    def ask(self, free: np.ndarray) -> int:
        """Seek the upper bound, whose factor falls as published."""
        mean, std, _ = self.predict()
        return self.best_of(mean + np.sqrt(max(10 * 0.9 ** (len(self.taken) - 20), 0.001)) * std, free)

    def predict(self) -> Prediction:
        """Return mean and standard deviation, its noise included."""
        return self.once(self._fitted)

    def _fitted(self) -> Prediction:
        import gpax
        import jax.numpy as jnp

        fit_key, predict_key = gpax.utils.get_keys(self.seed)
        model = gpax.viDKL(self.windows.shape[1], z_dim=2, kernel="RBF")
        windows = jnp.asarray(self.windows)
        model.fit(
            fit_key,
            windows[np.array(self.taken)],
            jnp.asarray(self.y),
            num_steps=200,
            step_size=0.05,
            print_summary=False,
            progress_bar=False,
        )
        mean, variance = model.predict(predict_key, windows)
        return self.scaled(np.asarray(mean), np.sqrt(np.asarray(variance)), 0.0)


FOREIGN: dict[str, tuple[Callable[[Scene, int], Entry], str]] = {
    "random forest": (RandomForest, "sklearn"),
    "botorch": (BoTorch, "botorch"),
    "gpCAM": (GpCAM, "gpcam"),
    "gpax": (GPax, "gpax"),
}
"""Adapter of each foreign entry, and the package that it needs."""

OURS = {"dkl": "dkl", "net off": "dkl:net=false", "gp-xy": "gp-xy", "novelty": "novelty", "random": "random"}
"""Our entries; ``novelty`` seeks new kinds of spectra as BEACON does. Any other text is taken as an agent with its settings."""


def entered(name: str, scene: Scene, seed: int) -> Entry:
    """Return an entry that has seen the topograph of a scene."""
    return FOREIGN[name][0](scene, seed) if name in FOREIGN else Ours(scene, seed, OURS.get(name, name))


def missing(name: str) -> str:
    """Return what an entry lacks to play; empty where nothing does."""
    needs = FOREIGN[name][1] if name in FOREIGN else ""
    return f"the package {needs!r} is not installed" if needs and importlib.util.find_spec(needs) is None else ""
