"""The command line: ``bluesky-stm demo``, ``run``, ``ls``, ``show``, ``replay``, ``report``, ``doctor``.

And for Nanonis ``nanonis-sim`` and ``nanonis-check``.
"""

from __future__ import annotations

import platform
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import Console
from rich.table import Table

from bluesky_stm.errors import SettingsError, STMError

if TYPE_CHECKING:
    from bluesky import RunEngine
    from bluesky.utils import MsgGenerator

    from bluesky_stm.session import Session
    from bluesky_stm.settings import LengthScale
    from bluesky_stm.storage import Catalog

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A scanning tunneling microscope that explores a surface by itself.",
)
out = Console(highlight=False)

Folder = Annotated[Path, typer.Option("--catalog", help="Folder of the catalog; made if it is not there.")]
Seed = Annotated[int, typer.Option(help="Of the surface, of the noise and of the agents.")]
Uids = Annotated[list[str] | None, typer.Argument(help="uids or starts of uids; else the newest campaign.")]
Page = Annotated[Path | None, typer.Option("--report", help="Where to write the report; else into the catalog's folder.")]
Host = Annotated[str, typer.Option(help="Address of the Nanonis controller.")]
Ports = Annotated[str, typer.Option(help="Its TCP ports, at least two.")]
FOLDER = Path("bluesky_stm_data")
PORTS = "6501,6502,6503,6504"


class ControllerName(StrEnum):
    """Microscopes that ``run`` knows."""

    SIMULATED = "simulated"
    RECORDED = "recorded"
    NANONIS = "nanonis"


@app.command()
def demo(catalog: Folder = FOLDER, seed: Seed = 7, report: Page = None) -> None:
    """Explore the simulated EuZn2As2 surface at three length scales, replay what was stored, write a report."""
    from bluesky_stm.session import simulated

    with simulated(seed=seed, catalog=catalog) as session:
        uids = _explore(session, list(session.scales.values()))
        _replay(session.catalog, uids)
        _report(session.catalog, uids, report or catalog / "report.html")


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
    sample: Annotated[str, typer.Option(help="What lies under a real microscope.")] = "unnamed",
    lockin: Annotated[str | None, typer.Option(help="Gain (V) and offset (nA) of the lock-in, as in 0.0156,-0.0002.")] = None,
    safe_tip: Annotated[float | None, typer.Option(help="Threshold of Safe Tip, in nA; else as it stands.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Nanonis: print every write before it is sent. It is sent.")
    ] = False,
) -> None:
    """Explore with any microscope: simulated, or a recorded file that answers, or Nanonis over TCP.

    Ctrl-C once pauses at a safe place; twice ends the run with the feedback restored. What was measured is in the catalog.
    """
    from bluesky_stm.session import nanonis, recorded, simulated

    changes = {"budget": budget, "scalarizer": scalarizer, "agent": agent}
    if controller is ControllerName.RECORDED and file is None:
        raise SettingsError("A recorded microscope needs the file that answers: bluesky-stm run --controller recorded FILE.")
    if controller is ControllerName.NANONIS:
        options: dict[str, Any] = {"lockin": _numbers(lockin, float) if lockin else None, "interlocks": {"safe_tip": safe_tip}}
        options["announce"] = (lambda text: out.print(f"  {text}", markup=False)) if dry_run else None
        session = nanonis(host, _numbers(ports, int), seed, catalog, sample=sample, **options)
    else:
        session = recorded(file, seed, catalog) if file and controller is ControllerName.RECORDED else simulated(seed, catalog)
    with session:
        chosen = _read_scales(scales) if scales else list(session.scales.values())
        uids = _explore(session, [_changed(scale, changes) for scale in chosen])
        _report(session.catalog, uids, report or catalog / "report.html")


@app.command()
def ls(catalog: Folder = FOLDER) -> None:
    """List the stored runs, the newest last."""
    from bluesky_stm.storage import open_catalog, runs

    with open_catalog(catalog, write=False) as opened:
        listed = runs(opened)
        listed[["uid", "campaign"]] = listed[["uid", "campaign"]].map(lambda uid: str(uid)[:8])
        table = Table(*map(str, listed.columns), box=None)
        for row in listed.itertuples(index=False):
            table.add_row(*map(str, row))
        out.print(table)


@app.command()
def show(
    uid: Annotated[str | None, typer.Argument(help="uid or the start of it; else the last run.")] = None,
    catalog: Folder = FOLDER,
) -> None:
    """Show what is known of one run."""
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        stored = opened[uid or -1]
        out.print(stored)
        for name, value in stored.start.items():
            out.print(f"[bold]{name}[/]: {value}")


@app.command()
def replay(uid: Uids = None, catalog: Folder = FOLDER) -> None:
    """Teach a fresh agent the stored documents and check that it reaches every recorded decision again."""
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        same = _replay(opened, uid or _last_campaign(opened))
    raise typer.Exit(0 if same else 1)


@app.command()
def report(
    uid: Uids = None,
    path: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    catalog: Folder = FOLDER,
) -> None:
    """Write one self-contained page about stored runs."""
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        _report(opened, uid or _last_campaign(opened), path)


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


