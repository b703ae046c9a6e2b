"""Labels, units, numbers and dates in the files of others."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm import units
from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import CHANNELS

_PREFIXES: Final = {
    "f": 1e-15,
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "\xb5": 1e-6,
    "\u03bc": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
}

_OURS: Final = {
    "m": units.LENGTH,
    "A": units.CURRENT,
    "V": units.BIAS,
    "S": units.CONDUCTANCE,
    "Hz": units.FREQUENCY,
    "s": units.TIME,
    "K": units.TEMPERATURE,
    **{match[1]: channel.units for channel in CHANNELS if (match := re.search(r"\(([^()]*)\)$", channel.label))},
}
"""Our unit by that of SI."""


class Label(NamedTuple):
    """A channel as a file names it, taken apart: ``"Current [00002] [bwd] (A)"``.

    Attributes
    ----------
    base : str
        Name of the signal: ``"Current"``.
    unit : str
        ``"A"``; empty where the label has none.
    backward, average, filtered : bool
        True for the way back, for the average of several sweeps, and for values that the software has smoothed.
    sweep : int or None
        Number of one of several sweeps.
    """

    base: str
    unit: str
    backward: bool = False
    average: bool = False
    filtered: bool = False
    sweep: int | None = None

    @classmethod
    def of(cls, label: str) -> Label:
        """Take a label apart."""
        name, unit = split_unit(label)
        tags = [tag.lower() for tag in re.findall(r"\[(\w+)\]", name)]
        sweep = next((int(tag) for tag in tags if tag.isdigit()), None)
        base = " ".join(re.sub(r"\[(\d+|avg|bwd|filt)\]", "", name, flags=re.IGNORECASE).split())
        return cls(base, unit, "bwd" in tags, "avg" in tags, "filt" in tags, sweep)


def split_unit(label: str) -> tuple[str, str]:
    """Return name and unit of a label.

    Parameters
    ----------
    label : str
        Name of a channel as a file has it, such as ``"Current [bwd] (A)"``.

    Returns
    -------
    name : str
        Without the unit: ``"Current [bwd]"``.
    unit : str
        ``"A"``; empty where the label has none.
    """
    match = re.fullmatch(r"(.*?) *\(([^()]*)\)((?: *\[\w+])*)", label.strip())
    return (match[1] + match[3], match[2].strip()) if match else (label.strip(), "")


def si_unit(unit: str) -> tuple[str, float]:
    """Return the unit without its prefix, and what one of it is in SI.

    Parameters
    ----------
    unit : str
        Such as ``"pA"``: ``("A", 1e-12)``. What is not known comes back as it is, with 1.
    """
    if unit not in _OURS and unit[:1] in _PREFIXES and unit[1:] in _OURS:
        return unit[1:], _PREFIXES[unit[0]]
    return unit, 1.0


def our_unit(unit: str) -> str:
    """Return the unit that `in_our_unit` turns a unit into.

    Parameters
    ----------
    unit : str
        Such as ``"m"`` or ``"pm"``, of which ``"nm"`` is made; a unit that has no counterpart comes back as it is.
    """
    return _OURS.get(si_unit(unit)[0], unit)


def our_factor(unit: str) -> float:
    """Return the factor that turns a value in ``unit`` into ours: 1e9 for ``"A"``, 1e-3 for ``"pA"``."""
    plain, factor = si_unit(unit)
    return factor / units.si_factor(_OURS[plain]) if plain in _OURS else 1.0


def in_our_unit(values: ArrayLike, unit: str) -> Floats:
    """Return values in our units (nm, nA, V ...).

    Parameters
    ----------
    values : array_like of shape (...)
        Values in ``unit``.
    unit : str
        A unit of SI, with or without a prefix; what has no unit of ours stays as it is.

    Returns
    -------
    ndarray of shape (...)
        NaN where the file holds no finite number: nothing was measured there.
    """
    return without_infinities(np.array(np.multiply(values, our_factor(unit), dtype=float)))


def without_infinities(values: Floats) -> Floats:
    """Put NaN in the place of infinite values, in the array itself: no microscope measures one.

    Parameters
    ----------
    values : ndarray of shape (...)
        As a file holds them.
    """
    if (infinite := np.isinf(values)).any():
        values[infinite] = np.nan
    return values


def checked_unit(label: str, unit: str, wanted: str) -> None:
    """Refuse a unit that is not of the wanted kind.

    Parameters
    ----------
    label : str
        Name of the channel, for the message.
    unit : str
        Unit as the file has it.
    wanted : str
        Our unit of the kind that is wanted, such as ``"nA"``.

    Raises
    ------
    FileFormatError
        When the unit is another, or not known.
    """
    if our_unit(unit) != wanted or si_unit(unit)[0] not in _OURS:
        raise FileFormatError(
            f"The channel {label!r} has the unit {unit!r}, which is not read as {wanted}: a guess could be wrong by any "
            "factor. Nothing was read. Correct the label in a copy of the file."
        )


def as_number(text: str) -> float:
    """Return the number that a text is, also with a decimal comma.

    Raises
    ------
    ValueError
        When it is none, or a comma in it may separate decimals or thousands.
    """
    plain = text.strip()
    if "," in plain:
        if "." in plain or plain.count(",") > 1 or re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", plain):
            raise ValueError(f"the comma in {plain!r} may stand before decimals or thousands")
        plain = plain.replace(",", ".")
    return float(plain)


def timestamp(text: str | None) -> float:
    """Return a date of Nanonis as seconds since 1970; 0 where there is none.

    Parameters
    ----------
    text : str or None
        Such as ``"26.10.2021 10:48:37"``, which carries no time zone and is read as UTC.
    """
    plain = (text or "").strip()
    for form in ("%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"):
        try:
            return datetime.strptime(plain, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return 0.0


def date_of(time: float) -> str:
    """Inverse of `timestamp`, whole seconds."""
    return datetime.fromtimestamp(round(time), UTC).strftime("%d.%m.%Y %H:%M:%S")
