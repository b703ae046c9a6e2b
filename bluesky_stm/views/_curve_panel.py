"""Curves in matplotlib, drawn anew with each spectrum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

HEADROOM = 0.25
"""An axis that became too short grows by this share of its range beyond what it must show."""


class CurvePanel:
    """Curves whose axes grow, in leaps, when something does not fit.

    Parameters
    ----------
    axes : Axes
        Axes of matplotlib, which it takes over.
    title : str
        Words above the curves.
    x, y : str
        Labels of the axes, with their units.
    """

    def __init__(self, axes: Axes, title: str, x: str, y: str) -> None:
        self.axes = axes
        axes.set_title(title, loc="left", fontsize=9)
        axes.set(xlabel=x, ylabel=y)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
        axes.spines[["top", "right"]].set_visible(False)
        self._lines: JSON = {}
        self._dots: Any = None
        self._range: dict[str, tuple[float, float] | None] = {}

    @property
    def moving(self) -> list[Artist]:
        """Its curves and dots."""
        return [*self._lines.values(), *([self._dots] if self._dots else [])]

    def lines(self, **colors: str) -> None:
        """Make a curve for each name, empty at first.

        Parameters
        ----------
        **colors : str
            Colour of each curve, as matplotlib names it.
        """
        for name, color in colors.items():
            (self._lines[name],) = self.axes.plot([], [], color=color, linewidth=1.5)

    def name_lines(self) -> None:
        """Write the name of each curve, in its colour."""
        for row, (name, line) in enumerate(self._lines.items()):
            self.axes.text(0.03, 0.95 - 0.08 * row, name, transform=self.axes.transAxes, color=line.get_color(), fontsize=9)

    def dots(self) -> None:
        """Make dots that are coloured by value."""
        self._dots = self.axes.scatter([], [], s=14, c=[], zorder=3)

    def color_dots(self, cmap: str) -> None:
        """Colour the dots by this map."""
        self._dots.set_cmap(cmap)

    def begin(self, x: tuple[float, float] | None) -> None:
        """Empty the curves and forget how far the axes have grown.

        Parameters
        ----------
        x : (float, float) or None
            Ends of the x axis if they are known beforehand; None where it grows with the curves.
        """
        self._range = {"x": x, "y": None}
        if x:
            self.axes.set_xlim(*x)
        for line in self._lines.values():
            line.set_data([], [])
        if self._dots:
            self._dots.set_offsets(np.empty((0, 2)))

    def show(self, **curves: tuple[Any, Any]) -> bool:
        """Give curves new data.

        Parameters
        ----------
        **curves : (array_like, array_like)
            x and y of each curve, by the names given to `lines`.

        Returns
        -------
        bool
            True if the axes had to grow, so that all of the picture has to be drawn anew.
        """
        for name, (x, y) in curves.items():
            self._lines[name].set_data(x, y)
        return self._fit(curves.values())

    def show_dots(self, x: Any, y: Any, limits: tuple[float, float]) -> bool:
        """Give the dots new data.

        Parameters
        ----------
        x, y : array_like of shape (n,)
            Places of the dots in the units of the axes; ``y`` colours them, too.
        limits : tuple of float
            Values at the ends of the colour map.

        Returns
        -------
        bool
            True if the axes had to grow.
        """
        self._dots.set_offsets(np.column_stack([x, y]))
        self._dots.set_array(y)
        self._dots.set_clim(*limits)
        return self._fit([(x, y)])

    def _fit(self, curves: Iterable[tuple[Any, Any]]) -> bool:
        along, up = (np.concatenate([np.ravel(values) for values in axis]) for axis in zip(*curves, strict=True))
        grown = [self._grow("x", along, 0.0), self._grow("y", up, HEADROOM)]
        return any(grown)

    def _grow(self, axis: str, values: Floats, headroom: float) -> bool:
        values, known = values[np.isfinite(values)], self._range[axis]
        if not values.size or (known and known[0] <= values.min() and values.max() <= known[1]):
            return False
        every = np.append(values, known or ())
        low, high = every.min(), every.max()
        room = headroom * ((high - low) or abs(high) or 1.0)
        self._range[axis] = limits = float(low - room), float(high + room)
        getattr(self.axes, f"set_{axis}lim")(*limits)
        return True
