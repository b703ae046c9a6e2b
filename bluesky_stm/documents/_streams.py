"""The names of the streams of a run; their keys are in ``docs/documents.md``."""

from __future__ import annotations

from typing import Final

from bluesky_stm.data import Data

Document = tuple[str, Data]
"""Name and content of a document."""

SCHEMA_VERSION: Final = 3
"""Version of the contract in ``docs/documents.md``.

Since 2 a run says its limits and settings, and its journal is chained. Since 3 each Event has the shapes that its descriptor
declares: an image of drift that is finer than the quick ones stands in a stream of its own.
"""

SHAPED_SINCE: Final = 3
"""First version whose images of drift have the shapes that are declared."""

IMPORT: Final = "import_file"
"""Name of the plan that runs which were read from a file of others say they came from."""


class Stream:
    """Names of the streams that this package writes.

    They are plain text and no enumeration, because documents travel to processes that do not have this package.
    """

    TOPOGRAPH: Final = "topograph"
    PRIMARY: Final = "primary"
    AGENT: Final = "agent"
    MAPS: Final = "maps"
    DRIFT: Final = "drift"
    DRIFT_FINE: Final = "drift_fine"
    OVERVIEW: Final = "overview"
    TIP_CHECK: Final = "tip_check"
    INTERVENTION: Final = "intervention"
    LINES: Final = "lines"
    SWEEPS: Final = "sweeps"
    TRACKING: Final = "tracking"


EVENTS: Final = {
    Stream.TOPOGRAPH: "an image",
    Stream.PRIMARY: "a spectrum",
    Stream.AGENT: "a decision",
    Stream.MAPS: "a posterior map",
    Stream.DRIFT: "a measurement of drift",
    Stream.DRIFT_FINE: "a measurement of drift by a finer image",
    Stream.OVERVIEW: "a frame found again",
    Stream.TIP_CHECK: "a spectrum at the place of reference",
    Stream.INTERVENTION: "what a person asked",
    Stream.LINES: "a line of a scan that was flown",
    Stream.SWEEPS: "a sweep of something else than the bias",
    Stream.TRACKING: "a feature that was held",
}
"""What one Event of each stream is."""
