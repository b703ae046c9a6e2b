"""The seven panels of one run in matplotlib: made once, then given new data, so that a live picture is drawn anew cheaply.

What changes with every spectrum is an artist in `Panels.moving`; whatever else there is (axes, ticks, the topograph) changes
only when `Panels.update` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.views._pictures import COLORS, Mosaic, contrast, flattened, round_length, toned, within
from bluesky_stm.views._record import RunRecord

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

PICKED, BEST, CHILD, QUIET = "#d1432b", "#2b6cb0", "#ffd166", "#8a949d"
WIDE = {"left": 0.012, "right": 0.992, "bottom": 0.17, "top": 0.82, "wspace": 0.27, "width_ratios": [1, 1, 1, 1.15, 1.15, 1.15]}
HIGH = {"left": 0.05, "right": 0.985, "bottom": 0.08, "top": 0.9, "wspace": 0.2, "hspace": 0.36}
"""Where the panels lie in one row, or in two."""
HEADROOM = 0.25
"""An axis that became too short grows by this share of its range beyond what it must show."""


class Panels:
    """Topograph with points, predicted mean, uncertainty, current, conductance, learning curve and acquisition of one run.

    Parameters
    ----------
    figure : SubFigure
        Is filled.
    wide : bool
        All in one row, else in two.
    """

    def __init__(self, figure: SubFigure, wide: bool = False) -> None:
        shape = (1, 6) if wide else (2, 3)
        grid = figure.add_gridspec(*shape, **(WIDE if wide else HIGH))
        cells = [grid[divmod(place, shape[1])] for place in range(6)]
        split = cells[5].subgridspec(2, 1, height_ratios=[3, 1], hspace=0.12)
        self.title = figure.suptitle("", x=0.012, ha="left", fontsize=11, fontweight="bold")
        self.maps = [MapPanel(figure.add_subplot(cell)) for cell in cells[:3]]
        self.curves = [CurvePanel(figure.add_subplot(cell)) for cell in (*cells[3:5], split[0], split[1])]
        self._dress()
        self._mosaic: Mosaic | None = None

    @property
    def moving(self) -> list[Artist]:
        """What changes with every spectrum, in the order of drawing."""
        return [artist for panel in self.maps for artist in panel.moving] + [line for p in self.curves for line in p.moving]

    def begin(self, record: RunRecord, children: Sequence[RunRecord] = ()) -> None:
        """Show the topograph of a run; what belongs to another run disappears."""
        frame = record.frame
        self.title.set_text(record.title)
        value = COLORS["small" if record.sign < 0 else "value"]
        for panel, cmap in zip(self.maps, (value, value, COLORS["std"]), strict=True):
            panel.begin(frame, cmap, [within(frame, child.frame.corners) for child in children])
        if record.topograph is not None:
            ground = toned(flattened(record.topograph.height))
            for panel, alpha in zip(self.maps, (1.0, 0.4, 0.4), strict=True):
                panel.show_ground(ground, alpha)
        self._mosaic = Mosaic(frame, record.candidates) if len(record.candidates) else None
        self.maps[1].axes.set_title(f"predicted {record.quantity}", loc="left", fontsize=9)
        units = f" ({record.units})" if record.units else ""
        self.curves[2].axes.set_ylabel(f"{record.quantity}{units}")
        self.curves[2].color_dots(value)
        numbers = 0.0, record.budget + 1.0
        for curve, known in zip(self.curves, (None, None, numbers, numbers), strict=True):
            curve.begin(known)

    def update(self, record: RunRecord) -> bool:
        """Show what the record holds now; True if more than `moving` has changed."""
        self._update_maps(record)
        return bool(record.spectra) and self._update_curves(record)

    # ---- parts ---------------------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        for panel, title in zip(self.maps, ("topograph and spectra", "predicted", "uncertainty"), strict=True):
            panel.axes.set_title(title, loc="left", fontsize=9)
        current, didv, learning, acquisition = self.curves
        for curve, y in ((current, "current (nA)"), (didv, "dI/dV (nS)")):
            curve.axes.set(xlabel="sample bias (V)", ylabel=y)
            curve.lines(best=BEST, last=PICKED)
            curve.name_lines()
        learning.lines(best="black")
        learning.dots()
        learning.axes.tick_params(labelbottom=False)
        acquisition.lines(last=QUIET)
        acquisition.axes.set(xlabel="spectrum", ylabel="acq.")
        current.axes.set_title("current", loc="left", fontsize=9)
        didv.axes.set_title("differential conductance", loc="left", fontsize=9)
        learning.axes.set_title("learning curve", loc="left", fontsize=9)

    def _update_maps(self, record: RunRecord) -> None:
        values = record.sign * record.values
        limits = contrast(values, tails=0)
        topograph, mean, std = self.maps
        topograph.show_points(within(record.frame, record.places), values, limits)
        for panel in (topograph, mean):
            panel.show_limits(limits, record.units)
        if self._mosaic is None or not record.maps or len(record.maps[-1].mean) != len(record.candidates):
            return
        doubt = self._mosaic.image(record.maps[-1].std)
        deviations = 0.0, contrast(doubt, tails=0)[1]
        mean.show(self._mosaic.image(record.sign * record.maps[-1].mean), limits)
        std.show(doubt, deviations)
        std.show_limits(deviations, record.units)

    def _update_curves(self, record: RunRecord) -> bool:
        current, didv, learning, acquisition = self.curves
        best, last = record.best, record.spectra[-1]
        chosen = {"last": last, "best": record.spectra[best.number] if best else last}
        values = record.sign * record.values
        number, gains = np.arange(1, len(values) + 1), np.array([d.acquisition for d in record.decisions], dtype=float)
        grown = [
            current.show(**{name: (spectrum.bias, spectrum.current) for name, spectrum in chosen.items()}),
            didv.show(**{name: (spectrum.bias, spectrum.didv) for name, spectrum in chosen.items()}),
            learning.show(best=(number, record.sign * record.learning_curve)),
            learning.show_dots(number, values, contrast(values, tails=0)),
            acquisition.show(last=(np.arange(1, len(gains) + 1), gains)),
        ]
        return any(grown)


class MapPanel:
    """A map of the frame, in nm from its lower left corner, over the colour bar of its values."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        axes.set(xticks=[], yticks=[], anchor="W")
        axes.set_facecolor("#f0f1f3")
        self._fixed: list[Artist] = []
        self._above: list[Artist] = []
        self._image = axes.imshow(np.full((1, 1), np.nan), origin="lower", interpolation="nearest")
        self._points = axes.scatter([], [], s=26, c=[], linewidths=0.9, zorder=4)
        self._failed = axes.scatter([], [], s=22, c="#f4b8ac", marker="x", linewidths=1.2, zorder=4)
        self._ring = axes.scatter([], [], s=110, facecolors="none", edgecolors=PICKED, linewidths=1.8, zorder=5)
        self._bar, *self._ends = self._color_bar()

    @property
    def moving(self) -> list[Artist]:
        """What changes with every spectrum, and what lies above it."""
        return [self._image, self._points, self._failed, self._ring, *self._above, *self._ends]

    def begin(self, frame: Frame, cmap: str, outlines: Sequence[Floats]) -> None:
        """Empty, with axes, scale bar and the outlines of child frames."""
        for artist in (*self._fixed, *self._above):
            artist.remove()
        self._fixed = []
        self._image.set_data(np.full((1, 1), np.nan))
        for colored in (self._image, self._bar, self._points):
            colored.set_cmap(cmap)
        width, height = frame.size
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self._extent = (0, width, 0, height)
        self._image.set_extent(self._extent)
        self._above = self._ruler(width, height)
        for corners in outlines:
            self._above += self.axes.fill(*zip(*corners, strict=True), fill=False, edgecolor=CHILD, linewidth=1.6, zorder=6)

    def show_ground(self, brightness: Floats, alpha: float) -> None:
        """The topograph, below all else and for the whole run."""
        style: Any = {"cmap": COLORS["height"], "vmin": 0, "vmax": 1, "alpha": alpha}
        self._fixed.append(self.axes.imshow(brightness, origin="lower", extent=self._extent, zorder=-1, **style))

    def show(self, image: Floats, limits: tuple[float, float]) -> None:
        """An image of values."""
        self._image.set_data(image)
        self._image.set_clim(*limits)

    def show_limits(self, limits: tuple[float, float], unit: str) -> None:
        """What the ends of the colour bar stand for."""
        for end, value in zip(self._ends, limits, strict=True):
            end.set_text(f"{value:.3g} {unit}".rstrip())

    def show_points(self, places: Floats, values: Floats, limits: tuple[float, float]) -> None:
        """Measured places: filled by value, the rim from dark to white by order, the last one ringed."""
        known = np.isfinite(values)
        self._points.set_offsets(places[known])
        self._points.set_array(values[known])
        self._points.set_clim(*limits)
        self._points.set_edgecolor([str(0.15 + 0.85 * n / max(len(values) - 1, 1)) for n in np.flatnonzero(known)])
        self._failed.set_offsets(places[~known])
        self._ring.set_offsets(places[-1:])

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


class CurvePanel:
    """Curves whose axes grow, in leaps, when something does not fit."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
        axes.spines[["top", "right"]].set_visible(False)
        self._lines: dict[str, Any] = {}
        self._dots: Any = None
        self._range: dict[str, tuple[float, float] | None] = {}

    @property
    def moving(self) -> list[Artist]:
        """Its curves and dots."""
        return [*self._lines.values(), *([self._dots] if self._dots else [])]

    def lines(self, **colors: str) -> None:
        """Make a curve for each name."""
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
        """Empty, along ``x`` if that is known beforehand."""
        self._range = {"x": x, "y": None}
        if x:
            self.axes.set_xlim(*x)
        for line in self._lines.values():
            line.set_data([], [])
        if self._dots:
            self._dots.set_offsets(np.empty((0, 2)))

    def show(self, **curves: tuple[Any, Any]) -> bool:
        """Give curves new data; True if the axes had to grow."""
        for name, (x, y) in curves.items():
            self._lines[name].set_data(x, y)
        return self._fit(curves.values())

    def show_dots(self, x: Any, y: Any, limits: tuple[float, float]) -> bool:
        """Give the dots new data; True if the axes had to grow."""
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


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2, foreground="black", alpha=0.6)]
