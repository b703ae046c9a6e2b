"""The module ZSpectr: the feedback is held open, the tip goes through the range, and comes back.

The microscope behind it sweeps in one act where it can; else the module goes from height to height.
"""

from __future__ import annotations

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_server._sweepers import MOST, SweeperModule
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, HEIGHT
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import ZSpectrum
from bluesky_stm.protocols import Capability, ZSweepSettings
from bluesky_stm.units import CURRENT as NANOAMPERE
from bluesky_stm.units import LENGTH, to_si

SHORTEST = 1e-3
"""Time for a point, in s, below which nothing is simulated: it is that of a point that is asked for in less."""


class ZSpectrModule(SweeperModule):
    """The z spectroscopy.

    Attributes
    ----------
    points, averages : int
        Of a sweep.
    rows : ndarray of shape (channels, points)
        What was recorded last, in SI, the height first.
    """

    name = "ZSpectr"
    act = "z sweep"
    points, averages = 64, 1
    rows: Floats = np.empty((0, 0))

    def _props_set(self, *asked: int) -> None:
        """Answer ``ZSpectr.PropsSet``: of its values the numbers of points and of sweeps matter, 0 keeps them.

        Parameters
        ----------
        *asked : int
            Sweep back, points, sweeps, save, ask in a dialog, save each sweep.
        """
        self.points, self.averages = int(asked[1]) or self.points, int(asked[2]) or self.averages

    def _status_get(self) -> Answer:
        """Answer ``ZSpectr.StatusGet`` with 1 while a sweep is under way.

        Sweeps of the bias are told by ``BiasSpectr.StatusGet``.
        """
        return [self.software.is_doing(self.act)]

    def _start(self, get_data: int, base_name: str) -> Answer:
        """Answer ``ZSpectr.Start``: sweep the height by the distance of ``ZSpectr.RangeSet``, from its offset on.

        A withdrawn tip sweeps in the air. One that touches on its way is withdrawn, and the command refused.

        Raises
        ------
        NanonisError
            While another sweep is running, or for more points than are simulated.
        """
        if self.software.is_doing("sweep") or self.software.is_doing(self.act):
            raise NanonisError("A sweep is running: stop it first.")
        if self.points > MOST:
            raise NanonisError(f"A sweep of {self.points} points is too long.")
        z, here = self.software.z, si(self.software.z.height, LENGTH)
        at_once = Capability.Z_SWEEP in self.controller.capabilities and not (z.withdrawn or z.held or z.floats)
        names, self.rows = self._swept(here) if at_once else self._stepped(here)
        return [names, self.rows, [here]] if get_data else [[], np.empty((0, 0)), []]

    def _swept(self, here: float) -> tuple[list[str], Floats]:
        """Let the microscope sweep in one act, and return names and rows.

        Of the height limits only what is left between them is swept; where the auto retract is met the sweep is over.
        """
        offset, distance = (ours(value, LENGTH) for value in self.registers.get("ZSpectr.Range"))
        *_, settle, integrate, _, _ = self.registers.get("ZSpectr.Timing")
        begin = self.software.z.lift + offset
        settings = ZSweepSettings(begin, begin + distance, self.points, settle, max(integrate, SHORTEST), self.averages)
        with self.software.doing(self.act):
            taken = self.controller.z_sweep(settings)
        self.software.safe_tip.check_current(float(np.nanmax(np.abs(taken.current), initial=0.0)))
        values = here + si(offset, LENGTH) + np.linspace(0.0, si(distance, LENGTH), self.points)
        rows = [values, *(self._of_channel(index, taken, values) for index in self.channels)]
        measured = int(np.isfinite(taken.current).sum())
        met = self._met(taken, values)
        ends = min([measured, *np.flatnonzero(met).tolist()])
        return [HEIGHT, *(SIGNALS[index] for index in self.channels)], np.array(rows)[:, :ends]

    def _of_channel(self, index: int, taken: ZSpectrum, values: Floats) -> Floats:
        if SIGNALS[index] == CURRENT:
            return to_si(taken.current, NANOAMPERE)
        if SIGNALS[index] == HEIGHT:
            return np.clip(values, *self._limits())
        return np.full(len(values), self.software.signals.value(index, newest=False))

    def _limits(self) -> tuple[float, float]:
        """Lowest and highest height, in m, that the tip is let to.

        Without limits they are infinite.
        """
        if not self.registers.get("ZCtrl.LimitsEnabled")[0]:
            return -np.inf, np.inf
        high, low = self.registers.get("ZCtrl.Limits")
        return low, high

    def _met(self, taken: ZSpectrum, values: Floats) -> Floats:
        """Where the condition of the auto retract is met, which ends the sweep.

        Parameters
        ----------
        taken : ZSpectrum
            What was measured.
        values : ndarray of shape (points,)
            Heights, in m.
        """
        on, threshold, signal, below = self.registers.get("ZSpectr.Retract")
        read = self._of_channel(int(signal), taken, values)
        return (read < threshold if below else read > threshold) & bool(on)

    def _stepped(self, here: float) -> tuple[list[str], Floats]:
        """Go from height to height, and read the channels at each: in the air, or over a microscope that sweeps no height.

        Parameters
        ----------
        here : float
            Height, in m, from which the range counts, and to which the tip comes back.
        """
        offset, distance = self.registers.get("ZSpectr.Range")
        z, was = self.software.z, self.controller.get_feedback()
        if was:
            self.controller.set_feedback(False)
        values = here + offset + np.linspace(0.0, distance, max(self.points, 2))
        try:
            return self.sweep(HEIGHT, values, lambda height: z.go_to(ours(height, LENGTH)), self._retracts)
        finally:
            if not z.withdrawn:
                z.go_to(ours(here, LENGTH))
                self.controller.set_feedback(was)

    def _retracts(self) -> bool:
        """Return True where the condition of the auto retract is met now.

        What it compares is read anew at each height.
        """
        on, threshold, signal, below = self.registers.get("ZSpectr.Retract")
        if not on:
            return False
        read = self.software.signals.value(int(signal), newest=False)
        return read < threshold if below else read > threshold
