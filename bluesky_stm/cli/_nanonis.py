"""Commands for Nanonis: ``nanonis-sim``, ``nanonis-check``, ``nanonis-phase``."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import PORTS, Folder, Ports, Seed, numbers, out
from bluesky_stm.errors import SettingsError

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis import Nanonis

Chosen = Annotated[
    str, typer.Option(help="The controller and its settings, as run takes them: nanonis:host=HOST,preamplifier=7e-5.")
]


@app.command("nanonis-sim")
def nanonis_sim(
    ports: Ports = PORTS,
    seed: Seed = 0,
    profile: Annotated[str, typer.Option(help="State of the instrument: ideal, good_day or bad_day.")] = "good_day",
    speed: Annotated[float, typer.Option(min=0, help="How many times as fast as a real one; 0: acts take no time.")] = 1.0,
    folder: Annotated[Path | None, typer.Option(help="Session path: images and spectra are saved there.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="kind:command:at:seconds, as in drop:BiasSpectr.Start:3.")] = None,
    release: Annotated[
        int, typer.Option(help="Host release of the software that it is: 13742 speaks otherwise in places.")
    ] = 14718,
    log_port: Annotated[
        int | None, typer.Option(help="Port of the TCP logger, 6590 in the vendor's software; without it there is none.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    anywhere: Annotated[bool, typer.Option("--anywhere", help="Allow an address that others reach: no password!")] = False,
) -> None:
    """Be a Nanonis controller: its TCP protocol, with the simulated EuZn2As2 surface behind it, until Ctrl-C."""
    from bluesky_stm.controllers import InstantClock, RealClock, SimulatedController
    from bluesky_stm.controllers.nanonis_server import Fault, NanonisServer

    microscope = SimulatedController(seed=seed, profile=profile, clock=RealClock(speed) if speed else InstantClock())
    server = NanonisServer(
        microscope,
        numbers(ports, int),
        host=host,
        anywhere=anywhere,
        folder=folder,
        release=release,
        speed=speed or 1.0,
        log_port=log_port,
    )
    for text in fault or []:
        server.faults.add(Fault.parse(text))
    with server:
        lockin = microscope.get_lockin()
        out.print(
            f"Listening at {host}, ports {','.join(map(str, server.ports))}. Session path: {server.folder}", soft_wrap=True
        )
        calibration = (
            f"lockin_response={lockin.response:.5g},lockin_offset={lockin.offset:g},preamplifier={lockin.preamplifier:g}"
        )
        despite = "despite=[Safe Tip threshold]"  # many sweeps end at the end of the preamplifier: Safe Tip must not act there
        chosen = f"nanonis:host={host},ports=[{','.join(map(str, server.ports))}],{calibration},{despite}"
        out.print(f'For whoever connects: --controller "{chosen}". Ctrl-C ends it.', markup=False, soft_wrap=True)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.5)


@app.command("nanonis-check")
def nanonis_check(
    host: Annotated[str | None, typer.Option(help="Its address, if --controller names none.")] = None,
    ports: Annotated[str | None, typer.Option(help="Its TCP ports, at least two.")] = None,
    controller: Chosen = "nanonis",
) -> None:
    """Look at a Nanonis controller and say what an autonomous run would still need. Writes nothing."""
    from bluesky_stm.controllers.nanonis import check

    part = _part(controller).changed(read_only=True, safe_tip=None, z=None, end_sweep=None, announce=False, take_over=False)
    told = {"host": host, "ports": None if ports is None else numbers(ports, int)}
    with closing(part.changed(**{name: value for name, value in told.items() if value is not None}).open()) as opened:
        findings = check(opened)
    table = Table("", "what", "found", "what to do", box=None)
    for finding in findings:
        mark = "[red]!![/]" if finding.missing else "[yellow]![/]" if finding.advice else "[green]ok[/]"
        table.add_row(mark, finding.what, finding.found, finding.advice)
    out.print(table)
    missing = sum(finding.missing for finding in findings)
    out.print("Ready for a supervised run." if not missing else f"Not ready: see to {missing} of {len(findings)}.")
    raise typer.Exit(1 if missing else 0)


@app.command("nanonis-phase")
def nanonis_phase(
    controller: Chosen = "nanonis",
    times: Annotated[int, typer.Option(min=1, help="Spectra before, and after the phase is set.")] = 3,
    start: Annotated[float | None, typer.Option(help="First bias of these sweeps, in V.")] = None,
    stop: Annotated[float | None, typer.Option(help="Last bias of them, in V.")] = None,
    *,
    catalog: Folder,
) -> None:
    """Turn the demodulator of a Nanonis to where X holds all of dI/dV, calibrate the lock-in, and say its settings for run.

    It sweeps the bias where the tip stands. Where the spectra do not say the phase, all stays as it was.
    """
    from bluesky_stm.cli._interrupts import execute
    from bluesky_stm.engine import run_engine
    from bluesky_stm.facility import open_session, read_settings
    from bluesky_stm.plans import auto_phase

    with open_session(read_settings().changed(catalog=catalog, microscope=_part(controller)), run_engine({})) as session:
        stm = session.stm
        before = stm.controller.get_lockin()
        ends = {"start": start, "stop": stop}
        sweep = replace(stm.sweep.settings, **{name: value for name, value in ends.items() if value is not None})
        stm.sweep.set(sweep)
        if not execute(session.RE, auto_phase(stm, times), stm):
            raise typer.Exit(130)
        after = stm.controller.get_lockin()
    out.print(f"The demodulator stands at {after.phase:.1f} degrees, {_turned(after.phase - before.phase):+.1f} from before.")
    out.print("The instrument does not know the rest. For --controller, as long as frequency, preamplifier and wiring stay:")
    told = {"response": after.response, "offset": after.offset, "reference": after.reference}
    settings = ",".join(f"lockin_{name}={value:.5g}" for name, value in told.items())
    out.print(settings, soft_wrap=True)


def _turned(degrees: float) -> float:
    """Return an angle between -180 and 180 degrees."""
    return (degrees + 180.0) % 360.0 - 180.0


def _part(choice: str) -> Nanonis:
    """Return the controller that is chosen, which has to be a Nanonis.

    Parameters
    ----------
    choice : str
        As at the command line.

    Raises
    ------
    SettingsError
        When it is another one. Nothing was asked of it.
    """
    from bluesky_stm.controllers.nanonis import Nanonis
    from bluesky_stm.parts import controllers

    part = controllers.make(choice)
    if not isinstance(part, Nanonis):
        raise SettingsError(
            f"{choice!r} is no Nanonis, of which this command knows. Nothing has moved. Name nanonis:host=HOST."
        )
    return part
