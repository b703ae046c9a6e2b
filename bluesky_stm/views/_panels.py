"""The panels of one run in matplotlib: made once, then given new data, so that a live picture is drawn anew cheaply.

What changes with every spectrum is an artist in `Panels.moving`; whatever else there is (axes, ticks, the topograph) changes
only when `Panels.update` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Spectrum
from bluesky_stm.pictures import contrast, flattened, toned
from bluesky_stm.views._curve_panel import CurvePanel
from bluesky_stm.views._feature_panel import FeaturePanel
from bluesky_stm.views._fitting import fitting
from bluesky_stm.views._map_panel import MapPanel
from bluesky_stm.views._pictures import COLORS, Mosaic, within
from bluesky_stm.views._record import PredictedMap, RunRecord

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import SubFigure

WIDTH, HEIGHT = 12.4, 6.9
"""Of the panels of one run, in inches."""

MAPS = {"left": 0.012, "right": 0.985, "bottom": 0.55, "top": 0.88, "wspace": 0.12}
CURVES = {"left": 0.05, "right": 0.985, "bottom": 0.085, "top": 0.445, "wspace": 0.3}
"""Where they lie: maps above; below, with numbers to their left, curves and the feature space."""

GAIN_FLOOR = 1e-3
"""Of an acquisition function that is positive, what is less than this share of its maximum is shown as this."""

LAST, BEST, LEARNED, GAIN = "#d1432b", "#2b6cb0", "black", "#8a949d"


class Panels:
    """Topograph with points, prediction, uncertainty and acquisition; spectra, learning curve and feature space of one run.

    Parameters
    ----------
    figure : SubFigure
        Is filled.
    """

    def __init__(self, figure: SubFigure) -> None:
        above, below = figure.add_gridspec(1, 4, **MAPS), figure.add_gridspec(1, 4, **CURVES)
        self.title = figure.suptitle("", x=0.012, ha="left", fontsize=11, fontweight="bold")
        self.maps = [MapPanel(figure.add_subplot(above[column])) for column in range(4)]
        self.topograph, self.mean, self.std, self.gain = self.maps
        split = below[2].subgridspec(2, 1, height_ratios=[3, 1], hspace=0.12)
        cells = below[0], below[1], split[0], split[1], below[3]
        current, didv, learning, acquisition, features = (figure.add_subplot(cell) for cell in cells)
        self.current = CurvePanel(current, "current", "sample bias (V)", "current (nA)")
        self.didv = CurvePanel(didv, "differential conductance", "sample bias (V)", "dI/dV (nS)")
        self.learning = CurvePanel(learning, "learning curve", "", "")
        self.acquisition = CurvePanel(acquisition, "", "spectrum", "acq.")
        self.features = FeaturePanel(features)
        self._mosaic: Mosaic | None = None
        self._units, self._factor, self._volts = ("", ""), 1.0, 1.0
        self._make_curves()

    @property
    def moving(self) -> list[Artist]:
        """Artists that change with every spectrum, in the order of drawing."""
        curves = self.current, self.didv, self.learning, self.acquisition
        return [artist for part in (self.maps, curves, [self.features]) for panel in part for artist in panel.moving]

    def begin(self, record: RunRecord, children: Sequence[RunRecord] = ()) -> None:
        """Show the topograph of a run; what belongs to another run disappears.

        Parameters
        ----------
        record : RunRecord
            The run; without a topograph its maps stay empty.
        children : sequence of RunRecord
            Runs in parts of its frame; their outlines are drawn.
        """
        self.title.set_text(record.title)
        self._mosaic = Mosaic(record.frame, record.candidates) if len(record.candidates) else None
        self._begin_maps(record, children)
        self._begin_curves(record)

    def update(self, record: RunRecord) -> bool:
        """Show what the record holds now.

        Parameters
        ----------
        record : RunRecord
            The run that `begin` was given.

        Returns
        -------
        bool
            True if more than `moving` has changed, so that all of the picture has to be drawn anew.
        """
        renamed = self._name_units(record)
        self._update_points(record)
        if self._mosaic is not None and record.maps and len(record.maps[-1].mean) == len(record.candidates):
            self._update_maps(record, self._mosaic)
        return bool(record.spectra) and (self._update_curves(record) or renamed)

    # ---- once a run ------------------------------------------------------------------------------------------------------

    def _make_curves(self) -> None:
        for panel in (self.current, self.didv):
            panel.lines(best=BEST, last=LAST)
            panel.name_lines()
        self.learning.lines(best=LEARNED)
        self.learning.dots()
        self.learning.axes.tick_params(labelbottom=False)
        self.acquisition.lines(last=GAIN)

    def _begin_maps(self, record: RunRecord, children: Sequence[RunRecord]) -> None:
        frame, value = record.frame, _value_colors(record)
        titles = (
            "spectra (rim: first dark, last white)",
            f"predicted {record.quantity}",
            "uncertainty",
            "acquisition function",
        )
        for panel, title, cmap in zip(self.maps, titles, (value, value, COLORS["std"], COLORS["gain"]), strict=True):
            panel.begin(frame, title, cmap, [within(frame, child.frame.corners) for child in children])
        if record.topograph is not None:
            ground = toned(flattened(record.topograph.height))
            for panel, alpha in zip(self.maps, (1.0, 0.4, 0.4, 0.4), strict=True):
                panel.show_ground(ground, alpha)

    def _begin_curves(self, record: RunRecord) -> None:
        self.features.begin(_value_colors(record))
        self._units = ("", "")
        self._name_units(record)
        self.learning.axes.set_title(f"{record.sought} {record.quantity} so far", loc="left", fontsize=9)
        self.learning.color_dots(_value_colors(record))
        numbers = 0.0, record.budget + 1.0
        for panel, known in ((self.current, None), (self.didv, None), (self.learning, numbers), (self.acquisition, numbers)):
            panel.begin(known)

    def _name_units(self, record: RunRecord) -> bool:
        """Name the units of values and biases, which are known once there are some; True when they have changed."""
        volts = fitting(units.BIAS, record.spectra[0].bias if record.spectra else 1.0)
        (self._factor, unit), (self._volts, bias) = fitting(record.units, record.values), volts
        if self._units == (unit, bias):
            return False
        self._units = unit, bias
        self.learning.axes.set_ylabel(f"{record.quantity} ({unit})" if unit else record.quantity)
        for panel in (self.current, self.didv):
            panel.axes.set_xlabel(f"sample bias ({bias})")
            panel.begin(None)
        self.learning.begin((0.0, record.budget + 1.0))
        return True

    def _shown(self, record: RunRecord, values: Floats) -> Floats:
        """Return values for the agent as people see them, in the unit that is named."""
        return record.sign * self._factor * values

    # ---- with every spectrum -----------------------------------------------------------------------------------------------

    def _update_points(self, record: RunRecord) -> None:
        values = self._shown(record, record.values)
        limits, places = contrast(values, tails=0), within(record.frame, record.places)
        self.topograph.show_points(places, values, limits)
        for panel in (self.topograph, self.mean):
            panel.show_limits(limits, self._units[0])

    def _update_maps(self, record: RunRecord, mosaic: Mosaic) -> None:
        known, values = record.maps[-1], self._shown(record, record.values)
        limits = contrast(values, tails=0)
        self.mean.show(mosaic.image(self._shown(record, known.mean)), limits)
        deviations = 0.0, contrast(self._factor * known.std, tails=0)[1]
        self.std.show(mosaic.image(self._factor * known.std), deviations)
        self.std.show_limits(deviations, self._units[0])
        if np.isfinite(known.acquisition).any():
            self._update_gain(known, mosaic, within(record.frame, record.chosen_by(known)))
        self.features.show(known.features, known.features[mosaic.nearest(record.places)], values, limits)

    def _update_gain(self, known: PredictedMap, mosaic: Mosaic, chosen: Floats) -> None:
        """Improvements spread over many decades, of which the highest tell where it may go; bounds do not."""
        low, high = contrast(known.acquisition, tails=0)
        positive = low >= 0
        limits = (max(low, GAIN_FLOOR * high), high) if positive else (low, high)
        self.gain.show(mosaic.image(known.acquisition), limits, positive)
        self.gain.show_limits(limits, "")
        self.gain.ring(chosen)

    def _update_curves(self, record: RunRecord) -> bool:
        spectra, values = record.spectra, self._shown(record, record.values)
        last, best = spectra[-1], spectra[record.best.number if record.best else -1]
        number, gains = np.arange(1, len(values) + 1), np.array([d.acquisition for d in record.decisions], dtype=float)
        grown = [
            self.current.show(last=_curve(last, "current", self._volts), best=_curve(best, "current", self._volts)),
            self.didv.show(last=_curve(last, "didv", self._volts), best=_curve(best, "didv", self._volts)),
            self.learning.show(best=(number, self._shown(record, record.learning_curve))),
            self.learning.show_dots(number, values, contrast(values, tails=0)),
            self.acquisition.show(last=(np.arange(1, len(gains) + 1), gains)),
        ]
        return any(grown)


def _curve(spectrum: Spectrum, channel: str, volts: float = 1.0) -> tuple[Floats, Floats]:
    """Return bias and channel with a gap where the preamplifier was saturated: drawn, its end would look like a drop."""
    return volts * spectrum.bias, np.where(spectrum.saturated, np.nan, getattr(spectrum, channel))


def _value_colors(record: RunRecord) -> str:
    return COLORS["small" if record.sign < 0 else "value"]
