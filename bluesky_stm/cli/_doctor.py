"""``doctor``: what is installed, what can be chosen."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from rich.table import Table

from bluesky_stm.cli._app import app, out


@app.command()
def doctor() -> None:
    """Say what is installed and what can be chosen by name."""
    from bluesky_stm.agents import known_agents
    from bluesky_stm.scalarizers import known_scalarizers

    table = Table("what", "found", box=None)
    table.add_row("Python", platform.python_version())
    for package in ("bluesky-stm", "bluesky", "ophyd", "databroker", "tiled", "numpy", "torch", "gpytorch", "scikit-image"):
        table.add_row(package, _version(package))
    table.add_row("agents", ", ".join(known_agents()))
    table.add_row("scalarizers", ", ".join(known_scalarizers()))
    out.print(table)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
