"""The lock-in of the scripted microscope."""

from __future__ import annotations

from bluesky_stm.controllers.fake._script import asked
from bluesky_stm.controllers.fake._state import FakePart
from bluesky_stm.protocols import LockInSettings


class FakeLockIn(FakePart):
    """Fulfils `protocols.LockInControl`."""

    @asked
    def get_lockin(self) -> LockInSettings:
        """Return the settings."""
        return self.state.lockin

    @asked
    def set_lockin(self, settings: LockInSettings) -> None:
        """Change the settings."""
        self.state.lockin = settings
