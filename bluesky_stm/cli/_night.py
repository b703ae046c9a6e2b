"""``plan`` and ``schema``: what a night will do, and what can be said of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import out
from bluesky_stm.errors import UnknownNameError


@app.command()
def plan(
    night: Annotated[Path, typer.Argument(help="The night: night.yaml.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting instead of that in the file: drift=false.")
    ] = None,
    rehearsed: Annotated[bool, typer.Option("--rehearse/--no-rehearsal", help="Run it on the simulated twin.")] = True,
) -> None:
    """Say what a night will do, how long it takes and what it risks, and rehearse it on the simulated twin. Nothing moves."""
    from bluesky_stm.cli._measure import changed_settings
    from bluesky_stm.facility import open_session, outlook, read_settings, rehearsal, rehearse
    from bluesky_stm.night import Night

    place = read_settings()
    described = Night.parse(changed_settings(Night.read(night).told, settings or ()))
    with open_session(rehearsal(place)) as session:
        out.print(str(outlook(session, described)), soft_wrap=True)
    if rehearsed:
        out.print(str(rehearse(place, described)), soft_wrap=True)


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="night, or settings for the settings file.")] = "night",
) -> None:
    """Print the JSON schema of night.yaml or of the settings file, which editors understand."""
    from bluesky_stm.facility import Facility
    from bluesky_stm.night import Night

    known = {"night": Night, "settings": Facility}
    if name not in known:
        raise UnknownNameError.among("schema", name, known)
    print(json.dumps(known[name].model_json_schema(), indent=1))
