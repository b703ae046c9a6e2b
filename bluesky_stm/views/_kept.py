"""What was worked out once is kept while it follows from the same objects: a live page draws at every document."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
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
        return self.of_each([(name, sources)], lambda _: [work()])[0]

    def of_each(self, asked: Sequence[tuple[Hashable, tuple[object, ...]]], work: Callable[[list[int]], list[T]]) -> list[T]:
        """Return several results; those that have to be worked out anew are so together.

        Parameters
        ----------
        asked : sequence of (hashable, tuple of object)
            Name and sources of each result, as of `of`.
        work : callable
            Takes the numbers of some of them, and works these out.
        """
        new = [number for number, (name, sources) in enumerate(asked) if not self._has(name, sources)]
        for number, result in zip(new, work(new) if new else [], strict=True):
            self._known[asked[number][0]] = asked[number][1], result
        return [self._known[name][1] for name, _ in asked]  # type: ignore[misc]

    def _has(self, name: Hashable, sources: tuple[object, ...]) -> bool:
        known = self._known.get(name)
        return known is not None and _same(known[0], sources)


def _same(known: tuple[object, ...], sources: tuple[object, ...]) -> bool:
    return len(known) == len(sources) and all(one is other for one, other in zip(known, sources, strict=True))
