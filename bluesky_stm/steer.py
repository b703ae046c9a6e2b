"""Requests of a person to an exploration while it runs or is paused.

Give the same `Steer` to the plan and keep it at the prompt. A request waits until the plan reaches its next safe place; there
it is carried out, or refused with a reason, and either way it is an Event in the stream ``intervention``.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass
from typing import Any, Final

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Decision
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.validated import Data

KINDS: Final = ("mask", "unmask", "measure", "scalarizer", "agent", "budget", "approve", "accept", "reject")
"""Kinds of requests."""

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
    """

    kind: str
    settings: Data
    reason: str = ""

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

    def as_event(self) -> dict[str, str]:
        """Return the fields of an Event."""
        return {"kind": self.kind, "settings": json.dumps(self.settings), "reason": self.reason}

    @classmethod
    def from_event(cls, fields: Data) -> Intervention:
        """Return the intervention that `as_event` described."""
        return cls(str(fields["kind"]), json.loads(fields["settings"]), str(fields["reason"]))


class Steer:
    """The handle by which a person steers an exploration; it may be used from any thread, at any time.

    Attributes
    ----------
    proposed : Decision or None
        In approve mode: the decision that waits for `accept` or `reject`.
    """

    def __init__(self) -> None:
        self.proposed: Decision | None = None
        self._asked: list[Intervention] = []
        self._lock = threading.Lock()

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

    def take(self) -> list[Intervention]:
        """Return what was asked since the last call, in that order. The plan calls it."""
        with self._lock:
            asked, self._asked = self._asked, []
        return asked

    def _ask(self, kind: str, settings: Data, reason: str) -> None:
        try:
            json.dumps(settings)
        except TypeError as error:
            raise SettingsError(f"What is asked for has to be plain JSON: {error}. Nothing was asked.") from None
        with self._lock:
            self._asked.append(Intervention(kind, settings, reason))
