"""The density of states of the tip: that of any state model, which a spectrum shows mirrored and folded with the sample's.

A tip that is a superconductor sharpens the spectra of another one: the current sets in at the sum of both gaps, and at a
temperature that breaks pairs it has a maximum at their difference [1]_. A level of the tip meets the Fermi level of the sample
at the bias that is minus its energy, wherever the tip stands.

References
----------
.. [1] I. Giaever and K. Megerle, Phys. Rev. 122, 1101 (1961), doi:10.1103/PhysRev.122.1101; not read for this, the test derives
   both from the integral of the current.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._states import StateModel, counted, mean_states


@dataclass(frozen=True)
class TipStates:
    """The density of states of a tip.

    Attributes
    ----------
    model : StateModel
        Any model of states, such as those of the samples.
    parameters : tuple of float
        Its parameters, in the order of the names of the model; energies in eV from the Fermi level of the tip.
    """

    model: StateModel
    parameters: tuple[float, ...]

    @property
    def finest(self) -> float:
        """Width of energy bins that resolve these states, in eV; 0 for those that are sharper than any temperature."""
        return self.model.finest(np.array([self.parameters])) if counted(self.model) else 0.0

    def mean(self, edges: Floats) -> Floats:
        """Return the mean density of states in energy bins.

        Parameters
        ----------
        edges : ndarray of shape (J, K + 1)
            Edges of the bins at each of J biases, in eV from the Fermi level of the tip, increasing along a row.

        Returns
        -------
        ndarray of shape (J, K)
            Relative to that of an ideal tip.
        """
        row = np.array([self.parameters])
        if not counted(self.model):
            return np.vstack([mean_states(self.model, row, at) for at in edges])
        at, which = np.unique(edges, return_inverse=True)  # of all biases at once, in the order in which models count
        return np.diff(self.model.count(row, at)[0][which.reshape(edges.shape)]) / np.diff(edges)
