"""Eyes on a run: progress in a terminal, a live picture, a page to show to a colleague. All are fed documents."""

from bluesky_stm.views._figure import figure
from bluesky_stm.views._layouts import LAYOUTS, style_file
from bluesky_stm.views._live import LiveView
from bluesky_stm.views._pack import numbers
from bluesky_stm.views._payload import Check, Checks, Comparison, Comparisons, colors
from bluesky_stm.views._payload import run as run_payload
from bluesky_stm.views._pictures import COLORS, Mosaic, color_table
from bluesky_stm.views._progress import Progress
from bluesky_stm.views._record import Best, PredictedMap, RunRecord
from bluesky_stm.views._report import page, report
from bluesky_stm.views._trust import Trust
from bluesky_stm.views._watch import check_display, watch

__all__ = [
    "COLORS",
    "LAYOUTS",
    "Best",
    "Check",
    "Checks",
    "Comparison",
    "Comparisons",
    "LiveView",
    "Mosaic",
    "PredictedMap",
    "Progress",
    "RunRecord",
    "Trust",
    "check_display",
    "color_table",
    "colors",
    "figure",
    "numbers",
    "page",
    "report",
    "run_payload",
    "style_file",
    "watch",
]
