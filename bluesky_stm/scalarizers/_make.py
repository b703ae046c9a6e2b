"""Scalarizers made by what was chosen, or by what a run was judged by."""

from __future__ import annotations

from bluesky_stm import parts
from bluesky_stm.errors import UnknownNameError
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Scalarizer
from bluesky_stm.validated import Data


def make_scalarizer(choice: str | Data | Part | Scalarizer) -> Scalarizer:
    """Return the scalarizer that is chosen.

    Parameters
    ----------
    choice : str, mapping, Part or Scalarizer
        A name, ``{"name": ..., **settings}`` as in a start document, or a scalarizer, which is returned as it is.

    Raises
    ------
    UnknownNameError
        When no package has brought a scalarizer of that name.
    SettingsError
        When a setting does not exist or makes no sense.
    """
    return parts.scalarizers.make(choice)


def sign_of(described: Data) -> int:
    """Return the factor between the value that an agent is given and the one that people read.

    Parameters
    ----------
    described : mapping
        A scalarizer as it describes itself, also one that nobody has brought here.

    Returns
    -------
    int
        -1 where small values are sought, since an agent seeks large ones; else 1.
    """
    return -1 if described.get("prefer") == "small" else 1


def scalarizer_of(start: Data) -> Scalarizer:
    """Make the scalarizer by which the spectra of a run were judged, from its start document.

    Raises
    ------
    UnknownNameError
        For a name that no package has brought; the message says which package brought it when the run was made.
    """
    described = start["scalarizer"]
    if described["name"] not in parts.scalarizers:
        raise UnknownNameError.in_run("scalarizer", described["name"], start)
    return make_scalarizer(described)
