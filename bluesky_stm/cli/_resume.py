"""``resume``: go on with a stored run."""

from __future__ import annotations

from typing import Annotated

import typer

from bluesky_stm.cli._app import Folder, Uid, app, out
from bluesky_stm.cli._interrupts import execute


@app.command()
def resume(
    uid: Uid = None,
    budget: Annotated[int | None, typer.Option(help="Spectra in all, those there included; else as the run was told.")] = None,
    microscope: Annotated[
        str | None, typer.Option(help="simulated, recorded:FILE or nanonis:HOST, for a run that comes from elsewhere.")
    ] = None,
    *,
    catalog: Folder,
) -> None:
    """Go on with a run that was aborted or killed, or give a finished one a larger --budget; nothing is measured again.

    The microscope is that of the run: the same simulated surface, the same recorded file, the same Nanonis. A run that was
    imported, or measured on another host, opens none by itself: name it with --microscope. Limits and sweep are those of the
    run, or narrower.
    """
    from bluesky_stm import runs
    from bluesky_stm.facility import read_settings, reopened
    from bluesky_stm.storage import open_catalog
    from bluesky_stm.views import Progress

    with open_catalog(catalog, write=False) as opened:
        run = opened[uid or -1]
        start = run.start
    with reopened(run, catalog, microscope=microscope, limits=read_settings().limits or None) as session:
        resumption = runs.resume(session.catalog[start["uid"]], budget=budget)
        out.print(f"Run {start['uid'][:8]} has {resumption.measured} spectra; {resumption.budget} more are to be taken.")
        for said in resumption.differences(session.stm):
            out.print(f"It goes on with {said}.", markup=False, soft_wrap=True)
        session.RE.subscribe(Progress())
        finished = execute(session.RE, resumption.plan(session.stm), session.stm)
        out.print(repr(session.catalog[-1]), markup=False)
    raise typer.Exit(0 if finished else 130)
