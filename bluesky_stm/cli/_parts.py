"""``parts``: what can be chosen by name, and what each part can be told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import out
from bluesky_stm.errors import SettingsError, UnknownNameError

if TYPE_CHECKING:
    from bluesky_stm.data import JSON
    from bluesky_stm.parts import Part, Parts

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON: also the schema of the settings.")]


@app.command()
def parts(
    kind: Annotated[str | None, typer.Argument(help='Kind of part, such as scalarizer or "stop rule"; else all.')] = None,
    name: Annotated[str | None, typer.Argument(help="One part; else all of that kind.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Show what can be chosen by name, from this package and others: settings, units, defaults, and what each is for."""
    from bluesky_stm.parts import KINDS

    registries = [registry_of(kind)] if kind else list(KINDS.values())
    if name:
        found = [registries[0].describe(name)]  # one that is broken is refused when it is named, and only then
    else:
        found = [_described(registry, one) for registry in registries for one in registry.names]
    if as_json:
        print(json.dumps(found[0] if name else found, indent=2))
    elif name:
        out.print(_page(found[0]))
    else:
        for registry in registries:
            out.print(f"[italic]{registry.kind}[/] (entry points: {registry.group})")
            out.print(_overview(one for one in found if one["kind"] == registry.kind))
        if kind:
            out.print(f'One of them: bluesky-stm parts "{registries[0].kind}" NAME.')


def registry_of(kind: str) -> Parts[Part]:
    """Return the registry of a kind, written as one word or in the plural, ``stop-rules``, or by a word that it has alone.

    ``profile`` is enough for an instrument profile; ``rule`` is not, as there are several kinds of rules.

    Raises
    ------
    UnknownNameError
        When there is no such kind, or several.
    """
    from bluesky_stm.parts import KINDS

    asked = kind.replace("_", " ").replace("-", " ").removesuffix("s").lower()
    words = {known: known.replace("-", " ") for known in KINDS}
    exact = [known for known, written in words.items() if written == asked]
    found = exact or [known for known, written in words.items() if f" {asked} " in f" {written} "]
    if len(found) != 1:
        raise UnknownNameError.among("kind of part", kind, found or KINDS)
    return KINDS[found[0]]


def _described(registry: Parts[Part], name: str) -> JSON:
    """Describe a part; of one that cannot be loaded say why, and from which package it came."""
    try:
        return registry.describe(name)
    except SettingsError as error:
        package = registry.package(name)
        return {
            "kind": registry.kind,
            "name": name,
            "package": package,
            "about": f"Cannot be used. {error}",
            "error": str(error),
        }


def _overview(described: Iterable[JSON]) -> Table:
    table = Table(Column("name", no_wrap=True), "what it is for", box=None, pad_edge=False)
    for one in described:
        table.add_row(f"[bold]{escape(one['name'])}[/]", escape(one["about"].partition("\n\n")[0].replace("\n", " ")))
    return table


def _page(one: JSON) -> Table:
    unit = f", in {one['units']}" if one["units"] else ""
    page = Table.grid()
    page.add_row(f"[bold]{escape(one['name'])}[/] ({one['kind']}{escape(unit)}, from {escape(one['package'])})")
    page.add_row("")
    page.add_row(escape(one["about"]))
    page.add_row("")
    if not one["settings"]:
        page.add_row("It takes no settings.")
        return page
    table = Table(Column("setting", no_wrap=True), "default", "unit", "what it is for", box=None, pad_edge=False)
    for setting in one["settings"]:
        shown = "to be given" if setting["required"] else words(setting["default"])
        table.add_row(f"[bold]{setting['name']}[/]", escape(shown), escape(setting["units"]), escape(setting["about"]))
    page.add_row(table)
    return page


def words(value: object) -> str:
    """Return a setting's default as a person writes it: a part by its name and settings, in one text.

    Parameters
    ----------
    value : object
        Plain JSON: a number, text, a list, a mapping, or None.
    """
    if value is None:
        return "none"
    if isinstance(value, dict) and "name" in value:
        rest = ",".join(f"{key}={json.dumps(item)}" for key, item in value.items() if key != "name")
        return f"{value['name']}:{rest}" if rest else str(value["name"])
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return "; ".join(words(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value)
