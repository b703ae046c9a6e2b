"""Images of a recorded microscope: the recorded one, line by line."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.base import PIXEL_TIME, Acts
from bluesky_stm.controllers.recorded._recording import Recording
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Quality, Topograph
from bluesky_stm.protocols import Progress, Scanning


class RecordedScanning(Scanning):
    """Fulfils `protocols.Scanning`."""

    def __init__(self, recording: Recording, acts: Acts) -> None:
        self._recording, self._acts = recording, acts
        self._height: Floats = np.full((0, 0), np.nan)

    @override
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Reveal the recorded image line by line, resampled where another frame inside of the recorded one is asked for.

        Parameters
        ----------
        frame : Frame
            Region to scan.
        line_time : float, optional
            Time for a line, forth, in s; the controller's own if not given.
        progress : callable, optional
            Called with the number of lines done and of all lines.
        """
        recorded = self._recording.image(frame)
        rows, columns = frame.pixels
        with self._acts.one():
            started, height = self._acts.clock.now(), np.full(frame.pixels, np.nan)
            self._height = height

            def reveal(done: int, total: int) -> None:
                height[:done] = recorded[:done]
                if progress:
                    progress(done, total)

            self._acts.take(2 * rows * (line_time or columns * PIXEL_TIME), rows, reveal)
        quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
        return Topograph(
            frame=frame, height=height, setpoint=self._recording.run.topograph.setpoint, time=started, quality=quality
        )

    @override
    def get_line_time(self, frame: Frame) -> None:
        """Return None: nothing follows a surface here, so that no line is too fast."""

    @override
    def image(self, channel: str = "height") -> Floats:
        return self._height.copy()
