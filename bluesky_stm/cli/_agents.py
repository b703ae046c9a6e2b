"""``mcp``, ``proposals``: a door for language-model agents, and what a person decides on what they propose."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._desk import PeopleFile
from bluesky_stm.cli._options import Folder, out
from bluesky_stm.errors import SettingsError

TOKEN = "BLUESKY_STM_TOKEN"


@app.command()
def mcp(
    *,
    catalog: Folder,
    people: PeopleFile = None,
    http: Annotated[int, typer.Option(help="Port to serve over HTTP at /mcp on this host; 0 for stdio.", min=0, max=65535)] = 0,
) -> None:
    """Let a language-model agent read runs, ask what-ifs and propose; it moves nothing, a person accepts or declines.

    Over stdio the environment variable BLUESKY_STM_TOKEN may say who the agent is; over HTTP each request brings its token.
    """
    from bluesky_stm.desk import People, people_file, serve_mcp
    from bluesky_stm.facility import read_settings

    path = people or people_file()
    known = People.read(path) if path.is_file() else People()
    if http and not known.known:
        raise SettingsError(
            f"Nobody is known in {path}. Nothing has been started. Say: bluesky-stm desk-token NAME --role propose"
        )
    serve_mcp(read_settings(), Path(catalog).expanduser(), known, os.environ.get(TOKEN, ""), http)


@app.command()
def proposals(
    proposal: Annotated[str | None, typer.Argument(help="Id of a proposal; else all that wait are shown.")] = None,
    *,
    catalog: Folder,
    people: PeopleFile = None,
    accept: Annotated[bool, typer.Option("--accept", help="Accept it.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Decline it.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    queue: Annotated[str, typer.Option(help="Control address of the queue server, for a night.")] = "",
) -> None:
    """Show what programs propose; accept or decline it with your token, from BLUESKY_STM_TOKEN or asked for."""
    from bluesky_stm.desk import People, Proposals, decide, people_file

    folder = Path(catalog).expanduser()
    kept = Proposals(folder)
    if not (accept or decline):
        for one in [kept[proposal]] if proposal else [one for one in kept.all() if one.state in {"open", "rehearsing"}]:
            out.print(f"[bold]{one.id}[/] {one.by} proposes {one.title}, {one.state}: {one.reason}", highlight=False)
            for name, value in one.card.items():
                out.print(f"    {name}: {value}", markup=False, soft_wrap=True)
        return
    if accept == decline or proposal is None:
        raise SettingsError("Give the id of a proposal and either --accept or --decline. Nothing was decided.")
    token = os.environ.get(TOKEN) or typer.prompt("Your token", hide_input=True)
    person = People.read(people or people_file()).by_token(token)
    out.print(decide(folder, person, proposal, "accept" if accept else "decline", reason, queue), soft_wrap=True)
