"""A scripted microscope for tests: it records what was asked, and fails, answers or waits as it was told."""

from __future__ import annotations

from typing import Final

from bluesky_stm.controllers.base import BaseController
from bluesky_stm.controllers.fake._bias import FakeBias
from bluesky_stm.controllers.fake._current import FakeCurrent
from bluesky_stm.controllers.fake._drift import FakeDrift, FakeTracking
from bluesky_stm.controllers.fake._lockin import FakeLockIn
from bluesky_stm.controllers.fake._scan import FakeScanning
from bluesky_stm.controllers.fake._script import Script, asked
from bluesky_stm.controllers.fake._spectroscopy import FakeGrids, FakeSpectroscopy
from bluesky_stm.controllers.fake._state import WITHDRAWN, FakeState
from bluesky_stm.controllers.fake._tip import FakeTip
from bluesky_stm.controllers.fake._z import FakeZ
from bluesky_stm.controllers.fake._z_spectroscopy import FakeZSpectroscopy
from bluesky_stm.protocols import Capability
from bluesky_stm.validated import JSON

RANGES: Final = {
    "bias": (-10.0, 10.0),
    "current": (0.0, 100.0),
    "setpoint": (0.001, 50.0),
    "x": (-500.0, 500.0),
    "y": (-500.0, 500.0),
    "z": (-200.0, 200.0),
    "speed": (0.0, 10_000.0),
}


class FakeController(Script, BaseController):
    """An ideal microscope on a gently waved metal, which does what a test tells it.

    Parameters
    ----------
    capabilities : iterable of Capability, optional
        All if not given; readings answer in any case.
    steps : int
        Steps in which a move is made; scans are made by lines, sweeps by points. It can be stopped between two of them.
    state : FakeState, optional
        The microscope as it stands at the beginning.

    Examples
    --------
    >>> from bluesky_stm.errors import LostConnectionError
    >>> from bluesky_stm.geometry import Point
    >>> fake = FakeController()
    >>> fake.fail("move_tip", LostConnectionError("cable pulled"), at=2)
    >>> fake.move_tip(Point(1, 0))
    >>> fake.move_tip(Point(2, 0))
    Traceback (most recent call last):
    bluesky_stm.errors.LostConnectionError: cable pulled
    """

    name = "fake"
    ranges = RANGES

    def __init__(
        self,
        capabilities: frozenset[Capability] = frozenset(Capability),
        steps: int = 10,
        state: FakeState | None = None,
    ) -> None:
        super().__init__()
        self.capabilities = capabilities
        self.script, self._state = self, state or FakeState()
        self._bias, self._current = FakeBias(self, self._state), FakeCurrent(self, self._state)
        self._tip, self._z = FakeTip(self, self._state, steps), FakeZ(self, self._state)
        self._scanning, self._spectroscopy = FakeScanning(self, self._state), FakeSpectroscopy(self, self._state)
        self._z_spectroscopy = FakeZSpectroscopy(self, self._state)
        self._grids = FakeGrids(self, self._state)
        self._lockin, self._drift = FakeLockIn(self, self._state), FakeDrift(self, self._state)
        self._tracking = FakeTracking(self, self._state)

    def lose_connection(self, lost: bool = True) -> None:
        """Answer nothing and do nothing from now on.

        As the watchdog of a real microscope does it, the tip is withdrawn.

        Parameters
        ----------
        lost : bool
            False to answer again; the tip stays withdrawn.
        """
        self.silent = lost
        if lost:
            self.halt.set()
            self._state.pull_back(WITHDRAWN)

    @property
    def safe(self) -> bool:
        """True when the tip is withdrawn, or held by the feedback."""
        return self._state.withdrawn or self._state.feedback

    def now(self) -> float:
        """Return the time on its own clock, in s: it runs with what is measured."""
        return self._state.time

    def describe(self) -> JSON:
        """Return name and capabilities."""
        return {"name": self.name, "capabilities": sorted(self.capabilities)}

    @asked
    def stop(self) -> None:
        """End what is under way; hold still, feedback closed."""
        self.halt.set()
        self._state.feedback = not self._state.withdrawn

    def close(self) -> None:
        """Let go, the tip safe."""
        self.stop()
