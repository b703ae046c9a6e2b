"""Write the reference from the rooms, so that none is missing: ``python docs/reference_pages.py`` prints it."""

from functools import cache
from importlib import import_module

import rooms

WITHOUT = {"cli"}
"""Rooms whose commands are described by ``--help``, and which nobody imports."""


@cache
def modules() -> tuple[str, ...]:
    """Return the public modules and packages, the rooms of the highest level first, each followed by its own packages."""
    found = []
    for level in reversed(rooms.levels()):
        for room in sorted(level - WITHOUT):
            first = rooms.files_of(room)[0]
            found.append(room)
            if first.name == "__init__.py":
                inner = (file.parent.name for file in sorted(first.parent.glob("*/__init__.py")))
                found += [f"{room}.{name}" for name in inner if not name.startswith("_") and name != "page"]
    return tuple(found)


def home(thing: type) -> str:
    """Return the innermost room or package of the reference in which a class is defined."""
    inside = [name for name in modules() if f"{thing.__module__}.".startswith(f"bluesky_stm.{name}.")]
    return max(inside, key=len, default="")


def options(module: str) -> str:
    """Return the options of ``automodule``: a package shows what it offers, but for classes that another room defines."""
    package = import_module(f"bluesky_stm.{module}")
    if not hasattr(package, "__path__"):
        return ""
    named = {name: getattr(package, name) for name in getattr(package, "__all__", ())}
    others = [name for name, thing in named.items() if isinstance(thing, type) and home(thing) != module]
    return "   :imported-members:\n" + (f"   :exclude-members: {', '.join(others)}\n" if others else "")


def page() -> str:
    """Return the page as MyST text."""
    sections = [
        "# Reference\n\nUnits are nm, V, nA, nS, eV, s and K everywhere; arrays are (row, column) = (y, x).\n"
        "The rooms stand in the order of their [levels](rooms.md), the highest first.\n"
    ]
    for module in modules():
        sections.append(f"## {module}\n\n```{{eval-rst}}\n.. automodule:: bluesky_stm.{module}\n{options(module)}```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    print(page(), end="")
