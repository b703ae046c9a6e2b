"""Documents of a stored run, whichever program stored it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import event_model

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Document, ExternalArrays, is_document, no_run
from bluesky_stm.storage._journal import read_journal
from bluesky_stm.storage._nodes import rebuilt
from bluesky_stm.storage._plain import READERS

NOT_ACCEPTABLE = 406
"""HTTP status with which a Tiled server answers that has no exporter for documents."""


def documents(source: Any) -> Iterator[Document]:
    """Yield the documents ``(name, document)`` of a run in the order of their time, with pages taken apart.

    Parameters
    ----------
    source : path, Run, Tiled or databroker run, or iterable
        A journal or a file of JSON lines; a run of our catalog; a run of databroker 2 or Tiled; a run or a header of databroker
        1.2; or any iterable of ``(name, document)``, ``event_page`` and ``datum_page`` included.

    Raises
    ------
    SettingsError
        When it is none of these: a uid without its catalog, a file that is not there.

    Notes
    -----
    Tiled rebuilds documents: the uids of Events are new, NaN has become None, and an unfinished run ends in an empty stop
    document (left out here). Where a server has no exporter for documents (``json_seq_exporter`` in its ``media_types``), they
    are rebuilt here from its tables and arrays. Refer to an Event by stream and ``seq_num``.
    """
    try:
        for name, doc in _stored(source):
            if name == "stop" and not doc:
                return
            yield from _unpacked(name, doc)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise (no_run(source) if isinstance(source, str | PathLike) else error) from None
    except Exception as error:
        if getattr(getattr(error, "response", None), "status_code", None) != NOT_ACCEPTABLE:
            raise
        yield from rebuilt(source)


class Inlining:
    """Puts the arrays that are stored in files into their Events, so that the documents alone carry everything.

    The documents ``resource`` and ``datum`` are left out, and so is the mark ``external`` of the descriptors.
    """

    def __init__(self) -> None:
        self._external = ExternalArrays()

    def __call__(self, name: str, doc: Data) -> Iterator[Document]:
        """Yield what comes in the place of the next document of a run: one, or none."""
        if name == "resource":
            self._external.resource(doc)
        elif name == "datum":
            self._external.datum(doc)
        elif name == "event" and False in doc.get("filled", {}).values():
            yield name, {**doc, "data": dict(self._external.data(doc)), "filled": {}}
        elif name == "descriptor":
            yield name, {**doc, "data_keys": {key: _inside(about) for key, about in doc["data_keys"].items()}}
        else:
            yield name, doc


def inlined(stream: Iterable[Document]) -> Iterator[Document]:
    """Put the arrays that are stored in files into their Events; see `Inlining`."""
    inlining = Inlining()
    for name, doc in stream:
        yield from inlining(name, doc)


def _inside(about: Data) -> JSON:
    """Declare a value as it is inside its Event: what a file holds as a stack of one image is the image."""
    if "external" not in about:
        return dict(about)
    one = {key: about[key][1:] for key in ("shape", "dims") if about.get("shape", [0])[0] == 1 and key in about}
    return {key: value for key, value in {**about, **one}.items() if key != "external"}


def _stored(source: Any) -> Iterable[Document]:
    if isinstance(source, str | PathLike):
        path = Path(source)
        return READERS.get(path.suffix, read_journal)(path)
    if not hasattr(source, "documents"):
        return _listed(source)
    # intake's runs of databroker 1.2 want to be told whether to open external files
    return source.documents(fill="no") if type(source).__name__.startswith("BlueskyRunFrom") else source.documents()


def _listed(source: Any) -> Iterator[Document]:
    if not isinstance(source, Iterable):
        raise no_run(source)
    for item in source:
        if not is_document(item):
            raise no_run(source)
        yield item[0], item[1]


def _unpacked(name: str, doc: Any) -> Iterator[Document]:
    if name == "event_page":
        yield from (("event", event) for event in event_model.unpack_event_page(doc))
    elif name == "datum_page":
        yield from (("datum", datum) for datum in event_model.unpack_datum_page(doc))
    else:
        yield name, dict(doc)
