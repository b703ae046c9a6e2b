"""``ipython``, ``queue-files``, ``deploy-files``, ``heartbeat``, ``pvs``, ``agent``: the package inside a facility."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import Folder, Queue, Seed, chosen, out
from bluesky_stm.errors import SettingsError
from bluesky_stm.submission import CONTROL

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


@app.command("deploy-files")
def deploy_files(
    target: Annotated[Path, typer.Argument(help="Where to write them.")] = Path("deploy"),
    folder: Annotated[Path, typer.Option(help="Folder with bluesky_stm.yaml and the queue files.")] = Path("."),
    user: Annotated[str, typer.Option(help="User as whom the services run; else you.")] = "",
) -> None:
    """Write systemd units and a Dockerfile for the processes of a microscope, and say how to install them."""
    from bluesky_stm.facility import write_deploy_files

    written = write_deploy_files(target, folder, user)
    out.print(f"Written to {target.absolute()}: {', '.join(path.name for path in written)}.", soft_wrap=True)
    out.print(f"sudo cp {target.absolute()}/*.service {target.absolute()}/*.timer /etc/systemd/system/", soft_wrap=True)
    out.print("sudo systemctl enable --now bluesky-stm-queue.service bluesky-stm-heartbeat.timer", soft_wrap=True)


@app.command()
def heartbeat(
    *,
    catalog: Folder,
    alert: Annotated[bool, typer.Option("--alert", help="Tell those whom the settings name, once for each death.")] = False,
) -> None:
    """Say whether the process that measures lives; status 1 if it has died or is silent."""
    from bluesky_stm.facility import read_heartbeat, read_settings, told_already
    from bluesky_stm.night import alerting, logger

    beat = read_heartbeat(Path(catalog))
    why = beat.dead(time.time()) if beat else ""
    if beat is None or not why:
        out.print(str(beat or f"No session has written to {catalog} yet."), soft_wrap=True)
        return
    lost = f" It measured {beat.what} {beat.run[:8]}, {beat.spectra} spectra so far." if beat.run else ""
    said = f"The session has died: {why}.{lost} Look at the tip, then open the session again."
    out.print(said, soft_wrap=True)
    if alert and not told_already(Path(catalog), beat):
        with alerting(read_settings().alerts):
            logger.error("%s", said)
    raise typer.Exit(1)


@app.command()
def pvs(
    subscribe: Annotated[str, typer.Option(help="Where documents come from: out-address of a 0MQ proxy.")],
    prefix: Annotated[str, typer.Option(help="What stands before each name.")] = "STM:",
) -> None:
    """Serve state, place, set point, current, progress and best value of the run that goes on as EPICS process variables."""
    from bluesky_stm.facility import serve_pvs

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        serve_pvs(subscribe, prefix)


@app.command()
def agent(
    subscribe: Annotated[str, typer.Option(help="Where documents come from: out-address of a 0MQ proxy.")],
    scale: Annotated[str | None, typer.Option(help="Length scale, by name.")] = None,
    queue: Queue = CONTROL,
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
