"""Commands that measure: ``demo``, ``run``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluesky_stm.cli._app import FOLDER, PORTS, Folder, Host, Page, Ports, Seed, app, numbers, out
from bluesky_stm.cli._interrupts import execute
from bluesky_stm.cli._live import Picture, watched
from bluesky_stm.cli._stored import replay_all, write_report
from bluesky_stm.errors import SettingsError

if TYPE_CHECKING:
    from bluesky_stm.session import Session
    from bluesky_stm.settings import LengthScale


ENDED_BY_PERSON = 130
"""Exit status after Ctrl-C, as a shell gives it."""


class ControllerName(StrEnum):
    """Microscopes that ``run`` knows."""

    SIMULATED = "simulated"
    RECORDED = "recorded"
    NANONIS = "nanonis"


@app.command()
def demo(catalog: Folder = FOLDER, seed: Seed = 1, report: Page = None) -> None:
    """Explore the simulated EuZn2As2 surface at three length scales, replay what was stored, write a report."""
    from bluesky_stm.session import simulated

    with simulated(seed=seed, catalog=catalog) as session:
        uids = _explore(session, list(session.scales.values()))
        same = replay_all(session.catalog, uids)
        write_report(session.catalog, uids, report or session.catalog.path / "report.html")
    out.print("Every recorded decision was reached again." if same else "Some decisions were not reached again: see above.")
    raise typer.Exit(0 if same else 1)


@app.command()
def run(
    file: Annotated[Path | None, typer.Argument(help="Recorded file: a dense grid (.3ds) or a published run (.hf5).")] = None,
    controller: Annotated[ControllerName, typer.Option(help="Which microscope.")] = ControllerName.SIMULATED,
    scales: Annotated[Path | None, typer.Option(help="YAML file: a list of length scales, from large to small.")] = None,
    budget: Annotated[int | None, typer.Option(help="Spectra at each scale.")] = None,
    scalarizer: Annotated[str | None, typer.Option(help="What counts, by name.")] = None,
    agent: Annotated[str | None, typer.Option(help="Who chooses, by name.")] = None,
    catalog: Folder = FOLDER,
    seed: Seed = 0,
    report: Page = None,
    host: Host = "127.0.0.1",
    ports: Ports = PORTS,
    sample: Annotated[str | None, typer.Option(help="What lies under the tip, for the documents.")] = None,
    lockin: Annotated[str | None, typer.Option(help="Gain (V) and offset (nA) of the lock-in, as in 0.0156,-0.0002.")] = None,
    safe_tip: Annotated[float | None, typer.Option(help="Threshold of Safe Tip, in nA; else as it stands.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Show the run in a window as it goes on.")] = False,
    picture: Picture = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Nanonis: print every write just before it is sent. It IS sent: rehearse at nanonis-sim."
        ),
    ] = False,
) -> None:
    """Explore with any microscope: simulated, or a recorded file that answers, or Nanonis over TCP.

    Ctrl-C once pauses at a safe place; twice ends the run with the feedback restored. What was measured is in the catalog.
    """
    from bluesky_stm.facility import read_settings
    from bluesky_stm.session import nanonis, recorded, simulated

    changes = {"budget": budget, "scalarizer": scalarizer, "agent": agent}
    limits = read_settings().limits or None
    _check_options(controller, file, {"--lockin": lockin, "--safe-tip": safe_tip, "--dry-run": dry_run})
    with ExitStack() as whole:
        follow = whole.enter_context(watched(live, picture))
        if controller is ControllerName.NANONIS:
            options: dict[str, Any] = {
                "lockin": numbers(lockin, float) if lockin else None,
                "interlocks": {"safe_tip": safe_tip},
                "announce": (lambda text: out.print(f"  {text}", markup=False)) if dry_run else None,
            }
            session = nanonis(host, numbers(ports, int), seed, catalog, sample=sample or "unnamed", limits=limits, **options)
        elif controller is ControllerName.RECORDED and file:
            session = recorded(file, seed, catalog, limits=limits)
        else:
            session = simulated(seed, catalog, limits=limits)
        whole.enter_context(session)
        session.sample = sample or session.sample
        session.RE.subscribe(follow)
        chosen = _read_scales(scales) if scales else list(session.scales.values())
        uids = _explore(session, [scale.chosen(**changes) for scale in chosen])
        write_report(session.catalog, uids, report or session.catalog.path / "report.html")


def _check_options(controller: ControllerName, file: Path | None, of_nanonis: dict[str, Any]) -> None:
    """Refuse what the chosen microscope would not heed."""
    if controller is ControllerName.RECORDED and file is None:
        raise SettingsError("A recorded microscope needs the file that answers: bluesky-stm run --controller recorded FILE.")
    if controller is not ControllerName.RECORDED and file is not None:
        raise SettingsError(f"{file} answers only with --controller recorded, not {controller}. Nothing has been started.")
    given = [name for name, value in of_nanonis.items() if value]
    if controller is not ControllerName.NANONIS and given:
        raise SettingsError(f"{', '.join(given)} are for --controller nanonis, not {controller}. Nothing has been started.")


def _explore(session: Session, scales: Sequence[LengthScale]) -> list[str]:
    from bluesky_stm.facility import estimate
    from bluesky_stm.plans import explore_multiscale

    session.show_progress()
    started: list[str] = []
    session.RE.subscribe(lambda name, doc: started.append(doc["uid"]), "start")
    out.print(f"On a real microscope {estimate(session.stm, scales)}.")
    began = time.monotonic()
    plan = explore_multiscale(session.stm, scales, session.agent, frame=session.frame, md={"sample": session.sample})
    finished = execute(session.RE, plan, session.stm)
    stored = f"{len(started)} run" if len(started) == 1 else f"{len(started)} runs"
    out.print(f"{stored} stored in {session.catalog.path} after {time.monotonic() - began:.0f} s.")
    if not finished:
        raise typer.Exit(ENDED_BY_PERSON)
    return started


def _read_scales(path: Path) -> list[LengthScale]:
    import yaml

    from bluesky_stm.settings import LengthScale

    try:
        listed = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"The scales cannot be read from {path}: {error}. Nothing has been started.") from None
    if not isinstance(listed, list):
        raise SettingsError(
            f"{path} should hold a list of length scales, not {type(listed).__name__}. Nothing has been started."
        )
    return [LengthScale.parse(scale) for scale in listed]