@app.command("nanonis-sim")
def nanonis_sim(
    ports: Ports = PORTS,
    seed: Seed = 0,
    profile: Annotated[str, typer.Option(help="State of the instrument: ideal, good_day or bad_day.")] = "good_day",
    speed: Annotated[float, typer.Option(min=0, help="How many times as fast as a real one; 0: acts take no time.")] = 1.0,
    folder: Annotated[Path | None, typer.Option(help="Session path: images and spectra are saved there.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="kind:command:at:seconds, as in drop:BiasSpectr.Start:3.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    anywhere: Annotated[bool, typer.Option("--anywhere", help="Allow an address that others reach: no password!")] = False,
) -> None:
    """Be a Nanonis controller: its TCP protocol, with the simulated EuZn2As2 surface behind it, until Ctrl-C."""
    from bluesky_stm.controllers import InstantClock, RealClock, SimulatedController
    from bluesky_stm.controllers.nanonis import Fault, NanonisServer

    microscope = SimulatedController(seed=seed, profile=profile, clock=RealClock(speed) if speed else InstantClock())
    server = NanonisServer(microscope, _numbers(ports, int), host=host, anywhere=anywhere, folder=folder)
    for text in fault or []:
        server.faults.add(Fault.parse(text))
    with server:
        lockin = microscope.get_lockin()
        out.print(
            f"Listening at {host}, ports {','.join(map(str, server.ports))}. Session path: {server.folder}", soft_wrap=True
        )
        out.print(f"Its lock-in, for whoever connects: --lockin {lockin.gain:g},{lockin.offset:g}. Ctrl-C ends it.")
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.5)


@app.command("nanonis-check")
def nanonis_check(host: Host = "127.0.0.1", ports: Ports = PORTS) -> None:
    """Look at a Nanonis controller and say what an autonomous run would still need. Writes nothing."""
    from bluesky_stm.controllers.nanonis import NanonisController, check

    with closing(NanonisController(host, _numbers(ports, int), read_only=True)) as controller:
        findings = check(controller)
    table = Table("", "what", "found", "what to do", box=None)
    for finding in findings:
        mark = "[red]!![/]" if finding.missing else "[yellow]![/]" if finding.advice else "[green]ok[/]"
        table.add_row(mark, finding.what, finding.found, finding.advice)
    out.print(table)
    missing = sum(finding.missing for finding in findings)
    out.print("Ready for a supervised run." if not missing else f"Not ready: {missing} of {len(findings)} need somebody.")
    raise typer.Exit(1 if missing else 0)


def main() -> None:
    """Entry point; an error of this package is said in its own words, without a traceback."""
    try:
        app()
    except STMError as error:
        Console(stderr=True, highlight=False).print(f"[red]{type(error).__name__}[/]: {error}", soft_wrap=True)
        sys.exit(2)


class Interrupts:
    """Ctrl-C once: pause at the next safe place. Twice: end the run now, safely.

    A context manager for the RunEngine; the RunEngine's own one needs a prompt at which a person decides what to do next.
    """

    def __init__(self, engine: RunEngine) -> None:
        self.engine = engine
        self.pressed = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.pressed += 1
        # The engine's own thread takes the request: a signal handler must not wait for it.
        self.engine.loop.call_soon_threadsafe(self._ask, self.pressed == 1)

    def _ask(self, defer: bool) -> None:
        out.print("\nPausing at the next safe place; Ctrl-C again ends the run." if defer else "\nEnding the run.")
        self.engine.loop.create_task(self.engine._request_pause_coro(defer))  # noqa: SLF001 - request_pause() would wait for us


def _explore(session: Session, scales: Sequence[LengthScale]) -> list[str]:
    from bluesky_stm.plans import explore_multiscale
    from bluesky_stm.views import Progress

    session.RE.subscribe(Progress())
    started: list[str] = []
    session.RE.subscribe(lambda name, doc: started.append(doc["uid"]), "start")
    began = time.monotonic()
    plan = explore_multiscale(session.stm, scales, session.agent, frame=session.frame, md={"sample": session.sample})
    _execute(session.RE, plan)
    out.print(f"{len(started)} runs stored in {session.catalog.path} after {time.monotonic() - began:.0f} s.")
    return started


def _execute(engine: RunEngine, plan: MsgGenerator[Any]) -> None:
    """Run a plan to its end, or to where a person ends it; what was measured is stored either way."""
    from bluesky.utils import RunEngineInterrupted

    interrupts = Interrupts(engine)
    engine.context_managers = [lambda _: interrupts]
    act = lambda: engine(plan)  # noqa: E731
    while True:
        try:
            act()
            return
        except RunEngineInterrupted:
            if interrupts.pressed > 1 or not _wants_to_go_on():
                engine.abort(reason="ended by a person")
                out.print("Ended: the feedback is restored, and what was measured is in the catalog.")
                return
            interrupts.pressed = 0
            act = engine.resume


def _wants_to_go_on() -> bool:
    try:
        input("Paused at a safe place. Enter goes on, Ctrl-C ends the run: ")
    except (KeyboardInterrupt, EOFError):
        return False
    return True


def _replay(catalog: Catalog, uids: Sequence[str]) -> bool:
    from bluesky_stm.runs import replay

    replays = [replay(catalog[uid]) for uid in uids]
    for one in replays:
        out.print(str(one))
    return all(one.reproduced for one in replays)


def _report(catalog: Catalog, uids: Sequence[str], path: Path) -> None:
    from bluesky_stm.views import report

    report([catalog[uid].documents() for uid in uids], path)
    out.print(f"Report: {path}")


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


def _changed(scale: LengthScale, changes: dict[str, Any]) -> LengthScale:
    given = {name: value for name, value in changes.items() if value is not None}
    if "budget" in given:
        given["seeds"] = min(scale.seeds, given["budget"])
    return scale.changed(**given)


def _last_campaign(catalog: Catalog) -> list[str]:
    """Uids of the runs of the newest campaign, parents first."""
    last = catalog[-1].start
    if "campaign" not in last:
        return [last["uid"]]
    return [stored.uid for stored in catalog if stored.start.get("campaign") == last["campaign"]]


def _numbers(text: str, kind: type[int] | type[float]) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"These should be numbers with commas between: {text!r}. Nothing has been started.") from None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
