"""Commands about stored runs: ``ls``, ``show``, ``replay``, ``what-if``, ``report``, ``export``, ``import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluesky_stm.cli._app import Folder, Uid, Uids, app, chosen, out

if TYPE_CHECKING:
    from bluesky_stm.storage import Catalog


@app.command()
def ls(
    catalog: Folder,
    newest: Annotated[int, typer.Option("--newest", "-n", min=1, help="How many runs.")] = 30,
) -> None:
    """List the stored runs, the newest last, with as many columns as the terminal is wide."""
    from bluesky_stm.cli._pages import listing
    from bluesky_stm.storage import open_catalog, runs

    with open_catalog(catalog, write=False) as opened:
        listed, all_of_them = runs(opened, newest=newest), len(opened)
        out.print(listing(listed, out.width))
    if len(listed) < all_of_them:
        out.print(f"The newest {len(listed)} of {all_of_them} runs; more with --newest.")


@app.command()
def show(
    uid: Uid = None,
    *,
    catalog: Folder,
    raw: Annotated[bool, typer.Option("--raw", help="Its start and stop documents, as JSON.")] = False,
) -> None:
    """Show what is known of one run: what, when, on what, where, by whom, what was found, how it ended."""
    import json

    from bluesky_stm.cli._pages import page
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        stored = opened[uid or -1]
        if raw:
            out.print_json(json.dumps({"start": stored.start, "stop": stored.stop}, default=str))
        else:
            out.print(page(stored), soft_wrap=True)


@app.command()
def replay(uid: Uids = None, *, catalog: Folder) -> None:
    """Teach a fresh agent the stored documents and check that it reaches every recorded decision again."""
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        same = replay_all(opened, uid or last_campaign(opened))
    raise typer.Exit(0 if same else 1)


@app.command("what-if")
def what_if(
    uid: Uids = None,
    scalarizer: Annotated[str | None, typer.Option(help=f"What counts; else as in the run. {chosen('scalarizer')}")] = None,
    agent: Annotated[str | None, typer.Option(help=f"Who chooses; else as in the run. {chosen('agent')}")] = None,
    acquisition: Annotated[str | None, typer.Option(help=f"Acquisition function. {chosen('acquisition function')}")] = None,
    *,
    catalog: Folder,
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
    *,
    catalog: Folder,
) -> None:
    """Write one self-contained page about stored runs."""
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        write_report(opened, uid or last_campaign(opened), path)


@app.command("export")
def export_run(
    path: Annotated[Path, typer.Argument(help="File that is not there yet: .nxs .hf5 .sxm .3ds .dat .msgpack .jsonl")],
    uid: Uid = None,
    *,
    catalog: Folder,
) -> None:
    """Write one run as a file that other programs read; the ending of its name says the format.

    .nxs: NeXus, and .hf5: NSID, all that was measured.

    .sxm, .3ds, .dat: Nanonis, the topograph, a grid, one spectrum.

    .msgpack, .jsonl: all documents; import brings them back with the same uid.
    """
    from bluesky_stm.storage import export, open_catalog

    with open_catalog(catalog, write=False) as opened:
        out.print(f"Written: {export(opened[uid or -1], path)}")


@app.command("import")
def import_file(
    files: Annotated[list[Path], typer.Argument(help="Microscope files, or documents that were exported.")],
    *,
    catalog: Folder,
) -> None:
    """Take files of others, or exported runs, into the catalog: then they replay like our own."""
    from bluesky_stm.storage import import_run, open_catalog

    with open_catalog(catalog) as opened:
        for file in files:
            out.print(repr(import_run(opened, file)), markup=False)


def replay_all(catalog: Catalog, uids: Sequence[str]) -> bool:
    """Replay runs and print how it went.

    Parameters
    ----------
    catalog : Catalog
        Catalog that has the runs.
    uids : sequence of str
        Their uids, or the beginnings of these.

    Returns
    -------
    bool
        True when every decision was reached again.
    """
    from bluesky_stm.runs import replay

    replays = [replay(catalog[uid]) for uid in uids]
    for one in replays:
        out.print(str(one))
    return all(one.reproduced for one in replays)


def write_report(catalog: Catalog, uids: Sequence[str], path: Path) -> None:
    """Write the page about runs and say where it is.

    Parameters
    ----------
    catalog : Catalog
        Where the runs are.
    uids : sequence of str
        Their uids, parents first.
    path : Path
        File to write.
    """
    from bluesky_stm.views import report

    report(uids, path, catalog=catalog)
    out.print(f"Report: {path}")


def last_campaign(catalog: Catalog) -> list[str]:
    """Return the uids of the runs of the newest campaign, parents first.

    Parameters
    ----------
    catalog : Catalog
        It holds at least one run; a run without a campaign stands for itself.
    """
    from bluesky_stm.storage import campaign_tree

    last = catalog[-1].start
    if "campaign" not in last:
        return [last["uid"]]
    return [stored.uid for root in campaign_tree(catalog, last["campaign"]) for stored in root]
