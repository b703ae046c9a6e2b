"""A microscope whose answers were recorded: a dense grid, a published run, or a stored run of ours.

Nothing is invented: a spectrum is the one that was measured nearest to the tip, with the place where it was measured, and a
place without one is refused. Bias, set point and lock-in stand where they stood; only the tip moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.base import Acts, BaseController, Clock
from bluesky_stm.controllers.recorded._fixed import FixedJunction, refuse
from bluesky_stm.controllers.recorded._recording import Recording
from bluesky_stm.controllers.recorded._scan import RecordedScanning
from bluesky_stm.controllers.recorded._spectroscopy import RecordedSpectroscopy
from bluesky_stm.controllers.recorded._tip import RecordedTip
from bluesky_stm.controllers.recorded._z_spectroscopy import RecordedZSpectroscopy
from bluesky_stm.errors import STMError
from bluesky_stm.files import RecordedRun, Sweeps
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import About, Grid, Spectrum, Topograph, ZSpectrum
from bluesky_stm.protocols import Capability, Progress, SweepSettings, ZSweepSettings
from bluesky_stm.validated import JSON


class RecordedController(BaseController):
    """Fulfils `protocols.Controller` as far as a recording can.

    Parameters
    ----------
    recording : path, RecordedRun, Grid or Sweeps
        A ``.3ds`` grid of bias sweeps, a run, or a folder with an image and the point spectra in it.
    didv : str
        Name of the channel of a file that becomes dI/dV; empty to look for one.
    clock : Clock, optional
        Lets the time pass that each act takes; simulated time if not given.
    name : str

    Raises
    ------
    FileFormatError
        When the file holds no spectra of different places with a topograph.
    """

    capabilities = frozenset({Capability.TIP, Capability.SCAN, Capability.SWEEP, Capability.WITHDRAW, Capability.APPROACH})
    images = ("height",)

    def __init__(
        self,
        recording: str | Path | RecordedRun | Grid | Sweeps,
        *,
        didv: str = "",
        clock: Clock | None = None,
        name: str = "recorded",
    ) -> None:
        self.name = name
        self._recording, self._acts = Recording.of(recording, didv), Acts(clock)
        fixed = FixedJunction(self._recording.run.topograph.setpoint, self._recording.lockin)
        self._bias = self._current = self._z = self._lockin = self._drift = fixed
        self._tip = RecordedTip(self._recording, self._acts)
        self._scanning = RecordedScanning(self._recording, self._acts)
        self._spectroscopy = RecordedSpectroscopy(self._recording, self._acts, self._tip)
        self._z_spectroscopy = RecordedZSpectroscopy(self._recording, self._acts, self._tip)
        if self._recording.z_sweep:
            self.capabilities |= {Capability.Z_SWEEP}

    @property
    def frame(self) -> Frame:
        """The recorded frame; an exploration starts there."""
        return self._recording.frame

    @property
    def about(self) -> About:
        """What the file says beside its measurement."""
        return self._recording.about

    @property
    def sweep_settings(self) -> SweepSettings:
        """The recorded sweep, the only one that answers; times that were not recorded are those of a usual sweep."""
        return self._recording.sweep

    @property
    def z_sweep_settings(self) -> ZSweepSettings | None:
        """The recorded z sweep, the only one that answers; None where none was recorded.

        Its times are those of a usual z sweep: files do not say them.
        """
        return self._recording.z_sweep

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:  # type: ignore[override]
        """Box around the frame, in nm, and the ends of the sweep, in V.

        A place between box and frame, where the frame is turned, is reached by the tip and has no spectrum.
        """
        (x_low, y_low), (x_high, y_high) = self.frame.corners.min(axis=0), self.frame.corners.max(axis=0)
        ends = self.sweep_settings.start, self.sweep_settings.stop
        return {
            "bias": (min(ends), max(ends)),
            "x": (float(x_low), float(x_high)),
            "y": (float(y_low), float(y_high)),
        }

    @override
    def locations(self) -> Floats:
        """Return the places of the spectra, in the order in which they were measured.

        Returns
        -------
        ndarray of shape (n, 2)
            (x, y) in nm, each place once.
        """
        _, first = np.unique(self._recording.places, axis=0, return_index=True)
        return self._recording.places[np.sort(first)]

    @override
    def only_frame(self) -> Frame:
        """Return the recorded frame."""
        return self.frame

    def suggested_scale(self) -> JSON:
        """Return a length scale that fits: fields of `settings.LengthScale`, less its name."""
        return self._recording.run.suggested_scale()

    def describe(self) -> JSON:
        """Return the name, the file with its hash, the number of spectra, the sweep and the frame.

        Times of the sweep that were not recorded are None.
        """
        unknown = dict.fromkeys({"settle", "integrate"} - self._recording.times.keys())
        return {
            "name": self.name,
            "answers": "once",
            **self._recording.origin,
            "spectra": len(self._recording.places),
            "sweep": {**asdict(self.sweep_settings), **unknown},
            "frame": self.frame.as_dict(),
            **({"recorded": about} if (about := self.about.as_dict()) else {}),
        }

    @override
    def scan(self, frame: Frame, line_time: float | None = None, progress: Progress | None = None) -> Topograph:
        """Reveal the recorded image of ``frame``, refused where it reaches out of the recorded frame.

        Parameters
        ----------
        frame : Frame
            Region to scan.
        line_time : float, optional
            Time for a line, forth, in s; the controller's own if not given.
        progress : callable, optional
            Called with the number of lines done and of all lines.
        """
        self._check_contact()
        return super().scan(frame, line_time, progress)

    @override
    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        self._check_contact()
        return super().sweep(settings, progress)

    @override
    def z_sweep(self, settings: ZSweepSettings, progress: Progress | None = None) -> ZSpectrum:
        self._check_contact()
        return super().z_sweep(settings, progress)

    @override
    def check_z_sweep(self, settings: ZSweepSettings) -> None:
        """Leave a z sweep to the comparison with the recorded one: nothing moves, and no current flows."""

    @override
    def check_frame(self, frame: Frame) -> None:
        """Leave a frame to the comparison with the recorded one.

        That one may be turned, so that a box along x and y says too little: `Recording.image` compares corner by corner.
        """

    @override
    def check_sweep_ranges(self, settings: SweepSettings) -> None:
        """Leave the ends of a sweep to the comparison with the recorded one.

        `RecordedSpectroscopy` knows the step of its biases, half of which the ends may differ by.
        """

    @override
    def refuse(self, what: str) -> NoReturn:
        refuse(what, self.name)

    def now(self) -> float:
        """Return the time of the clock, in s."""
        return self._acts.clock.now()

    def stop(self) -> None:
        """End what is under way."""
        self._acts.stop()

    def close(self) -> None:
        """End what is under way; there is nothing to let go of."""
        self.stop()

    def _check_contact(self) -> None:
        if self.is_withdrawn():
            raise STMError("The tip is withdrawn: nothing was measured. Approach first.")
