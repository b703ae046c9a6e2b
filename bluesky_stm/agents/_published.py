"""The agent of the published runs: deep kernel learning with their settings and their schedule [1]_.

A net with two hidden layers of 64 embeds the raw window into two dimensions under an RBF kernel; weights, biases and kernel
parameters are the maximum of the posterior (normal, Cauchy and log-normal priors, as in the library that was used), found by
200 steps of Adam from a fresh start at every spectrum. Values are scaled to 0..1, those that are not positive are left out;
the mean is zero; the bound is annealed. Heights are in nm. Choose another agent for work: measured, this one loses to a
Gaussian process on (x, y), depends on the unit of the height, and costs a hundred times as much.

References
----------
.. [1] G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), doi:10.1038/s41524-025-01642-1
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import gpytorch
import numpy as np
import torch
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import RBFKernel, ScaleKernel
from gpytorch.priors import LogNormalPrior
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from typing_extensions import override

from bluesky_stm.agents import _health
from bluesky_stm.agents._appearance import alike_to
from bluesky_stm.agents._base import BaseAgent
from bluesky_stm.agents._computing import CPU
from bluesky_stm.agents._fit import leave_one_out, one_thread
from bluesky_stm.geometry import Floats, Frame, Point, extract_patches
from bluesky_stm.imaging import fill_holes
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import Decision, Experience, Health, Insight, Posterior

HIDDEN, EMBEDDING = 64, 2
RATE, MOMENTUM = 0.05, 0.5
EXACT = 100_000
"""Values up to which the Cholesky factor is computed. Beyond 800 gpytorch changes to conjugate gradients and to estimates with
random vectors of torch's global generator, unless it is told otherwise: then no replay would reach the same decisions."""
DRAWS = 15
"""Draws of the prior whose median a weight starts from."""


