"""The multi-segment mode of the module BiasSpectr: a sweep of pieces, each with its own ends, points and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._commands import LINEAR, SEGMENTS
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.measurements import CHANNELS, Spectrum
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.validated import JSON

MOST: Final = 16
"""Segments of a sweep; further ones are ignored, as the vendor's text says."""


class Segment(NamedTuple):
    """A piece of a sweep, as ``BiasSpectr.MLSValsSet`` says it.

    Attributes
    ----------
    start, stop : float
        In V.
    initial, settle, integrate : float
        Time before the first point, before each point, and of averaging, in s.
    points : int
    lockin : int
        1 to run the lock-in meanwhile, where each segment has its own switch.
    """

    start: float
    stop: float
    initial: float
    settle: float
    integrate: float
    points: int
    lockin: int


class SegmentsModule(Module):
    """The segments of the bias spectroscopy; set and swept in the mode ``MLS`` only, as in the vendor's software."""

    name = "BiasSpectr"
    segments: tuple[Segment, ...] = (Segment(-1.0, 1.0, 0.0, 0.004, 0.010, 64, 0),)

    @property
    def on(self) -> bool:
        """True when the next sweep goes through the segments."""
        return bool(self.registers.get("BiasSpectr.MLSMode")[0] == SEGMENTS)

    def sweep(self, settings: SweepSettings, swept: Callable[[SweepSettings, bool], Spectrum]) -> Spectrum:
        """Sweep segment after segment where the tip stands, and return them as one spectrum.

        Parameters
        ----------
        settings : SweepSettings
            What holds for all of them: averages, ways, set point, lift.
        swept : callable
            Sweeps one segment; its second argument says whether the lock-in is run.
        """
        own = bool(self.registers.get("BiasSpectr.MLSLockinPerSeg")[0])
        run = bool(self.registers.get("BiasSpectr.AdvProps")[3])
        taken = [
            swept(
                replace(
                    settings,
                    start=one.start,
                    stop=one.stop,
                    points=one.points,
                    settle=one.settle,
                    integrate=one.integrate,
                ),
                bool(one.lockin) if own else run,
            )
            for one in self.segments
        ]
        joined: JSON = {c.name: np.concatenate([getattr(one, c.name) for one in taken]) for c in CHANNELS}
        back = {name: np.concatenate([one.backward[name] for one in taken]) for name in taken[0].backward}
        return replace(taken[0], bias=np.concatenate([one.bias for one in taken]), backward=back, **joined)

    def _mls_mode_set(self, mode: str) -> None:
        """Answer ``BiasSpectr.MLSModeSet``: one sweep from start to end, or the segments."""
        if mode not in {LINEAR, SEGMENTS}:
            raise NanonisError(f"There is no sweep mode {mode!r}, only {LINEAR} and {SEGMENTS}.")
        self.registers.set("BiasSpectr.MLSMode", [mode])

    def _mls_vals_set(self, count: int, *columns: Sequence[float]) -> None:
        """Answer ``BiasSpectr.MLSValsSet``: set the segments.

        Parameters
        ----------
        count : int
            Number of segments.
        *columns : sequence
            Each field of `Segment`, of all segments.
        """
        self._require("This")
        rows = [
            Segment(float(start), float(stop), float(initial), float(settle), float(integrate), int(points), int(lockin))
            for start, stop, initial, settle, integrate, points, lockin in zip(*columns, strict=True)
        ]
        if not rows or any(row.points < 1 for row in rows):
            raise NanonisError(f"A sweep of {len(rows)} segments needs one at least, and a point in each. Nothing was set.")
        self.segments = tuple(rows[:MOST])

    def _mls_vals_get(self) -> Answer:
        """Answer ``BiasSpectr.MLSValsGet``: number of segments, and each field of all of them."""
        return [len(self.segments), *map(list, zip(*self.segments, strict=True))]

    def _mls_lockin_per_seg_set(self, own: int) -> None:
        """Answer ``BiasSpectr.MLSLockinPerSegSet``: each segment says by itself whether the lock-in runs."""
        self._require("It")
        self.registers.set("BiasSpectr.MLSLockinPerSeg", [own])

    def _mls_lockin_per_seg_get(self) -> Answer:
        """Answer ``BiasSpectr.MLSLockinPerSegGet``."""
        self._require("It")
        return list(self.registers.get("BiasSpectr.MLSLockinPerSeg"))

    def _require(self, what: str) -> None:
        if not self.on:
            raise NanonisError(
                "Bias spectroscopy module is not in multi segment mode. "
                f"{what} must be explicitly set before calling this command"
            )
