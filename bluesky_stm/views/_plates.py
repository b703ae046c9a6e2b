"""Panels of a printed figure, each drawn once into axes: maps with scale and colour bars, spectra, learning and trust."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.pictures import contrast, flattened
from bluesky_stm.protocols import Mark
from bluesky_stm.views._fitting import fitting, said
from bluesky_stm.views._pictures import COLORS, Mosaic, round_length, within
from bluesky_stm.views._record import RunRecord
from bluesky_stm.views._trust import WITHIN, Trust

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

Plate = Callable[["Axes", RunRecord], None]
"""Draws one panel of a run into axes."""

BEST, USUAL, SEEN, FAINT, FAILED = "#d1432b", "#8a949d", "#0f7b5f", "#c9d0d6", "#b3261e"

MOST_LINES: Final = 30
"""Curves of a waterfall; of more spectra they are taken evenly by value."""


def topograph(axes: Axes, record: RunRecord) -> None:
    """Draw the levelled heights, the places of the spectra in the colours of their values, and outlines of nothing else."""
    frame = _frame(axes, record, "Topograph and spectra")
    if record.topograph is not None:
        height = flattened(record.topograph.height)
        low, high = contrast(height)
        image = axes.imshow(height, cmap=COLORS["height"], vmin=low, vmax=high, **frame)
        _bar(axes, image, "height (nm)")
    values, (x, y) = _shown(record, record.values), _places(record).T
    known = np.isfinite(values)
    size = (0.5 * float(axes.title.get_fontsize())) ** 2
    if known.any():
        low, high = contrast(values, tails=0)
        shown = axes.scatter(
            x[known],
            y[known],
            s=size,
            c=values[known],
            cmap=_values(record),
            vmin=low,
            vmax=high,
            edgecolors="w",
            linewidths=0.4,
            zorder=3,
        )
        _bar(axes, shown, _labelled(record))
    axes.scatter(x[~known], y[~known], s=size, c=FAILED, marker="X", edgecolors="w", linewidths=0.3, zorder=3)
    if record.best is not None:
        axes.scatter(
            x[record.best.number],
            y[record.best.number],
            s=3.2 * size,
            facecolors="none",
            edgecolors=BEST,
            linewidths=0.9,
            zorder=4,
        )
    _ruler(axes, record.frame.size[0])


def predicted(axes: Axes, record: RunRecord) -> None:
    """Draw the last predicted map, in the colours of the values."""
    values = _shown(record, record.values)
    _map(axes, record, "mean", f"Predicted {record.quantity}", _values(record), contrast(values, tails=0), _labelled(record))


def uncertainty(axes: Axes, record: RunRecord) -> None:
    """Draw the standard deviation of the last predicted map."""
    _, unit = _unit(record)
    _map(
        axes,
        record,
        "std",
        "Uncertainty",
        COLORS["std"],
        None,
        f"standard deviation ({unit})" if unit else "standard deviation",
    )


def acquisition(axes: Axes, record: RunRecord) -> None:
    """Draw the acquisition function of the last predicted map."""
    _map(axes, record, "acquisition", "Acquisition function", COLORS["gain"], None, "acquisition")


def current(axes: Axes, record: RunRecord) -> None:
    """Draw the current of the best spectrum over the middle 80 % of all."""
    _spectrum(axes, record, "current", "Tunneling current", "current (nA)")


def conductance(axes: Axes, record: RunRecord) -> None:
    """Draw dI/dV of the best spectrum over the middle 80 % of all, with what the scalarizer saw."""
    _spectrum(axes, record, "didv", "Differential conductance", "dI/dV (nS)")


def waterfall(axes: Axes, record: RunRecord) -> None:
    """Draw dI/dV of spectra from the lowest value to the highest, one above the other, in the colours of their values."""
    import matplotlib as mpl

    values = _shown(record, record.values)
    order = np.argsort(values)[: int(np.isfinite(values).sum())]
    order = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_LINES, len(order))).astype(int))] if len(order) else order
    spectra = record.spectra
    rows = [np.where(spectra[i].saturated, np.nan, spectra[i].didv) for i in order]
    factor, unit = _volts(record)
    axes.set(title="Waterfall", xlabel=f"sample bias ({unit})", ylabel="dI/dV, offset", label="waterfall")
    axes.set_yticks([])  # offsets would belie them: a bar says what a height is
    if not rows:
        return
    reach = float(np.nanpercentile([np.nanmax(row) for row in rows], 90))
    apart = reach / max(len(rows) - 1, 1)
    low, high = contrast(values, tails=0)
    colors = mpl.colormaps[_values(record)]((values[order] - low) / (high - low))
    for number, (row, color) in enumerate(zip(rows, colors, strict=True)):
        axes.plot(factor * spectra[order[number]].bias, row + number * apart, color=color, zorder=-number)
    axes.margins(x=0.12)
    long, left = round_length(reach / 3), axes.get_xlim()[0]
    axes.plot([left, left], [0, long], color="k", linewidth=1.5, label="scale bar", clip_on=False)
    axes.annotate(said(long, "nS", 3), (left, long / 2), (3, 0), textcoords="offset points", rotation=90, va="center")


def learning(axes: Axes, record: RunRecord) -> None:
    """Draw each value, the best so far, and what was predicted before measuring."""
    values, best = _shown(record, record.values), _shown(record, record.learning_curve)
    factor, _ = _unit(record)
    number, trust = np.arange(1, len(values) + 1), Trust.of(record)
    axes.set(title="Learning curve", xlabel="spectrum", ylabel=_labelled(record), label="learning")
    axes.errorbar(
        trust.numbers + 1, factor * trust.predicted, factor * trust.std, fmt="none", ecolor=FAINT, elinewidth=1.2,
        label="predicted, ± 1 sd",
    )  # fmt: skip
    axes.plot(number, values, ".", color=USUAL, label="measured")
    axes.step(number, best, where="post", color="k", label=f"{record.sought} so far")
    _headroom(axes, 0.4)
    axes.legend(loc="upper left")


def trusted(axes: Axes, record: RunRecord) -> None:
    """Draw what was measured against what was predicted, at the places that a model chose."""
    trust, (factor, unit) = Trust.of(record), _unit(record)
    predicted, measured, std = factor * trust.predicted, factor * trust.measured, factor * trust.std
    labels = {"xlabel": f"predicted {_labelled(record)}", "ylabel": f"measured ({unit})" if unit else "measured"}
    axes.set(title="Predicted and measured", label="trust", **labels)
    axes.errorbar(predicted, measured, xerr=std, fmt=".", color="k", ecolor=FAINT, elinewidth=0.8)
    if count := len(trust.numbers):
        ends = np.array([min(predicted.min(), measured.min()), max(predicted.max(), measured.max())])
        shares = [f"{trust.within(k) / count:.0%} within {k} sd ({share:.0%} expected)" for k, share in WITHIN.items()]
        axes.plot(ends, ends, "--", color=USUAL, linewidth=0.6)
        _headroom(axes, 0.25)
        axes.text(0.03, 0.97, "\n".join(shares), transform=axes.transAxes, va="top", fontsize="x-small")


def health(axes: Axes, record: RunRecord) -> None:
    """Draw error and coverage of the model, left out one by one, after each spectrum."""
    number = [decision.ingested for decision in record.decisions]
    axes.set(title="Health of the model", xlabel="spectrum", ylabel="left-out error, coverage", label="health")
    axes.plot(number, [d.health.error for d in record.decisions], color="#2b6cb0", label="error (a constant: 1)")
    axes.plot(number, [d.health.coverage for d in record.decisions], color="#c77d1e", label="coverage of 90 %")
    axes.axhline(0.9, color=USUAL, linewidth=0.5, linestyle=":")
    axes.set_ylim(bottom=0)
    _headroom(axes, 0.25)
    axes.legend(loc="upper left")


def histogram(axes: Axes, record: RunRecord) -> None:
    """Draw how often each value was found."""
    values = _shown(record, record.values)
    axes.set(title="Values", xlabel=_labelled(record), ylabel="spectra", label="values")
    if np.isfinite(values).any():
        axes.hist(values[np.isfinite(values)], bins="auto", color=USUAL)


def _frame(axes: Axes, record: RunRecord, title: str) -> Any:
    """Prepare axes for a map, and return where its image lies: on the sample, or from the corner of a turned frame; in nm."""
    (width, height), (x, y) = record.frame.size, _corner(record)
    extent = (x, x + width, y, y + height)
    name = "nm from the corner" if record.frame.angle else "x, y on the sample (nm)"
    axes.set(title=title, xlim=extent[:2], ylim=extent[2:], aspect="equal", xlabel=name, label=title.split()[0].lower())
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.set_facecolor("#f0f1f3")
    return {"extent": extent, "origin": "lower"}


def _corner(record: RunRecord) -> Floats:
    """Return the coordinates of the lower left corner: those of the sample, (0, 0) where the frame is turned against it."""
    return np.zeros(2) if record.frame.angle else np.array(record.frame.center) - np.array(record.frame.size) / 2


def _places(record: RunRecord) -> Floats:
    """Return the places of the spectra, (n, 2), in the coordinates of the axes of a map."""
    return within(record.frame, record.places) + _corner(record)


def _map(
    axes: Axes, record: RunRecord, name: str, title: str, cmap: str, limits: tuple[float, float] | None, label: str
) -> None:
    frame = _frame(axes, record, title)
    candidates = record.candidates
    known = next((one for one in reversed(record.maps) if len(one.mean) == len(candidates)), None)
    values = None if known is None or not len(candidates) else np.asarray(getattr(known, name), dtype=float)
    if values is None or not np.isfinite(values).any():
        axes.text(0.5, 0.5, "no map is on record", transform=axes.transAxes, ha="center", va="center")
        return
    factor = 1.0 if name == "acquisition" else _unit(record)[0]
    image = Mosaic(record.frame, candidates).image((record.sign if name == "mean" else 1) * factor * values)
    low, high = limits or contrast(image, tails=0)
    _bar(axes, axes.imshow(image, cmap=cmap, vmin=low, vmax=high, **frame), label)
    axes.plot(*_places(record).T, ".", color="w", markersize=1.5, markeredgewidth=0)
    _ruler(axes, record.frame.size[0])


def _spectrum(axes: Axes, record: RunRecord, channel: str, title: str, label: str) -> None:
    spectra, (volts, unit) = record.spectra, _volts(record)
    axes.set(title=title, xlabel=f"sample bias ({unit})", ylabel=label, label=channel)
    if not spectra:
        return
    number = record.best.number if record.best else len(spectra) - 1
    curves = [np.where(s.saturated, np.nan, getattr(s, channel)) for s in spectra]
    sizes, bias = np.abs(curves[number]), spectra[number].bias
    largest = float(np.nanmax(sizes)) if np.isfinite(sizes).any() else 0.0
    if largest > 0 and np.nanmedian(sizes) < 0.01 * largest:  # only decades show a gap
        curves = [np.abs(curve) for curve in curves]
        axes.set(yscale="log", ylim=(1e-4 * largest, 2 * largest), ylabel=f"|{label.replace(' (', '| (')}")
    if all(np.array_equal(s.bias, bias) for s in spectra):
        table = np.array(curves)
        known = np.isfinite(table).any(axis=0)
        low, high = np.nanpercentile(table[:, known], [10, 90], axis=0)
        axes.fill_between(volts * bias[known], low, high, color=FAINT, linewidth=0, label="middle 80 % of all")
    axes.plot(volts * bias, curves[number], color=BEST, label=f"no. {number + 1}, {_said(record, number)}")
    for mark in record.marks(number):
        if mark.channel == channel:
            _mark(axes, mark, volts * np.array(mark.bias))
    _headroom(axes, 0.25)
    axes.legend(loc="upper left", fontsize="x-small")


def _mark(axes: Axes, mark: Mark, bias: Floats) -> None:
    """Draw a mark; ``bias`` is its own in the unit of the axis."""
    match mark.kind:
        case "edge":
            axes.axvline(bias[0], color=SEEN, linewidth=0.8)
        case "window":
            axes.axvspan(bias[0], bias[1], color="#e0a526", alpha=0.15, linewidth=0)
        case "level":
            axes.axhline(mark.values[0], color="#b9771b", linewidth=0.6, linestyle="--")
        case "point":
            axes.plot(bias, mark.values, "o", color=SEEN, fillstyle="none")
        case "curve":
            axes.plot(bias, mark.values, color=SEEN, linewidth=0.8, linestyle="--")


def _headroom(axes: Axes, share: float) -> None:
    """Leave a share of the height free for words above what is drawn."""
    low, high = axes.get_ylim()  # first: it fits the axes to what was drawn
    if axes.get_yscale() == "log":
        axes.set_ylim(low, low * (high / low) ** (1 / (1 - share)))
    else:
        axes.set_ylim(low, low + (high - low) / (1 - share))


def _bar(axes: Axes, shown: ScalarMappable, label: str) -> None:
    bar = axes.figure.colorbar(shown, ax=axes, location="bottom", fraction=0.05, pad=0.02, aspect=25)
    bar.set_label(label, fontsize="small")
    bar.ax.set_label(f"bar of {label}")
    bar.ax.grid(False)
    bar.outline.set_linewidth(0.4)


def _ruler(axes: Axes, width: float) -> None:
    from matplotlib.patheffects import withStroke

    length = round_length(width / 4)
    words = f"{length:g} nm" if length >= 1 else f"{length * 1000:g} pm"
    (left, _), (low, high) = axes.get_xlim(), axes.get_ylim()
    x, y = left + 0.08 * width, low + 0.08 * (high - low)
    halo = [withStroke(linewidth=2, foreground="k", alpha=0.7)]
    axes.plot([x, x + length], [y, y], color="w", linewidth=1.8, path_effects=halo, zorder=5, label="scale bar")
    axes.annotate(words, (x, y), (0, 2), textcoords="offset points", color="w", zorder=5, path_effects=halo)


def _values(record: RunRecord) -> str:
    return COLORS["small" if record.sign < 0 else "value"]


def _unit(record: RunRecord) -> tuple[float, str]:
    """Return the factor of values for people, beside the sign, and their unit."""
    return fitting(record.units, record.values)


def _volts(record: RunRecord) -> tuple[float, str]:
    """Return factor and unit of the bias."""
    return fitting(units.BIAS, np.concatenate([s.bias for s in record.spectra]) if record.spectra else 1.0)


def _shown(record: RunRecord, values: Floats) -> Floats:
    """Return values for the agent as people see them, in the unit of `_unit`."""
    return record.sign * _unit(record)[0] * values


def _labelled(record: RunRecord) -> str:
    _, unit = _unit(record)
    return f"{record.quantity} ({unit})" if unit else record.quantity


def _said(record: RunRecord, number: int) -> str:
    value, (factor, unit) = _shown(record, record.values)[number], _unit(record)
    if not np.isfinite(value):
        return "no value"
    deviation = factor * record.observations[number].deviation
    doubt = f" ± {deviation:.2g}" if np.isfinite(deviation) else ""
    return f"{value:.4g}{doubt} {unit}".rstrip()
