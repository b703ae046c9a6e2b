"""Requests of a person to an exploration while it runs or is paused.

Give the same `Steer` to the plan and keep it at the prompt. A request waits until the plan reaches its next safe place; there
it is carried out, or refused with a reason, and either way it is an Event in the stream ``intervention``.
"""

from __future__ import annotations

import getpass
import json
import math
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Decision
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.validated import Data

KINDS: Final = ("mask", "unmask", "measure", "scalarizer", "agent", "budget", "approve", "accept", "reject")
"""Kinds of requests."""

REQUESTS: Final = ("mask", "unmask", "measure", "scalarize", "tune", "budget", "approve_each", "accept", "reject")
"""Methods of `Steer` by which a person asks for something."""

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
    """

    kind: str
    settings: Data
    reason: str = ""
    who: str = ""
    source: str = ""
    asked: float = 0.0

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
        """The place of a ``measure`` or a ``reject``, in nm."""
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
    """What was asked by anybody, and what the plan proposes."""

    proposed: Decision | None = None
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
        if not all(map(math.isfinite, point)):
            raise SettingsError(f"A spectrum needs a place that is finite, not {tuple(point)}. Nothing was asked.")
        self._ask("measure", {"point": [float(point[0]), float(point[1])]}, reason)

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
        if spectra < 1:
            raise SettingsError(f"A budget needs at least one spectrum, not {spectra}. Nothing was asked.")
        self._ask("budget", {"spectra": int(spectra)}, reason)

    def approve_each(self, on: bool = True, reason: str = "") -> None:
        """Wait for a person before each spectrum, or (``on=False``) no longer."""
        self._ask("approve", {"on": bool(on)}, reason)

    def accept(self, reason: str = "") -> None:
        """Measure at the place that the agent proposes."""
        self._ask("accept", {}, reason)

    def reject(self, reason: str = "") -> None:
        """Refuse the place that the agent proposes, now and later; the agent decides anew.

        Raises
        ------
        SettingsError
            When no decision waits for approval.
        """
        decision = self.proposed
        if decision is None:
            raise SettingsError("No decision waits for approval: there is nothing to reject. Ask approve_each() first.")
        self._ask("reject", {"point": list(decision.point)}, reason)

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
            When there is no such request, or its parameters make no sense. Nothing was asked.
        """
        if name not in REQUESTS:
            raise UnknownNameError.among("request", name, REQUESTS)
        given = dict(settings)
        try:
            if "area" in given:
                given["area"] = Frame.from_dict(given["area"])
            if "point" in given:
                x, y = given["point"]
                given["point"] = float(x), float(y)
            getattr(self, name)(**given, reason=reason)
        except SettingsError:
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise SettingsError(f"The request {name!r} does not take {dict(settings)!r}: {error}. Nothing was asked.") from None
        return f"{self.who} asks from {self.source}: {name} {dict(settings)!r}"

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
            self._requests.asked.append(Intervention(kind, settings, reason, self.who, self.source, time.time()))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a process whose user has no name
        return ""
