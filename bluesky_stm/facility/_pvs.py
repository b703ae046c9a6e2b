"""EPICS process variables of a run that goes on, served by pvAccess from the stream of documents, in a process of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty
from typing import Any

import numpy as np

from bluesky_stm import units
from bluesky_stm.documents import Stream, StreamRouter
from bluesky_stm.errors import STMError
from bluesky_stm.facility._stream import DocumentStream
from bluesky_stm.scalarizers import sign_of
from bluesky_stm.teaching import intervention_from, spectrum_from
from bluesky_stm.validated import Data

NAN = float("nan")


@dataclass(frozen=True)
class _PV:
    kind: str
    first: Any
    about: str
    unit: str = ""


PVS = {
    "STATE": _PV("s", "no run", "measuring, or how the last run ended: success, abort, fail"),
    "RUN": _PV("s", "", "uid of the run"),
    "PLAN": _PV("s", "", "plan of the run, and its length scale"),
    "X": _PV("d", NAN, "place of the last spectrum along x", units.LENGTH),
    "Y": _PV("d", NAN, "place of the last spectrum along y", units.LENGTH),
    "SETPOINT:BIAS": _PV("d", NAN, "bias at which the feedback held the tip", units.BIAS),
    "SETPOINT:CURRENT": _PV("d", NAN, "current at which the feedback held the tip", units.CURRENT),
    "CURRENT": _PV("d", NAN, "current of the last spectrum, at the bias next to that of the set point", units.CURRENT),
    "SPECTRUM:BIAS": _PV("ad", (), "biases of the last spectrum", units.BIAS),
    "SPECTRUM:DIDV": _PV("ad", (), "differential conductance of the last spectrum", units.CONDUCTANCE),
    "SPECTRA": _PV("i", 0, "spectra taken in this run"),
    "BUDGET": _PV("i", 0, "spectra that this run may take; 0 where it has no budget"),
    "PROGRESS": _PV("d", 0.0, "share of the budget that is spent"),
    "VALUE": _PV("d", NAN, "value of the last spectrum, by the scalarizer; NaN where it has none"),
    "BEST": _PV("d", NAN, "best value of this run: the largest, or the smallest where small ones are sought"),
    "TIME": _PV("d", NAN, "time of the last document, in seconds since 1970", units.TIME),
}
"""The process variables, by what follows the prefix."""


class RunPVs(StreamRouter):
    """Turns documents of runs into values of the process variables.

    Parameters
    ----------
    post : callable
        Called with a name of `PVS` and its new value.
    """

    def __init__(self, post: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._post = post
        self._budget = self._spectra = 0
        self._sign = 1

    def __call__(self, name: str, doc: Data, validate: bool = False) -> tuple[str, Any]:
        """Take in a document."""
        if "time" in doc:
            self._post("TIME", float(doc["time"]))
        return super().__call__(name, doc, validate)

    def begin(self, start: Data) -> None:
        """Begin anew with the values of a run."""
        scale = start.get("length_scale") or {}
        asked = (start.get("plan_args") or {}).get("budget", scale.get("budget", 0))
        self._budget, self._spectra = asked if isinstance(asked, int) else 0, 0
        self._sign = sign_of(start.get("scalarizer") or {})
        for name in ("CURRENT", "VALUE", "BEST", "X", "Y"):
            self._post(name, NAN)
        self._post("RUN", start["uid"])
        self._post("PLAN", f"{start.get('plan_name', 'run')} {scale.get('name', '')}".strip())
        self._post("BUDGET", self._budget)
        self._count(0)
        self._post("STATE", "measuring")

    def give(self, stream: str, event: Data) -> None:
        """Take in an Event."""
        data = self.data(event)
        if stream == Stream.PRIMARY and any(key.endswith("_sweep_bias") for key in data):
            self._measured(data)
        elif stream == Stream.AGENT:
            for name in ("value", "best"):
                found = next((value for key, value in data.items() if key.endswith(f"_{name}")), NAN)
                self._post(name.upper(), self._sign * float(found))
        elif stream == Stream.INTERVENTION and (done := intervention_from(data)) and done.kind == "scalarizer":
            self._sign = sign_of(done.settings)

    def end(self, stop: Data) -> None:
        """Say how the run has ended."""
        self._post("STATE", stop["exit_status"])

    def _measured(self, data: Data) -> None:
        spectrum = spectrum_from(data)
        self._count(self._spectra + 1)
        self._post("X", spectrum.position.x)
        self._post("Y", spectrum.position.y)
        self._post("SETPOINT:BIAS", spectrum.setpoint.bias)
        self._post("SETPOINT:CURRENT", spectrum.setpoint.current)
        away = np.abs(spectrum.bias - spectrum.setpoint.bias)
        self._post("CURRENT", float(spectrum.current[np.nanargmin(away)]) if np.isfinite(away).any() else math.nan)
        self._post("SPECTRUM:BIAS", spectrum.bias)
        self._post("SPECTRUM:DIDV", spectrum.didv)

    def _count(self, spectra: int) -> None:
        self._spectra = spectra
        self._post("SPECTRA", spectra)
        self._post("PROGRESS", min(1.0, spectra / self._budget) if self._budget else 0.0)


class PVServer:
    """A pvAccess server with the process variables of `PVS`; nobody can write to them.

    Parameters
    ----------
    prefix : str
        What stands before each name, such as ``"STM:"``.
    isolated : bool
        True to answer on this host alone, at a free port, as tests do.
    """

    def __init__(self, prefix: str, isolated: bool = False) -> None:
        try:
            from p4p.nt import NTScalar
            from p4p.server import Server
            from p4p.server.thread import SharedPV
        except ImportError:
            raise STMError("p4p is not installed: pip install 'bluesky-stm[epics]'. Nothing has been started.") from None
        self._types = {name: NTScalar(pv.kind, display=pv.kind != "s") for name, pv in PVS.items()}
        self._pvs = {name: SharedPV(nt=self._types[name], initial=self._value(name, pv.first)) for name, pv in PVS.items()}
        served = [{f"{prefix}{name}": pv for name, pv in self._pvs.items()}]
        self._server = Server(providers=served, isolate=isolated)

    @property
    def settings(self) -> dict[str, str]:
        """Settings with which a client on this host finds it."""
        found: dict[str, str] = self._server.conf()
        return found

    def post(self, name: str, value: Any) -> None:
        """Give a variable a new value.

        Parameters
        ----------
        name : str
            One of `PVS`.
        value : object
            Number, text or array, as its kind asks for.
        """
        self._pvs[name].post(self._value(name, value))

    def close(self) -> None:
        """Serve no more."""
        self._server.stop()

    def _value(self, name: str, value: Any) -> Any:
        from p4p import Value

        pv, now = PVS[name], time.time()
        given = np.asarray(value, dtype=float) if pv.kind == "ad" else value
        said: dict[str, Any] = {"value": given, "timeStamp": {"secondsPastEpoch": int(now), "nanoseconds": int(now % 1 * 1e9)}}
        if pv.kind != "s":
            said["display"] = {"units": pv.unit, "description": pv.about}
        return Value(self._types[name].type, said)


def serve_pvs(subscribe: str, prefix: str) -> None:
    """Serve the process variables of the runs of a stream, until it is interrupted.

    Parameters
    ----------
    subscribe : str
        Out-address of a 0MQ proxy.
    prefix : str
        What stands before each name.
    """
    server = PVServer(prefix)
    try:
        with DocumentStream(subscribe) as stream:
            follow(stream, RunPVs(server.post))
    finally:
        server.close()


def follow(stream: DocumentStream, taking: RunPVs, over: Callable[[], bool] = lambda: False) -> None:
    """Give the documents of a stream to ``taking``, until ``over`` says so.

    Parameters
    ----------
    stream : DocumentStream
        Where they come from.
    taking : RunPVs
        Where they go.
    over : callable
        Asked twice a second.
    """
    while not over():
        try:
            taking(*stream.get(timeout=0.5))
        except Empty:
            continue
