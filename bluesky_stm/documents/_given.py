"""The answer to a person who gives something that is no run where a run is asked for."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from bluesky_stm.errors import SettingsError


def is_document(given: object) -> bool:
    """Return True for one document with its name, as a tuple or as the list that JSON makes of it."""
    return isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[0], str) and isinstance(given[1], Mapping)


def no_run(given: object) -> SettingsError:
    """Return the error for what is no run: a uid without its catalog, a file that is not there, or something else.

    Parameters
    ----------
    given : object
        What a person gave where a run is asked for.
    """
    if isinstance(given, str) and given and Path(given).name == given and not Path(given).suffix:
        return SettingsError(
            f"{given!r} is a uid, and only a catalog knows the run that it names. Nothing has been done. Give catalog= with it "
            f"where there is one to give, or the run itself: catalog[{given!r}]."
        )
    if isinstance(given, str | PathLike) and str(given):
        path = Path(given)
        folder = "is a folder, and not the file of one run"
        what = folder if path.is_dir() else "is none that can be read" if path.exists() else "is not there"
        return SettingsError(f"The file {str(given)!r} {what}. Nothing has been done. Give that of a run, or the run.")
    return SettingsError(
        f"{reprlib.repr(given)} is no run. Nothing has been done. Give a run of a catalog, a file of documents, or the "
        "documents themselves as (name, document)."
    )
