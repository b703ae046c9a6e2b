"""The panels of one run in matplotlib: made once, then given new data, so that a live picture is drawn anew cheaply.

What changes with every spectrum is an artist in `Panels.moving`; whatever else there is (axes, ticks, the topograph) changes
only when `Panels.update` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bluesky_stm.views._curve_panel import CurvePanel
from bluesky_stm.views._map_panel import MapPanel
from bluesky_stm.views._pictures import COLORS, Mosaic, contrast, flattened, toned, within
from bluesky_stm.views._record import RunRecord

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import SubFigure

WIDE = {"left": 0.012, "right": 0.992, "bottom": 0.17, "top": 0.82, "wspace": 0.27, "width_ratios": [1, 1, 1, 1.15, 1.15, 1.15]}
HIGH = {"left": 0.05, "right": 0.985, "bottom": 0.08, "top": 0.9, "wspace": 0.2, "hspace": 0.36}
"""Where the panels lie in one row, or in two."""

LAST, BEST, LEARNED, GAIN = "#d1432b", "#2b6cb0", "black", "#8a949d"


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
        axes = [figure.add_subplot(cell) for cell in (*cells[:5], split[0], split[1])]
        self.title = figure.suptitle("", x=0.012, ha="left", fontsize=11, fontweight="bold")
        self.topograph, self.mean, self.std = self.maps = [MapPanel(a) for a in axes[:3]]
        self.current = CurvePanel(axes[3], "current", "sample bias (V)", "current (nA)")
        self.didv = CurvePanel(axes[4], "differential conductance", "sample bias (V)", "dI/dV (nS)")
        self.learning = CurvePanel(axes[5], "learning curve", "", "")
        self.acquisition = CurvePanel(axes[6], "", "spectrum", "acq.")
        self._mosaic: Mosaic | None = None
        self._make_curves()

    @property
    def moving(self) -> list[Artist]:
        """What changes with every spectrum, in the order of drawing."""
        curves = (self.current, self.didv, self.learning, self.acquisition)
        return [artist for panel in self.maps for artist in panel.moving] + [line for panel in curves for line in panel.moving]

    def begin(self, record: RunRecord, children: Sequence[RunRecord] = ()) -> None:
        """Show the topograph of a run; what belongs to another run disappears."""
        self.title.set_text(record.title)
        self._mosaic = Mosaic(record.frame, record.candidates) if len(record.candidates) else None
        self._begin_maps(record, children)
        self._begin_curves(record)

    def update(self, record: RunRecord) -> bool:
        """Show what the record holds now; True if more than `moving` has changed."""
        self._update_points(record)
        if self._mosaic is not None and record.maps and len(record.maps[-1].mean) == len(record.candidates):
            self._update_maps(record, self._mosaic)
        return bool(record.spectra) and self._update_curves(record)

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
        titles = "topograph and spectra", f"predicted {record.quantity}", "uncertainty"
        for panel, title, cmap in zip(self.maps, titles, (value, value, COLORS["std"]), strict=True):
            panel.begin(frame, title, cmap, [within(frame, child.frame.corners) for child in children])
        if record.topograph is not None:
            ground = toned(flattened(record.topograph.height))
            for panel, alpha in zip(self.maps, (1.0, 0.4, 0.4), strict=True):
                panel.show_ground(ground, alpha)

    def _begin_curves(self, record: RunRecord) -> None:
        units = f" ({record.units})" if record.units else ""
        self.learning.axes.set_ylabel(f"{record.quantity}{units}")
        self.learning.color_dots(_value_colors(record))
        numbers = 0.0, record.budget + 1.0
        for panel, known in ((self.current, None), (self.didv, None), (self.learning, numbers), (self.acquisition, numbers)):
            panel.begin(known)

    # ---- with every spectrum -----------------------------------------------------------------------------------------------

    def _update_points(self, record: RunRecord) -> None:
        values = record.sign * record.values
        limits = contrast(values, tails=0)
        self.topograph.show_points(within(record.frame, record.places), values, limits)
        for panel in (self.topograph, self.mean):
            panel.show_limits(limits, record.units)

    def _update_maps(self, record: RunRecord, mosaic: Mosaic) -> None:
        mean, std = (mosaic.image(values) for values in (record.sign * record.maps[-1].mean, record.maps[-1].std))
        deviations = 0.0, contrast(std, tails=0)[1]
        self.mean.show(mean, contrast(record.sign * record.values, tails=0))
        self.std.show(std, deviations)
        self.std.show_limits(deviations, record.units)

    def _update_curves(self, record: RunRecord) -> bool:
        spectra, values = record.spectra, record.sign * record.values
        last, best = spectra[-1], spectra[record.best.number if record.best else -1]
        number, gains = np.arange(1, len(values) + 1), np.array([d.acquisition for d in record.decisions], dtype=float)
        grown = [
            self.current.show(last=(last.bias, last.current), best=(best.bias, best.current)),
            self.didv.show(last=(last.bias, last.didv), best=(best.bias, best.didv)),
            self.learning.show(best=(number, record.sign * record.learning_curve)),
            self.learning.show_dots(number, values, contrast(values, tails=0)),
            self.acquisition.show(last=(np.arange(1, len(gains) + 1), gains)),
        ]
        return any(grown)


def _value_colors(record: RunRecord) -> str:
    return COLORS["small" if record.sign < 0 else "value"]
