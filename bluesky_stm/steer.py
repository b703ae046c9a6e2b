"""Requests of a person to an exploration while it runs or is paused.

Give the same `Steer` to the plan and keep it at the prompt. A request waits until the plan reaches its next safe place; there
it is carried out, or refused with a reason, and either way it is an Event in the stream ``intervention``.
"""

from __future__ import annotations

import getpass
import inspect
import json
import logging
import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Decision
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.validated import Data, plain_numbers

log = logging.getLogger(__name__)

OF_THE_AGENT: Final = ("mask", "unmask", "reject", "agent", "scalarizer")
"""Kinds of requests that change the decisions: one that was made before no longer holds, and the agent decides anew."""

KINDS: Final = (*OF_THE_AGENT, *("measure", "budget", "approve", "accept", "pause", "resume", "stop", "withdraw", "refused"))
"""Kinds of requests; ``refused`` is one that made no sense, and is on record all the same."""

REQUESTS: Final = (
    *("mask", "unmask", "measure", "scalarize", "tune", "budget", "approve_each", "accept", "reject"),
    *("pause", "resume", "stop", "withdraw"),
)
"""Methods of `Steer` by which a person asks for something."""

MOST_WAITING: Final = 100
"""Requests that may wait for an exploration; further ones are refused."""

MOST_SPECTRA: Final = 1_000_000
_MOST_TOLD: Final = 300
"""Characters of a refused request that are kept on record."""

_A_POINT: Final = 1e-6
"""Side, in nm, of the area that masks a single candidate."""


@dataclass(frozen=True)
class Intervention:
    """A request of a person.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    settings : mapping
        JSON-able: the area, the place, the scalarizer ...
    reason : str
        Reason in the words of the person, for the record.
    who : str
        Person who asked.
    source : str
        Where the person asked: at the prompt of a host, through the queue ...
    asked : float
        Time of the request, in s since 1970; 0 where that is not known.
    refused : str
        Why it was refused where it was asked; empty where the plan decides.
    """

    kind: str
    settings: Data
    reason: str = ""
    who: str = ""
    source: str = ""
    asked: float = 0.0
    refused: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError.among("intervention", self.kind, KINDS)

    @property
    def area(self) -> Frame:
        """The area of a ``mask`` where the agent may no longer look, or the place of a ``reject`` as a tiny area."""
        if self.kind == "reject":
            return Frame.square(self.point, _A_POINT, 1)
        return Frame.from_dict(self.settings["area"])

    @property
    def point(self) -> Point:
        """The place of a ``measure``, a ``reject`` or an ``accept`` that names one, in nm."""
        return Point(*map(float, self.settings["point"]))

    def as_event(self) -> dict[str, str | float]:
        """Return the fields of an Event."""
        said = {"kind": self.kind, "settings": json.dumps(self.settings), "reason": self.reason}
        return {**said, "who": self.who, "source": self.source, "asked": self.asked}

    @classmethod
    def from_event(cls, fields: Data) -> Intervention:
        """Return the intervention that `as_event` described."""
        who, source = (str(fields.get(name, "")) for name in ("who", "source"))
        asked = float(fields.get("asked", 0.0))
        return cls(str(fields["kind"]), json.loads(fields["settings"]), str(fields["reason"]), who, source, asked)


