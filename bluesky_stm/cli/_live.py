"""``live``: what a run has found so far, drawn in a process of its own, which can't hold up the measurement."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import out
from bluesky_stm.data import Data

if TYPE_CHECKING:
    from bluesky_stm.documents import Document
    from bluesky_stm.facility import DocumentStream

Picture = Annotated[Path | None, typer.Option(help="A PNG that shows the run, written anew every second, instead of a window.")]


@app.command()
def live(
    subscribe: Annotated[str, typer.Option(help="Where documents come from: out-address of a 0MQ proxy.")],
    picture: Picture = None,
    catalog: Annotated[
        str | None, typer.Option(help="Where the runs are stored: shows the newest one from its beginning.")
    ] = None,
) -> None:
    """Show runs of another process as they go on, until the window is closed or Ctrl-C."""
    from bluesky_stm.facility import DocumentStream
    from bluesky_stm.views import watch

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with DocumentStream(subscribe) as stream, suppress(KeyboardInterrupt):
        watch(stream, picture, _so_far(stream, catalog) if catalog else ())


def _so_far(stream: DocumentStream, catalog: str) -> list[Document]:
    """Documents of the newest run; what the stream brings once more is heeded once."""
    from bluesky_stm.storage import open_catalog

    stream.wait_until_subscribed()
    with open_catalog(catalog, write=False) as opened:
        return list(opened[-1].documents()) if len(opened) else []


@contextmanager
def watched(live: bool, picture: Path | None) -> Iterator[Callable[[str, Data], None]]:
    """Give a callback for an engine whose runs are to be shown; a window stays until somebody closes it.

    Parameters
    ----------
    live : bool
        True to show a window.
    picture : Path or None
        A PNG to be written instead of a window.

    Raises
    ------
    SettingsError
        When a window is asked for where there is no display.
    """
    if not live and picture is None:
        yield lambda name, doc: None
        return
    import multiprocessing

    if picture is None:
        from bluesky_stm.views import check_display

        check_display()
    processes = multiprocessing.get_context("spawn")
    feed = processes.Queue()
    show = processes.Process(target=_show, args=(feed, picture))
    show.start()
    try:
        yield lambda name, doc: feed.put((name, doc))
    finally:
        feed.put(None)
        if picture is None and show.is_alive():
            out.print("Close the window of the live view to come to the end.")
        show.join()
        feed.cancel_join_thread()  # where the window was closed before, nobody reads what is left


def _show(feed: Any, picture: Path | None) -> None:
    from bluesky_stm.views import watch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run
    watch(feed, picture)
