"""The protocols of what sweeps: the bias at a place or in each pixel of a grid, and the height of the tip."""

from __future__ import annotations

from typing import Protocol

from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Spectrum, ZSpectrum
from bluesky_stm.protocols._values import Progress, SweepSettings, TipShape, ZSweepSettings


class Spectroscopy(Protocol):
    """Bias sweeps, and changes of the tip.

    The controller opens the feedback for a sweep and restores it, the bias and the set point in one act.
    """

    def sweep(self, settings: SweepSettings, progress: Progress | None = None) -> Spectrum:
        """Sweep the bias at the present place of the tip.

        Parameters
        ----------
        settings : SweepSettings
            Range, points and timing of the sweep.
        progress : callable, optional
            Called with the number of finished points and of all points.

        Returns
        -------
        Spectrum
            When `stop` ended the sweep it has the flag INCOMPLETE and is padded with NaN.
        """

    def pulse(self, bias: float, width: float) -> None:
        """Pulse the bias to change the tip. This cannot be undone.

        Parameters
        ----------
        bias : float
            Height of the pulse, in V.
        width : float
            Duration of the pulse, in s.
        """

    def shape_tip(self, shape: TipShape) -> None:
        """Dip the tip into the surface to change it. This cannot be undone.

        Bias and feedback are as before afterwards.
        """


class ZSpectroscopy(Protocol):
    """Sweeps of the tip's height.

    The controller opens the feedback for a sweep and restores it, the height, the bias and the set point in one act.
    """

    def z_sweep(self, settings: ZSweepSettings, progress: Progress | None = None) -> ZSpectrum:
        """Sweep the height of the tip at its present place, and read the current at each distance.

        Parameters
        ----------
        settings : ZSweepSettings
            Range, points, timing, set point and largest current of the sweep.
        progress : callable, optional
            Called with the number of finished points and of all points.

        Returns
        -------
        ZSpectrum
            When `stop` ended the sweep, or its current has reached the largest one, it has the flag INCOMPLETE and is padded
            with NaN.

        Raises
        ------
        LimitError
            When an end lies outside of the range of z, or the nearest point may carry more than the largest current, by
            `ZSweepSettings.largest_current`; nothing has moved.
        """


class NativeGrids(Protocol):
    """Grids of bias sweeps that the controller takes by itself, with nobody in between."""

    def sweep_grid(self, frame: Frame, settings: SweepSettings, progress: Progress | None = None) -> list[Spectrum]:
        """Sweep the bias in each pixel of a frame, row by row from the lowest y, each from its first column.

        Parameters
        ----------
        frame : Frame
            Region (nm, degrees); its pixels are the places.
        settings : SweepSettings
            Range, points and timing of each sweep.
        progress : callable, optional
            Called with the number of spectra that are about to be done, and of all.

        Returns
        -------
        list of Spectrum
            In that order; fewer than there are places when `stop` ended the grid.

        Raises
        ------
        LimitError
            When a corner of the frame or the sweep lies outside of the range of the hardware; nothing has moved.
        """
