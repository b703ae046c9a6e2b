"""``ipython``, ``queue-files``, ``agent``: the package inside a facility."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bluesky_stm.cli._app import Seed, app, chosen, out
from bluesky_stm.errors import SettingsError

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings file; else ./bluesky_stm.yaml, if there.")]
Microscope = Annotated[
    str | None, typer.Argument(help="simulated, recorded:FILE or nanonis:HOST; else as the settings file says.")
]


@app.command()
def ipython(
    microscope: Microscope = None,
    settings: SettingsFile = None,
    startup: Annotated[Path | None, typer.Option(help="Your copy of bluesky_stm/facility/startup.py.")] = None,
    passed_on: Annotated[list[str] | None, typer.Argument(help="After --: IPython's own options.")] = None,
) -> None:
    """Open IPython with RE, stm, catalog, agents and plans by name."""
    from bluesky_stm.facility import prompt, startup_file

    arguments = list(passed_on or [])
    if microscope and microscope.startswith("-"):  # nobody chose a microscope: this stood behind the --
        arguments, microscope = [microscope, *arguments], None
    _choose(settings, microscope)
    prompt(startup or startup_file(), arguments)


@app.command("queue-files")
def queue_files(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")] = Path("."),
    settings: SettingsFile = None,
) -> None:
    """Write what a queue server needs to know, the list of plans and devices and the permissions, and say how to start it."""
    from bluesky_stm.facility import write_queue_files

    _choose(settings, None)
    command = write_queue_files(folder)
    out.print(f"Written to {folder.absolute()}. Start the server, with Redis running, by:", soft_wrap=True)
    out.print(command, soft_wrap=True)
    out.print(
        "It listens on this host alone. For other hosts make keys with qserver-zmq-keys, and set "
        "QSERVER_ZMQ_PRIVATE_KEY_FOR_SERVER here and QSERVER_ZMQ_PUBLIC_KEY there: whoever reaches it may send it programs.",
        soft_wrap=True,
    )


@app.command()
def agent(
    subscribe: Annotated[str, typer.Option(help="Where documents come from: out-address of a 0MQ proxy.")],
    scale: Annotated[str | None, typer.Option(help="Length scale, by name.")] = None,
    queue: Annotated[str, typer.Option(help="Control address of the queue server.")] = "tcp://127.0.0.1:60615",
    name: Annotated[str | None, typer.Option("--agent", help=f"Who chooses; else as the scale says. {chosen('agent')}")] = None,
    scalarizer: Annotated[str | None, typer.Option(help=f"What counts; else as the scale says. {chosen('scalarizer')}")] = None,
    budget: Annotated[int | None, typer.Option(help="Spectra.")] = None,
    seed: Seed = 0,
    prior: Annotated[list[str] | None, typer.Option(help="Uid of an earlier run that it is to know; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--rejoin", help="Be again the agent of the exploration that runs.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Be the agent of one exploration from another machine: it learns from the stream and drives through the queue server."""
    from bluesky_stm.facility import explore_remotely, known_scale, read_settings, rejoin

    if again == (scale is not None):
        raise SettingsError("Give either --scale, to begin an exploration, or --rejoin, to go on with the one that runs.")
    _choose(settings, None)
    if again:
        stop = rejoin(subscribe, queue, tell=out.print)
    else:
        chosen = known_scale(read_settings(), str(scale)).chosen(agent=name, scalarizer=scalarizer, budget=budget)
        stop = explore_remotely(chosen, seed, subscribe, queue, tell=out.print, prior=prior or ())
    raise typer.Exit(0 if stop["exit_status"] == "success" else 1)


def _choose(settings: Path | None, microscope: str | None) -> None:
    """Choose the microscope by the environment, which start-up files and worker processes see, too."""
    from bluesky_stm.facility import FILE, MICROSCOPE

    for variable, value in ((FILE, settings), (MICROSCOPE, microscope)):
        if value is not None:
            os.environ[variable] = str(value)
