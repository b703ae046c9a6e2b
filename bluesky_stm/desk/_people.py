"""People who may watch, steer, operate or propose: each known by a token, or by the name that a facility's proxy gives."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bluesky_stm.desk._errors import Refused
from bluesky_stm.errors import SettingsError
from bluesky_stm.validated import Settings, read_yaml

ROLES: Final = ("watch", "propose", "steer", "operate")
"""What a person may do, each what those before may, but that who proposes does not steer."""

STEERING: Final = frozenset(
    {
        *("mask", "unmask", "measure", "accept", "reject", "approve_each", "scalarize", "tune", "pause", "resume", "withdraw"),
        "propose",
    }
)
OPERATING: Final = frozenset({*STEERING, "budget", "stop", "night"})
MAY: Final = {"watch": frozenset[str](), "propose": frozenset({"propose"}), "steer": STEERING, "operate": OPERATING}
"""What each role may ask for."""

SHORTEST: Final = 20
"""Characters that a token has at least."""


class Person(Settings):
    """Somebody who is known here.

    Attributes
    ----------
    name : str
        For the documents.
    role : str
        One of `ROLES`.
    sha256 : str
        Digest of the token, in hexadecimal digits; empty where the proxy says who it is.
    user : str
        Name that the proxy gives; empty where a token says who it is.
    """

    name: str
    role: str
    sha256: str = ""
    user: str = ""

    def check(self) -> None:
        """Refuse what nobody could be.

        Raises
        ------
        SettingsError
            For an unknown role, no name, or neither a token nor a user.
        """
        if self.role not in ROLES or not self.name.strip() or bool(self.sha256) == bool(self.user):
            raise SettingsError(
                f"Somebody at the desk has a name, a role ({', '.join(ROLES)}) and either a sha256 or a user, not {self!r}."
            )

    def may(self, act: str) -> bool:
        """Return True when the role allows a request.

        Parameters
        ----------
        act : str
            Name of the request, such as ``measure``.
        """
        return act in MAY[self.role]

    @property
    def credential(self) -> str:
        """Text by which credentials are told apart; nothing follows from it."""
        return hashlib.sha256(f"{self.sha256}|{self.user}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class People:
    """Everybody who is known at this desk."""

    known: tuple[Person, ...] = ()

    @classmethod
    def read(cls, path: Path) -> People:
        """Read a file of people, which only its owner may read or write.

        Raises
        ------
        SettingsError
            When it is not there, others may read it, or it makes no sense.
        """
        if not path.is_file():
            raise SettingsError(
                f"There is no file of people at {path}. Nothing has been started. Name it with --people, or make it: "
                "bluesky-stm desk-token NAME --role operate"
            )
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SettingsError(f"{path} can be read by others. Nothing has been started. Say: chmod 600 {path}")
        listed = read_yaml(path)
        rows = listed.get("people") if isinstance(listed, dict) else None
        if not isinstance(rows, list):
            raise SettingsError(f"{path} should hold people: [{{name, role, sha256}}, ...]. Nothing has been started.")
        people = [Person.parse(row) for row in rows]
        for one in people:
            one.check()
        return cls(tuple(people))

    def by_token(self, token: str) -> Person:
        """Return the person who has a token.

        Raises
        ------
        Refused
            When nobody has it.
        """
        digest = digest_of(token)
        found = [one for one in self.known if one.sha256 and hmac.compare_digest(one.sha256, digest)]
        if not found:
            raise Refused("bad-credential", "Nobody here has this token. Nothing was asked.")
        return found[0]

    def by_user(self, user: str) -> Person:
        """Return the person whom the proxy names.

        Raises
        ------
        Refused
            When nobody has that name.
        """
        found = [one for one in self.known if one.user and one.user == user]
        if not found:
            raise Refused("bad-credential", "The user that the proxy names is not known at this desk. Nothing was asked.")
        return found[0]


def digest_of(token: str) -> str:
    """Return the digest by which a token is kept.

    Parameters
    ----------
    token : str
        What a person shows at the desk.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def new_person(name: str, role: str) -> tuple[Person, str]:
    """Return somebody new, and the token, which is kept nowhere.

    Parameters
    ----------
    name : str
        For the documents.
    role : str
        One of `ROLES`.
    """
    token = secrets.token_urlsafe(24)
    person = Person(name=name, role=role, sha256=digest_of(token))
    person.check()
    return person, token


def write_people(path: Path, people: Iterable[Person]) -> None:
    """Write a file of people that only its owner may read.

    Parameters
    ----------
    path : Path
        The file, which is replaced in one step.
    people : iterable of Person
        All of them.
    """
    import yaml

    rows = [one.model_dump(exclude_defaults=True) for one in people]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(yaml.safe_dump({"people": rows}, sort_keys=False))
    os.replace(draft, path)


def people_file() -> Path:
    """Return where the people of a desk are kept unless said otherwise."""
    return Path("~/.config/bluesky_stm/people.yaml").expanduser()


def this_user_alone() -> tuple[People, str]:
    """Return the people of a desk at which only the user of this process may do anything, and the token.

    Returns
    -------
    People
        That user alone, who may operate.
    str
        The token, which is kept nowhere.
    """
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "somebody"
    person, token = new_person(name, "operate")
    return People((person,)), token


class Rate:
    """Lets each name pass so often: ``burst`` times at once, and then ``rate`` times a second.

    Parameters
    ----------
    rate : float
        Per second.
    burst : int
        At once.
    clock : callable
        Time, in s.
    """

    MOST = 10_000
    """Names that are kept; when there are more, those that have all of their turns again are forgotten."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: dict[str, tuple[float, float]] = {}

    def passes(self, name: str, spend: bool = True) -> bool:
        """Return True when this one may pass now.

        Parameters
        ----------
        name : str
            Who it is.
        spend : bool
            False to only look.
        """
        now = self._clock()
        left, then = self._left.get(name, (float(self._burst), now))
        left = min(float(self._burst), left + self._rate * (now - then))
        if spend:
            if len(self._left) >= self.MOST:
                self._left = {k: (n, t) for k, (n, t) in self._left.items() if n + self._rate * (now - t) < self._burst}
            self._left[name] = (left - 1 if left >= 1 else left, now)
        return left >= 1
