"""Choice of the device on which an agent computes: one thread, a GPU where that pays, and the CPU after the GPU has failed.

The memory of a GPU may be full, as others compute on it too, or the GPU may be gone. Neither may end a night.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

import torch

from bluesky_stm.agents._fit import one_thread
from bluesky_stm.measurements import Topograph

MANY = 16384
"""Number of candidates from which a GPU pays; with fewer, most of its time goes into the calls."""

CPU = torch.device("cpu")

P = ParamSpec("P")
R = TypeVar("R")


class Computer(Protocol):
    """An object that computes on a device and can go on on the CPU."""

    _device: torch.device

    @property
    def topograph(self) -> Topograph:
        """The topograph; the property raises an error where there is none, as nothing can be computed without it."""

    def _move_to_cpu(self, why: str) -> None:
        """Forget what lies on the GPU, and compute on the CPU from now on."""


C = TypeVar("C", bound=Computer)


def device_for(candidates: int) -> torch.device:
    """Return the device on which to compute.

    Parameters
    ----------
    candidates : int
        Number of candidates.

    Returns
    -------
    torch.device
        A GPU if there is one and the candidates are at least `MANY`, else the CPU.
    """
    return torch.device("cuda") if candidates >= MANY and torch.cuda.is_available() else CPU


def device_name(device: torch.device) -> str:
    """Return ``"cpu"``, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def computed(method: Callable[Concatenate[C, P], R]) -> Callable[Concatenate[C, P], R]:
    """Decorate a method of an agent to run in one thread, and once more on the CPU where it fails on a GPU.

    Torch raises a RuntimeError for everything that can fail on a GPU: memory, driver, linear algebra. An error of the
    computation itself occurs on the CPU again, and is raised.
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

    return cast(Callable[Concatenate[C, P], R], either)
