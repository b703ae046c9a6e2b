"""A module of the simulated software: one object for each module of the vendor's protocol, which does its commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from bluesky_stm.controllers.nanonis_server._further import ANSWERED

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._registers import Registers
    from bluesky_stm.controllers.nanonis_server._software import Software
    from bluesky_stm.protocols import Controller

Answer = Sequence[Any] | None
Handler = Callable[..., Answer]

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Module:
    """A module of the software: a command ``Scan.FrameSet`` is the method ``_frame_set`` of the module ``Scan``.

    It is called with the values of the request and returns those of the answer, by the types of `ANSWERED`. Commands without
    a method are settings that are only kept.

    Parameters
    ----------
    software : Software
        What all modules share: the microscope, the acts under way, the settings, and the other modules.
    """

    name: ClassVar[str]

    def __init__(self, software: Software) -> None:
        self.software = software

    @property
    def controller(self) -> Controller:
        """The microscope behind the software."""
        return self.software.controller

    @property
    def registers(self) -> Registers:
        """Settings that are kept."""
        return self.software.registers

    def handlers(self) -> dict[str, Handler]:
        """Return what each command of this module does.

        A command without a method is missing: it is a setting, which `Registers` keep.

        Returns
        -------
        dict of str to callable
            By the name of the command, as in ``"Scan.FrameSet"``.
        """
        own = [command for command in ANSWERED if command.startswith(f"{self.name}.")]
        methods = {command: f"_{_WORDS.sub('_', command.partition('.')[2]).lower()}" for command in own}
        return {command: getattr(self, method) for command, method in methods.items() if hasattr(self, method)}
