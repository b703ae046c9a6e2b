"""Commands for Nanonis: ``nanonis-sim``, ``nanonis-check``."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import PORTS, Host, Ports, Seed, numbers, out


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
def nanonis_check(host: Host = "127.0.0.1", ports: Ports = PORTS) -> None:
    """Look at a Nanonis controller and say what an autonomous run would still need. Writes nothing."""
    from bluesky_stm.controllers.nanonis import NanonisController, check

    with closing(NanonisController(host, numbers(ports, int), read_only=True)) as controller:
        findings = check(controller)
    table = Table("", "what", "found", "what to do", box=None)
    for finding in findings:
        mark = "[red]!![/]" if finding.missing else "[yellow]![/]" if finding.advice else "[green]ok[/]"
        table.add_row(mark, finding.what, finding.found, finding.advice)
    out.print(table)
    missing = sum(finding.missing for finding in findings)
    out.print("Ready for a supervised run." if not missing else f"Not ready: see to {missing} of {len(findings)}.")
    raise typer.Exit(1 if missing else 0)
