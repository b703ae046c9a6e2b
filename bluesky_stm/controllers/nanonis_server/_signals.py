"""The modules Signals and Piezo: values that the real-time side publishes, and the scanner with its drift compensation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._commands import BIAS, CURRENT, HEIGHT, OLDEST_RELEASE, demodulated
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.units import CURRENT as NANOAMPERE
from bluesky_stm.units import LENGTH

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

DEMODULATORS: Final = (1, 2)
"""Numbers of the demodulators that are simulated."""

SIGNALS: Final = tuple(
    {
        **{31 + number: f"Output {number} (V)" for number in range(1, 5)},
        **{0: CURRENT, 24: BIAS, 28: "X (m)", 29: "Y (m)", 30: HEIGHT},
        **{86 + i: name for i, name in enumerate(name for number in DEMODULATORS for name in demodulated(number))},
    }.get(i, f"Signal {i} (V)")
    for i in range(128)
)
"""Names of the 128 signals; those that are not named for something read 0."""

FULL_SCALE: Final = (0.0, 10.0)
"""Range of the preamplifier, in nA, of a microscope that does not say its own."""

OUTPUTS: Final = tuple(int(name.split()[1]) for name in SIGNALS if name.startswith("Output"))
"""Numbers of the user outputs."""

SENSITIVITY: Final = 10e-9
"""Of the piezo, in m/V; nothing follows from it."""


class SignalsModule(Module):
    """The signals of the real-time controller."""

    name = "Signals"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self._published: dict[str, tuple[float, Any]] = {}

    @property
    def full_scale(self) -> float:
        """End of the range of the preamplifier, in nA."""
        return self.controller.ranges.get("current", FULL_SCALE)[1]

    def current(self) -> float:
        """Return the tunneling current now, in nA.

        Safe Tip looks at each reading: one above its threshold withdraws the tip.
        """
        safe_tip = self.software.safe_tip
        current = self.full_scale if safe_tip.overload else self.controller.read_current()
        safe_tip.check_current(current)
        return current

    def publish(self, name: str, read: Callable[[], Any], newest: bool) -> Any:
        """Return a value as the real-time side published it last.

        Parameters
        ----------
        name : str
            Name under which it is kept.
        read : callable
            Reads the value now.
        newest : bool
            True to wait for a value that is newer than the question; otherwise it is up to a period old.
        """
        (period,) = self.registers.get("Util.AcqPeriod")
        if newest:
            self.software.pause(period)
        when, value = self._published.get(name, (-period, None))
        if newest or time.monotonic() - when >= period:
            value = read()
            self._published[name] = (time.monotonic(), value)
        return value

    def _read(self, index: int, newest: bool) -> float:
        """Return the value of a signal, in SI.

        Current, bias, height and place are those of the microscope; all others are 0.

        Parameters
        ----------
        index : int
            Index among `SIGNALS`.
        newest : bool
            True to wait for a value that is newer than the question.

        Raises
        ------
        NanonisError
            For an index that is not there.
        """
        if not 0 <= index < len(SIGNALS):
            raise NanonisError(f"There is no signal {index}, only 0 to {len(SIGNALS) - 1}.")
        name = SIGNALS[index]
        return self.publish(f"signal {index}", lambda: self.fresh(index), newest) if name else 0.0

    def value(self, index: int, *, newest: bool) -> float:
        """Return the value of a signal, in SI.

        Parameters
        ----------
        index : int
            Index among `SIGNALS`.
        newest : bool
            True to wait for a value that is published after the question; otherwise it is read now, as a sweep does.
        """
        return self._read(index, newest) if newest else self.fresh(index)

    def fresh(self, index: int) -> float:
        """Return the value of a signal as it is now, in SI; the one of a name that stands for nothing is 0."""
        name = SIGNALS[index]
        if name.startswith("Output"):
            return self.software.outputs.value(int(name.split()[1]))
        if name.startswith("LI Demod"):
            return si(self.software.lockin.standing(name), NANOAMPERE)
        read = {
            CURRENT: lambda: si(self.current(), NANOAMPERE),
            BIAS: self.controller.get_bias,
            HEIGHT: lambda: si(self.software.z.height, LENGTH),
            "X (m)": lambda: si(self.controller.get_tip().x, LENGTH),
            "Y (m)": lambda: si(self.controller.get_tip().y, LENGTH),
        }.get(name, lambda: 0.0)
        return float(read())

    def _calibr_get(self, index: int) -> Answer:
        """Answer ``Signals.CalibrGet`` with calibration and offset; every signal is in its unit already."""
        return [1.0, 0.0]

    def _meas_names_get(self) -> Answer:
        """Answer ``Signals.MeasNamesGet`` with the names of the signals that stand for something."""
        return [[name for name in SIGNALS if not name.startswith("Signal")]]

    def _names_get(self) -> Answer:
        """Answer ``Signals.NamesGet``.

        Returns
        -------
        list of tuple of str
            Names of the 128 signals, with their units, by their indexes.
        """
        return [SIGNALS]

    def _val_get(self, index: int, newest: int) -> Answer:
        """Answer ``Signals.ValGet`` with the value of a signal, in SI.

        Parameters
        ----------
        index : int
            Index of the signal.
        newest : int
            1 to wait for a value that is newer than the question, 0 for the one that was published last.
        """
        return [self._read(index, bool(newest))]

    def _vals_get(self, indexes: list[int], newest: int) -> Answer:
        """Answer ``Signals.ValsGet`` with the values of several signals, in SI.

        Parameters
        ----------
        indexes : list of int
            Indexes of the signals.
        newest : int
            1 to wait for values that are newer than the question, 0 for those that were published last.
        """
        return [[self._read(index, bool(newest)) for index in indexes]]

    def _range_get(self, index: int) -> Answer:
        """Answer ``Signals.RangeGet``.

        Those of current (the preamplifier) and bias are the ranges of the microscope; all others are -10 to 10.

        Parameters
        ----------
        index : int
            Index of the signal.

        Returns
        -------
        tuple of float
            Highest and lowest value, in SI.
        """
        current = si(self.full_scale, NANOAMPERE)
        limits = {CURRENT: (current, -current), BIAS: self.controller.ranges["bias"][::-1]}
        return limits.get(SIGNALS[index % len(SIGNALS)], (10.0, -10.0))


class PiezoModule(Module):
    """The scanner."""

    name = "Piezo"
    _began = 0.0

    def plane(self, frame: Frame) -> Floats:
        """Return the plane, in nm, by which ``Piezo.TiltSet`` corrects the images of a frame; row 0 at the lowest y.

        Parameters
        ----------
        frame : Frame
            Region and pixels.
        """
        slopes = np.tan(np.radians(self.registers.get("Piezo.Tilt")))
        return (frame.points() - np.array(frame.center)) @ slopes if slopes.any() else np.zeros(frame.pixels)

    def _sens_get(self) -> Answer:
        """Answer ``Piezo.SensGet`` with the sensitivity of the piezo along x, y and z, in m/V.

        Nothing follows from it: the microscope behind it counts in nm.
        """
        return [SENSITIVITY] * 3

    def _drift_comp_set(self, *asked: float) -> None:
        """Answer ``Piezo.DriftCompSet``: compensate a drift of the sample.

        Parameters
        ----------
        *asked : float
            Switch (0 keep, 1 on, 2 off); velocities along x, y and z, in m/s, of which that along z is only kept; and the
            saturation limit, which is only kept.
        """
        old = self.software.release <= OLDEST_RELEASE  # there -1 keeps, 0 is off and 1 on
        self.compensate(({-1: 0, 0: 2, 1: 1}.get(int(asked[0]), 0) if old else asked[0], *asked[1:]))

    def compensate(self, asked: Sequence[float]) -> None:
        """Set the drift compensation, in the codes of the release that is described.

        Parameters
        ----------
        asked : sequence of float
            Switch (0 keep, 1 on, 2 off); velocities along x, y and z (m/s); saturation limit, in percent of the range.
        """
        self.registers.set("Piezo.DriftComp", asked)
        self._began = self.controller.now()
        self._apply((False,) * 3)

    def _saturated(self) -> tuple[bool, ...]:
        """Where the compensation has come to its limit, since it was set last: there it has stopped."""
        on, *velocities, percent = self.registers.get("Piezo.DriftComp")
        spans = self.registers.get("Piezo.Range")
        passed = self.controller.now() - self._began
        return tuple(
            bool(on) and abs(velocity) * passed > percent / 100 * span for velocity, span in zip(velocities, spans, strict=True)
        )

    def _apply(self, stopped: Sequence[bool]) -> None:
        on, vx, vy, *_ = self.registers.get("Piezo.DriftComp")
        wanted = tuple(
            ours(velocity, LENGTH) if on and not at_end else 0.0 for velocity, at_end in zip((vx, vy), stopped, strict=False)
        )
        self.controller.set_drift((wanted[0], wanted[1]))

    def _drift_comp_get(self) -> Answer:
        """Answer ``Piezo.DriftCompGet``.

        Returns
        -------
        list
            1 for on; velocities along x, y and z, in m/s, as they were set; 1 for each axis that has come to the limit and
            therefore stands still; the saturation limit, in percent of the range.
        """
        on, vx, vy, vz, saturation = self.registers.get("Piezo.DriftComp")
        stopped = self._saturated()
        if any(stopped):
            self._apply(stopped)
        return [on, vx, vy, vz, *stopped, saturation]