@dataclass
class _Requests:
    """What was asked by anybody, what the plan proposes, whether a run attends, and why a person has ended the whole."""

    proposed: Decision | None = None
    attending: int = 0
    ended: str = ""
    asked: list[Intervention] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Steer:
    """The handle by which a person steers an exploration; it may be used from any thread, at any time.

    Parameters
    ----------
    who : str, optional
        Person who steers, for the record; by default the user of this process.
    source : str, optional
        Where that person is; by default the name of this host.
    """

    def __init__(self, who: str | None = None, source: str | None = None) -> None:
        self.who = _user() if who is None else who
        self.source = f"a prompt at {socket.gethostname()}" if source is None else source
        self._requests = _Requests()

    def of(self, who: str, source: str) -> Steer:
        """Return a handle to the same exploration for another person.

        Parameters
        ----------
        who : str
            The person.
        source : str
            Where the person is.

        Raises
        ------
        SettingsError
            When nobody is named.
        """
        if not isinstance(who, str) or not who.strip():
            raise SettingsError(f"A request needs to say who asks, not {who!r}. Nothing was asked.")
        other = Steer(who, source)
        other._requests = self._requests
        return other

    @property
    def proposed(self) -> Decision | None:
        """The decision that waits for `accept` or `reject`, where each is to be approved."""
        return self._requests.proposed

    @proposed.setter
    def proposed(self, decision: Decision | None) -> None:
        self._requests.proposed = decision

    @property
    def attended(self) -> bool:
        """True while an exploration goes on that carries out what is asked."""
        return self._requests.attending > 0

    @contextmanager
    def attending(self) -> Iterator[None]:
        """Say that an exploration attends as long as the context lasts; what nobody has attended to by its end is dropped."""
        self._requests.attending += 1
        try:
            yield
        finally:
            self._requests.attending -= 1
            if not self._requests.attending and (left := self.take()):
                log.warning("The exploration is over: %s came too late.", ", ".join(one.kind for one in left))

    @property
    def ended(self) -> str:
        """Why a person has ended the exploration, on all scales; empty while nobody has."""
        return self._requests.ended

    @ended.setter
    def ended(self, reason: str) -> None:
        self._requests.ended = reason

    def mask(self, area: Frame, reason: str = "") -> None:
        """Exclude an area from now on.

        The agent suggests no candidate inside of it, and no smaller frame is placed on it.

        Parameters
        ----------
        area : Frame
            Area on the sample, in nm.
        reason : str
            Reason, for the record.
        """
        self._ask("mask", {"area": area.as_dict()}, reason)

    def unmask(self, reason: str = "") -> None:
        """Allow all areas again, rejected places included."""
        self._ask("unmask", {}, reason)

    def measure(self, point: tuple[float, float], reason: str = "") -> None:
        """Take the next spectrum at a place.

        Parameters
        ----------
        point : (float, float)
            Place as (x, y), in nm on the topograph.
        reason : str
            Reason, for the record.

        Raises
        ------
        SettingsError
            When the place is not finite.
        """
        self._ask("measure", {"point": _place(point)}, reason)

    def scalarize(self, choice: str | Data, reason: str = "") -> None:
        """Evaluate all spectra, earlier ones too, by another scalarizer.

        Parameters
        ----------
        choice : str or mapping
            A name, or ``{"name": ..., **settings}``.
        reason : str
            Reason, for the record.
        """
        described = make_scalarizer(choice).describe()
        self._ask("scalarizer", described, reason)

    def tune(self, reason: str = "", **settings: Any) -> None:
        """Change settings of the agent: ``tune(acquisition="ucb")``.

        Parameters
        ----------
        reason : str
            Reason, for the record.
        **settings
            New settings of the agent; those that are not named stay.
        """
        self._ask("agent", {k: v.describe() if isinstance(v, Part) else v for k, v in settings.items()}, reason)

    def budget(self, spectra: int, reason: str = "") -> None:
        """Set the number of spectra in all; a number that is already reached ends the run.

        Parameters
        ----------
        spectra : int
            Number of spectra, those taken included.
        reason : str
            Reason, for the record.
        """
        if not isinstance(spectra, int) or isinstance(spectra, bool) or not 1 <= spectra <= MOST_SPECTRA:
            raise SettingsError(f"A budget is a whole number of at least one spectrum, not {spectra!r}. Nothing was asked.")
        self._ask("budget", {"spectra": spectra}, reason)

    def approve_each(self, on: bool = True, reason: str = "") -> None:
        """Wait for a person before each spectrum, or (``on=False``) no longer."""
        if not isinstance(on, bool):
            raise SettingsError(f"Approval is switched by true or false, not {on!r}. Nothing was asked.")
        self._ask("approve", {"on": on}, reason)

    def accept(self, reason: str = "", *, point: tuple[float, float] | None = None) -> None:
        """Measure at the place that the agent proposes.

        Parameters
        ----------
        reason : str
            Reason, for the record.
        point : (float, float), optional
            Place that the person saw, in nm: where another one is proposed by then, nothing is accepted.

        Raises
        ------
        SettingsError
            When the place is not finite.
        """
        self._ask("accept", {} if point is None else {"point": _place(point)}, reason)

    def reject(self, reason: str = "", *, point: tuple[float, float] | None = None) -> None:
        """Refuse the place that the agent proposes, now and later; the agent decides anew.

        Parameters
        ----------
        reason : str
            Reason, for the record.
        point : (float, float), optional
            Place that the person saw, in nm: where another one is proposed by now, nothing is rejected.

        Raises
        ------
        SettingsError
            When no decision waits for approval, or another one does.
        """
        decision = self.proposed
        if decision is None:
            raise SettingsError("No decision waits for approval: there is nothing to reject. Ask approve_each() first.")
        if point is not None and not same_place(_place(point), decision.point):
            raise SettingsError(f"Another place is proposed by now, {told(decision.point)}. Nothing was asked.")
        self._ask("reject", {"point": list(decision.point)}, reason)

    def pause(self, reason: str = "") -> None:
        """Hold still at the next safe place, with the tip in contact, until somebody resumes; requests are heeded meanwhile."""
        self._ask("pause", {}, reason)

    def resume(self, reason: str = "") -> None:
        """Go on after `pause`."""
        self._ask("resume", {}, reason)

    def stop(self, reason: str = "") -> None:
        """End the exploration at the next safe place, on all scales, with what was measured stored."""
        self._ask("stop", {}, reason)

    def withdraw(self, reason: str = "") -> None:
        """Withdraw the tip at the next safe place and end the exploration, on all scales."""
        self._ask("withdraw", {}, reason)

    def request(self, name: str, settings: Data, reason: str = "") -> str:
        """Make a request that is given by name, as through a queue.

        Parameters
        ----------
        name : str
            One of `REQUESTS`.
        settings : mapping
            Parameters of that method, as plain JSON.
        reason : str
            Reason, for the record.

        Returns
        -------
        str
            What was asked, and by whom.

        Raises
        ------
        SettingsError
            When there is no such request, or its parameters make no sense. Nothing was asked; where an exploration goes on,
            the refusal is an Event in it.
        """
        try:
            self._request(name, settings, reason)
        except SettingsError as error:
            self.note_refusal(name, settings, str(error), reason)
            raise
        return f"{self.who} asks from {self.source}: {name} {dict(settings)!r}"

    def note_refusal(self, name: object, settings: object, why: str, reason: str = "") -> None:
        """Put on record, where an exploration goes on, that something was asked and refused before it reached the plan.

        Parameters
        ----------
        name, settings : object
            What was asked; it is kept as text, cut where it is long.
        why : str
            Why it was refused.
        reason : str
            Reason of the person.
        """
        if not self.attended:
            return
        told = {"request": _cut(name), "given": _cut(settings)}
        asked = Intervention("refused", told, _cut(reason), self.who, self.source, time.time(), _cut(why))
        with self._requests.lock:
            if len(self._requests.asked) < MOST_WAITING:
                self._requests.asked.append(asked)

    def _request(self, name: str, settings: Data, reason: str) -> None:
        if name not in REQUESTS:
            raise UnknownNameError.among("request", name, REQUESTS)
        if not isinstance(settings, Mapping) or not isinstance(reason, str):
            raise SettingsError(f"The request {name!r} takes settings by name, not {settings!r}, and a reason in words.")
        given = dict(settings)
        try:
            if "area" in given:
                given["area"] = _area(given["area"])
            getattr(self, name)(**given, reason=reason)
        except SettingsError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            takes = ", ".join(inspect.signature(getattr(self, name)).parameters)
            raise SettingsError(f"The request {name!r} takes {takes}, not {given!r}: {error}. Nothing was asked.") from None

    def take(self) -> list[Intervention]:
        """Return what was asked since the last call, in that order. The plan calls it."""
        with self._requests.lock:
            asked, self._requests.asked = self._requests.asked, []
        return asked

    def _ask(self, kind: str, settings: Data, reason: str) -> None:
        try:
            json.dumps(settings)
        except TypeError as error:
            raise SettingsError(f"What is asked for has to be plain JSON: {error}. Nothing was asked.") from None
        with self._requests.lock:
            if len(self._requests.asked) >= MOST_WAITING and kind not in {"pause", "stop", "withdraw"}:
                raise SettingsError(
                    f"{MOST_WAITING} requests wait already for the exploration to attend to them. Nothing was asked. Ask later."
                )
            self._requests.asked.append(Intervention(kind, settings, reason, self.who, self.source, time.time()))


