"""I(z) of the simulated microscope: the current follows the barrier of its surface as the tip is drawn back.

It passes the preamplifier like every other current: late, noisy, with its offset, and clipped at the end of its range.
"""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.controllers.simulated._detection import Detection
from bluesky_stm.measurements import Quality, ZSpectrum
from bluesky_stm.protocols import Progress, ZSpectroscopy, ZSweepSettings

OVERHEAD = 0.16
"""Time of a z sweep besides its points, in s: averaging z, settling, and the feedback finding its height again."""


class SimulatedZSpectroscopy(ZSpectroscopy):
    """Fulfils `protocols.ZSpectroscopy`.

    Of a tip with several apexes the first one carries the current.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @override
    def z_sweep(self, settings: ZSweepSettings, progress: Progress | None = None) -> ZSpectrum:
        """Sweep the height of the tip where it stands; the sample drifts in z under it meanwhile.

        Parameters
        ----------
        settings : ZSweepSettings
            Range (nm), points, timing, set point and largest current.
        progress : callable, optional
            Called with the number of finished points and of all points.

        Returns
        -------
        ZSpectrum
            Ended by `stop`, or where the current has reached the largest one, it is INCOMPLETE and padded with NaN.

        Raises
        ------
        TipCrashError
            When the tip touches the surface at its nearest point.
        STMError
            When the tip is withdrawn.
        """
        bench, junction = self._bench, self._bench.junction
        with bench.acts.one(), bench.at_setpoint(settings.setpoint):
            bench.check_contact()
            started, rng = bench.now(), bench.noise.next("z sweep")
            setpoint, height, tip = junction.setpoint, junction.height(started), junction.tips.at(started)
            times = started + settings.dwell * settings.averages * np.arange(settings.points)
            risen = junction.height_drift.rise(times) - junction.height_drift.rise(started)
            gap = junction.gap(started) + settings.distance - risen
            touches = int(gap.argmin())
            junction.check_apart(float(gap[touches]), f"A z sweep by {settings.distance[touches]:g} nm", started)
            junction.check_field(setpoint.bias, float(gap[touches]), started)
            places = np.repeat(junction.place(started), settings.points, axis=0)
            flowing = junction.instrument.current(places, setpoint.bias, gap, tip)
            read, full = Detection(bench.profile, bench.lockin, settings).preamplified(flowing[None], rng)
            current, clipped = read[0], full[0]
            bench.acts.take(OVERHEAD)
            done = bench.acts.take(settings.seconds, settings.points, progress)
            over = np.abs(current) > (np.inf if settings.most is None else settings.most)
            ends = min(done, int(over.argmax()) if over.any() else done)
            current[ends:] = np.nan
            quality = Quality.CLIPPED if clipped[:ends].any() else Quality.GOOD
            return ZSpectrum(
                position=junction.asked,
                distance=settings.distance,
                current=current,
                setpoint=setpoint,
                time=started,
                z=height,
                quality=quality | (Quality.GOOD if ends == settings.points else Quality.INCOMPLETE),
            )
