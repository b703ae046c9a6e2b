"""The lock-in of the scripted microscope."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.protocols import LockInControl, LockInSettings


class FakeLockIn(FakePart, LockInControl):
    """Fulfils `protocols.LockInControl`."""

    @override
    @asked
    def get_lockin(self) -> LockInSettings:
        return self.state.lockin

    @override
    @asked
    def set_lockin(self, settings: LockInSettings) -> None:
        self.state.lockin = settings
