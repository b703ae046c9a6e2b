"""Nanonis as a part."""

from __future__ import annotations

from typing import ClassVar, Self

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.base import ControllerPart
from bluesky_stm.controllers.nanonis._channels import ChannelNames
from bluesky_stm.controllers.nanonis._controller import NanonisController
from bluesky_stm.controllers.nanonis._interlocks import Interlocks
from bluesky_stm.controllers.nanonis_wire import PORTS
from bluesky_stm.parts import setting
from bluesky_stm.protocols import LockInCalibration
from bluesky_stm.settings import Positive, Range
from bluesky_stm.validated import Data


class Nanonis(ControllerPart):
    """Nanonis over TCP: a real microscope, or a simulated server."""

    leading: ClassVar[str] = "host"

    name: str = "nanonis"
    host: str = setting("127.0.0.1", "", "Address of the controller.")
    ports: tuple[int, ...] = setting(PORTS, "", "TCP ports of the controller, at least two.", min_length=2)
    lockin_response: float = setting(
        1.0, "", "Lock-in X for an amplitude times dI/dV of 1, apart from what the preamplifier takes: X / (amplitude * dI/dV)."
    )
    lockin_offset: float = setting(0.0, units.CURRENT, "Lock-in X without a current.")
    lockin_reference: float | None = setting(
        None,
        units.ANGLE,
        "Phase at which X would hold all of dI/dV, were the preamplifier infinitely fast; right as it stands if not given.",
    )
    preamplifier: float = setting(
        0.0, units.TIME, "Time constant of the preamplifier; 0 if it is fast at the modulation.", ge=0
    )
    safe_tip: Positive | None = setting(
        None, units.CURRENT, "Current above which Safe Tip withdraws the tip; what stands there if not given."
    )
    z: Range | None = setting(None, units.LENGTH, "Lowest and highest tip height; what stands there if not given.")
    end_sweep: Positive | None = setting(
        None, units.CURRENT, "Current at which a sweep ends early, on either side; what stands there if not given."
    )
    channels: ChannelNames = setting(ChannelNames(), "", "Names of the signals, if not as Nanonis calls them.")
    read_only: bool = setting(False, "", "True if nothing that changes anything may be sent.")
    announce: bool = setting(False, "", "True if each write is printed just before it is sent. It is sent.")
    despite: tuple[str, ...] = setting(
        (), "", "Red lines of nanonis-check, by name, in spite of which runs may begin: they stand in the start documents."
    )
    timeout: float = setting(5.0, units.TIME, "Longest time for an answer beyond what the command itself takes.", gt=0, le=3600)

    @override
    def open(self) -> NanonisController:
        """Connect to the controller, check its release and its signals, and set its interlocks."""
        return NanonisController(
            self.host,
            self.ports,
            lockin=LockInCalibration(response=self.lockin_response, offset=self.lockin_offset, preamplifier=self.preamplifier),
            reference=self.lockin_reference,
            channels=self.channels,
            interlocks=Interlocks(safe_tip=self.safe_tip, z=self.z, end_sweep=self.end_sweep),
            read_only=self.read_only,
            announce=_printed if self.announce else None,
            timeout=self.timeout,
            despite=self.despite,
            name=self.name,
        )

    @override
    def again(self, described: Data) -> Self:
        """Return the same address with the calibration of the lock-in that the run had.

        The instrument does not know the calibration, so that without it dI/dV of a resumed run would have another scale.

        Parameters
        ----------
        described : mapping
            What the controller said of itself in the start document, ``lockin`` among it.
        """
        lockin = described["lockin"]
        return self.changed(
            lockin_response=lockin["response"],
            lockin_offset=lockin["offset"],
            lockin_reference=lockin["reference"],
            preamplifier=lockin["preamplifier"],
        )


def _printed(text: str) -> None:
    print(f"  {text}")
