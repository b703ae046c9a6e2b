"""Nanonis as a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.base import ControllerPart
from bluesky_stm.controllers.nanonis._channels import ChannelNames
from bluesky_stm.controllers.nanonis._controller import NanonisController
from bluesky_stm.controllers.nanonis._interlocks import Interlocks, compared
from bluesky_stm.controllers.nanonis_wire import PORTS
from bluesky_stm.errors import SettingsError
from bluesky_stm.parts import setting
from bluesky_stm.protocols import Controller, LockInCalibration
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
    save_as: str = setting(
        "", "", "Beginning of the names under which the software saves each spectrum, too; its own saving stays if not given."
    )
    folder: str = setting(
        "", "", "Where this computer sees the session path of the software, for grids that Nanonis takes by itself."
    )
    marks: bool = setting(False, "", "True to draw each decision into the scan frame of the software.")
    take_over: bool = setting(False, "", "True to take the instrument from another program that holds it, once.")
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
            save_as=self.save_as,
            folder=self.folder,
            marks=self.marks,
            take_over=self.take_over,
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

    @override
    def check_same(self, controller: Controller, start: Data) -> None:
        """Refuse to go on at another kind of microscope, and with interlocks that protect less than those of the run.

        Raises
        ------
        SettingsError
            With each interlock that allows more now than it did then. Nothing has moved.
        """
        super().check_same(controller, start)
        if less := compared(*_interlocks(controller, start))[0]:
            raise SettingsError(
                f"Run {start['uid']} was measured with interlocks that protect more than those that stand in the controller: "
                f"{'; '.join(less)}. Nothing has moved. Set them as they were, in the software or with safe_tip, z and "
                "end_sweep of the microscope that you name."
            )

    @override
    def differences(self, controller: Controller, start: Data) -> list[str]:
        """Return in which respects the interlocks protect more than those of the run.

        Such a run may go on: what is stricter stays as it stands in the controller.
        """
        return compared(*_interlocks(controller, start))[1]


def _interlocks(controller: Controller, start: Data) -> tuple[Data, Data]:
    """Return the interlocks of a run and those that stand in the controller; none where the run does not say its own."""
    then = start.get("controller", {}).get("interlocks")
    return (then, controller.describe()["interlocks"]) if isinstance(then, Mapping) else ({}, {})


def _printed(text: str) -> None:
    print(f"  {text}")
