"""Runs and microscope files as layers of napari: topograph, predicted maps, spectra, in nm.

Napari finds the reader by the manifest ``napari.yaml`` beside this file; nothing of napari is imported. Its first axis points
down the screen, so it is -y of the sample, and the second is x: what lies above on the screen has the larger y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm import files
from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Grid, Spectrum, Topograph
from bluesky_stm.pictures import contrast, flattened
from bluesky_stm.storage import StoredDocuments, campaign_tree, open_catalog, read_documents
from bluesky_stm.validated import JSON
from bluesky_stm.views import COLORS, Mosaic, RunRecord, color_table

Layer = tuple[Floats, JSON, str]
"""Data, keyword arguments and kind of a layer."""

JOURNAL: Final = "journal"
"""Folder by which a catalog is known."""

POINT_SHARE: Final = 0.02
"""Diameter of the points, as a share of the frame."""

MIDDLE: Final = 0.35
GAMMAS: Final = (0.3, 1.0)
"""Brightness of the median height, and the exponents that may bring it there: terraces beside tall steps would be black."""


def reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[Layer]] | None:
    """Return what reads a file or a folder; None for what is none of ours, so that napari asks the next plugin.

    Parameters
    ----------
    path : str or sequence of str
        File or folder; of several the first one decides.
    """
    first = Path(path if isinstance(path, str) else path[0])
    known = (first / JOURNAL).is_dir() if first.is_dir() else files.is_known(first)
    return layers if known else None


def layers(path: str | Sequence[str]) -> list[Layer]:
    """Return the layers of microscope files, of exported runs, or of the newest campaign of a catalog.

    Parameters
    ----------
    path : str or sequence of str
        Files, or folders of catalogs.

    Returns
    -------
    list of (ndarray, dict, str)
        Data, keyword arguments and kind of each layer, from below to above.

    Raises
    ------
    FileFormatError
        When a file is damaged, was altered since it was exported, or holds nothing that can be shown.
    """
    found = [layer for one in ([path] if isinstance(path, str) else path) for layer in _layers(Path(one))]
    if not found:
        raise FileFormatError(
            f"{path} holds neither an image nor sweeps of the bias: there is nothing to show. "
            "What it does hold is told by: bluesky-stm inspect FILE."
        )
    return found


def _layers(path: Path) -> list[Layer]:
    if path.is_dir():
        with open_catalog(path, write=False) as catalog:
            last = catalog[-1].start
            campaign = campaign_tree(catalog, last["campaign"]) if "campaign" in last else [[catalog[-1]]]
            runs = [run for root in campaign for run in root]
            return [layer for run in runs for layer in of_run(RunRecord.of(run.documents()))]
    if (
        not StoredDocuments().recognises(path, b"")
        and files.attached(path) is None
        and isinstance(grid := files.read(path), Grid)
    ):
        return of_grid(grid, path.stem)
    return of_run(RunRecord.of(read_documents(path)), path.stem)


def of_run(record: RunRecord, name: str = "") -> list[Layer]:
    """Return the layers of a run.

    Parameters
    ----------
    record : RunRecord
        The run.
    name : str
        How its layers are named; by its length scale where nothing is given.

    Returns
    -------
    list of (ndarray, dict, str)
        Images of the levelled and of the measured heights, and of the last predicted map and its standard deviation; points
        where spectra were measured, in the colours of their values; dI/dV of each at the bias that the slider shows.
    """
    name = name or record.title
    found = [] if record.topograph is None else _heights(record.topograph, name)
    known = next((one for one in reversed(record.maps) if len(one.mean) == len(record.candidates)), None)
    if known is not None and len(record.candidates):
        unit = f" ({record.units})" if record.units else ""
        shown = Mosaic(record.frame, record.candidates)
        told = (
            (record.sign * known.mean, f"predicted {record.quantity}", _value_colors(record)),
            (known.std, "its standard deviation", "cividis"),
        )
        for values, said, colors in told:
            image = shown.image(values)
            frame = Frame(record.frame.center, record.frame.size, image.shape, record.frame.angle)
            found.append(_image(image, frame, f"{name}: {said}{unit}", colors, visible=False))
    return [*found, *_points(record, name)] if record.spectra else found


def of_grid(grid: Grid, name: str) -> list[Layer]:
    """Return the layers of a grid of spectra.

    Parameters
    ----------
    grid : Grid
        The grid.
    name : str
        How its layers are named.

    Returns
    -------
    list of (ndarray, dict, str)
        Its heights, and each channel that was measured as a stack over the bias, along which the slider goes.
    """
    found = _heights(Topograph(frame=grid.frame, height=grid.height, setpoint=grid.setpoint), name)
    order = np.argsort(grid.bias)
    for channel, said in (("current", "current (nA)"), ("didv", "dI/dV (nS)")):
        values = getattr(grid, channel)
        if np.isfinite(values).any():
            stack = np.moveaxis(values, -1, 0)[order]
            found.append(_image(stack, grid.frame, f"{name}: {said}", "viridis", bias=grid.bias[order]))
    return found


def to_world(points: ArrayLike) -> Floats:
    """Convert places on the sample to coordinates of napari.

    Parameters
    ----------
    points : array_like of shape (..., 2)
        Places as (x, y), in nm.

    Returns
    -------
    ndarray of shape (..., 2)
        (-y, x), in nm.
    """
    x, y = np.moveaxis(np.asarray(points, dtype=float), -1, 0)
    return np.stack([-y, x], axis=-1)


def _heights(topograph: Topograph, name: str) -> list[Layer]:
    frame, height = topograph.frame, np.asarray(topograph.height, dtype=float)
    level = flattened(height)
    raw = _image(height, frame, f"{name}: height as measured (nm)", "gray", visible=False)
    low, high = contrast(level)
    share = float((np.nanmedian(level) - low) / (high - low)) if np.isfinite(level).any() else MIDDLE
    gamma = float(np.clip(np.log(MIDDLE) / np.log(np.clip(share, 0.01, 0.9)), *GAMMAS))
    about: JSON = {"contrast_limits": (low, high), "gamma": gamma}
    return [raw, _image(level, frame, f"{name}: height, levelled (nm)", "gray", **about)]


def _value_colors(record: RunRecord) -> str | JSON:
    """Return the colour map of values, in which what is sought is bright, as in the report; napari has no reversed one."""
    if record.sign > 0:
        return COLORS["value"]
    return {"name": COLORS["small"], "colors": color_table("small") / 255}


def _image(values: Floats, frame: Frame, name: str, colormap: str | JSON, *, bias: Floats | None = None, **more: Any) -> Layer:
    """An image of a frame, or a stack of them over the bias, with the transform that brings its pixels to their places."""
    matrix = np.eye(3)
    origin, down, along = to_world(frame.to_sample([(0, 0), (1, 0), (0, 1)]))
    matrix[:2] = np.column_stack([down - origin, along - origin, origin])
    about: JSON = {"name": name, "colormap": colormap, **more}
    if bias is None:
        return values, {**about, "affine": matrix, **_axes()}, "image"
    deep = np.eye(4)
    deep[1:, 1:] = matrix
    deep[0, 0], deep[0, 3] = _step(bias), bias[0]
    return values, {**about, "affine": deep, "metadata": {"bias_V": bias}, **_axes("V")}, "image"


def _points(record: RunRecord, name: str) -> list[Layer]:
    spectra, values = record.spectra, record.sign * record.values
    places, valued = to_world(record.places), np.isfinite(values)
    unit = f" ({record.units})" if record.units else ""
    size = POINT_SHARE * record.frame.size[0]
    look: JSON = {"size": size, "border_width": 0.1, "border_color": "white"}
    features = {
        "number": np.arange(1, len(spectra) + 1),
        "value": values,
        "quality": [spectrum.quality.words for spectrum in spectra],
        "reason": record.reasons,
        "time": [spectrum.time for spectrum in spectra],
    }
    told = {
        "bias_V": [s.bias for s in spectra],
        "current_nA": [s.current for s in spectra],
        "didv_nS": [s.didv for s in spectra],
    }
    found = _swept(spectra, places, name, size)
    for chosen, said, color in (
        (~valued, "spectra without a value", {"face_color": "#b3261e", "symbol": "x"}),
        (valued, f"{record.quantity}{unit}", {"face_color": "value", "face_colormap": _value_colors(record)}),
    ):
        if chosen.any():
            kept = {key: np.asarray(each)[chosen] for key, each in features.items()}
            curves = {key: [row for row, take in zip(rows, chosen, strict=True) if take] for key, rows in told.items()}
            about = {**look, **color, "name": f"{name}: {said}", "features": kept, "metadata": curves, **_axes()}
            found.append((places[chosen], about, "points"))
    return found


def _swept(spectra: Sequence[Spectrum], places: Floats, name: str, size: float) -> list[Layer]:
    """Points at each bias of a sweep that all spectra share, in the colours of dI/dV there; none where they differ."""
    bias = spectra[0].bias
    if len(bias) < 2 or not all(np.array_equal(spectrum.bias, bias) for spectrum in spectra):
        return []
    order = np.argsort(bias)
    values = np.array([np.where(s.saturated, np.nan, s.didv)[order] for s in spectra])
    number, sample = np.nonzero(np.isfinite(values))
    if not len(number):
        return []
    step = _step(bias[order])
    about: JSON = {
        "name": f"{name}: dI/dV at the bias of the slider (nS)",
        "features": {"didv": values[number, sample], "number": number + 1, "bias": bias[order][sample]},
        "face_color": "didv",
        "face_colormap": "viridis",
        "size": size,
        "border_width": 0.0,
        "visible": False,
        "scale": (step, 1.0, 1.0),
        "translate": (bias[order][0], 0.0, 0.0),
        **_axes("V"),
    }
    return [(np.column_stack([sample, places[number]]).astype(float), about, "points")]


def _axes(first: str = "") -> JSON:
    """Names and units of the axes; the first one of a stack is the bias."""
    return {
        "axis_labels": (*(("bias",) if first else ()), "-y", "x"),
        "units": (*((first,) if first else ()), "nm", "nm"),
    }


def _step(bias: Floats) -> float:
    return float(bias[-1] - bias[0]) / max(len(bias) - 1, 1) or 1.0
