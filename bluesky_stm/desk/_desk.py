"""The desk itself: who asks what of which run, and what became of it. It knows no network."""

from __future__ import annotations

import json
import logging
import socket
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Protocol

from bluesky_stm.desk._board import Board
from bluesky_stm.desk._errors import Refused, refusal_of
from bluesky_stm.desk._people import Person
from bluesky_stm.desk._proposals import Proposal, Proposals
from bluesky_stm.errors import STMError, UnknownNameError
from bluesky_stm.steer import REQUESTS
from bluesky_stm.validated import JSON, Data

LOG = "desk.jsonl"
"""File beside the catalog in which every request at the desk is noted, with what became of it."""

ALWAYS = frozenset({"withdraw", "pause", "stop"})
"""Requests that hold for whatever run goes on by then."""

TERMINAL = "a terminal"
"""Where a person decides who is not at the page."""

_LONGEST = 500
"""Characters of a reason."""


class Way(Protocol):
    """The way to the session that measures: its own door, or a queue server."""

    def ask(self, request: str, who: str, source: str, settings: Data, reason: str = "", refused: str = "") -> str:
        """Ask something of the exploration that goes on; see `facility.ask`."""


class Queue(Protocol):
    """Takes plans for later."""

    def submit(self, plan: str, parameters: Data, user: str) -> str:
        """Put a plan into the queue, and return the uid of the item.

        Parameters
        ----------
        plan : str
            Its name in the queue.
        parameters : mapping
            By name, as plain JSON.
        user : str
            Who asked for it.
        """


