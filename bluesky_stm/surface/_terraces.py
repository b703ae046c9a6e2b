"""Terraces and step bunches: the positions of the steps and the number of layers of each.

The surface descends along one direction. Every ``period`` holds one bunch, made of the same macro-steps in a random order with
random plateaus between them, so that the level of a far terrace is known without adding up all steps on the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._random import SmoothField, block_rng, direction


@dataclass(frozen=True)
class Steps:
    """The staircase of a sample.

    Attributes
    ----------
    layer : float
        Height of a single step, in nm.
    bunch : tuple of int
        Number of layers of each macro-step of a bunch; each bunch has them in another order.
    period : float
        Mean distance from bunch to bunch, in nm.
    lower_edge : (float, float)
        Range of a uniform distribution of the position of the lowest edge, measured from the middle of its period, in nm.
    plateau : (float, float)
        Range of the widths between the steps of a bunch, in nm.
    angle : float
        Direction in which the surface descends, in degrees counter-clockwise from x.
    meander, meander_length : float
        Root mean square deviation of the edges from a straight line, and its correlation length, in nm.
    """

    layer: float
    bunch: tuple[int, ...]
    period: float = 420.0
    lower_edge: tuple[float, float] = (-80.0, -45.0)
    plateau: tuple[float, float] = (5.0, 20.0)
    angle: float = 5.9
    meander: float = 1.2
    meander_length: float = 40.0


@dataclass(frozen=True)
class Staircase:
    """The steps of one surface.

    Attributes
    ----------
    steps : Steps
        The staircase of the sample.
    seed : int
    """

    steps: Steps
    seed: int

    @property
    def meander(self) -> SmoothField:
        """The deviation of the edges from straight lines, in units of its root mean square."""
        return SmoothField(self.seed, "meander", self.steps.meander_length)

    def downhill(self, points: Floats, meander: Floats | None = None) -> Floats:
        """Return the coordinate (n,) along the descent, in nm, in which the meandering edges are straight lines.

        Parameters
        ----------
        points : ndarray of shape (n, 2)
            Places as (x, y), in nm.
        meander : ndarray of shape (n,), optional
            Values of `meander` there, where they are known already.
        """
        off = self.meander(points) if meander is None else meander
        return points @ direction(self.steps.angle) + self.steps.meander * off

    def height(self, downhill: Floats, slope: float = np.inf) -> Floats:
        """Return the height of the surface as a tip can follow it.

        Parameters
        ----------
        downhill : ndarray of shape (n,)
            Coordinate along the descent, as of `downhill`, in nm.
        slope : float
            Steepness of the flanks of the tip (rise over run).

        Returns
        -------
        ndarray of shape (n,)
            In nm.
        """
        height = np.empty(len(downhill))
        for tile, chosen, nearest, furthest in self._tiles(downhill):
            edges, layers = _bunch(self.steps, self.seed, tile)
            levels = self._floor(tile) + self.steps.layer * np.append(np.cumsum(layers[::-1])[::-1], 0)
            terrace = int(edges.searchsorted(nearest))
            # Far from every edge there is nothing to be drawn wide: the flank of the highest one has come down already.
            far = nearest - edges[:terrace]
            if terrace == edges.searchsorted(furthest) and (levels[:terrace] - slope * far <= levels[terrace]).all():
                height[chosen] = levels[terrace]
                continue
            past = downhill[chosen] - edges[:, None]
            # An ideal tip has an infinite slope, and infinity times a distance of 0 would be NaN.
            beyond = np.where(past > 0, levels[:-1, None] - slope * np.maximum(past, 1e-12), -np.inf)
            height[chosen] = np.maximum(levels[(past > 0).sum(axis=0)], beyond.max(axis=0))
        return height

    def distance(self, downhill: Floats) -> Floats:
        """Return the distance to the nearest step edge, in nm, along the descent; never negative.

        Parameters
        ----------
        downhill : ndarray of shape (n,)
            Coordinate along the descent, as of `downhill`, in nm.

        Returns
        -------
        ndarray of shape (n,)
        """
        distance = np.empty(len(downhill))
        for tile, chosen, *_ in self._tiles(downhill):
            distance[chosen] = np.abs(downhill[chosen] - _bunch(self.steps, self.seed, tile)[0][:, None]).min(axis=0)
        return distance

    def clearance(self, downhill: Floats) -> float:
        """Return a distance, in nm, within which no step edge lies of any of the places, as of `downhill`."""
        nearest = [
            0.0
            if edge.searchsorted(low) < edge.searchsorted(high)
            else np.minimum(np.abs(edge - low), np.abs(edge - high)).min()
            for tile, _, low, high in self._tiles(downhill)
            for edge in (_bunch(self.steps, self.seed, tile)[0],)
        ]
        return float(min(nearest))

    def edges(self, tile: int) -> tuple[Floats, Floats]:
        """Return the edges of one period of the staircase.

        Parameters
        ----------
        tile : int
            Number of the period; it grows downhill.

        Returns
        -------
        edges : ndarray of shape (E,)
            Downhill coordinates of the edges, in nm.
        layers : ndarray of shape (E,)
            Number of layers by which the surface falls at each.
        """
        return _bunch(self.steps, self.seed, tile)

    def _floor(self, tile: int) -> float:
        return -tile * sum(self.steps.bunch) * self.steps.layer

    def _tiles(self, downhill: Floats) -> list[tuple[int, NDArray[np.bool_] | slice, float, float]]:
        """Number of each period there is, which places lie in it, and the least and largest coordinate of any place in it."""
        ends, period = (float(downhill.min()), float(downhill.max())), self.steps.period
        first, last = (math.floor(end / period + 0.5) for end in ends)
        if first == last:
            return [(first, slice(None), *ends)]
        tiles = np.floor(downhill / period + 0.5)
        middles = ((tile, (tile - 0.5) * period, (tile + 0.5) * period) for tile in range(first, last + 1))
        return [(tile, tiles == tile, max(low, ends[0]), min(high, ends[1])) for tile, low, high in middles]


@lru_cache(maxsize=256)
def _bunch(steps: Steps, seed: int, tile: int) -> tuple[Floats, Floats]:
    rng = block_rng(seed, "bunch", tile)
    # The order of these draws is the surface: another one makes other terraces of every seed.
    layers = rng.permutation(steps.bunch)
    widths = rng.uniform(*steps.plateau, len(layers) - 1)
    end = tile * steps.period + rng.uniform(*steps.lower_edge)
    return end - np.append(np.cumsum(widths[::-1])[::-1], 0.0), layers
