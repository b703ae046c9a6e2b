"""The net of the deep kernel: from the rings around a place to features in which places with similar spectra are close.

It was trained once on simulated surfaces (``bluesky_stm.pretrain``) and comes with the package. Its weights are fixed during a
run: a few dozen spectra can only tell how far to trust it, which is the variance of its term in the kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from bluesky_stm.geometry import Floats

WEIGHTS_FILE = files("bluesky_stm.agents") / "weights.npz"


@dataclass(frozen=True, eq=False)
class Net:
    """A multilayer perceptron with SiLU between its layers.

    Attributes
    ----------
    usual : ndarray of shape (2, inputs)
        Mean and standard deviation of each input in the training scenes.
    layers : sequence of (ndarray, ndarray)
        Weights (outputs, inputs) and biases (outputs,) of each layer.
    """

    usual: Floats
    layers: Sequence[tuple[Floats, Floats]]

    def __call__(self, rings: Floats) -> Floats:
        """Return the features of rings, in double precision.

        Parameters
        ----------
        rings : ndarray of shape (n, inputs)
            What is seen around each place.

        Returns
        -------
        ndarray of shape (n, outputs)
        """
        from scipy.special import expit

        passed: Floats = (rings - self.usual[0]) / self.usual[1]
        for number, (weights, biases) in enumerate(self.layers):
            if number:
                passed *= expit(passed)
            passed = passed @ weights.T
            passed += biases
        return passed


@lru_cache
def pretrained() -> Net:
    """Return the net that comes with the package.

    It is computed in double precision as the Gaussian process is, although its weights are stored in single precision.
    """
    with WEIGHTS_FILE.open("rb") as file, np.load(file) as arrays:
        stored = {name: arrays[name].astype(float) for name in arrays.files}
    names = sorted({name.rpartition(".")[0] for name in stored if name.startswith("layers.")})
    return Net(stored["usual"], [(stored[f"{name}.weight"], stored[f"{name}.bias"]) for name in names])


@lru_cache
def weights_hash() -> str:
    """Return a digest of the weights that come with the package: the first sixteen digits of their SHA-256.

    Start documents carry it, so that a replay with other weights is noticed.
    """
    return hashlib.sha256(WEIGHTS_FILE.read_bytes()).hexdigest()[:16]


def features(rings: Floats) -> Floats:
    """Return the features of rings by the pretrained net.

    Parameters
    ----------
    rings : ndarray of shape (n, INPUTS)
        What is seen around each place, as of `Rings`.

    Returns
    -------
    ndarray of shape (n, OUTPUTS)
    """
    return pretrained()(rings)