class Desk:
    """Takes requests of people, checks who may ask, and hands them on; each is noted.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog that is watched.
    board : Board
        What is shown.
    way : Way
        The way to the session that measures.
    queue : Queue, optional
        Where nights are queued.
    """

    def __init__(self, catalog: Path, board: Board, way: Way, queue: Queue | None = None) -> None:
        self.catalog, self.board, self.way = catalog, board, way
        self.proposals, self.queue = Proposals(catalog), queue
        self.host = socket.gethostname()
        self._log = logging.Logger("bluesky_stm.desk.requests")
        self._file = RotatingFileHandler(catalog / LOG, maxBytes=5_000_000, backupCount=2, encoding="utf-8", delay=True)
        self._log.addHandler(self._file)

    def close(self) -> None:
        """Close the file of requests."""
        self._file.close()

    def request(self, person: Person, peer: str, given: Data) -> str:
        """Hand on what a person asks.

        Parameters
        ----------
        person : Person
            Who asks.
        peer : str
            Address from which it comes.
        given : mapping
            The ``request``, its ``settings``, a ``reason``, and the ``run`` that the person sees.

        Returns
        -------
        str
            What was asked, in words.

        Raises
        ------
        Refused
            With a code, and the words of the session where it was asked there.
        """
        request, settings, reason = self._checked(given)
        if not person.may(request):
            raise Refused("not-allowed", f"{person.name} has the role {person.role!r}, which may not ask for {request!r}.")
        self._check_run(request, given.get("run"))
        return self.hand_on(request, person.name, self._place(peer), settings, reason)

    def decide(self, person: Person, peer: str, given: Data) -> str:
        """Accept or decline a proposal; what is accepted is asked in the name of who accepts, and says who proposed it.

        Parameters
        ----------
        person : Person
            Who decides.
        peer : str
            Address from which it comes.
        given : mapping
            The id as ``proposal``, the ``digest`` of what was seen, the ``verdict`` and a ``reason``.

        Raises
        ------
        Refused
            With the reason.
        """
        names = {"proposal", "digest", "verdict", "reason"}
        if not isinstance(given, dict) or given.keys() != names or not all(isinstance(v, str) for v in given.values()):
            raise Refused("bad-request", f"A verdict has {', '.join(sorted(names))}, each a text. Nothing was decided.")
        known = self.proposals[given["proposal"]]
        if given["verdict"] == "accept" and known.act != "night":
            self._check_run(known.act, known.run)
        one = self.proposals.decide(person, known.id, given["digest"], given["verdict"])
        if one.state != "accepted":
            return f"{person.name} declines proposal {one.id} of {one.by}"
        try:
            said = self._carry_out(one, person, f"{self._place(peer)}; proposal {one.id} of {one.by}")
        except Refused as refused:
            self.proposals.note(one.id, refused.said, refused=True)
            raise
        self.proposals.note(one.id, said)
        return said

    def _carry_out(self, one: Proposal, person: Person, source: str) -> str:
        if one.act != "night":
            return self.hand_on(one.act, person.name, source, one.content, one.reason)
        if self.queue is None:
            raise Refused("not-there", "This desk knows no queue (--queue) in which a night could wait. Run it at the prompt.")
        md = {"proposed_by": one.by, "accepted_by": person.name, "accepted_at": source, "proposal_id": one.id}
        try:
            item = self.queue.submit("night", {"night": one.content, "md": md}, person.name)
        except STMError as error:
            raise refusal_of(error) from None
        return f"the night is in the queue as {item}"

    def hand_on(self, request: str, who: str, source: str, settings: Data, reason: str) -> str:
        """Ask the session.

        Raises
        ------
        Refused
            In the words of the session, or because none answers.
        """
        try:
            return self.way.ask(request, who, source, settings, reason)
        except STMError as error:
            raise refusal_of(error) from None

    def note(self, who: str, peer: str, given: object, code: str, said: str) -> None:
        """Write down a request and what became of it.

        Parameters
        ----------
        who, peer : str
            Name of the person, and where that person is.
        given : object
            The request as it came.
        code, said : str
            Code of the answer, and its words.
        """
        line = {
            "time": time.time(),
            "who": who,
            "from": peer,
            "given": repr(given)[:_LONGEST],
            "code": code,
            "said": said[:_LONGEST],
        }
        self._log.info(json.dumps(line))

    def note_refusal(self, person: Person, peer: str, given: object, refused: Refused) -> None:
        """Put a refusal of the desk into the documents of the run, where one goes on.

        What the session itself has refused is there already.
        """
        if refused.code in {"refused", "unknown-name", "not-there", "too-many"}:
            return
        told: Data = given if isinstance(given, dict) else {}
        settings: Any = told.get("settings")
        try:
            self.way.ask(
                str(told.get("request"))[:_LONGEST],
                person.name,
                self._place(peer),
                settings if isinstance(settings, dict) else {},
                str(told.get("reason", ""))[:_LONGEST],
                refused=f"{refused.code}: {refused.said}",
            )
        except STMError:
            pass  # nobody measures

    def _place(self, peer: str) -> str:
        """Return where somebody asks, for the record."""
        return f"{TERMINAL} at {self.host}" if peer == TERMINAL else f"the desk at {self.host}, from {peer}"

    def _checked(self, given: Data) -> tuple[str, JSON, str]:
        names = {"request", "settings", "reason", "run"}
        if not isinstance(given, dict) or given.keys() != names:
            raise Refused("bad-request", f"A request has {', '.join(sorted(names))}, and nothing else. Nothing was asked.")
        request, settings, reason = given["request"], given["settings"], given["reason"]
        if request not in REQUESTS:
            raise Refused("unknown-name", str(UnknownNameError.among("request", request, REQUESTS)))
        if not isinstance(settings, dict) or not isinstance(reason, str) or len(reason) > _LONGEST:
            raise Refused(
                "bad-request", f"A request has settings by name and a reason of {_LONGEST} letters at most. Nothing was asked."
            )
        return request, settings, reason

    def _check_run(self, request: str, run: object) -> None:
        current = self.board.current
        if request in ALWAYS:
            return
        if current is None or run != current.uid:
            raise Refused("changed-since", "Another run goes on by now than the one that was seen. Nothing was asked.")
        if current.stop_document:
            raise Refused("changed-since", "That run is over. Nothing was asked.")


def strict_json(body: bytes) -> Any:
    """Return what a body says: JSON in which no name stands twice and every number is one.

    Raises
    ------
    Refused
        For anything else.
    """

    def once(pairs: list[tuple[str, Any]]) -> JSON:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError("a name stands twice")
        return made

    def number(text: str) -> float:
        value = float(text)
        if abs(value) == float("inf"):
            raise ValueError(f"{text[:20]} is no number")
        return value

    def none(text: str) -> Any:
        raise ValueError(f"{text} is no number")

    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_float=number, parse_constant=none)
    except (ValueError, RecursionError) as error:
        raise Refused("bad-request", f"This is no JSON that the desk takes: {error}. Nothing was asked.") from None
