"""The fixtures that a subclass gives to the suite, and what its tests share."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import Capability, Controller, SweepSettings

HAIR = 0.05
"""How far from the place asked for a tip may arrive, in nm."""

SOON = 2.0
"""Wall time, in s, within which a stopped act has to end, and a reading beside it to answer."""


class Suite:
    """Fixtures and helpers; the tests stand in its subclasses."""

    cycles = 1000
    """Moves and sweeps after which no thread and no memory may be left over."""

    left_over = 500_000
    """Bytes that may be left after so many."""

    @pytest.fixture
    def unhurried(self) -> Controller:
        """A controller whose acts take some tenths of a second of wall time."""
        pytest.skip("this controller has no acts that take wall time")

    @pytest.fixture
    def sweep_settings(self, controller: Controller) -> SweepSettings:
        """A sweep that the controller can do."""
        return SweepSettings(-1.0, 1.0, 41, settle=0.002, integrate=0.008)

    @pytest.fixture
    def frame(self, controller: Controller) -> Frame:
        """A frame that the controller can scan."""
        low, high = (np.array([controller.ranges[axis][end] for axis in "xy"]) for end in (0, 1))
        middle, side = (low + high) / 2, min(10.0, *(high - low) / 2)
        # Off the middle of the range: a surface that is symmetric there would look the same upside down.
        return Frame.square(tuple(middle + side * np.array([0.37, 0.61])), side, 16)

    @pytest.fixture
    def relief(self, frame: Frame) -> Frame:
        """A frame whose heights are not the same upside down, and larger than noise and creep: steps of the surface, say."""
        return frame

    @pytest.fixture
    def places(self, controller: Controller, frame: Frame) -> list[Point]:
        """Places that the tip may go to, and where spectra can be had."""
        found = controller.locations()
        chosen = frame.corners * 0.9 + np.array(frame.center) * 0.1 if found is None else found[:: max(1, len(found) // 4)]
        return [Point(float(x), float(y)) for x, y in chosen]

    def time_of(self, controller: Controller) -> float:
        """Return the time, in s, by which acts are timed: to be overridden where the instrument's clock is not ``now()``."""
        return controller.now()

    def duration(self, controller: Controller, act: Callable[[], object]) -> float:
        """Return how long an act takes, in s, by `time_of`."""
        begun = self.time_of(controller)
        act()
        return self.time_of(controller) - begun

    def break_next_sweep(self, controller: Controller) -> None:
        """Make the next sweep fail half way, with any `STMError`."""
        pytest.skip("this controller can't be made to fail")

    def break_next_z_sweep(self, controller: Controller) -> None:
        """Make the next z sweep fail half way, with any `STMError`.

        Parameters
        ----------
        controller : Controller
            Controller under test.
        """
        pytest.skip("this controller can't be made to fail")

    def break_next_scan(self, controller: Controller) -> None:
        """Make the next scan fail half way, with any `STMError`."""
        pytest.skip("this controller can't be made to fail")

    def is_safe(self, controller: Controller) -> bool:
        """Return True when the tip of a closed controller is held or withdrawn.

        Override it where a closed controller does not answer.
        """
        return controller.get_feedback() or controller.is_withdrawn()

    @staticmethod
    def needs(controller: Controller, capability: Capability) -> None:
        """Skip the test where the controller does not declare the capability."""
        if capability not in controller.capabilities:
            pytest.skip(f"{controller.name} does not declare {capability}")

    def spectrum(self, controller: Controller, settings: SweepSettings, place: Point) -> Spectrum:
        """Take a spectrum at a place; skip the test where the controller can take none.

        Parameters
        ----------
        controller : Controller
            Controller under test.
        settings : SweepSettings
            What to sweep.
        place : Point
            Where, in nm.
        """
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(place)
        return controller.sweep(settings)

    @staticmethod
    def stopped_soon(controller: Controller, act: Callable[[], Any], after: float = 0.1) -> _StoppedSoon:
        """Return a context that begins an act in a thread, lets some time pass, and stops the controller.

        Parameters
        ----------
        controller : Controller
            Controller under test.
        act : callable
            Act that blocks; its future is what the context gives.
        after : float
            Wall time until the stop, in s; 0 for no stop.
        """
        return _StoppedSoon(controller, act, after)


class _StoppedSoon:
    """Context of an act that runs in another thread and is stopped on its way."""

    def __init__(self, controller: Controller, act: Callable[[], Any], after: float) -> None:
        self._controller, self._act, self._after = controller, act, after
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Future[Any]:
        future = self._pool.submit(self._act)
        time.sleep(self._after or 0.05)
        if self._after:
            self._controller.stop()
        return future

    def __exit__(self, *error: object) -> None:
        self._controller.stop()
        self._pool.shutdown()
