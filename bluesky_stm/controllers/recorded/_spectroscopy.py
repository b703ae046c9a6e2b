"""Spectra of a recorded microscope: the one that was measured nearest to the tip."""

from __future__ import annotations

import math
from dataclasses import replace

from typing_extensions import override

from bluesky_stm.controllers.base import Acts
from bluesky_stm.controllers.recorded._fixed import refuse
from bluesky_stm.controllers.recorded._recording import Recording
from bluesky_stm.controllers.recorded._tip import RecordedTip
from bluesky_stm.errors import NotCapableError
from bluesky_stm.measurements import CHANNELS, Quality, Spectrum
from bluesky_stm.protocols import Progress, Spectroscopy, SweepSettings, TipShape


class RecordedSpectroscopy(Spectroscopy):
    """Fulfils `protocols.Spectroscopy` with the recorded sweep alone; it refuses a pulse and a dip."""

    def __init__(self, recording: Recording, acts: Acts, tip: RecordedTip) -> None:
        self._recording, self._acts, self._tip = recording, acts, tip

    @override
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Return the spectrum that was recorded nearest to the tip, with the place where it was recorded.

        Its time is that of this sweep, and its z is the recorded height at the tip.

        Parameters
        ----------
        settings : SweepSettings
            The recorded sweep; its ends may differ by half a step of the biases.
        progress : callable, optional
            Called with the number of finished points and of all points.

        Returns
        -------
        Spectrum
            When `stop` ended the sweep it has the flag INCOMPLETE and is padded with NaN.

        Raises
        ------
        NotCapableError
            When another sweep than the recorded one is asked for, or when none was recorded at this place.
        """
        self._check_same(settings)
        found = self._recording.spectrum_at(self._tip.place)
        with self._acts.one():
            started = self._acts.clock.now()
            done = self._acts.take(settings.seconds, settings.points, progress)
        return replace(_cut(found, done), time=started, z=self._tip.get_tip().z)

    @override
    def pulse(self, bias: float, width: float) -> None:
        """Refuse: a recorded tip does not change."""
        refuse("pulse the bias to change the tip")

    @override
    def shape_tip(self, shape: TipShape) -> None:
        """Refuse: a recorded tip does not change."""
        refuse("dip the tip to change it")

    def _check_same(self, asked: SweepSettings) -> None:
        own = self._recording.sweep
        step = abs(own.stop - own.start) / (own.points - 1)
        off = max(abs(asked.start - own.start), abs(asked.stop - own.stop))
        same = asked == replace(own, start=asked.start, stop=asked.stop, settle=asked.settle, integrate=asked.integrate)
        # Other times would stand in the documents as those of the measurement.
        times = ((asked.settle, own.settle), (asked.integrate, own.integrate))
        timed = all(math.isclose(one, other, rel_tol=1e-5) for one, other in times)
        if not (same and timed) or off > step / 2:
            raise NotCapableError(
                f"Only the recorded sweep answers: {own.start:g} to {own.stop:g} V in {own.points} points of {own.settle:g} s "
                f"and {own.integrate:g} s, forward, once, from the set point as it stands, not {asked}. Nothing was swept. "
                "Take RecordedController.sweep_settings."
            )


def _cut(spectrum: Spectrum, points: int) -> Spectrum:
    """Return the spectrum as it is when its sweep was ended after some of the points."""
    if points == len(spectrum.bias):
        return spectrum
    arrays = {channel.name: getattr(spectrum, channel.name).copy() for channel in CHANNELS}
    for values in arrays.values():
        values[points:] = float("nan")
    return replace(spectrum, **arrays, quality=spectrum.quality | Quality.INCOMPLETE)
