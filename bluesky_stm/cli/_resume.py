"""``resume``: go on with a stored run."""

from __future__ import annotations

from typing import Annotated

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._interrupts import execute
from bluesky_stm.cli._options import AsJSON, Folder, Uid, out, telling


@app.command()
def resume(
    uid: Uid = None,
    budget: Annotated[int | None, typer.Option(help="Spectra in all, those there included; else as the run was told.")] = None,
    microscope: Annotated[
        str | None, typer.Option(help="simulated, recorded:FILE or nanonis:HOST, for a run that comes from elsewhere.")
    ] = None,
    *,
    catalog: Folder,
    as_json: AsJSON = False,
) -> None:
    """Go on with a run that was aborted or killed, or give a finished one a larger --budget; nothing is measured again.

    The microscope is that of the run: the same simulated surface, the same recorded file, the same Nanonis. A run that was
    imported, or measured on another host, opens none by itself: name it with --microscope. Limits and sweep are those of the
    run, or narrower. The best value that is told is that of the run and of those with which it goes on.

    With --json standard output holds one object, as that of run: the row of the new run as ls --json has it, and the catalog.
    """
    from bluesky_stm import runs
    from bluesky_stm.facility import read_settings, reopened
    from bluesky_stm.night import find_devices
    from bluesky_stm.storage import listed, open_catalog

    with telling(as_json) as tell:
        with open_catalog(catalog, write=False) as opened:
            run = opened[uid or -1]
            start = run.start
        with reopened(run, catalog, microscope=microscope, limits=read_settings().limits or None) as session:
            resumption = runs.resume(session.catalog[start["uid"]], budget=budget)
            out.print(f"Run {start['uid'][:8]} has {resumption.measured} spectra; {resumption.budget} more are to be taken.")
            for said in resumption.differences(session.stm):
                out.print(f"It goes on with {said}.", markup=False, soft_wrap=True)
            session.show_progress()
            beside = list(find_devices(resumption.beside, session.devices).values())
            finished = execute(session.RE, resumption.plan(session.stm, beside=beside), session.stm)
            out.print(repr(session.catalog[-1]), markup=False, soft_wrap=True)
            stored = [dict(row) for row in listed(session.catalog, newest=1)]
            tell({"finished": finished, "catalog": session.catalog.path, "runs": stored})
    raise typer.Exit(0 if finished else 130)
