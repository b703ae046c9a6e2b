"""The panels of a report as one matplotlib figure: for a notebook, a PNG, a paper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bluesky_stm.errors import SettingsError
from bluesky_stm.teaching import Document
from bluesky_stm.views._panels import HEIGHT, WIDTH, Panels
from bluesky_stm.views._record import RunRecord, record_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(runs: Iterable[Iterable[Document] | RunRecord]) -> Figure:
    """For each run its maps, with points and child frames, and below them spectra, learning curve and feature space.

    Parameters
    ----------
    runs : iterable of iterables of (name, document)
        As for `report`.
    """
    from bluesky_stm.views._shown import ShownFigure

    records = record_all(runs)
    if not records:
        raise SettingsError("There is no run to draw. Give the documents of at least one run.")
    picture = ShownFigure(figsize=(WIDTH, HEIGHT * len(records)))
    rows = picture.subfigures(len(records), 1, squeeze=False)[:, 0]
    for row, record in zip(rows, records, strict=True):
        panels = Panels(row)
        panels.begin(record, [child for child in records if child.parent == record.uid])
        panels.update(record)
    return picture
