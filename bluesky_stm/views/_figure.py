"""The panels of a report as one matplotlib figure: for a notebook, a PNG, a paper."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from bluesky_stm.errors import SettingsError
from bluesky_stm.views._given import FindsRuns, Given, records_of
from bluesky_stm.views._layouts import laid_out
from bluesky_stm.views._panels import HEIGHT, WIDTH, Panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(runs: Given, *, layout: str | None = None, width: float | None = None, catalog: FindsRuns | None = None) -> Figure:
    """Draw runs as one figure of matplotlib.

    Without a layout these are for each run its maps, with points and child frames, and below them spectra, learning curve and
    feature space. A layout draws one run for print, with scale bars, colour bars, letters and a caption.

    Parameters
    ----------
    runs : Run, uid, documents, or several of these
        As for `report`; one run for a layout.
    layout : {"paper", "talk", "logbook", "maps", "spectra", "learning"}, optional
        What is drawn, and in which style.
    width : float, optional
        Of the figure in a layout, in mm: 89 for a column of a journal, 183 for a page; by default that of the layout.
    catalog : Catalog, optional
        Where runs that are given by their uid are found.

    Returns
    -------
    matplotlib.figure.Figure
        One picture, without a layout with a row for each run. A notebook shows it.

    Raises
    ------
    SettingsError
        For no run, for several in a layout, and for a layout or a width that does not exist.
    """
    from matplotlib.figure import Figure

    records = records_of(runs, catalog)
    if not records:
        raise SettingsError("There is no run to draw. Give at least one run, its uid or its documents.")
    if layout is None and width is not None:
        raise SettingsError(f"A width of {width:g} mm is that of a layout, and none is given. Nothing has been drawn.")
    if layout is not None:
        if len(records) > 1:
            raise SettingsError(f"A layout draws one run, not {len(records)}. Nothing has been drawn. Name the run by its uid.")
        return _shown(laid_out(records[0], layout, width))
    picture = Figure(figsize=(WIDTH, HEIGHT * len(records)))
    rows = picture.subfigures(len(records), 1, squeeze=False)[:, 0]
    for row, record in zip(rows, records, strict=True):
        panels = Panels(row)
        panels.begin(record, [child for child in records if child.parent == record.uid])
        panels.update(record)
    return _shown(picture)


def _shown(picture: Figure) -> Figure:
    """Return a figure that a notebook can show."""
    # A notebook asks an object for its picture; pyplot, which would answer for a figure of its own, knows nothing of this one.
    picture._repr_png_ = partial(_as_png, picture)  # type: ignore[attr-defined]
    return picture


def _as_png(picture: Figure) -> bytes:
    buffer = BytesIO()
    picture.savefig(buffer, format="png", dpi=picture.dpi)
    return buffer.getvalue()
