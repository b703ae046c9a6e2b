"""The ground truth of a surface: places of a known kind. Only tests and benchmarks may ask for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.errors import UnknownNameError
from bluesky_stm.geometry import Floats
from bluesky_stm.surface._points import SurfacePoints
from bluesky_stm.surface._surface import Surface

_REST = 0.06
"""Largest share of anything else that a site may have."""

_TRIES = {"terrace": 15, "region": 15, "edge": 80}
"""Number of random places that are tried for each one wanted."""


def sites(
    surface: Surface,
    kind: str,
    count: int,
    reach: float = 400.0,
    spread: float = 0.0,
    center: tuple[float, float] = (0.0, 0.0),
) -> Floats:
    """Return places where a surface shows one kind of thing and hardly anything else.

    Parameters
    ----------
    surface : Surface
        Surface that is searched.
    kind : str
        ``"terrace"``, ``"region"``, ``"edge"``, the name of a species, or of a species and a part of it (``"triangle pit"``).
    count : int
        Largest number of places; they are chosen at random.
    reach : float
        Half the side of the square in which they are searched, in nm.
    spread : float
        Largest distance of a site from the centre of its defect, in nm.
    center : (float, float)
        Middle of that square, (x, y) in nm.

    Returns
    -------
    ndarray of shape (at most ``count``, 2)
        Places as (x, y), in nm.

    Raises
    ------
    UnknownNameError
        When the surface has nothing of that kind.
    """
    rng = np.random.default_rng(surface.seed)
    found: Floats
    if kind in _TRIES:
        found = rng.uniform(-reach, reach, (_TRIES[kind] * count, 2)) + center
    else:
        low, high = np.array(center) - reach, np.array(center) + reach
        found = _around_defects(surface, kind, count, (low, high), spread, rng)
    return found[_shows(surface, found, kind)][:count]


def _around_defects(
    surface: Surface, kind: str, count: int, corners: tuple[Floats, Floats], spread: float, rng: np.random.Generator
) -> Floats:
    centers = {
        f"{species.name} {part.part}".strip(): (species.name, getattr(part.envelope, "offset", (0.0, 0.0)))
        for species in surface.sample.species
        for part in species.influences
    } | {species.name: (species.name, (0.0, 0.0)) for species in surface.sample.species}
    if kind not in centers:
        raise UnknownNameError.among("kind of site", kind, [*_TRIES, *centers])
    name, offset = centers[kind]
    defects = [(d.x, d.y) for d in surface.defects(*corners) if d.species == name]
    if not defects:
        return np.empty((0, 2))
    found = np.array(defects)[rng.integers(len(defects), size=4 * count)] + offset
    angle, distance = rng.uniform(0, 2 * np.pi, len(found)), spread * np.sqrt(rng.random(len(found)))
    return found + np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])


def _shows(surface: Surface, points: Floats, kind: str) -> NDArray[np.bool_]:
    """Return which places show ``kind`` fully (if it is no defect) and nearly nothing else; shape (n,)."""
    shares = SurfacePoints(surface, points).shares
    others = [share for name, share in shares.items() if name not in ("puddle", "pattern") and not _same(kind, name)]
    alone = np.max(others, axis=0) < _REST if others else np.ones(len(points), dtype=bool)
    return alone & (shares[kind] > 0.99) if kind in _TRIES and kind in shares else alone


def _same(kind: str, name: str) -> bool:
    """Return True when both names belong to one species."""
    return name.startswith(kind) or kind.startswith(name)