def same_place(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return True for places, (x, y) in nm, that are the same for a person: within 1 pm."""
    return math.dist(one, other) < 1e-3


def told(point: Sequence[float]) -> str:
    """Return a place for a message."""
    return f"({point[0]:.6g}, {point[1]:.6g}) nm"


def _place(point: object) -> list[float]:
    """Return a place as plain numbers; what only counts as a number is refused."""
    x, y = plain_numbers(point, 2, "A spectrum needs a place, two numbers in nm that are finite")
    return [x, y]


def _area(given: object) -> Frame:
    if not isinstance(given, Mapping) or not {"center", "size"} <= given.keys() <= {"center", "size", "pixels", "angle"}:
        raise SettingsError(f"An area has a center and a size, in nm, and perhaps an angle in degrees, not {given!r}.")
    center, size = (
        plain_numbers(given[name], 2, f"The {name} of an area is two finite numbers in nm") for name in ("center", "size")
    )
    (angle,) = plain_numbers([given.get("angle", 0.0)], 1, "The angle of an area is a finite number of degrees")
    return Frame(Point(*center), (size[0], size[1]), (1, 1), angle)


def _cut(given: object) -> str:
    text = given if isinstance(given, str) else repr(given)
    return text if len(text) <= _MOST_TOLD else f"{text[:_MOST_TOLD]} ..."


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a process whose user has no name
        return ""
