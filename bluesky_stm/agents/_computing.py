"""Where an agent computes: in one thread, on a GPU where that pays, and on the processor from when the GPU fails it.

Its memory may be full, as others compute on it too, or it may be gone: that must not end a night.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import torch

from bluesky_stm.agents._fit import one_thread
from bluesky_stm.measurements import Topograph

MANY = 16384
"""Candidates from which a GPU pays: below, its time goes into being asked."""

CPU = torch.device("cpu")

P = ParamSpec("P")
R = TypeVar("R")


class Computer(Protocol):
    """What computes on a device, and can go on on the processor."""

    _device: torch.device

    @property
    def topograph(self) -> Topograph:
        """What it looks at; without one there is nothing to compute, and it says so."""

    def _move_to_cpu(self, why: str) -> None:
        """Forget what lies on the GPU."""


C = TypeVar("C", bound=Computer)


def device_for(candidates: int) -> torch.device:
    """Where so many candidates belong: on a GPU if there is one and they are `MANY`."""
    return torch.device("cuda") if candidates >= MANY and torch.cuda.is_available() else CPU


def device_name(device: torch.device) -> str:
    """``"cpu"``, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def computed(method: Callable[Concatenate[C, P], R]) -> Callable[Concatenate[C, P], R]:
    """``method`` of an agent, in one thread; once more, on the processor, where it fails on a GPU.

    Torch raises a RuntimeError for all that can fail there: memory, driver, linear algebra. What is wrong in itself fails on
    the processor again, and is raised.
    """

    @wraps(method)
    def either(self: C, *args: P.args, **kwargs: P.kwargs) -> R:
        with one_thread():
            assert self.topograph  # or it says that there is none
            device = self._device
            try:
                return method(self, *args, **kwargs)
            except RuntimeError as error:
                if device == CPU:
                    raise
                why = f"{type(error).__name__}: {str(error).partition('. ')[0]}"
            self._move_to_cpu(why)  # only now: the exception would keep what lies on the GPU
            return method(self, *args, **kwargs)

    return cast(Any, either)
