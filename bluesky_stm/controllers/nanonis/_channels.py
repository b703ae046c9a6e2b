"""Channels of an instrument by name: indexes differ from one to the next, and from release to release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from bluesky_stm.controllers.nanonis_wire._commands import BIAS, CURRENT, HEIGHT, LOCKIN_X, LOCKIN_Y, demodulated
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.measurements import HARMONICS


@dataclass(frozen=True)
class ChannelNames:
    """Names, with unit, of the signals that are needed, as the instrument's signals manager has them.

    Attributes
    ----------
    bias, current, height : str
        Sample bias (V), tunneling current (A) and height of the tip (m).
    lockin_x, lockin_y : str
        X and Y of demodulator 1 (A).
    """

    bias: str = BIAS
    current: str = CURRENT
    height: str = HEIGHT
    lockin_x: str = LOCKIN_X
    lockin_y: str = LOCKIN_Y


@dataclass(frozen=True)
class Channels:
    """Their indexes."""

    bias: int
    current: int
    height: int
    lockin_x: int
    lockin_y: int
    harmonics: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """X and Y of the demodulator of each further harmonic that has a channel of its own; those that the instrument has."""

    @classmethod
    def find(cls, names: ChannelNames, signals: list[str]) -> Self:
        """Look the names up.

        Raises
        ------
        NanonisError
            When one is not there, with those that are.
        """
        asked = vars(names)
        if missing := sorted(name for name in asked.values() if name not in signals):
            raise NanonisError(
                f"There is no signal {', '.join(map(repr, missing))}. Nothing has moved. The signals are {signals!r:.800}; "
                "say which are meant with channels=ChannelNames(...)."
            )
        further = {number: demodulated(number) for number in HARMONICS if number > 1}
        there = {n: (signals.index(x), signals.index(y)) for n, (x, y) in further.items() if {x, y} <= set(signals)}
        return cls(**{key: signals.index(name) for key, name in asked.items()}, harmonics=there)
