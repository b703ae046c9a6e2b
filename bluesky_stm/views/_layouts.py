"""Layouts of a printed figure: what stands where, how wide it is, in which style, and what its caption says."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from bluesky_stm.errors import SettingsError
from bluesky_stm.views import _plates as plates
from bluesky_stm.views._measured import lines, measured
from bluesky_stm.views._record import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MM: Final = 1 / 25.4
"""A millimetre, in inches."""

WIDE: Final = 120.0
"""Width, in mm, from which the panels stand beside one another."""

NARROWEST, WIDEST = 40.0, 600.0
"""Widths that a figure may have, in mm."""


@dataclass(frozen=True)
class Layout:
    """A layout.

    Attributes
    ----------
    panels : tuple of callable
        What is drawn, in the order of the letters.
    width : float
        Of the figure, in mm, if nobody says another one: a column of a journal is 89, a page 183.
    style : str
        Style file of matplotlib.
    columns : int
        Panels beside one another in a wide figure; a narrow one has half as many.
    share : float
        Height of a row, as a share of the width of a panel.
    table : bool
        True to say above the panels all that defines the measurement.
    """

    panels: tuple[plates.Plate, ...]
    width: float
    style: str = "paper"
    columns: int = 4
    share: float = 1.25
    table: bool = False


LAYOUTS: Final[dict[str, Layout]] = {
    "paper": Layout((plates.topograph, plates.predicted, plates.conductance, plates.learning), 183.0),
    "talk": Layout((plates.topograph, plates.predicted, plates.conductance), 338.0, "talk", 3, 1.3),
    "logbook": Layout(
        (
            plates.topograph, plates.predicted, plates.uncertainty, plates.current, plates.conductance, plates.waterfall,
            plates.learning, plates.trusted, plates.health,
        ),
        190.0, "logbook", 3, 1.2, table=True,
    ),
    "maps": Layout((plates.topograph, plates.predicted, plates.uncertainty, plates.acquisition), 183.0),
    "spectra": Layout((plates.current, plates.conductance, plates.waterfall), 183.0, columns=3, share=1.0),
    "learning": Layout((plates.learning, plates.trusted, plates.health, plates.histogram), 183.0, share=1.0),
}  # fmt: skip


def layout_named(name: str) -> Layout:
    """Return a layout.

    Parameters
    ----------
    name : str
        One of `LAYOUTS`.

    Raises
    ------
    SettingsError
        When there is none of that name.
    """
    if name not in LAYOUTS:
        raise SettingsError(f"There is no layout {name!r}. Nothing has been drawn. Take one of: {', '.join(LAYOUTS)}.")
    return LAYOUTS[name]


def style_file(name: str) -> str:
    """Return the path of a style file of matplotlib, for ``matplotlib.style.use``.

    Parameters
    ----------
    name : str
        ``"paper"``, ``"talk"`` or ``"logbook"``.
    """
    return str(files("bluesky_stm.views").joinpath("styles", f"{name}.mplstyle"))


def laid_out(record: RunRecord, name: str, width: float | None = None) -> Figure:
    """Draw a run in a layout.

    Parameters
    ----------
    record : RunRecord
        The run.
    name : str
        One of `LAYOUTS`.
    width : float, optional
        Of the figure, in mm; by default that of the layout.

    Raises
    ------
    SettingsError
        For a layout that does not exist, or a width that no page has.
    """
    layout = layout_named(name)
    width = layout.width if width is None else width
    if not NARROWEST <= width <= WIDEST:
        raise SettingsError(
            f"A figure of {width:g} mm is outside {NARROWEST:g} to {WIDEST:g} mm. Nothing has been drawn. "
            "Columns of a journal are 89 mm wide, pages 183 mm."
        )
    from matplotlib import style

    with style.context(style_file(layout.style)):
        picture = _drawn(record, layout, width)
    save = picture.savefig

    def savefig(*args: Any, **kwargs: Any) -> None:
        with style.context(style_file(layout.style)):  # fonts and resolution of a file are asked for when it is written
            save(*args, **kwargs)

    picture.savefig = savefig  # type: ignore[method-assign]
    return picture


def _drawn(record: RunRecord, layout: Layout, width: float) -> Figure:
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    columns = layout.columns if width >= WIDE else max(1, layout.columns // 2)
    rows = -(-len(layout.panels) // columns)
    letter = rcParams["font.size"]
    told = [f"{name}: {text}" for name, text in measured(record).items()] if layout.table else []
    letters = int(width / (letter * 0.18))
    head = "\n".join(line for one in told for line in textwrap.wrap(one, letters, subsequent_indent="    "))
    caption = "\n".join(textwrap.wrap("; ".join(filter(None, lines(record))), int(letters * 1.02)))
    extra = (head.count("\n") + caption.count("\n") + 4) * letter * 1.25 / 72
    picture = Figure((width * MM, rows * layout.share * width * MM / columns + extra), layout="constrained")
    if head:
        picture.suptitle(head, x=0.01, ha="left", fontsize=letter, linespacing=1.2)
    grid = picture.subplots(rows, columns, squeeze=False).ravel()
    for number, (axes, draw) in enumerate(zip(grid, layout.panels, strict=False)):
        draw(axes, record)
        axes.set_title(f"$\\bf{{{chr(ord('a') + number)}}}$  {axes.get_title(loc='left')}")
    for axes in grid[len(layout.panels) :]:
        axes.remove()
    picture.supxlabel(caption, x=0.01, ha="left", fontsize=0.85 * letter)
    return picture
