"""Checks of an installation: what a night needs is there and answers, or a sentence says what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bluesky_stm.errors import FileFormatError
from bluesky_stm.facility._heartbeat import read_heartbeat
from bluesky_stm.facility._queue_files import CONTROL, LISTED, PERMISSIONS
from bluesky_stm.storage import DocumentSink, is_elsewhere

if TYPE_CHECKING:
    from bluesky_stm.facility._settings import Facility

LEAST_SPACE = 5e9
"""Free space, in bytes, below which a night may fill the disk: thousands of spectra with their images are 3 GB."""
ANSWER = 3.0
"""Time, in s, in which a server has to answer."""
UNITS = ("bluesky-stm-proxy", "bluesky-stm-queue", "bluesky-stm-desk", "bluesky-stm-pvs", "bluesky-stm-heartbeat")

Verdict = Literal["good", "absent", "bad"]


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes
    ----------
    what : str
        What was looked at.
    verdict : str
        ``good``; ``absent`` where something is not in use; ``bad`` where it is and does not work.
    said : str
        What was found, and for ``bad`` what to do.
    """

    what: str
    verdict: Verdict
    said: str


def checks(settings: Facility, here: Path = Path()) -> Iterator[Check]:
    """Check what a facility has set up; nothing is changed, and the microscope is not touched.

    Parameters
    ----------
    settings : Facility
        Settings of the place.
    here : Path
        Folder of the facility, with the files of the queue server in ``queue``.

    Yields
    ------
    Check
        One after the other, as servers answer.
    """
    if is_elsewhere(str(settings.catalog)):
        yield _answering("catalog", _host_of(str(settings.catalog)), "Start the server, or name another catalog.")
    else:
        folder = Path(settings.catalog)
        yield _space(folder)
        yield _alive(folder)
    yield _answering("Tiled server (server)", _host_of(settings.server), "Start it; what it misses it gets at the next start.")
    proxy = "Start bluesky-0MQ-proxy, or enable bluesky-stm-proxy.service."
    yield _answering("0MQ proxy (publish)", _host_of(settings.publish), proxy)
    for sink in settings.sinks:
        assert isinstance(sink, DocumentSink)
        yield _tried(f"sink {sink.name}", partial(_open_and_close, sink), "Start its server; it gets what it missed.")
    yield from _alerts(settings)
    yield _queue(here)
    yield from _units()


def _space(folder: Path) -> Check:
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Check("catalog", "bad", f"{folder}: {error}.")
    said = f"{folder}, {free / 1e9:.1f} GB free"
    if free < LEAST_SPACE:
        return Check(
            "catalog", "bad", f"{said}: a night may need {LEAST_SPACE / 1e9:.0f} GB. Make room, or name another folder."
        )
    return Check("catalog", "good", said)


def _alive(folder: Path) -> Check:
    try:
        beat = read_heartbeat(folder)
    except FileFormatError as error:
        return Check("heartbeat", "bad", str(error))
    if beat is None:
        return Check("heartbeat", "absent", "no session has written here")
    if why := beat.dead(time.time()):
        lost = f", while it measured {beat.what} {beat.run[:8]}" if beat.run else ""
        return Check(
            "heartbeat", "bad", f"{why}{lost}. Open the environment or a session again: it ends the run that was left."
        )
    return Check("heartbeat", "good", str(beat))


def _alerts(settings: Facility) -> Iterator[Check]:
    asked = settings.alerts
    if not (asked.file or asked.command or asked.mail):
        yield Check("alerts", "absent", "nobody is told of what happens at night")
    if asked.command:
        found = shutil.which(asked.command[0])
        said = found or f"There is no program {asked.command[0]!r}: install it, or name it with its path."
        yield Check("alerts by a program", "good" if found else "bad", said)
    if asked.file:
        place = next(place for place in asked.file.absolute().parents if place.exists())
        yield _tried("alerts in a file", lambda: _may_write(place), "Give the user of the session the right to write there.")
    if asked.mail:
        host, _, port = asked.mail.host.partition(":")
        yield _answering("alerts by mail", (host, int(port or 25)), "Name another SMTP server in alerts: mail: host.")


def _open_and_close(sink: DocumentSink) -> None:
    sink.open().close()


def _may_write(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written to")


def _queue(here: Path) -> Check:
    files = [here / "queue" / name for name in (LISTED, PERMISSIONS.name)]
    try:
        socket.create_connection(_host_of(CONTROL) or ("", 0), ANSWER).close()
    except OSError:
        there = all(path.is_file() for path in files)
        said = (
            "its files are written, and it does not run" if there else "does not run; bluesky-stm queue-files writes its files"
        )
        return Check("queue server", "absent", said)
    from bluesky_stm.facility._queue_client import QueueClient

    def ask() -> str:
        client = QueueClient(CONTROL)
        try:
            return str(client.items()["state"])
        finally:
            client.close()

    return _tried("queue server", ask, "Another program listens there, or the server asks for a key.")


def _units() -> Iterator[Check]:
    if not Path("/run/systemd/system").is_dir():
        yield Check("services", "absent", "systemd does not run here")
        return
    for unit in UNITS:
        name = f"{unit}.timer" if unit.endswith("heartbeat") else f"{unit}.service"
        told = subprocess.run(["systemctl", "is-active", name], capture_output=True, text=True).stdout.strip()
        verdicts: dict[str, Verdict] = {"active": "good", "failed": "bad"}
        said = f"failed: journalctl -u {unit} says why" if told == "failed" else told
        yield Check(name, verdicts.get(told, "absent"), said)


def _answering(what: str, address: tuple[str, int] | None, do: str) -> Check:
    """Return whether something listens at an address; None where none is set."""
    if address is None:
        return Check(what, "absent", "none is set")
    where = f"{address[0]}:{address[1]}"
    return _tried(what, lambda: socket.create_connection(address, ANSWER).close(), do, f"{where} answers", where)


def _tried(what: str, act: Callable[[], object], do: str, said: str = "", where: str = "") -> Check:
    try:
        found = act()
    except Exception as error:  # of a client of somebody else
        text = str(error).strip().rstrip(".") or type(error).__name__
        return Check(what, "bad", f"{where + ': ' if where else ''}{text}. {do}")
    return Check(what, "good", said or str(found or "answers"))


def _host_of(address: str) -> tuple[str, int] | None:
    if not address:
        return None
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    return parts.hostname or "127.0.0.1", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
