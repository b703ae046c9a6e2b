"""Checks of an installation: what a night needs is there and answers, or a sentence says what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bluesky_stm.errors import FileFormatError
from bluesky_stm.facility._heartbeat import read_heartbeat
from bluesky_stm.facility._queue_files import LISTED, PERMISSIONS
from bluesky_stm.storage import DocumentSink, is_elsewhere
from bluesky_stm.submission import CONTROL, CONTROL_VARIABLE

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
    yield _tiled(settings.server)
    proxy = "Start bluesky-0MQ-proxy, or enable bluesky-stm-proxy.service."
    yield _answering("0MQ proxy (publish)", _host_of(settings.publish), proxy)
    for sink in settings.sinks:
        assert isinstance(sink, DocumentSink)
        yield _tried(f"sink {sink.name}", partial(_open_and_close, sink), "Start its server; it gets what it missed.")
    yield from _alerts(settings)
    yield _queue(here, Path(settings.catalog))
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


def _tiled(address: str) -> Check:
    """Look whether a Tiled server answers and would take a run: one without a key shows them all, and takes none."""
    what = "Tiled server (server)"
    answers = _answering(what, _host_of(address), "Start it; what it misses it gets at the next start.")
    if answers.verdict != "good":
        return answers
    from bluesky_stm.storage import write_status

    try:
        status = write_status(address, ANSWER)
    except Exception as error:  # of a client of somebody else
        return Check(what, "bad", f"{answers.said}, but not as a Tiled server: {_first_line(error)}. Look at its address.")
    if status in (401, 403):
        return Check(
            what,
            "bad",
            f"{answers.said}, and takes nothing from here. Put a key that may write into TILED_API_KEY of the process that "
            "measures, and of this one to see it.",
        )
    return Check(what, "good", f"{answers.said}, and takes what is sent")


def _queue(here: Path, catalog: Path) -> Check:
    what, files = "queue server", [here / "queue" / name for name in (LISTED, PERMISSIONS.name)]
    address = os.environ.get(CONTROL_VARIABLE) or CONTROL
    try:
        socket.create_connection(_host_of(address) or ("", 0), ANSWER).close()
    except OSError:
        there = all(path.is_file() for path in files)
        said = (
            "its files are written, and it does not run" if there else "does not run; bluesky-stm queue-files writes its files"
        )
        return Check(what, "absent", said)
    from bluesky_stm.facility._queue_client import QueueClient

    def ask() -> str:
        client = QueueClient(address)
        try:
            return client.environment()
        finally:
            client.close()

    answered = _tried(what, ask, "Another program listens there, or the server asks for a key.")
    if answered.verdict != "good":
        return answered
    if answered.said in ("closed", "failed"):
        return Check(what, "bad", f"answers, and its environment is {answered.said}: qserver environment open.")
    with suppress(FileFormatError):
        beat = read_heartbeat(catalog)
        if beat is not None and (why := beat.dead(time.time())):
            return Check(
                what,
                "bad",
                f"says that its environment is {answered.said}, and {why}. "
                "qserver environment destroy, then qserver environment open.",
            )
    return Check(what, "good", f"answers; its environment: {answered.said}")


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
        return Check(what, "bad", f"{where + ': ' if where else ''}{_first_line(error)}. {do}")
    return Check(what, "good", said or str(found or "answers"))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _host_of(address: str) -> tuple[str, int] | None:
    if not address:
        return None
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    return parts.hostname or "127.0.0.1", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
