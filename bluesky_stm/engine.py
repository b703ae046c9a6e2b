"""A RunEngine, and plans for it, made in less time.

A RunEngine of Bluesky 1.15 imports ophyd-async, with all that this needs, to note its version in the metadata of each run: that
takes a third of the time of ``import bluesky, ophyd``. And each plan stub writes the whole stack of its caller as text, line by
line from the files, for a warning that it gives only if nobody iterates it: that takes as long as all simulated acts of an
exploration together. Here metadata and warnings are the same. A test fails for each of them when Bluesky no longer needs it.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from types import FrameType, ModuleType
from typing import Any

from bluesky import RunEngine
from bluesky import utils as bluesky_utils


class _Version(ModuleType):
    """Stands for a package whose version alone is asked for; whoever asks for more gets the package.

    Parameters
    ----------
    name : str
        Name of the package.
    version : str
        Its version.
    """

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name)
        self.__version__ = version

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def run_engine(md: dict[str, Any] | None = None, **told: Any) -> RunEngine:
    """Make a RunEngine, which notes the version of ophyd-async, without loading ophyd-async.

    Parameters
    ----------
    md : dict, optional
        Metadata of every run.
    **told
        Whatever else a RunEngine takes.
    """
    known = "ophyd_async"
    try:
        stand_in = _Version(known, version("ophyd-async"))
    except PackageNotFoundError:
        return RunEngine(md, **told)
    if sys.modules.setdefault(known, stand_in) is not stand_in:
        return RunEngine(md, **told)
    try:
        return RunEngine(md, **told)
    finally:
        if sys.modules.get(known) is stand_in:
            del sys.modules[known]


class _Stack:
    """What a plan says if nobody iterates it; the stack in which it was made becomes text only when that is read.

    Parameters
    ----------
    name : str
        Name of the plan.
    depth : int
        Number of innermost frames that are left out.
    """

    def __init__(self, name: str, depth: int) -> None:
        self._name, self._places = name, []
        frame: FrameType | None = sys._getframe(depth)  # noqa: SLF001
        while frame is not None:
            self._places.append((frame.f_code, frame.f_lineno))
            frame = frame.f_back

    def __iter__(self) -> Iterator[str]:
        places = [(code.co_filename, line, code.co_name, None) for code, line in reversed(self._places)]
        yield from traceback.StackSummary.from_list(places).format()
        yield f"RuntimeWarning: plan `{self._name}` was never iterated, did you mean to use `yield from`?"


def make_plans_quickly() -> None:
    """Let the plan stubs of Bluesky note in which stack they were made, instead of writing it down as text.

    Where they are others than those known here, everything stays as it is.
    """
    made = getattr(bluesky_utils, "Plan", None)
    if made is None or getattr(made, "__slots__", ()) != ("_iter", "_stack"):
        return

    def begin(plan: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        plan._iter = function(*args, **kwargs)  # noqa: SLF001
        plan._stack = _Stack(function.__name__, 3)  # noqa: SLF001 - without itself, this function and the decorator

    made.__init__ = begin
