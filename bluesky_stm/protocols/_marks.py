"""What a scalarizer saw on a spectrum, so that a picture can show it: edges, windows, levels, points and fitted curves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.measurements import Spectrum

Kind = Literal["edge", "window", "level", "point", "curve"]

NORMALIZED: Final = "normalized"
"""Channel of a mark that lies on the normalised conductance, which is computed and not measured."""


Z_CURRENT: Final = "z_current"
"""Channel of a mark that lies on I(z), whose places are distances in nm in the place of biases."""


@dataclass(frozen=True)
class Mark:
    """Something that a scalarizer saw on a spectrum. Its class methods make one of each kind.

    Attributes
    ----------
    kind : str
        ``"edge"``: a bias; ``"window"``: a range of bias; ``"level"``: a value; ``"point"``: a place on the curve;
        ``"curve"``: what was fitted.
    label : str
        What it is, in words.
    channel : str
        Name of the channel on whose curve it lies, `NORMALIZED` or `Z_CURRENT`.
    bias : tuple of float
        In V, on `Z_CURRENT` in nm: one of an edge or a point, both ends of a window, each of a curve; none of a level.
    values : tuple of float
        In the unit of the channel: one of a level or a point, each of a curve; none of an edge or a window.
    std : float
        Standard deviation of an edge, in V; NaN where it is unknown.
    """

    kind: Kind
    label: str
    channel: str
    bias: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    std: float = math.nan

    @classmethod
    def edge(cls, label: str, bias: float, channel: str = "didv", std: float = math.nan) -> Self:
        """Mark a bias at which something begins or ends.

        Parameters
        ----------
        label : str
            What begins there.
        bias : float
            In V.
        channel : str
            Channel on which it was found.
        std : float
            Its standard deviation, in V.
        """
        return cls("edge", label, channel, (float(bias),), (), float(std))

    @classmethod
    def window(cls, label: str, low: float, high: float, channel: str = "didv") -> Self:
        """Mark a range of bias that was looked at.

        Parameters
        ----------
        label : str
            What was done with the samples inside.
        low, high : float
            Its ends, in V.
        channel : str
            Channel whose samples were taken.
        """
        return cls("window", label, channel, (float(low), float(high)))

    @classmethod
    def level(cls, label: str, value: float, channel: str = "didv") -> Self:
        """Mark a value with which the curve was compared.

        Parameters
        ----------
        label : str
            What it stands for.
        value : float
            In the unit of the channel.
        channel : str
            Channel that was compared.
        """
        return cls("level", label, channel, (), (float(value),))

    @classmethod
    def point(cls, label: str, bias: float, value: float, channel: str = "didv") -> Self:
        """Mark a place on the curve.

        Parameters
        ----------
        label : str
            What was found there.
        bias : float
            In V.
        value : float
            In the unit of the channel.
        channel : str
            Channel on which it was found.
        """
        return cls("point", label, channel, (float(bias),), (float(value),))

    @classmethod
    def curve(cls, label: str, bias: ArrayLike, values: ArrayLike, channel: str = "didv") -> Self:
        """Mark what was fitted.

        Parameters
        ----------
        label : str
            What it is a fit of.
        bias, values : array_like of shape (n,)
            Points of the curve, in V and in the unit of the channel.
        channel : str
            Channel to which it was fitted.
        """
        along, up = (tuple(np.asarray(one, dtype=float).tolist()) for one in (bias, values))
        return cls("curve", label, channel, along, up)


@runtime_checkable
class Marking(Protocol):
    """A scalarizer that says what it saw on a spectrum."""

    def marks(self, spectrum: Spectrum) -> list[Mark]:
        """Return what was seen, in the order of drawing; what could be found of it where the spectrum has no value.

        Parameters
        ----------
        spectrum : Spectrum
            The spectrum; its value follows from what is marked.
        """
