"""How an agent computes: after it has seen a topograph, and in one thread, so that a replay gets the same bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar, cast

from bluesky_stm.agents._fit import one_thread
from bluesky_stm.measurements import Topograph

CPU: Final = "cpu"
"""Where it is computed, as the health of a decision says; runs of other versions may name a GPU."""

P = ParamSpec("P")
R = TypeVar("R")


class Computer(Protocol):
    """An object that computes from a topograph."""

    @property
    def topograph(self) -> Topograph:
        """The topograph; the property raises an error where there is none, as nothing can be computed without it."""


C = TypeVar("C", bound=Computer)


def computed(method: Callable[Concatenate[C, P], R]) -> Callable[Concatenate[C, P], R]:
    """Decorate a method of an agent to run in one thread, and to be refused where there is no topograph."""

    @wraps(method)
    def in_one_thread(self: C, *args: P.args, **kwargs: P.kwargs) -> R:
        with one_thread():
            assert self.topograph  # or it says that there is none
            return method(self, *args, **kwargs)

    return cast(Callable[Concatenate[C, P], R], in_one_thread)
