"""The names of the streams of a run; their keys are in ``docs/documents.md``."""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 2
"""Version of the contract in ``docs/documents.md``. Since 2 a run says its limits and settings, and its journal is chained."""


class Stream:
    """Names of the streams that this package writes.

    They are plain text and no enumeration, because documents travel to processes that do not have this package.
    """

    TOPOGRAPH: Final = "topograph"
    PRIMARY: Final = "primary"
    AGENT: Final = "agent"
    MAPS: Final = "maps"
    DRIFT: Final = "drift"
    OVERVIEW: Final = "overview"
    TIP_CHECK: Final = "tip_check"
    INTERVENTION: Final = "intervention"
    LINES: Final = "lines"
    SWEEPS: Final = "sweeps"


EVENTS: Final = {
    Stream.TOPOGRAPH: "an image",
    Stream.PRIMARY: "a spectrum",
    Stream.AGENT: "a decision",
    Stream.MAPS: "a posterior map",
    Stream.DRIFT: "a measurement of drift",
    Stream.OVERVIEW: "a frame found again",
    Stream.TIP_CHECK: "a spectrum at the place of reference",
    Stream.INTERVENTION: "what a person asked",
    Stream.LINES: "a line of a scan that was flown",
    Stream.SWEEPS: "a sweep of something else than the bias, from a file of others",
}
"""What one Event of each stream is."""
