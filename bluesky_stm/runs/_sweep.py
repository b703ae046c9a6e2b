"""Many what-ifs at once."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context

from bluesky_stm.documents import Document
from bluesky_stm.errors import ReplayError
from bluesky_stm.protocols import Progress
from bluesky_stm.runs._rebuild import as_run, prior_of, taught_documents
from bluesky_stm.runs._what_if import WhatIf, altered_in, proofs_of, what_if
from bluesky_stm.storage import Run
from bluesky_stm.validated import JSON, Data


def sweep(
    run: object,
    variations: Iterable[Data],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[WhatIf]:
    """Compute many what-ifs at once, each in a process of its own.

    Parameters
    ----------
    run : Run, or anything that `storage.documents` takes
        The stored run.
    variations : iterable of mapping
        Arguments of `what_if`, by name.
    executor : Executor, optional
        Executor of the computations: by default processes on this machine, one for each core. On a Dask cluster:
        ``dask.distributed.Client(...).get_executor()``.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    list of WhatIf
        In the order of ``variations``.

    Raises
    ------
    ReplayError
        When a process has ended without an answer.

    Examples
    --------
    >>> sweep(catalog[-1], [{"seed": s, "agent": a} for s in range(5) for a in ("dkl", "random")])  # doctest: +SKIP
    """
    run = as_run(run)
    altered = altered_in(proofs_of(run))  # the processes are given documents, whose bytes are not at hand
    carried = list(taught_documents(run))
    prior = {uid: list(taught_documents(run.catalog[uid])) for uid in prior_of(run)} if run.catalog else {}
    # spawned, for a fork of a process that has threads and a RunEngine may hang
    pool = nullcontext(executor) if executor else ProcessPoolExecutor(mp_context=get_context("spawn"))
    try:
        with pool as running:
            futures = [running.submit(_varied, carried, prior, dict(variation)) for variation in variations]
            for done, _ in enumerate(as_completed(futures), 1):
                if progress:
                    progress(done, len(futures))
            return [replace(future.result(), altered=altered) for future in futures]
    except BrokenProcessPool as error:
        raise ReplayError(
            "The processes of the sweep ended before they had an answer. Nothing was changed. In a script, call sweep() below "
            'if __name__ == "__main__", because each process imports the script; else there may have been too little memory.'
        ) from error


def _varied(carried: list[Document], prior: dict[str, list[Document]], variation: JSON) -> WhatIf:
    earlier = {uid: Run(stream) for uid, stream in prior.items()}
    return what_if(Run(carried, earlier), **variation)
