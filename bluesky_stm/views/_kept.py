"""What was worked out once is kept while it follows from the same objects: a live page draws at every document."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")


class Kept:
    """Results, each with the objects that it followed from."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[tuple[object, ...], object]] = {}

    def of(self, name: Hashable, sources: tuple[object, ...], work: Callable[[], T]) -> T:
        """Return a result, worked out anew when one of its sources is another object than before.

        Parameters
        ----------
        name : hashable
            What it is, with all numbers that it depends on.
        sources : tuple of object
            Objects that it follows from, which are never changed in place.
        work : callable
            Works it out.
        """
        known = self._known.get(name)
        if known is None or not _same(known[0], sources):
            known = self._known[name] = (sources, work())
        result: T = known[1]  # type: ignore[assignment]
        return result


def _same(known: tuple[object, ...], sources: tuple[object, ...]) -> bool:
    return len(known) == len(sources) and all(one is other for one, other in zip(known, sources, strict=True))
