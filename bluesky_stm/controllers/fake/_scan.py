"""Images of the scripted microscope."""

from __future__ import annotations

from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.fake._script import Script, asked
from bluesky_stm.controllers.fake._state import FakePart, FakeState, wave
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Quality, Topograph
from bluesky_stm.protocols import IMAGES, Progress, Scanning

LAG: Final = 0.05
"""By how much the image of the way back is shifted, in nm."""

LINE: Final = 0.1
"""Time for a line, forth, in s, where none is asked for."""


class FakeScanning(FakePart, Scanning):
    """Fulfils `protocols.Scanning`."""

    def __init__(self, script: Script, state: FakeState) -> None:
        super().__init__(script, state)
        self._images = {channel: np.full((0, 0), np.nan) for channel in IMAGES}

    @override
    @asked
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Take an image of the wave, row by row from the lowest y; the tip ends in the centre.

        Parameters
        ----------
        frame : Frame
            Region to scan.
        line_time : float, optional
            Time for a line, forth, in s; the controller's own if not given.
        progress : callable, optional
            Called with the number of lines done and of all lines.
        """
        rows, begun = frame.pixels[0], self.state.time
        truth = self._images_of(frame)
        self._images = {channel: np.full(frame.pixels, np.nan) for channel in IMAGES}
        with self.script.acting():
            for row in self.script.steps("scan", rows):
                if self.script.halt.is_set():
                    break
                for channel, image in self._images.items():
                    image[row] = truth[channel][row]
                self.state.time += 2 * (line_time or LINE)
                if progress:
                    progress(row + 1, rows)
            self.state.place = frame.center
        height = self._images["height"].copy()
        quality = Quality.INCOMPLETE if np.isnan(height).any() else Quality.GOOD
        return Topograph(frame=frame, height=height, setpoint=self.state.setpoint, time=begun, quality=quality)

    @override
    def get_line_time(self, frame: Frame) -> None:
        """Return None: nothing follows a surface here, so that no line is too fast."""

    @override
    @asked
    def image(self, channel: str = "height") -> Floats:
        return self._images[channel].copy()

    def _images_of(self, frame: Frame) -> dict[str, Floats]:
        """Return the wave as it is seen in both directions, the feedback a little late."""
        (x, y), current = np.moveaxis(frame.points(), -1, 0), np.full(frame.pixels, self.state.ohmic())
        return dict(zip(IMAGES, (wave((x, y)), wave((x + LAG, y)), current, current), strict=True))
