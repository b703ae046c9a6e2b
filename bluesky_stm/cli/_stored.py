"""Commands about stored runs: ``ls``, ``show``, ``replay``, ``what-if``, ``report``, ``export``, ``import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bluesky_stm.cli._app import FOLDER, Folder, Uids, app, out

if TYPE_CHECKING:
    from bluesky_stm.storage import Catalog


@app.command()
def ls(catalog: Folder = FOLDER) -> None:
    """List the stored runs, the newest last."""
    from bluesky_stm.storage import open_catalog, runs

    with open_catalog(catalog, write=False) as opened:
        listed = runs(opened).drop(columns=["plan", "campaign"])
        listed["uid"] = listed["uid"].str[:8]
        listed["time"] = listed["time"].dt.strftime("%m-%d %H:%M")
        table = Table(*listed.columns, box=None, padding=(0, 1, 0, 0))
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
            out.print(f"[bold]{name}[/]: {escape(str(value))}")


@app.command()
def replay(uid: Uids = None, catalog: Folder = FOLDER) -> None:
    """Teach a fresh agent the stored documents and check that it reaches every recorded decision again."""
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        same = replay_all(opened, uid or last_campaign(opened))
    raise typer.Exit(0 if same else 1)


@app.command("what-if")
def what_if(
    uid: Uids = None,
    scalarizer: Annotated[str | None, typer.Option(help="What counts, by name; else as in the run.")] = None,
    agent: Annotated[str | None, typer.Option(help="Who chooses, by name; else as in the run.")] = None,
    acquisition: Annotated[str | None, typer.Option(help="Acquisition function, by name.")] = None,
    catalog: Folder = FOLDER,
) -> None:
    """Say what another scalarizer or agent would have made of the same spectra."""
    from bluesky_stm import runs
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        for one in uid or last_campaign(opened):
            out.print(str(runs.what_if(opened[one], scalarizer=scalarizer, agent=agent, acquisition=acquisition)))


@app.command()
def report(
    uid: Uids = None,
    path: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    catalog: Folder = FOLDER,
) -> None:
    """Write one self-contained page about stored runs."""
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        write_report(opened, uid or last_campaign(opened), path)


@app.command("export")
def export_run(
    path: Annotated[Path, typer.Argument(help="File; its ending says the format: .nxs .hf5 .sxm .3ds .dat .msgpack .jsonl")],
    uid: Annotated[str | None, typer.Argument(help="uid or the start of it; else the last run.")] = None,
    catalog: Folder = FOLDER,
) -> None:
    """Write one run as a file that other programs read."""
    from bluesky_stm.storage import export, open_catalog

    with open_catalog(catalog, write=False) as opened:
        out.print(f"Written: {export(opened[uid or -1], path)}")


@app.command("import")
def import_file(
    files: Annotated[list[Path], typer.Argument(help="Microscope files, or documents that were exported.")],
    catalog: Folder = FOLDER,
) -> None:
    """Take files of others, or exported runs, into the catalog: then they replay like our own."""
    from bluesky_stm.storage import import_run, open_catalog

    with open_catalog(catalog) as opened:
        for file in files:
            out.print(repr(import_run(opened, file)), markup=False)


def replay_all(catalog: Catalog, uids: Sequence[str]) -> bool:
    """Replay runs and say how it went; whether every decision was reached again."""
    from bluesky_stm.runs import replay

    replays = [replay(catalog[uid]) for uid in uids]
    for one in replays:
        out.print(str(one))
    return all(one.reproduced for one in replays)


def write_report(catalog: Catalog, uids: Sequence[str], path: Path) -> None:
    """Write the page about runs and say where it is."""
    from bluesky_stm.views import report

    report([catalog[uid].documents() for uid in uids], path)
    out.print(f"Report: {path}")


def last_campaign(catalog: Catalog) -> list[str]:
    """Uids of the runs of the newest campaign, parents first."""
    last = catalog[-1].start
    if "campaign" not in last:
        return [last["uid"]]
    return [stored.uid for stored in catalog if stored.start.get("campaign") == last["campaign"]]
