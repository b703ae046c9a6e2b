"""The modules Bias, Current and FolMe: bias, preamplifier, and the lateral place of the tip."""

from __future__ import annotations

from contextlib import suppress

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, Pulse
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import MotionStoppedError
from bluesky_stm.geometry import Point
from bluesky_stm.units import CURRENT as NANOAMPERE
from bluesky_stm.units import LENGTH


class BiasModule(Module):
    """The sample bias."""

    name = "Bias"

    def _set(self, bias: float) -> None:
        """Answer ``Bias.Set``: ramp the bias of the microscope, in the middle of a scan too, and return on arrival.

        Parameters
        ----------
        bias : float
            In V.
        """
        if not self.software.scan.lead_bias(bias):
            self.controller.ramp_bias(bias)

    def _range_get(self) -> Answer:
        """Answer ``Bias.RangeGet`` with the one range of the output that there is."""
        return [["10 V"], 0]

    def _range_set(self, index: int) -> None:
        """Answer ``Bias.RangeSet``."""
        if index:
            raise NanonisError(f"There is no bias range {index}, only 0.")

    def _get(self) -> Answer:
        """Answer ``Bias.Get``.

        Returns
        -------
        list of float
            The bias, in V.
        """
        return [self.controller.get_bias()]

    def _pulse(self, waited_for: int, width: float, bias: float, hold: int, mode: int) -> None:
        """Answer ``Bias.Pulse``: pulse the bias, which may change the tip.

        Parameters
        ----------
        waited_for : int
            1 to answer when the pulse is over, 0 to answer at once.
        width : float
            Duration, in s.
        bias : float
            Height of the pulse, in V.
        hold : int
            Code of what the z controller does meanwhile; not used, for the microscope behind it knows one way only.
        mode : int
            `Pulse.RELATIVE` to add ``bias`` to the present one, `Pulse.ABSOLUTE` to go to it.
        """
        target = bias + (self.controller.get_bias() if mode == Pulse.RELATIVE else 0.0)
        self.software.perform("pulse", lambda: self.controller.pulse(target, width), waited_for)


class CurrentModule(Module):
    """The preamplifier."""

    name = "Current"
    gain = 0

    def _gain_set(self, gain: int, filtered: int) -> None:
        """Answer ``Current.GainSet`` with the index of a gain, and of a filter, of which there is one."""
        if gain not in {-1, 0, 1}:
            raise NanonisError(f"There is no gain {gain} of the preamplifier, only 0 and 1.")
        self.gain = self.gain if gain < 0 else gain

    def _get(self) -> Answer:
        """Answer ``Current.Get``.

        Returns
        -------
        list of float
            The tunneling current, in A, as it was published last: it may be older than the question.
        """
        signals = self.software.signals
        return [si(signals.publish(CURRENT, signals.current, newest=False), NANOAMPERE)]

    def _gains_get(self) -> Answer:
        """Answer ``Current.GainsGet`` with gains of the preamplifier that nothing follows from.

        Returns
        -------
        list
            Names of the gains, the index of the present one, names of the filters, the index of the present one.
        """
        return [["1 nA/V", "10 nA/V"], self.gain, ["full bandwidth"], 0]


class FolMeModule(Module):
    """The moves of the tip ("follow me")."""

    name = "FolMe"

    def move(self, to: Point, speed: float | None = None) -> None:
        """Move the tip. When the move is stopped the tip ends where it is; to Nanonis that is no error.

        Parameters
        ----------
        to : Point
            Destination, in nm.
        speed : float or None
            In nm/s; None for that of the microscope.
        """
        with suppress(MotionStoppedError):
            self.controller.move_tip(to, speed)

    def place(self, newest: bool) -> Answer:
        """Return the place of the tip.

        Parameters
        ----------
        newest : bool
            True to wait for a place that is newer than the question; otherwise it is the one that was published last.

        Returns
        -------
        list of float
            x and y, in m.
        """
        tip = self.software.signals.publish("XY", self.controller.get_tip, newest)
        return [si(tip.x, LENGTH), si(tip.y, LENGTH)]

    def _xy_pos_set(self, x: float, y: float, waited_for: int) -> None:
        """Answer ``FolMe.XYPosSet``: move the tip in a straight line.

        The speed is that of ``FolMe.SpeedSet`` where its switch is on, else that of the microscope.

        Parameters
        ----------
        x, y : float
            Destination, in m.
        waited_for : int
            1 to answer on arrival, 0 to answer at once.
        """
        speed, custom = self.registers.get("FolMe.Speed")
        target = Point(ours(x, LENGTH), ours(y, LENGTH))
        asked = ours(speed, LENGTH) if custom else None
        self.software.perform("move", lambda: self.move(target, asked), waited_for)

    def _xy_pos_get(self, newest: int) -> Answer:
        """Answer ``FolMe.XYPosGet``.

        Parameters
        ----------
        newest : int
            1 to wait for a place that is newer than the question, 0 for the one that was published last.

        Returns
        -------
        list of float
            x and y of the tip, in m.
        """
        return self.place(bool(newest))

    def _stop(self) -> None:
        """Answer ``FolMe.Stop``: end a move under way.

        The answer comes when the tip rests; without a move nothing is done.
        """
        self.software.halt("move")
