"""Write the reference of all parts from the registries, for the documentation: ``python docs/parts_reference.py`` prints it.

The same descriptions are what ``bluesky-stm parts`` prints, so the page cannot differ from the program.
"""

import re

from bluesky_stm.cli._parts import words
from bluesky_stm.parts import JSON, KINDS

INTRODUCTION = """# Parts

What is chosen by name, kind by kind, with all settings. This page is written from the registries when the documentation is
built. `bluesky-stm parts` prints the same at a terminal, with the parts of other packages that are installed. The page
[Your own parts](extending.md) says how you write one.
"""


def page() -> str:
    """Return the page, in Markdown."""
    kinds = (f"## {kind.capitalize()}s\n\n{_kind(registry.group)}\n{_parts(kind)}" for kind, registry in KINDS.items())
    return "\n".join([INTRODUCTION, *kinds])


def _kind(group: str) -> str:
    return f"Other packages bring theirs by the entry-point group `{group}`.\n"


def _parts(kind: str) -> str:
    registry = KINDS[kind]
    return "\n".join(_part(registry.describe(name)) for name in registry.names)


def _part(one: JSON) -> str:
    unit = f" The value is in {one['units']}." if one["units"] else ""
    lines = [f"### `{one['name']}`", "", _prose(one["about"]) + unit, ""]
    if one["settings"]:
        lines += ["| setting | default | unit | what it is for |", "|---|---|---|---|"]
        lines += [_setting(setting) for setting in one["settings"]]
        lines.append("")
    return "\n".join(lines)


def _setting(setting: JSON) -> str:
    shown = "to be given" if setting["required"] else f"`{words(setting['default'])}`"
    cells = (f"`{setting['name']}`", shown, setting["units"], setting["about"])
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _prose(about: str) -> str:
    """Return what stands before the first section of a docstring, with the marks of Markdown."""
    text = re.split(r"\n\n(?:Attributes|Parameters|References|Notes)\n-+", about)[0].strip()
    text = re.sub(r" ?\[\d\]_", "", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


if __name__ == "__main__":
    print(page(), end="")
