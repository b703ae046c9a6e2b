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
    from bluesky_stm.storage import listed, open_catalog

    with open_catalog(catalog, write=False) as opened:
        rows, all_of_them = listed(opened, newest=newest), len(opened)
        out.print(listing(rows, out.width))
    if len(rows) < all_of_them:
        out.print(f"The newest {len(rows)} of {all_of_them} runs; more with --newest.")


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


@app.command()
def verify(
    uid: Annotated[list[str] | None, typer.Argument(help="uids, starts of uids, or files; else all runs.")] = None,
    key: Annotated[Path | None, typer.Option(help="Public key of the facility that must have signed them, in PEM.")] = None,
    *,
    catalog: Folder,
) -> None:
    """Check that stored runs are what was written, byte for byte, by the chain of digests that each of them carries.

    The exit status is 0 when every run is whole, 1 when one is not, and 2 when a file holds no run that can be checked.
    """
    from bluesky_stm.errors import STMError
    from bluesky_stm.storage import open_catalog
    from bluesky_stm.storage import verify as checked

    files = [Path(one) for one in uid or () if Path(one).suffix]
    found, refused = [], []
    for file in files:
        try:
            found.append(checked(file, key))
        except STMError as error:  # it hides no answer about the others
            refused.append(str(error))
    if not files or len(files) < len(uid or ()):
        with open_catalog(catalog, write=False) as opened:
            runs = [opened[one] for one in uid if not Path(one).suffix] if uid else list(opened)
            found += [checked(run, key) for run in runs]
    for line in [*map(str, found), *refused]:
        out.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(2 if refused else 0 if all(one.whole for one in found) else 1)


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
    path: Annotated[Path, typer.Argument(help="File that is not there yet, such as run.nxs.")],
    uid: Uid = None,
    *,
    spectrum: Annotated[int | None, typer.Option(min=0, help="Number of the spectrum, from 0, for a .dat file.")] = None,
    catalog: Folder,
) -> None:
    """Write one run as a file that other programs read; the ending of its name says the format.

    .nxs: NeXus, and .hf5: NSID, all that was measured and decided, and all documents.

    .nc: netCDF, as load_run. .csv: a row a sample. .parquet: a row a spectrum.

    .sxm, .3ds, .dat: Nanonis, the topograph, a grid, one spectrum.

    .msgpack, .jsonl: all documents. From these, .nxs and .hf5 import brings back the run with its uid.
    """
    from bluesky_stm.storage import export, open_catalog

    with open_catalog(catalog, write=False) as opened:
        out.print(f"Written: {export(opened[uid or -1], path, spectrum=spectrum)}")


@app.command()
def crate(
    path: Annotated[Path, typer.Argument(help="Folder that is not there yet, or file that ends in .zip.")],
    uid: Uids = None,
    *,
    catalog: Folder,
    license: Annotated[str, typer.Option(help="Address of the licence under which the data are given away.")] = "",
) -> None:
    """Pack runs, or else the newest campaign, as an RO-Crate: documents and NeXus of each, who made them when, with what."""
    from bluesky_stm.storage import open_catalog, write_crate

    with open_catalog(catalog, write=False) as opened:
        packed = [opened[one] for one in uid or last_campaign(opened)]
        out.print(f"Written: {write_crate(path, packed, license)}: {len(packed)} {'run' if len(packed) == 1 else 'runs'}")


@app.command("import")
def import_file(
    files: Annotated[list[Path], typer.Argument(help="Microscope files, folders, or documents that were exported.")],
    didv: Annotated[str, typer.Option(help="Channel that becomes dI/dV; else one is looked for.")] = "",
    *,
    separate: Annotated[bool, typer.Option("--separate", help="A run for each file, also in an image.")] = False,
    catalog: Folder,
) -> None:
    """Take files of others, or exported runs, into the catalog: then they replay like our own.

    An image and the point spectra in it make one run. Of each run it is said which channel became dI/dV. What is there already
    is not taken in again, and a file that cannot be read stops no other: the exit status is then 1.
    """
    from collections import Counter

    from bluesky_stm.facility import read_settings
    from bluesky_stm.storage import import_files, open_catalog

    counted: Counter[str] = Counter()
    with open_catalog(catalog) as opened:
        for one in import_files(opened, files, didv=didv or read_settings().didv, separate=separate):
            outcome = "refused" if one.run is None else "there already" if one.known else "imported"
            counted[outcome] += 1
            names = one.paths[0].name + (f" and {len(one.paths) - 1} spectra" if len(one.paths) > 1 else "")
            out.print(f"{names}: {outcome if one.run is None or one.known else one.run!r}", markup=False)
            if one.words:
                out.print(f"  {one.words}", markup=False)
    out.print(", ".join(f"{count} {outcome}" for outcome, count in counted.items()) + ".")
    raise typer.Exit(1 if counted["refused"] else 0)


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
