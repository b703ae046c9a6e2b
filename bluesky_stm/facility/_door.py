"""The door of a session: people elsewhere on its host ask through a socket that only the user of the session can open.

Nothing waits for whoever asks: a thread answers, what is asked waits in `Steer` until the plan attends to it, and a client that
dies is forgotten.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from bluesky_stm.errors import LostConnectionError, SettingsError, STMError
from bluesky_stm.validated import JSON, Data

if TYPE_CHECKING:
    from bluesky_stm.session import Session

DOOR = "door.json"
"""File beside the catalog that says where the door of the session is."""

LARGEST = 65_536
"""Size of a question, in bytes, beyond which nobody listens."""
PATIENCE = 10.0
"""Time, in s, within which a question and its answer have to come."""

log = logging.getLogger(__name__)


def ask(session: Session, request: str, who: str, source: str, settings: Data, reason: str = "", refused: str = "") -> str:
    """Ask something of the exploration that goes on in a session. A withdrawal begins at once, whatever goes on.

    Parameters
    ----------
    session : Session
        Where it goes on.
    request : str
        One of `steer.REQUESTS`.
    who, source : str
        Person who asks, and where that person is.
    settings : mapping
        Parameters of the request, as plain JSON.
    reason : str
        Reason, for the record.
    refused : str
        Why it was refused already, as by the desk: it is put on record only, where an exploration goes on.

    Returns
    -------
    str
        What was asked, by whom, and what it waits for.

    Raises
    ------
    SettingsError
        When the request makes no sense, or no exploration goes on. Nothing was asked.
    """
    steer = session.steer.of(who, source)
    if refused:
        steer.note_refusal(request, settings, refused, reason)
        return f"{who} was refused: {request}"
    if steer.attended:
        said = steer.request(request, settings, reason)
        if request != "withdraw" and (doing := session.stm.worker.doing):
            said = f"{said}; it waits for the end of what goes on: {doing}"
    elif request != "withdraw":
        raise SettingsError("No exploration goes on here that would attend to a request. Nothing was asked.")
    else:
        said = f"{who} asks from {source}: withdraw"
        log.warning("%s; no exploration goes on.", said)
    if request == "withdraw":
        session.stm.z.withdraw()
    return said


class Door:
    """Listens for requests to a session.

    Parameters
    ----------
    session : Session
        Whose exploration is steered.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._note = session.catalog.path / DOOR
        self._folder = Path(mkdtemp(prefix="bluesky_stm-"))  # which only this user can open; the catalog's path may be too long
        self._listener = Listener(str(self._folder / "door"))
        self._open = True
        self._note.write_text(json.dumps({"address": self._listener.address, "pid": os.getpid()}), encoding="utf-8")
        threading.Thread(target=self._listen, name="bluesky_stm door", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._open = False
        with suppress(OSError, EOFError):
            Client(self._listener.address).close()  # wakes whoever waits for somebody to come
        self._listener.close()
        self._note.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _listen(self) -> None:
        while self._open:
            try:
                one = self._listener.accept()
            except (OSError, EOFError):
                continue
            if self._open:
                threading.Thread(target=self._attend, args=(one,), name="bluesky_stm door", daemon=True).start()

    def _attend(self, one: Connection[Any, Any]) -> None:
        with one, suppress(OSError, EOFError):
            if one.poll(PATIENCE):
                one.send_bytes(json.dumps(self._answer(one.recv_bytes(LARGEST))).encode())

    def _answer(self, question: bytes) -> JSON:
        try:
            asked = json.loads(question)
            if asked == {"ask": "state"}:
                return {"ok": True, "state": self._state()}
            names = {"request", "who", "source", "settings", "reason", "refused"}
            if not isinstance(asked, dict) or asked.keys() != names:
                raise SettingsError(f"A question has {', '.join(sorted(names))}. Nothing was asked.")
            return {"ok": True, "said": ask(self._session, **asked)}
        except STMError as error:
            return {"ok": False, "said": str(error)}
        except ValueError as error:
            return {"ok": False, "said": f"The question is no JSON: {error}. Nothing was asked."}
        except Exception as error:  # whatever a client sends, the door stays open
            log.warning("A question at the door failed.", exc_info=True)
            return {"ok": False, "said": f"The question failed: {type(error).__name__}. Nothing was asked."}

    def _state(self) -> JSON:
        session = self._session
        proposed, fault = session.steer.proposed, session.stm.fault
        return {
            "engine": str(session.RE.state),
            "attended": session.steer.attended,
            "proposed": None if proposed is None else [float(x) for x in proposed.point],
            "fault": "" if fault is None else f"{type(fault).__name__}: {fault}",
            "withdrawn": self._withdrawn(),
        }

    def _withdrawn(self) -> bool | None:
        """Return whether the tip is withdrawn; None while the engine works, as the controller may be busy with a sweep."""
        if self._session.RE.state != "idle":
            return None
        try:
            return self._session.stm.withdrawn
        except STMError:
            return None


class DoorClient:
    """Asks at the door of the session that writes a catalog.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog.
    """

    def __init__(self, catalog: Path) -> None:
        self._note = catalog / DOOR

    def ask(self, request: str, who: str, source: str, settings: Data, reason: str = "", refused: str = "") -> str:
        """Ask something of the exploration that goes on; see `ask`.

        Raises
        ------
        SettingsError
            When it is refused, in the words of the session.
        LostConnectionError
            When no session answers.
        """
        told = {"request": request, "who": who, "source": source, "settings": dict(settings), "reason": reason}
        told["refused"] = refused
        return str(self._told(told)["said"])

    @property
    def there(self) -> bool:
        """True where a session says that it has a door."""
        return self._note.is_file()

    def state(self) -> JSON:
        """Return the state of the engine, whether a request would be attended to, the place proposed, and a fault.

        Raises
        ------
        LostConnectionError
            When no session answers.
        """
        state: JSON = self._told({"ask": "state"})["state"]
        return state

    def _told(self, question: Data) -> JSON:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            with Client(note["address"]) as door:
                door.send_bytes(json.dumps(question).encode())
                if not door.poll(PATIENCE):
                    raise TimeoutError("no answer")
                answer: JSON = json.loads(door.recv_bytes())
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise LostConnectionError(
                f"No session answers that writes {self._note.parent} ({type(error).__name__}). Nothing was asked. Does a run "
                "go on there, on this host, of this user?"
            ) from None
        if not answer["ok"]:
            raise SettingsError(str(answer["said"]))
        return answer


def open_door(session: Session) -> None:
    """Open the door of a session, until the session is closed; where the system has no such sockets there is none.

    Parameters
    ----------
    session : Session
        Its catalog says where the door is.
    """
    try:
        door = Door(session)
    except OSError as error:
        log.warning("The session has no door for requests from elsewhere: %s.", error)
        return
    session.extras.callback(door.close)
