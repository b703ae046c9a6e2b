"""A scanning tunneling microscope that explores a surface by itself: devices, plans, agents and replay for Bluesky.

>>> import bluesky_stm
>>> s = bluesky_stm.simulated(seed=7)  # doctest: +SKIP
"""

from importlib import import_module
from typing import Any

_LAZY = {
    "simulated": "session",
    "recorded": "session",
    "open_catalog": "storage",
    "load_run": "storage",
    "replay": "runs",
    "resume": "runs",
    "what_if": "runs",
    "figure": "views",
    "report": "views",
    "load_ipython_extension": "facility",
    "unload_ipython_extension": "facility",
}
"""Names at the top of the package, and the room each comes from: loaded when used, as some rooms are heavy."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"bluesky_stm.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'bluesky_stm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
