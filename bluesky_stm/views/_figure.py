"""The panels of a report as one matplotlib figure: for a notebook, a PNG, a paper."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from bluesky_stm.errors import SettingsError
from bluesky_stm.views._given import FindsRuns, Given, records_of
from bluesky_stm.views._panels import HEIGHT, WIDTH, Panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(runs: Given, *, catalog: FindsRuns | None = None) -> Figure:
    """Draw for each run its maps, with points and child frames, and below them spectra, learning curve and feature space.

    Parameters
    ----------
    runs : Run, uid, documents, or several of these
        As for `report`.
    catalog : Catalog, optional
        Where runs that are given by their uid are found.

    Returns
    -------
    matplotlib.figure.Figure
        One picture, with a row for each run. A notebook shows it.
    """
    from matplotlib.figure import Figure

    records = records_of(runs, catalog)
    if not records:
        raise SettingsError("There is no run to draw. Give at least one run, its uid or its documents.")
    picture = Figure(figsize=(WIDTH, HEIGHT * len(records)))
    rows = picture.subfigures(len(records), 1, squeeze=False)[:, 0]
    for row, record in zip(rows, records, strict=True):
        panels = Panels(row)
        panels.begin(record, [child for child in records if child.parent == record.uid])
        panels.update(record)
    # A notebook asks an object for its picture; pyplot, which would answer for a figure of its own, knows nothing of this one.
    picture._repr_png_ = partial(_as_png, picture)  # type: ignore[attr-defined]
    return picture


def _as_png(picture: Figure) -> bytes:
    buffer = BytesIO()
    picture.savefig(buffer, format="png", dpi=picture.dpi)
    return buffer.getvalue()
