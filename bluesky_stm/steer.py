"""A person in the loop: what one can ask of an exploration while it runs or is paused.

Give the same `Steer` to the plan and keep it at the prompt. What is asked waits until the plan comes by its next safe place;
there it is carried out, or refused with a reason, and either way it is an Event in the stream ``intervention``.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Decision
from bluesky_stm.scalarizers import make_scalarizer

KINDS: Final = ("mask", "unmask", "measure", "scalarizer", "agent", "budget", "approve", "accept", "reject")
"""What can be asked."""

_A_POINT: Final = 1e-6
"""Side, in nm, of the area that masks a single candidate."""


@dataclass(frozen=True)
class Intervention:
    """What a person asked for.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    settings : mapping
        JSON-able: the area, the place, the scalarizer ...
    reason : str
        In the person's words; for the record.
    """

    kind: str
    settings: Mapping[str, Any]
    reason: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError.among("intervention", self.kind, KINDS)

    @property
    def area(self) -> Frame:
        """Of a ``mask``: where the agent may no longer look; of a ``reject``: the one place."""
        if self.kind == "reject":
            return Frame.square(self.point, _A_POINT, 1)
        return Frame.from_dict(self.settings["area"])

    @property
    def point(self) -> Point:
        """Of a ``measure`` or ``reject``: the place, in nm."""
        return Point(*map(float, self.settings["point"]))

    def as_event(self) -> dict[str, str]:
        """The fields of an Event."""
        return {"kind": self.kind, "settings": json.dumps(self.settings), "reason": self.reason}

    @classmethod
    def from_event(cls, fields: Mapping[str, Any]) -> Intervention:
        """Inverse of `as_event`."""
        return cls(str(fields["kind"]), json.loads(fields["settings"]), str(fields["reason"]))


class Steer:
    """Where a person says what the exploration should do; may be called from any thread, at any time.

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
        """Look no more inside ``area``, and place no smaller frame on it."""
        self._ask("mask", {"area": area.as_dict()}, reason)

    def unmask(self, reason: str = "") -> None:
        """Look everywhere again; rejected places, too."""
        self._ask("unmask", {}, reason)

    def measure(self, point: tuple[float, float], reason: str = "") -> None:
        """Take the next spectrum at ``point``, (x, y) in nm on the topograph."""
        if not all(map(math.isfinite, point)):
            raise SettingsError(f"A spectrum needs a place that is finite, not {tuple(point)}. Nothing was asked.")
        self._ask("measure", {"point": [float(point[0]), float(point[1])]}, reason)

    def scalarize(self, choice: str | Mapping[str, Any], reason: str = "") -> None:
        """Judge all spectra, those before too, by another scalarizer: a name or ``{"name": ..., **settings}``."""
        described = make_scalarizer(choice).describe()
        self._ask("scalarizer", described, reason)

    def tune(self, reason: str = "", **settings: Any) -> None:
        """Change settings of the agent: ``tune(acquisition="ucb")``."""
        self._ask("agent", {k: v.describe() if isinstance(v, Part) else v for k, v in settings.items()}, reason)

    def budget(self, spectra: int, reason: str = "") -> None:
        """Take ``spectra`` in all; a number that is already reached ends the run."""
        if spectra < 1:
            raise SettingsError(f"A budget needs at least one spectrum, not {spectra}. Nothing was asked.")
        self._ask("budget", {"spectra": int(spectra)}, reason)

    def approve_each(self, on: bool = True, reason: str = "") -> None:
        """Wait for a person before each spectrum, or no longer."""
        self._ask("approve", {"on": bool(on)}, reason)

    def accept(self, reason: str = "") -> None:
        """Measure where the agent proposes."""
        self._ask("accept", {}, reason)

    def reject(self, reason: str = "") -> None:
        """Don't measure where the agent proposes, now or later; it decides anew."""
        decision = self.proposed
        if decision is None:
            raise SettingsError("No decision waits for approval: there is nothing to reject. Ask approve_each() first.")
        self._ask("reject", {"point": list(decision.point)}, reason)

    def take(self) -> list[Intervention]:
        """What was asked since the last call, in that order; for the plan."""
        with self._lock:
            asked, self._asked = self._asked, []
        return asked

    def _ask(self, kind: str, settings: Mapping[str, Any], reason: str) -> None:
        try:
            json.dumps(settings)
        except TypeError as error:
            raise SettingsError(f"What is asked for has to be plain JSON: {error}. Nothing was asked.") from None
        with self._lock:
            self._asked.append(Intervention(kind, settings, reason))
