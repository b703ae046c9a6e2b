"""The feature space of an agent in matplotlib: all candidates as small dots, the measured ones coloured by value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.views._map_panel import MeasuredPoints

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

NO_FEATURES = "the agent does not show it"


class FeaturePanel:
    """The feature space of the agent, in which places that look alike to it lie close together.

    Where similar values lie close together, too, the agent has found what they depend on.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        axes.set_title("feature space of the agent", loc="left", fontsize=9)
        axes.set(xticks=[], yticks=[], xlim=(-1.06, 1.06), ylim=(-1.06, 1.06))
        axes.set_xlabel("what looks alike lies close", fontsize=8)
        axes.spines[:].set_color("#c8ccd2")
        (self._candidates,) = axes.plot([], [], ".", color="#b9bfc7", markersize=2.5, zorder=1)
        self._points = MeasuredPoints(axes)
        self._unsaid = axes.text(0, 0, "", ha="center", va="center", fontsize=8, color="#777")

    @property
    def moving(self) -> list[Artist]:
        """Artists that change with every spectrum."""
        return [self._candidates, *self._points.artists, self._unsaid]

    def begin(self, cmap: str) -> None:
        """Empty the panel for another run.

        Parameters
        ----------
        cmap : str
            Name of the colour map of the values.
        """
        self._points.set_cmap(cmap)
        self._candidates.set_data([], [])
        self._unsaid.set_text(NO_FEATURES)

    def show(self, features: Floats, measured: Floats, values: Floats, limits: tuple[float, float]) -> None:
        """Show the candidates and the measured places in the feature space of the agent.

        Parameters
        ----------
        features : ndarray of shape (n, 2)
            Coordinates of the candidates; NaN where the agent does not say.
        measured : ndarray of shape (k, 2)
            Coordinates of the measured places, in the order taken.
        values : ndarray of shape (k,)
            Their values; NaN for none.
        limits : tuple of float
            Values at the ends of the colour map.
        """
        known = bool(np.isfinite(features).all()) and len(features) > 0
        self._unsaid.set_text("" if known else NO_FEATURES)
        flat = _drawn_in(np.concatenate([features, measured])) if known else np.full((len(features) + len(measured), 2), np.nan)
        self._candidates.set_data(*flat[: len(features)].T)
        self._points.show(flat[len(features) :], values, limits)


def _drawn_in(points: Floats) -> Floats:
    """Points (n, 2) in a square from -1 to 1: true to scale around their middle, drawn in by a logarithm far out."""
    points = points - np.median(points, axis=0)
    radius = np.hypot(*points.T)
    scale = np.median(radius) or 1.0
    points = points * (np.arcsinh(radius / scale) / np.where(radius > 0, radius, 1.0))[:, None]
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - (low + high) / 2) / ((high - low).max() / 2 or 1.0)
