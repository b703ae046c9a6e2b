"""The stand-in for a scalarizer that is not installed where a run is looked at."""

from __future__ import annotations

from bluesky_stm.errors import SettingsError
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import Failed, Scalarizer
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.validated import JSON, Data


class Absent:
    """The stand-in for the scalarizer of a run that is not known here; no spectrum has a value.

    Parameters
    ----------
    described : mapping
        The scalarizer as the start document describes it; empty where it names none.
    """

    units = ""

    def __init__(self, described: Data) -> None:
        self.name = str(described.get("name", "value"))
        self._described = dict(described)

    def __call__(self, spectrum: Spectrum) -> float | Failed:
        """Never a value."""
        return Failed(f"the scalarizer {self.name!r} is not installed here, and no value is on record")

    def describe(self) -> JSON:
        """Return what the start document says."""
        return self._described


def scalarizer_of(start: Data) -> Scalarizer:
    """Return the scalarizer of a run, or its stand-in.

    Parameters
    ----------
    start : mapping
        The start document.
    """
    described = start.get("scalarizer", {})
    try:
        return make_scalarizer(described)
    except SettingsError:
        return Absent(described)