class EmbeddedProcess(gpytorch.models.ExactGP):
    """A Gaussian process with an RBF kernel on what a net makes of a window.

    Parameters
    ----------
    windows : Tensor of shape (n, d)
        Windows of the image around the measured places, flat.
    values : Tensor of shape (n,)
        Their values less the smallest, in spans of the values.
    generator : torch.Generator
        Source of the random numbers from which the weights start.
    """

    def __init__(self, windows: Tensor, values: Tensor, generator: torch.Generator) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_prior=LogNormalPrior(0.0, 1.0))
        super().__init__(windows, values, likelihood)
        self.net = nn.Sequential(
            nn.Linear(windows.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, EMBEDDING)
        )
        self.mean_module = gpytorch.means.ZeroMean()
        length = LogNormalPrior(0.0, 1.0)
        self.kernel = ScaleKernel(
            RBFKernel(ard_num_dims=EMBEDDING, lengthscale_prior=length), outputscale_prior=LogNormalPrior(0.0, 1.0)
        )
        self.double()
        for weight in self.net.parameters():
            draws = torch.randn(DRAWS, *weight.shape, generator=generator, dtype=weight.dtype)
            weight.data = draws.median(dim=0).values

    def forward(self, windows: Tensor) -> MultivariateNormal:
        """Return the prior at windows.

        Parameters
        ----------
        windows : Tensor of shape (n, d)
            Windows of the image, flat.
        """
        embedded = self.net(windows)  # (n, d) -> (n, 2)
        return MultivariateNormal(self.mean_module(embedded), self.kernel(embedded))

    def fit(self, steps: int) -> None:
        """Maximise the posterior of all parameters: those of the kernel, of the noise and of the net.

        Parameters
        ----------
        steps : int
            Steps of Adam; there is no other rule to stop.
        """
        evidence = gpytorch.mlls.ExactMarginalLogLikelihood(self.likelihood, self)
        optimizer = torch.optim.Adam(self.parameters(), lr=RATE, betas=(MOMENTUM, 0.999))
        self.train()
        with gpytorch.settings.max_cholesky_size(EXACT):
            for _ in range(steps):
                optimizer.zero_grad()
                per_value = evidence(self(*self.train_inputs), self.train_targets)
                loss = self._minus_log_prior() - per_value * len(self.train_targets)
                loss.backward()
                optimizer.step()
        self.eval()

    def predict(self, windows: Tensor) -> tuple[Floats, Floats]:
        """Return the prediction at windows.

        Parameters
        ----------
        windows : Tensor of shape (m, d)
            Windows of the image, flat.

        Returns
        -------
        mean, std : ndarray of shape (m,)
            The noise of a value is in ``std``, as in the published code.
        """
        exactly = gpytorch.settings.max_cholesky_size(EXACT)
        with torch.no_grad(), exactly, gpytorch.settings.skip_posterior_variances(False):
            prediction = self.likelihood(self(windows))
            return prediction.mean.numpy(), prediction.variance.sqrt().numpy()

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Predict each value from all others.

        Returns
        -------
        residual, std : ndarray of shape (n,)
            Value minus prediction, and standard deviation of the prediction, noise included, in standard deviations of the
            values.
        """
        with torch.no_grad():
            factor = torch.linalg.cholesky(self.likelihood(self.forward(*self.train_inputs)).covariance_matrix)
            alpha = torch.cholesky_solve(self.train_targets[:, None], factor)[:, 0]
            spread = float(self.train_targets.std(correction=0)) or 1.0
            residual, std = leave_one_out(factor.numpy(), alpha.numpy())
            return residual / spread, std / spread

    def embedded(self, windows: Tensor) -> Floats:
        """Return what the net makes of windows.

        Parameters
        ----------
        windows : Tensor of shape (m, d)
            Windows of the image, flat.

        Returns
        -------
        ndarray of shape (m, 2)
        """
        with torch.no_grad():
            return self.net(windows).numpy()

    @property
    def lengths(self) -> Floats:
        """Length scales of the two dimensions."""
        return self.kernel.base_kernel.lengthscale.detach().numpy()[0]

    def _minus_log_prior(self) -> Tensor:
        normal = sum((p**2).sum() / 2 for name, p in self.net.named_parameters() if name.endswith("weight"))
        cauchy = sum(torch.log1p(p**2).sum() for name, p in self.net.named_parameters() if name.endswith("bias"))
        return torch.as_tensor(normal + cauchy)


class PublishedAgent(BaseAgent):
    """Deep kernel learning on windows alone, as published."""

    _fitted: tuple[int, EmbeddedProcess, float, float] | None = None

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph and lay out the candidates; everything learned before is forgotten.

        Parameters
        ----------
        topograph : Topograph
            Image of the frame in which spectra may be suggested.
        prior : sequence of Experience
            Earlier runs. As published, they tell it nothing.
        """
        super().observe(topograph, prior)
        self._fitted = None

    def posterior(self, points: ArrayLike | None = None) -> Posterior:
        """Prediction, noise included as there, at ``points`` (m, 2) or at the candidates.

        NaN before three values, and where the fit fails: a map that cannot be drawn must not end a night.
        """
        with suppress(RuntimeError):
            if fitted := self._updated():
                return self._predicted(fitted, points)
        return super().posterior(points)

    def insight(self) -> Insight:
        """Return the bound, and the two dimensions into which the net embeds a window.

        The bound is in spans of the values, NaN where a spectrum was taken; all is NaN where nothing is predicted.
        """
        with suppress(RuntimeError), one_thread():
            if fitted := self._updated():
                embedded = fitted[1].embedded(self._windows(self._candidates))
                return Insight(np.where(self._measured, np.nan, self._bound(fitted)), embedded)
        return Insight.unknown(len(self._candidates))

    @override
    def _beginnings(self, frame: Frame) -> Floats:
        # As published, random seed points begin nowhere in particular, not even at the best place of the parent.
        return np.empty((0, 2)) if self.settings.first == "random" else super()._beginnings(frame)

    def _predicted(self, fitted: tuple[int, EmbeddedProcess, float, float], points: ArrayLike | None = None) -> Posterior:
        _, process, low, span = fitted
        places = self._candidates if points is None else np.atleast_2d(np.asarray(points, dtype=float))
        with one_thread():
            mean, std = process.predict(self._windows(places))
        return Posterior(low + span * mean, span * std)

    def _bound(self, fitted: tuple[int, EmbeddedProcess, float, float]) -> Floats:
        """Annealed upper confidence bound of each candidate, in spans of the values."""
        (count, _, low, span), posterior = fitted, self._predicted(fitted)
        beta = max(self.settings.start * self.settings.decay ** max(count - 20, 0), self.settings.least)
        return (posterior.mean - low) / span + np.sqrt(beta) * posterior.std / span

    def _choose(self, free: NDArray[np.bool_], pending: Sequence[Point]) -> Decision:
        try:
            fitted = self._updated()
            if fitted is None:
                return self._fallen_back(free, pending, "fewer than three spectra have a positive value")
            with one_thread():
                posterior, bound, health = self._predicted(fitted), self._bound(fitted), self._health(fitted)
        except RuntimeError as error:  # of the linear algebra; in itself it knows no way out
            return self._fallen_back(free, pending, f"the fit failed ({error})")
        chosen = int(np.argmax(np.where(free, bound, -np.inf)))
        if not np.isfinite([bound[chosen], posterior.mean[chosen], posterior.std[chosen]]).all():
            return self._fallen_back(free, pending, "no candidate has a finite acquisition")
        return self._decision(
            chosen,
            "annealed-ucb",
            mean=float(posterior.mean[chosen]),
            std=float(posterior.std[chosen]),
            acquisition=float(bound[chosen]),
            health=health,
        )

    def _health(self, fitted: tuple[int, EmbeddedProcess, float, float]) -> Health:
        count, process, _, span = fitted
        residual, std = process.leave_one_out()
        error, covered = float(np.sqrt(np.mean(residual**2))), _health.coverage(residual, std)
        appearance = process.embedded(self._windows(self._candidates)) / process.lengths
        more = [alike_to("deep")] if _health.alike(appearance) else []
        noise = float(process.likelihood.noise.detach().sqrt()) * span
        warning = self._warning(error, covered, count, more)
        name = "deep kernel of the published runs"
        return Health(name, error, covered, noise=noise, depth=1.0, warning=warning, device=CPU)

    def _updated(self) -> tuple[int, EmbeddedProcess, float, float] | None:
        """Number of values, the process fitted to them, their least and their span."""
        good = [(o.point, o.number) for o in self.observations if o.number > 0]
        if len(good) < 3:
            return None
        if self._fitted is None or self._fitted[0] != len(good):
            values = np.array([value for _, value in good])
            low, span = float(values.min()), float(np.ptp(values)) or 1.0
            generator = torch.Generator().manual_seed(int(self._generator(len(good)).integers(2**62)))
            windows = self._windows(np.array([point for point, _ in good], dtype=float))
            with one_thread():
                process = EmbeddedProcess(windows, torch.as_tensor((values - low) / span), generator)
                process.fit(self.settings.steps)
            self._fitted = len(good), process, low, span
        return self._fitted

    def _windows(self, points: Floats) -> Tensor:
        frame = self.topograph.frame
        size = max(1, round(self.settings.windows(frame)[0] / frame.pixel_size[1]))
        height = fill_holes(self.topograph.height)
        return torch.as_tensor(extract_patches(height, frame.to_pixel(points), size).reshape(len(points), -1).copy())
