"""Proposals of programs: rehearsed, kept in files beside the catalog, accepted once, by a person with another credential."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from bluesky_stm.desk._errors import Refused
from bluesky_stm.desk._people import Person
from bluesky_stm.validated import JSON, Data

FOLDER = "proposals"
LIFETIME = 3600.0
"""Time, in s, after which a proposal is too old to be accepted: the surface and the plan have moved on."""
MOST_OPEN = 20
"""Proposals that may wait for a person."""
MOST_SHOWN = 10
"""Proposals that are shown, the last ones."""


@dataclass(frozen=True)
class Proposal:
    """What somebody proposes.

    Attributes
    ----------
    id : str
        By which it is known.
    by, credential : str
        Who proposes, and a fingerprint of the credential.
    when : float
        In s since 1970.
    act : str
        Request that it becomes, one of `steer.REQUESTS`, or ``"night"``.
    content : dict
        Settings of the request, or the night.
    reason, title : str
        In the words of who proposes, and of the desk.
    run : str
        Run that was seen; empty for a night.
    card : dict
        What the rehearsal has shown.
    state : str
        ``"rehearsing"``, ``"open"``, ``"accepted"``, ``"declined"``, ``"taken back"``, or ``"refused"`` by twin or session.
    decided_by, decided_with : str
        Who decided, and a fingerprint of that credential.
    outcome : str
        What became of it.
    """

    id: str
    by: str
    credential: str
    when: float
    act: str
    content: JSON
    reason: str
    title: str
    run: str
    card: JSON = field(default_factory=dict)
    state: str = "rehearsing"
    decided_by: str = ""
    decided_with: str = ""
    outcome: str = ""

    @property
    def digest(self) -> str:
        """Return a digest of all that a person sees of it: what is accepted is what was seen."""
        seen = [self.id, self.by, self.act, self.content, self.reason, self.run, self.card]
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()

    def shown(self) -> JSON:
        """Return it for a page, without the fingerprints."""
        told = {k: v for k, v in asdict(self).items() if k not in {"credential", "decided_with"}}
        return {**told, "digest": self.digest}


class Proposals:
    """The proposals of a catalog.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog.
    clock : callable
        Time, in s since 1970.
    """

    def __init__(self, catalog: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = catalog / FOLDER, clock

    def propose(self, person: Person, act: str, content: Data, reason: str, title: str, run: str) -> Proposal:
        """Keep a new proposal, which is being rehearsed.

        Raises
        ------
        Refused
            When the role does not allow it, or too many wait already.
        """
        if not person.may("propose"):
            raise Refused("not-allowed", f"{person.name} has the role {person.role!r}, which may not propose.")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            if sum(one.state in {"open", "rehearsing"} and not self._old(one) for one in self.all()) >= MOST_OPEN:
                raise Refused("too-many", f"{MOST_OPEN} proposals wait already for a person. Take one back, or wait.")
            made = Proposal(
                uuid.uuid4().hex[:12], person.name, person.credential, self._clock(), act, dict(content), reason, title, run
            )
            self._write(made)
        return made

    def rehearsed(self, key: str, card: Data, refused: str = "") -> Proposal:
        """Note what the rehearsal has shown; only then a person may accept it."""
        with self._locked():
            one = self[key]
            if one.state == "rehearsing":
                one = replace(one, card=dict(card), state="refused" if refused else "open", outcome=refused)
                self._write(one)
        return one

    def take_back(self, person: Person, key: str) -> Proposal:
        """Take back a proposal of one's own.

        Raises
        ------
        Refused
            When it is somebody else's, or decided.
        """
        with self._locked():
            one = self[key]
            if one.credential != person.credential:
                raise Refused("not-allowed", f"Proposal {key} is not yours. Nothing was changed.")
            self._check_open(one)
            one = replace(one, state="taken back")
            self._write(one)
        return one

    def decide(self, person: Person, key: str, digest: str, verdict: str) -> Proposal:
        """Accept or decline a proposal; what is accepted can't be accepted again.

        Parameters
        ----------
        person : Person
            Who decides, with another credential and another name than who proposed.
        key : str
            Which one.
        digest : str
            Digest of what the person has seen.
        verdict : str
            ``"accept"`` or ``"decline"``.

        Raises
        ------
        Refused
            With the reason; the proposal stays as it is.
        """
        if verdict not in {"accept", "decline"}:
            raise Refused("bad-request", "A proposal is accepted or declined, nothing else.")
        with self._locked():
            one = self[key]
            if not person.may(one.act):
                raise Refused(
                    "not-allowed", f"{person.name} has the role {person.role!r}, which may not decide on {one.act!r}."
                )
            if person.credential == one.credential or person.name == one.by:
                raise Refused("self-approval", "Nobody decides on a proposal of one's own: another person has to.")
            self._check_open(one)
            if digest != one.digest:
                raise Refused("changed-since", "The proposal is not the one that was seen. Nothing was decided. Look again.")
            if verdict == "accept" and self._old(one):
                raise Refused(
                    "too-old", f"The proposal is older than {LIFETIME / 60:g} min. Nothing was accepted. Ask for a new one."
                )
            state = "accepted" if verdict == "accept" else "declined"
            one = replace(one, state=state, decided_by=person.name, decided_with=person.credential)
            self._write(one)
        return one

    def note(self, key: str, outcome: str, refused: bool = False) -> None:
        """Note what became of an accepted proposal."""
        with self._locked():
            one = self[key]
            self._write(replace(one, outcome=outcome, state="refused" if refused else one.state))

    def all(self) -> list[Proposal]:
        """Return all that there are, the oldest first."""
        found = []
        for path in self._folder.glob("*.json") if self._folder.is_dir() else ():
            try:
                found.append(Proposal(**json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):
                continue
        return sorted(found, key=lambda one: one.when)

    def shown(self) -> list[JSON]:
        """Return the last ones for a page, the newest first."""
        return [one.shown() for one in self.all()[-MOST_SHOWN:][::-1]]

    def __getitem__(self, key: str) -> Proposal:
        if not isinstance(key, str) or not re.fullmatch(r"[0-9a-f]{12}", key):
            raise Refused("not-found", "There is no such proposal.")
        try:
            return Proposal(**json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise Refused("not-found", "There is no such proposal.") from None

    def _check_open(self, one: Proposal) -> None:
        if one.state == "rehearsing":
            raise Refused("refused", "The proposal is still being rehearsed. Nothing was decided.")
        if one.state != "open":
            raise Refused("decided-already", f"The proposal is {one.state} already. Nothing was decided.")

    def _old(self, one: Proposal) -> bool:
        return self._clock() - one.when > LIFETIME

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._folder.is_dir():
            raise Refused("not-found", "There is no such proposal.")
        lock = FileLock(self._folder / "lock")
        try:
            lock.acquire(timeout=10)
        except Timeout:
            raise Refused("not-there", "The proposals are held by another process. Nothing was decided.") from None
        try:
            yield
        finally:
            lock.release()

    def _write(self, one: Proposal) -> None:
        path = self._folder / f"{one.id}.json"
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(one), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
