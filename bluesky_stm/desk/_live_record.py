"""A run as the desk shows it: what a picture shows, and what people did, what was checked, and what it waits for."""

from __future__ import annotations

import json
from typing import Any

from typing_extensions import override

from bluesky_stm.documents import Stream
from bluesky_stm.steer import OF_THE_AGENT
from bluesky_stm.validated import JSON, Data
from bluesky_stm.views import RunRecord, numbers

MOST_TOLD = 200
"""Interventions and checks that are shown; the last ones."""
UNDECIDING = {*OF_THE_AGENT, "measure"}
"""Kinds of interventions after which the last decision is carried out no more."""
RECENT = 10
"""Spectra from whose times the time left is estimated."""


class LiveRecord(RunRecord):
    """The record of a run under way.

    Attributes
    ----------
    interventions, checks : list of dict
        What people asked, and what the checks of tip and drift found, in their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.interventions: list[JSON] = []
        self.checks: list[JSON] = []
        self._times: list[float] = []
        self._last: Data = {}
        self._budget: int | None = None
        self._held = ""
        self._approving = self._answered = self._void = self._ending = False
        self._measured = 0
        self._heard = 0.0

    @override
    def begin(self, start: Data) -> None:
        super().begin(start)
        self._heard = float(start["time"])

    @override
    def give(self, stream: str, event: Data) -> None:
        super().give(stream, event)
        data, self._heard = self.data(event), float(event["time"])
        match stream:
            case Stream.PRIMARY:
                self._times.append(self._heard)
                self._last, self._measured = data, len(self.decisions)
            case Stream.AGENT:
                self._answered = self._void = False
            case Stream.INTERVENTION:
                self._intervened({key.partition("_")[2]: value for key, value in data.items()})
            case Stream.TIP_CHECK | Stream.DRIFT:
                self.checks.append({"when": self._heard, "of": stream.replace("_", " "), "said": _said(stream, data)})

    # ---- what they say -----------------------------------------------------------------------------------------------

    @property
    def taken(self) -> int:
        """Spectra so far."""
        return len(self.observations)

    @property
    @override
    def budget(self) -> int:
        """Spectra that the run may take, as a person has set them last."""
        return super().budget if self._budget is None else self._budget

    @property
    def state(self) -> str:
        """``"over"``, ``"paused"``, ``"asking"`` (a decision waits for approval) or ``"measuring"``."""
        if self.stop_document:
            return "over"
        if self._held:
            return "paused"
        return "asking" if self._approving and not self._answered and self.next else "measuring"

    @property
    def next(self) -> Any:
        """The decision that is being carried out, or waits for approval; None where there is none, or it no longer holds."""
        over = self.stop_document or self._ending
        pending = self.decisions and not over and not self._void and len(self.decisions) > self._measured
        return self.decisions[-1] if pending else None

    @property
    def left(self) -> float | None:
        """Time, in s, that the spectra of the budget will take, by how long the last ones took; None before there are two."""
        recent = self._times[-RECENT:]
        if len(recent) < 2 or self.stop_document:
            return None
        return max(0, self.budget - self.taken) * (recent[-1] - recent[0]) / (len(recent) - 1)

    def now(self) -> JSON:
        """Return what changes from document to document, as plain JSON."""
        decision = self.next
        health = self.decisions[-1].health if self.decisions else None
        measures = ("error", "coverage", "noise", "length", "depth", "left")
        return {
            "state": self.state,
            "by": self._held,
            "ended": {key: self.stop_document.get(key, "") for key in ("exit_status", "reason")}
            if self.stop_document
            else None,
            "heard": self._heard,
            "taken": self.taken,
            "budget": self.budget,
            "left": self.left,
            "approving": self._approving,
            "next": decision
            and {
                "place": [float(x) for x in decision.point],
                "why": decision.why,
                **dict(zip(("mean", "std", "acquisition"), _signed(decision, self.sign), strict=True)),
            },
            "health": health
            and {
                "model": health.model,
                "warning": health.warning,
                **dict(zip(measures, numbers([getattr(health, name) for name in measures]), strict=True)),
            },
            "microscope": self._microscope(),
        }

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _intervened(self, said: JSON) -> None:
        try:
            settings = json.loads(said["settings"])
        except ValueError:
            settings = {"given": str(said["settings"])}
        self.interventions.append({**said, "settings": settings, "when": self._heard})
        if said["refused"]:
            return
        self._void |= said["kind"] in UNDECIDING
        self._ending |= said["kind"] in {"stop", "withdraw"}
        match said["kind"]:
            case "pause":
                self._held = str(said.get("who") or "a person")
            case "resume" | "stop" | "withdraw":
                self._held = ""
            case "approve":
                self._approving = bool(settings["on"])
            case "accept":
                self._answered = True
            case "budget":
                self._budget = int(settings["spectra"])

    def _microscope(self) -> JSON:
        """Return bias, set point, place of the tip and its distance from the ends of its range, after the last spectrum."""
        names = {"bias": "setpoint_bias", "current": "setpoint_current", "x": "tip_x", "y": "tip_y", "z": "tip_z"}
        found = {name: _ending(self._last, ending) for name, ending in names.items()}
        shown: JSON = {name: None if value is None else numbers([value])[0] for name, value in found.items()}
        limits = self.start_document.get("limits") or {}
        low, high = limits.get("z") or (None, None)
        if shown["z"] is not None and low is not None:
            shown["z_margin"] = numbers([min(shown["z"] - low, high - shown["z"])])[0]
        withdrawn = any(one["kind"] == "withdraw" and not one["refused"] for one in self.interventions)
        return {
            **shown,
            "withdrawn": withdrawn,
            "limits": {name: limits[name] for name in ("bias", "current") if name in limits},
        }


def _signed(decision: Any, sign: int) -> list[float | None]:
    return numbers([sign * decision.mean, decision.std, decision.acquisition])


def _ending(data: Data, ending: str) -> Any:
    return next((value for key, value in data.items() if key.endswith(f"_{ending}")), None)


def _said(stream: str, data: Data) -> str:
    """Say in words what a check has found."""
    if stream == Stream.TIP_CHECK:
        revoked = int(_ending(data, "revoked") or 0)
        taken_back = f"; {revoked} spectra taken back" if revoked else ""
        reason = f": {data['tip_check_reason']}" if data.get("tip_check_reason") else ""
        return f"{data['tip_check_verdict']}{reason}{taken_back}"
    x, y = (float(data[f"drift_{axis}"]) for axis in "xy")
    trusted = "" if data["drift_trusted"] else ", not trusted"
    return f"the surface has moved by ({x:.3g}, {y:.3g}) nm, correlation {float(data['drift_correlation']):.2f}{trusted}"
