"""A map in matplotlib: ground, image, points, scale bar, outlines and colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.views._pictures import COLORS, round_length

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

PICKED, CHILD, FAILED = "#d1432b", "#ffd166", "#b3261e"


class MeasuredPoints:
    """Measured places: filled by value, the rim from dark to white by order, a cross for no value, a ring for the last.

    Parameters
    ----------
    axes : Axes
        Axes of matplotlib in which they are drawn.
    """

    def __init__(self, axes: Axes) -> None:
        self._filled = axes.scatter([], [], s=26, c=[], linewidths=0.9, zorder=4)
        self._crosses = axes.scatter([], [], s=30, c=FAILED, marker="X", edgecolors="w", linewidths=0.6, zorder=4)
        self._ring = axes.scatter([], [], s=110, facecolors="none", edgecolors=PICKED, linewidths=1.8, zorder=5)

    @property
    def artists(self) -> list[Artist]:
        """Its artists, in the order of drawing."""
        return [self._filled, self._crosses, self._ring]

    def set_cmap(self, cmap: str) -> None:
        """Colour by this map from now on."""
        self._filled.set_cmap(cmap)

    def show(self, places: Floats, values: Floats, limits: tuple[float, float]) -> None:
        """Show measured places, filled by their value; a cross has none.

        Parameters
        ----------
        places : ndarray of shape (n, 2)
            Places in nm from the lower left corner of the frame, in the order taken.
        values : ndarray of shape (n,)
            Their values; NaN for none.
        limits : tuple of float
            Values at the ends of the colour map.
        """
        known = np.isfinite(values)
        self._filled.set_offsets(places[known])
        self._filled.set_array(values[known])
        self._filled.set_clim(*limits)
        self._filled.set_edgecolor([str(0.15 + 0.85 * n / max(len(values) - 1, 1)) for n in np.flatnonzero(known)])
        self._crosses.set_offsets(places[~known])
        self.ring(places[-1:])

    def ring(self, places: Floats) -> None:
        """Put a ring around places, and around no others.

        Parameters
        ----------
        places : ndarray of shape (n, 2)
            Places in the coordinates of the axes; none takes the ring away.
        """
        self._ring.set_offsets(places)


class MapPanel:
    """A map of the frame, in nm from its lower left corner, over the colour bar of its values.

    Parameters
    ----------
    axes : Axes
        Axes of matplotlib, which it takes over.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        axes.set(xticks=[], yticks=[], anchor="W")
        axes.set_facecolor("#f0f1f3")
        self._fixed: list[Artist] = []
        self._above: list[Artist] = []
        self._image = axes.imshow(np.full((1, 1), np.nan), origin="lower", interpolation="nearest")
        self._points = MeasuredPoints(axes)
        self._bar, *self._ends = self._color_bar()

    @property
    def moving(self) -> list[Artist]:
        """Artists that change with every spectrum, and those that lie above them."""
        return [self._image, *self._points.artists, *self._above, *self._ends]

    def begin(self, frame: Frame, title: str, cmap: str, outlines: Sequence[Floats]) -> None:
        """Begin with an empty map: title, axes, scale bar and the outlines of child frames.

        Parameters
        ----------
        frame : Frame
            Region that the map shows.
        title : str
            Words above it.
        cmap : str
            Name of the colour map.
        outlines : sequence of ndarray of shape (5, 2)
            Corners of child frames, closed, in nm from the lower left corner.
        """
        self.axes.set_title(title, loc="left", fontsize=9)
        for artist in (*self._fixed, *self._above):
            artist.remove()
        self._fixed = []
        self._image.set_data(np.full((1, 1), np.nan))
        for colored in (self._image, self._bar, self._points):
            colored.set_cmap(cmap)
        for end in self._ends:
            end.set_text("")
        width, height = frame.size
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self._extent = (0, width, 0, height)
        self._image.set_extent(self._extent)
        self._above = self._ruler(width, height)
        for corners in outlines:
            self._above += self.axes.fill(*zip(*corners, strict=True), fill=False, edgecolor=CHILD, linewidth=1.6, zorder=6)

    def show_ground(self, brightness: Floats, alpha: float) -> None:
        """Show the topograph, below all else and for the whole run.

        Parameters
        ----------
        brightness : ndarray of shape (rows, columns)
            From 0 to 1, row 0 the lowest y.
        alpha : float
            Opacity, from 0 to 1.
        """
        style: Any = {"cmap": COLORS["height"], "vmin": 0, "vmax": 1, "alpha": alpha}
        self._fixed.append(self.axes.imshow(brightness, origin="lower", extent=self._extent, zorder=-1, **style))

    def show(self, image: Floats, limits: tuple[float, float], decades: bool = False) -> None:
        """Show an image of values.

        Parameters
        ----------
        image : ndarray of shape (rows, columns)
            Values, row 0 the lowest y; NaN for none.
        limits : tuple of float
            Values at the ends of the colour map.
        decades : bool
            True to colour positive values by their logarithm.
        """
        self._image.set_data(np.log(np.maximum(image, limits[0])) if decades else image)
        self._image.set_clim(*(np.log(limits) if decades else limits))

    def show_limits(self, limits: tuple[float, float], unit: str) -> None:
        """Write the values at the ends of the colour bar.

        Parameters
        ----------
        limits : (float, float)
            Lowest and highest value.
        unit : str
            Their unit; empty for a number without one.
        """
        for end, value in zip(self._ends, limits, strict=True):
            end.set_text(f"{value:.4g} {unit}".rstrip())

    def show_points(self, places: Floats, values: Floats, limits: tuple[float, float]) -> None:
        """Show measured places, in the order taken.

        Parameters
        ----------
        places : ndarray of shape (n, 2)
            Places in nm from the lower left corner of the frame.
        values : ndarray of shape (n,)
            Their values; NaN for none.
        limits : tuple of float
            Values at the ends of the colour map.
        """
        self._points.show(places, values, limits)

    def ring(self, places: Floats) -> None:
        """Put a ring around places, and around no others.

        Parameters
        ----------
        places : ndarray of shape (n, 2)
            Places in nm from the lower left corner of the frame.
        """
        self._points.ring(places)

    def _color_bar(self) -> tuple[AxesImage, Text, Text]:
        bar = self.axes.inset_axes((0, -0.07, 1, 0.035))
        ramp = bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto")
        bar.set(xticks=[], yticks=[])
        bar.spines[:].set_visible(False)
        below: Any = {"transform": self.axes.transAxes, "va": "top", "fontsize": 8, "color": "#444"}
        return ramp, self.axes.text(0, -0.08, "", ha="left", **below), self.axes.text(1, -0.08, "", ha="right", **below)

    def _ruler(self, width: float, height: float) -> list[Artist]:
        length = round_length(width / 4)
        text = f"{length:g} nm" if length >= 1 else f"{length * 1000:g} pm"
        x, y = 0.04 * width, 0.05 * height
        style: Any = {"color": "white", "zorder": 7}
        dark: Any = {"color": "black", "alpha": 0.45, "zorder": 6}
        outline = self.axes.plot([x, x + length], [y, y], linewidth=5.5, **dark)
        line = self.axes.plot([x, x + length], [y, y], linewidth=3, **style)
        words = self.axes.text(x, y + 0.025 * height, text, fontsize=8, fontweight="bold", **style)
        words.set_path_effects(_halo())
        return [*outline, *line, words]


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2, foreground="black", alpha=0.6)]
