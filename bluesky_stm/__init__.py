"""A scanning tunneling microscope that explores a surface by itself: devices, plans, agents and replay for Bluesky.

>>> import bluesky_stm
>>> s = bluesky_stm.simulated(seed=7)  # doctest: +SKIP
>>> s = bluesky_stm.open("nanonis", host="192.168.1.10")  # doctest: +SKIP

`open` opens any microscope by its name; ``from bluesky_stm import *`` leaves it out, since it would hide Python's own ``open``.
Names and rooms are loaded when they are used first, as some of them load torch, databroker or matplotlib.
"""

import importlib as _importlib

TYPE_CHECKING = False  # a type checker takes it as True, and ``typing`` need not be loaded
if TYPE_CHECKING:
    from typing import Any

    from bluesky_stm.facility import load_ipython_extension, unload_ipython_extension
    from bluesky_stm.parts import register
    from bluesky_stm.runs import replay, resume, what_if
    from bluesky_stm.session import nanonis, recorded, simulated
    from bluesky_stm.session import open as open  # not in __all__, where it would hide that of Python
    from bluesky_stm.storage import export, import_run, load_run, open_catalog
    from bluesky_stm.views import figure, report

    __version__: str
del TYPE_CHECKING

__all__ = [
    "export",
    "figure",
    "import_run",
    "load_ipython_extension",
    "load_run",
    "nanonis",
    "open_catalog",
    "recorded",
    "register",
    "replay",
    "report",
    "resume",
    "simulated",
    "unload_ipython_extension",
    "what_if",
]

_HOMES = {
    "export": "storage",
    "figure": "views",
    "import_run": "storage",
    "load_ipython_extension": "facility",
    "load_run": "storage",
    "nanonis": "session",
    "open": "session",
    "open_catalog": "storage",
    "recorded": "session",
    "register": "parts",
    "replay": "runs",
    "report": "views",
    "resume": "runs",
    "simulated": "session",
    "unload_ipython_extension": "facility",
    "what_if": "runs",
}


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("bluesky-stm")
    if name in _HOMES:
        return getattr(_importlib.import_module(f"bluesky_stm.{_HOMES[name]}"), name)
    if not name.startswith("_"):
        try:
            return _importlib.import_module(f"bluesky_stm.{name}")
        except ModuleNotFoundError as missing:
            if missing.name != f"bluesky_stm.{name}":
                raise
    raise AttributeError(f"module 'bluesky_stm' has no attribute {name!r}")


def __dir__() -> list[str]:
    from pkgutil import iter_modules

    rooms = {"devices", "plans"} | {module.name for module in iter_modules(__path__)}
    return sorted([*__all__, "open", *rooms, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"])
