"""Recorded I(z): that which stands beside the spectrum of a place, and no other.

Nothing is interpolated, and nothing is taken from a neighbouring place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.base import Acts
from bluesky_stm.controllers.recorded._recording import Recording
from bluesky_stm.controllers.recorded._tip import RecordedTip
from bluesky_stm.errors import NotCapableError
from bluesky_stm.measurements import Quality, ZSpectrum
from bluesky_stm.protocols import Progress, ZSpectroscopy, ZSweepSettings


class RecordedZSpectroscopy(ZSpectroscopy):
    """Fulfils `protocols.ZSpectroscopy` with what was recorded.

    Parameters
    ----------
    recording : Recording
        It knows what stands beside each spectrum.
    acts : Acts
        Lets the time of a sweep pass.
    tip : RecordedTip
        Where the tip stands.
    """

    def __init__(self, recording: Recording, acts: Acts, tip: RecordedTip) -> None:
        self._recording, self._acts, self._tip = recording, acts, tip

    @override
    def z_sweep(self, settings: ZSweepSettings, progress: Progress | None = None) -> ZSpectrum:
        """Return I(z) as it was recorded beside the spectrum nearest to the tip.

        Parameters
        ----------
        settings : ZSweepSettings
            The recorded sweep; its ends may differ by half a step of the distance.
        progress : callable, optional
            Called with the number of finished points and of all points.

        Returns
        -------
        ZSpectrum
            Its time is that of this sweep.

        Raises
        ------
        NotCapableError
            When another sweep is asked for than was recorded, or none was recorded at this place.
        """
        found, own = self._recording.spectrum_at(self._tip.place).z_sweep, self._recording.z_sweep
        if found is None or own is None:
            raise NotCapableError("No I(z) was recorded at this place. Nothing was swept. Go to another of locations().")
        step = abs(own.stop - own.start) / (own.points - 1)
        off = max(abs(settings.start - own.start), abs(settings.stop - own.stop))
        if settings.points != own.points or settings.setpoint is not None or off > step / 2:
            raise NotCapableError(
                f"Only the recorded z sweep answers: {own.start:g} to {own.stop:g} nm in {own.points} points, from the set "
                f"point as it stands, not {settings}. Nothing was swept. Take RecordedController.z_sweep_settings."
            )
        with self._acts.one():
            started = self._acts.clock.now()
            done = self._acts.take(settings.seconds, settings.points, progress)
        current = np.where(np.arange(settings.points) < done, found.current, np.nan)
        cut = Quality.GOOD if done == settings.points else Quality.INCOMPLETE
        return replace(found, current=current, time=started, quality=found.quality | cut)
