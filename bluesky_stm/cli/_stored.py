"""Commands about stored runs: ``ls``, ``show``, ``replay``, ``what-if``, ``report``, ``figure``, ``export``, ``import``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import AsJSON, Folder, Uid, Uids, chosen, out, telling
from bluesky_stm.errors import SettingsError

if TYPE_CHECKING:
    from bluesky_stm.parts import JSON
    from bluesky_stm.runs import Replay
    from bluesky_stm.storage import Catalog, Run
    from bluesky_stm.views import Checks, Comparisons


@app.command()
def ls(
    catalog: Folder,
    newest: Annotated[int, typer.Option("--newest", "-n", min=1, help="How many runs.")] = 30,
    *,
    as_json: AsJSON = False,
) -> None:
    """List the stored runs, the newest last, with as many columns as the terminal is wide; all of them into a pipe."""
    import json

    from bluesky_stm.cli._pages import listing
    from bluesky_stm.storage import listed, open_catalog

    with open_catalog(catalog, write=False) as opened:
        rows, all_of_them = listed(opened, newest=newest), len(opened)
        if as_json:
            print(json.dumps([dict(row) for row in rows], default=str, indent=1))
            return
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
def replay(uid: Uids = None, *, catalog: Folder, as_json: AsJSON = False) -> None:
    """Teach a fresh agent the stored documents and check that it reaches every recorded decision again."""
    from bluesky_stm.storage import open_catalog

    with telling(as_json) as tell, open_catalog(catalog, write=False) as opened:
        told = [_replayed(one) for one in replay_all(opened, uid or last_campaign(opened))]
        tell(told)
    raise typer.Exit(0 if all(one["reproduced"] for one in told) else 1)


def _replayed(one: Replay) -> JSON:
    """Return what programs are told of a replay."""
    told = {"uid": one.run.uid, "decisions": len(one.decisions), "reproduced": one.reproduced, "exact": one.exact}
    return told | {"agrees": one.agrees, "altered": one.altered, "said": str(one)}


@app.command()
def verify(
    uid: Annotated[list[str] | None, typer.Argument(help="uids, starts of uids, or files; else all runs.")] = None,
    key: Annotated[Path | None, typer.Option(help="Public key of the facility that must have signed them, in PEM.")] = None,
    *,
    catalog: Folder,
    as_json: AsJSON = False,
) -> None:
    """Check that stored runs are what was written, byte for byte, by the chain of digests that each of them carries.

    The exit status is 0 when every run is as it was when it ended, and else that of the worst of them:

    3: unaltered since an import, an export or a recovery closed its chain, and not the run.

    1: altered, not signed though --key asks for it, without a chain, or not finished.

    2: no run that can be checked.
    """
    import json
    from contextlib import ExitStack

    from bluesky_stm.errors import STMError
    from bluesky_stm.storage import open_catalog
    from bluesky_stm.storage import verify as checked

    asked: list[Path | str | Run] = [Path(one) if Path(one).suffix else one for one in uid or ()]
    found, refused = [], []
    with ExitStack() as stack:
        opened = None
        if not asked or any(isinstance(one, str) for one in asked):
            opened = stack.enter_context(open_catalog(catalog, write=False))
            asked = asked or list(opened)
        for one in asked:
            try:
                found.append(checked(opened[one] if opened is not None and isinstance(one, str) else one, key))
            except SettingsError:  # of the key, which is the same for all
                raise
            except STMError as error:  # it hides no answer about the others
                refused.append(str(error))
    if as_json:
        told = [{"name": one.name, "state": one.state, "faults": one.faults, "remarks": one.remarks} for one in found]
        print(json.dumps({"runs": told, "refused": refused}, indent=1))
    else:
        for line in [*map(str, found), *refused]:
            out.print(line, markup=False, soft_wrap=True)
    states = {one.state for one in found} - {"whole"}
    raise typer.Exit(2 if refused else 0 if not states else 3 if states == {"closed later"} else 1)


@app.command("what-if")
def what_if(
    uid: Uids = None,
    scalarizer: Annotated[str | None, typer.Option(help=f"What counts; else as in the run. {chosen('scalarizer')}")] = None,
    agent: Annotated[str | None, typer.Option(help=f"Who chooses; else as in the run. {chosen('agent')}")] = None,
    acquisition: Annotated[str | None, typer.Option(help=f"Acquisition function. {chosen('acquisition function')}")] = None,
    *,
    catalog: Folder,
    as_json: AsJSON = False,
) -> None:
    """Say what another scalarizer or agent would have made of the same spectra."""
    from bluesky_stm import runs
    from bluesky_stm.storage import open_catalog

    told = []
    with telling(as_json) as tell, open_catalog(catalog, write=False) as opened:
        for one in uid or last_campaign(opened):
            found = runs.what_if(opened[one], scalarizer=scalarizer, agent=agent, acquisition=acquisition)
            out.print(str(found), markup=False, soft_wrap=True)
            best = {name: curve.tolist() for name, curve in zip(("recorded", "other"), found.curves, strict=True)}
            asked = {"uid": found.uid, "scalarizer": dict(found.scalarizer), "agent": dict(found.agent)}
            told.append(asked | {"on_policy": found.on_policy, "agreement": found.agreement, "best": best, "said": str(found)})
        tell(told)


@app.command()
def report(
    uid: Uids = None,
    path: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    check: Annotated[
        bool, typer.Option("--check", help="Replay and verify the runs, and say on the page how that went.")
    ] = False,
    what_if: Annotated[
        list[str] | None,
        typer.Option("--what-if", help=f"Compare with another scalarizer; may be repeated. {chosen('scalarizer')}"),
    ] = None,
    *,
    catalog: Folder,
) -> None:
    """Write one self-contained page about stored runs; several seeds or runs stand side by side on it."""
    from bluesky_stm.cli._checked import checks_of, comparisons_of
    from bluesky_stm.runs import replay
    from bluesky_stm.storage import open_catalog

    with open_catalog(catalog, write=False) as opened:
        uids = [opened[one].uid for one in uid] if uid else last_campaign(opened)
        replays = [replay(opened[one]) for one in uids] if check else []
        write_report(opened, uids, path, checks_of(replays), comparisons_of([opened[one] for one in uids], what_if or ()))


@app.command()
def figure(
    uid: Uid = None,
    path: Annotated[Path, typer.Option("--output", "-o", help="File to write: .pdf, .svg, .png.")] = Path("figure.pdf"),
    layout: Annotated[str, typer.Option(help="paper, talk, logbook, maps, spectra or learning.")] = "paper",
    width: Annotated[
        float | None, typer.Option(help="In mm: 89 for a column, 183 for a page; else that of the layout.")
    ] = None,
    *,
    catalog: Folder,
) -> None:
    """Draw one run for print: vector graphics with scale bars, colour bars, letters, set point, date and uid."""
    from bluesky_stm.storage import open_catalog
    from bluesky_stm.views import figure as draw

    with open_catalog(catalog, write=False) as opened:
        picture = draw(opened[uid or -1], layout=layout, width=width)
    try:
        picture.savefig(path)
    except ValueError as why:
        raise SettingsError(f"{path} cannot be written: {why}. Nothing has been written.") from None
    out.print(f"Written: {path}", markup=False)


@app.command("export")
def export_run(
    path: Annotated[Path, typer.Argument(help="File that is not there yet, such as run.nxs.")],
    uid: Uid = None,
    *,
    altered: Annotated[bool, typer.Option("--altered", help="Write also a run that was altered; the file says so.")] = False,
    spectrum: Annotated[int | None, typer.Option(min=0, help="Number of the spectrum, from 0, for a .dat file.")] = None,
    catalog: Folder,
) -> None:
    """Write one run as a file that other programs read; the ending of its name says the format.

    .nxs: NeXus, and .hf5: NSID, all that was measured and decided, and all documents.

    .nc: netCDF, as load_run. .csv: a row a sample. .parquet: a row a spectrum.

    .sxm, .3ds, .dat: Nanonis, the topograph, a grid, one spectrum.

    .msgpack, .jsonl: all documents. From these, .nxs and .hf5 import brings back the run with its uid.
    """
    from bluesky_stm.errors import SettingsError
    from bluesky_stm.storage import export, open_catalog

    if uid and Path(uid).suffix and not path.suffix:
        raise SettingsError(f"The file comes first, then the run: export {uid} {path}. Nothing has been written.")
    with open_catalog(catalog, write=False) as opened:
        run = opened[uid or -1]
        out.print(f"Written: {export(run, path, spectrum=spectrum, altered=altered)}{left_out(run, path)}")


def left_out(run: Run, path: Path) -> str:
    """Return what a file of Nanonis does not hold of a run, and which one does; empty where it holds all that was measured.

    Parameters
    ----------
    run : Run
        The run that was exported.
    path : Path
        The file.
    """
    if path.suffix == ".3ds" and next(iter(run.topographs), None) is not None:
        return ". It has the heights at the places of the spectra alone: export the topograph of the run to a .sxm file."
    if path.suffix == ".sxm" and run.spectra:
        return f". Its {len(run.spectra)} spectra are not in it, but in a .nxs file, or in .dat files one by one."
    return ""


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
            told = outcome if one.run is None or one.known else repr(one.run)
            out.print(f"{names}: {told}", markup=False)
            if one.words:
                out.print(f"  {one.words}", markup=False)
    out.print(", ".join(f"{count} {outcome}" for outcome, count in counted.items()) + ".")
    raise typer.Exit(1 if counted["refused"] else 0)


def replay_all(catalog: Catalog, uids: Sequence[str]) -> Iterator[Replay]:
    """Replay runs one after the other and print how it went; an agent is let go of when the next one learns.

    Parameters
    ----------
    catalog : Catalog
        Catalog that has the runs.
    uids : sequence of str
        Their uids, or the beginnings of these.

    Yields
    ------
    Replay
        For each run; ``reproduced`` says whether every decision was reached again.
    """
    from bluesky_stm.runs import replay

    for uid in uids:
        replayed = replay(catalog[uid])
        out.print(str(replayed), soft_wrap=True)
        yield replayed
        del replayed


def write_report(
    catalog: Catalog,
    uids: Sequence[str],
    path: Path,
    checks: Checks | None = None,
    comparisons: Comparisons | None = None,
) -> None:
    """Write the page about runs and say where it is.

    Parameters
    ----------
    catalog : Catalog
        Where the runs are.
    uids : sequence of str
        Their uids, parents first.
    path : Path
        File to write.
    checks, comparisons : mapping, optional
        What was found of the runs, and compared with them; see `views.report`.
    """
    from bluesky_stm.views import report

    report(uids, path, catalog=catalog, checks=checks or {}, comparisons=comparisons)
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
