"""Eyes on a run: progress in a terminal, a live picture, a page to show to a colleague. All are fed documents."""

from bluesky_stm.views._figure import figure
from bluesky_stm.views._live import LiveView
from bluesky_stm.views._progress import Progress
from bluesky_stm.views._record import Best, PredictedMap, RunRecord
from bluesky_stm.views._report import report
from bluesky_stm.views._watch import check_display, watch

__all__ = ["Best", "LiveView", "PredictedMap", "Progress", "RunRecord", "check_display", "figure", "report", "watch"]
