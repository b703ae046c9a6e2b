"""The modules GenSwp, BiasSwp and LockInFreqSwp: something is set point by point, and the channels are read at each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_wire._commands import BIAS, CURRENT, LOCKIN_X, LOCKIN_Y
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.geometry import Floats

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

OFF: Final = 1
"""Code of a feedback that a sweeper opens."""

MOST: Final = 100_000
"""Points of a sweep that are still simulated."""


class SweeperModule(Module):
    """A module that sweeps something and records channels.

    Attributes
    ----------
    channels : list of int
        Indexes of the signals that are recorded.
    """

    act = "sweep"
    """What others see under way meanwhile."""

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.channels = [SIGNALS.index(CURRENT)]

    def sweep(
        self, name: str, values: Floats, put: Callable[[float], object], ends: Callable[[], bool] = lambda: False
    ) -> tuple[list[str], Floats]:
        """Set each value, read the channels, and return names and rows, the swept one first.

        Parameters
        ----------
        name : str
            What is swept.
        values : ndarray of shape (points,)
            In SI.
        put : callable
            Sets a value.
        ends : callable
            Returns True where the sweep is over before its last value.
        """
        if len(values) > MOST:
            raise NanonisError(f"A sweep of {len(values)} points is too long.")
        rows = []
        with self.software.doing(self.act):
            for value in values:
                if self.software.closing.is_set():
                    break
                put(float(value))
                if ends():
                    break
                rows.append([float(value), *(self.software.signals.value(index, newest=False) for index in self.channels)])
        return [name, *(SIGNALS[index] for index in self.channels)], np.array(rows).T

    def _open(self) -> None:
        """There is no window to open."""

    def _stop(self) -> None:
        """Answer a ``Stop``: a sweep under way is ended."""
        self.software.halt(self.act)

    def _chs_set(self, channels: Sequence[int]) -> None:
        """Answer a ``ChsSet``: set which signals are recorded."""
        if not all(0 <= channel < len(SIGNALS) for channel in channels):
            raise NanonisError(f"Channels {list(channels)} are not all among the {len(SIGNALS)} signals.")
        self.channels = [int(channel) for channel in channels]

    def _chs_get(self) -> Answer:
        """Answer a ``ChsGet`` with indexes and names of the signals that are recorded."""
        return [self.channels, [SIGNALS[channel] for channel in self.channels]]


class GenSwpModule(SweeperModule):
    """The generic sweeper: it sweeps the bias, or an output; any other signal is only counted through."""

    name = "GenSwp"
    props: tuple[float, ...] = (300.0, 20.0, 10, 100, 1, 0, 200.0)

    def _acq_chs_set(self, channels: Sequence[int], names: Sequence[str]) -> None:
        """Answer ``GenSwp.AcqChsSet``; the names are those of the signals, and are not needed."""
        self._chs_set(channels)

    def _acq_chs_get(self) -> Answer:
        """Answer ``GenSwp.AcqChsGet``."""
        return self._chs_get()

    def _swp_signal_list_get(self) -> Answer:
        """Answer ``GenSwp.SwpSignalListGet`` with what can be swept."""
        return [[BIAS, *(name for name in SIGNALS if name.startswith("Output")), "Power (dBm)"]]

    def _props_set(self, *asked: float) -> None:
        """Answer ``GenSwp.PropsSet``: times (ms), slew rate, steps (0 keep), saving and dialog."""
        steps = int(asked[2]) or self.props[2]
        switches = tuple({1: 1, 2: 0}.get(int(sent), before) for sent, before in zip(asked[4:6], self.props[4:6], strict=True))
        self.props = (asked[0], asked[1], steps, int(asked[3]) or self.props[3], *switches, asked[6])

    def _props_get(self) -> Answer:
        """Answer ``GenSwp.PropsGet``."""
        return list(self.props)

    def _start(self, *asked: object) -> Answer:
        """Answer ``GenSwp.Start``: sweep between the limits and return names and rows, the swept signal first.

        Parameters
        ----------
        *asked : int or str
            1 for data in the answer; 1 for upwards; name of the file; 1 to go back to where the signal was; 1 to open the
            feedback for the sweep. Opened, it is closed again afterwards, at the bias of before.
        """
        start, stop = self.registers.get("GenSwp.Limits")
        (signal,) = self.registers.get("GenSwp.SwpSignal")
        values = np.linspace(start, stop, max(int(self.props[2]), 2))
        get_data, upwards, _, reset, feedback = asked
        before, held = self.controller.get_bias(), feedback == OFF and self.controller.get_feedback()
        if held:
            self.controller.set_feedback(False)
        try:
            swept = self.sweep(signal or BIAS, values if upwards else values[::-1], self._setter(signal))
        finally:
            if signal in {"", BIAS} and (reset or held):
                self.controller.ramp_bias(before)
            if held and not self.software.z.withdrawn:
                self.controller.set_feedback(True)
        return list(swept) if get_data else [[], np.empty((0, 0))]

    def _setter(self, signal: str) -> Callable[[float], object]:
        if signal in {"", BIAS}:
            return self.controller.ramp_bias
        if signal.startswith("Output"):
            return lambda value: self.registers.set("UserOut.Val", [value], int(signal.split()[1]))
        return lambda value: None


class BiasSwpModule(SweeperModule):
    """The bias sweep: the feedback as it is, or off, and the bias point by point."""

    name = "BiasSwp"
    steps = 100

    def _props_set(self, *asked: int) -> None:
        """Answer ``BiasSwp.PropsSet``: steps (0 keep), period, saving and dialog, of which only the first one matters."""
        self.steps = int(asked[0]) or self.steps

    def _start(self, *asked: object) -> Answer:
        """Answer ``BiasSwp.Start``: data wanted, upwards, feedback off (1), name of the file, bias reset afterwards."""
        low, high = self.registers.get("BiasSwp.Limits")
        values, before = np.linspace(low, high, max(self.steps, 2)), self.controller.get_bias()
        if asked[2] == OFF:
            self.controller.set_feedback(False)
        swept = self.sweep(BIAS, values if asked[1] else values[::-1], self.controller.ramp_bias)
        if asked[4]:
            self.controller.ramp_bias(before)
        return list(swept) if asked[0] else [[], np.empty((0, 0))]


class LockInFreqSwpModule(SweeperModule):
    """The frequency sweep of the lock-in ("transfer function"): what demodulator 1 reads at each frequency.

    Attributes
    ----------
    steps : int
        Steps between the limits, which are equal in the logarithm of the frequency.
    """

    name = "LockInFreqSwp"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.channels = [SIGNALS.index(LOCKIN_X), SIGNALS.index(LOCKIN_Y)]
        self.registers.set("LockInFreqSwp.Limits", (100.0, 10_000.0))
        self.registers.set("LockInFreqSwp.Props", (10, 10, 0.0, 1, 0.0, 0, 0, "transfer function"))
        self.registers.set("LockInFreqSwp.Signal", [-1])

    def _props_set(self, steps: int, *others: object) -> None:
        """Answer ``LockInFreqSwp.PropsSet``: steps (0 keeps), averaging and settling, saving, dialog, name."""
        kept = self.registers.get("LockInFreqSwp.Props")[0]
        self.registers.set("LockInFreqSwp.Props", (steps or kept, *others))

    def _start(self, get_data: int, upwards: int) -> Answer:
        """Answer ``LockInFreqSwp.Start``: names and rows, the frequency (Hz) first; it is as before afterwards."""
        (signal,), (low, high) = self.registers.get("LockInFreqSwp.Signal"), self.registers.get("LockInFreqSwp.Limits")
        if signal < 0 or not 0 < low < high:
            raise NanonisError(
                "The frequency sweep can't be started: select a sweep signal, and limits above 0, the upper one higher."
            )
        values = np.geomspace(low, high, int(self.registers.get("LockInFreqSwp.Props")[0]) + 1)
        before = self.controller.get_lockin()

        def put(frequency: float) -> None:
            self.controller.set_lockin(replace(self.controller.get_lockin(), frequency=frequency))

        try:
            swept = self.sweep("Frequency (Hz)", values if upwards else values[::-1], put)
        finally:
            self.controller.set_lockin(before)
        return list(swept) if get_data else [[], np.empty((0, 0))]
