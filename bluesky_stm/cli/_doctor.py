"""``doctor``: what is installed, what can be chosen."""

from __future__ import annotations

import platform
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import out


@app.command()
def doctor(
    check: Annotated[
        bool, typer.Option("--check", help="Look whether all that a night needs is there and answers; status 1 if not.")
    ] = False,
) -> None:
    """Say what is installed, what can be chosen by name, and what the settings file says."""
    from bluesky_stm.facility import checks, read_settings, settings_file
    from bluesky_stm.parts import KINDS

    if check:
        found = list(checks(read_settings()))
        table = Table("what", "", Column("found", overflow="fold"), box=None)
        for one in found:
            table.add_row(escape(one.what), one.verdict, escape(one.said))
        out.print(table)
        raise typer.Exit(int(any(one.verdict == "bad" for one in found)))
    table = Table("what", Column("found", overflow="fold"), box=None)
    table.add_row("Python", platform.python_version())
    for package in ("bluesky-stm", "bluesky", "ophyd", "databroker", "tiled", "numpy", "torch", "gpytorch", "scikit-image"):
        table.add_row(package, _version(package))
    table.add_row("GPU", _gpu())
    for kind, registry in KINDS.items():
        table.add_row(f"{kind}s", escape(", ".join(registry.names)))
    table.add_row("settings file", str(settings_file() or "none: all as the package has it"))
    for name, value in read_settings().model_dump(mode="json").items():
        table.add_row(f"  {name}", _words(value))
    out.print(table)


def _gpu() -> str:
    """Return the name of the GPU that torch finds."""
    try:
        import torch
    except ImportError:
        return "not known: torch is not installed"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _words(value: Any) -> str:
    """A setting as a person reads it."""
    if isinstance(value, dict) and "name" in value:  # a part, whose own parts are named only
        told = {key: one["name"] if isinstance(one, dict) and "name" in one else one for key, one in value.items()}
        return escape(", ".join([told.pop("name"), *(f"{key}={one}" for key, one in told.items())]))
    if isinstance(value, list):
        return (
            ", ".join(str(item["name"]) if isinstance(item, dict) else str(item) for item in value) or "those of the microscope"
        )
    return escape(str(value))


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
