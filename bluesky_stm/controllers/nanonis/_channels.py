"""Channels of an instrument by name: indexes differ from one to the next, and from release to release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bluesky_stm.controllers.nanonis_wire._commands import BIAS, CURRENT, HEIGHT, LOCKIN_X, LOCKIN_Y, demodulated
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError

LOCKIN2_X, LOCKIN2_Y = demodulated(2)


@dataclass(frozen=True)
class ChannelNames:
    """Names, with unit, of the signals that are needed, as the instrument's signals manager has them.

    Attributes
    ----------
    bias, current, height : str
        Sample bias (V), tunneling current (A) and height of the tip (m).
    lockin_x, lockin_y : str
        X and Y of demodulator 1 (A).
    lockin2_x, lockin2_y : str
        X and Y of demodulator 2 (A), for d2I/dV2: an instrument may lack them, unless they are given another name here.
    """

    bias: str = BIAS
    current: str = CURRENT
    height: str = HEIGHT
    lockin_x: str = LOCKIN_X
    lockin_y: str = LOCKIN_Y
    lockin2_x: str = LOCKIN2_X
    lockin2_y: str = LOCKIN2_Y

    @property
    def harmonics(self) -> dict[int, tuple[str, str]]:
        """Names of X and Y of the demodulator of each further harmonic."""
        return {2: (self.lockin2_x, self.lockin2_y)}


@dataclass(frozen=True)
class Channels:
    """Their indexes; None for a demodulator that the instrument lacks."""

    bias: int
    current: int
    height: int
    lockin_x: int
    lockin_y: int
    lockin2_x: int | None = None
    lockin2_y: int | None = None

    @property
    def harmonics(self) -> Mapping[int, tuple[int, int]]:
        """X and Y of the demodulator of each further harmonic, of those that the instrument has."""
        return {} if self.lockin2_x is None or self.lockin2_y is None else {2: (self.lockin2_x, self.lockin2_y)}

    @classmethod
    def find(cls, names: ChannelNames, signals: list[str]) -> Self:
        """Look the names up.

        Raises
        ------
        NanonisError
            When one is not there, with those that are.
        """
        asked, may_lack = vars(names), {"lockin2_x": LOCKIN2_X, "lockin2_y": LOCKIN2_Y}
        missing = {key: name for key, name in asked.items() if name not in signals}
        if unknown := sorted(name for key, name in missing.items() if name != may_lack.get(key)):
            raise NanonisError(
                f"There is no signal {', '.join(map(repr, unknown))}. Nothing has moved. The signals are {signals!r:.800}; "
                "say which are meant with channels=ChannelNames(...)."
            )
        return cls(**{key: signals.index(name) for key, name in asked.items() if key not in missing})
