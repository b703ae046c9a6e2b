"""A controller heeds what it is asked, or says that it cannot: nothing is ignored in silence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from bluesky_stm.controllers.conformance._suite import Suite
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import Capability, Controller, SweepSettings

Answer = TypeVar("Answer")

CLOSER = 0.1
"""A z offset, in nm, that changes the current several times: a decade for each 0.1 nm is the rule of thumb of the field."""


class Heeds(Suite):
    """Settings of a sweep, the time of a line, the speed of a move, and which way is up."""

    def test_a_sweep_nearer_to_the_surface_carries_more_current(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """The z offset is applied with its sign, and the spectrum says at which height it was taken; or it is refused."""
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(places[0])
        near, far = (
            _or_skip(lambda offset=offset: controller.sweep(replace(sweep_settings, z_offset=offset)))  # type: ignore[misc]
            for offset in (-CLOSER, CLOSER)
        )
        assert np.nanmean(np.abs(near.current)) > 3 * np.nanmean(np.abs(far.current))
        assert far.z - near.z == pytest.approx(2 * CLOSER, abs=0.05)

    def test_averages_take_their_time(self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]) -> None:
        """Five sweeps take longer than one, by the time of their points; or they are refused."""
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(places[0])
        once, five = (
            self.duration(controller, lambda n=n: _or_skip(lambda: controller.sweep(replace(sweep_settings, averages=n))))  # type: ignore[misc]
            for n in (1, 5)
        )
        points = sweep_settings.points * (sweep_settings.settle + sweep_settings.integrate)
        assert five - once > 3 * points

    def test_a_sweep_both_ways_gives_the_way_back(
        self, controller: Controller, sweep_settings: SweepSettings, places: list[Point]
    ) -> None:
        """Its current at least, as long as the way forth; or it is refused."""
        self.needs(controller, Capability.SWEEP)
        controller.move_tip(places[0])
        spectrum = _or_skip(lambda: controller.sweep(replace(sweep_settings, backward=True)))
        assert "current" in spectrum.backward
        assert spectrum.backward["current"].shape == (sweep_settings.points,)
        assert np.isfinite(spectrum.backward["current"]).all()

    def test_lines_take_the_time_asked_for(self, controller: Controller, frame: Frame) -> None:
        """Lines of 0.4 s take longer than lines of 0.1 s, by as many lines, forth and back; or they are refused."""
        self.needs(controller, Capability.SCAN)
        fast, slow = (
            self.duration(controller, lambda t=t: _or_skip(lambda: controller.scan(frame, t)))  # type: ignore[misc]
            for t in (0.1, 0.4)
        )
        assert slow - fast > 0.8 * 0.3 * frame.pixels[0]

    def test_a_slow_move_takes_longer(self, controller: Controller, places: list[Point]) -> None:
        """A move at a quarter of the speed takes four times as long; or the controller refuses that speed."""
        self.needs(controller, Capability.TIP)
        start, end = places[0], max(places, key=lambda place: math.dist(place, places[0]))
        usual = controller.get_speed()
        controller.move_tip(start)
        fast = self.duration(controller, lambda: _or_skip(lambda: controller.move_tip(end, usual)))
        slow = self.duration(controller, lambda: _or_skip(lambda: controller.move_tip(start, usual / 4)))
        assert slow > 2 * fast

    def test_row_zero_of_an_image_is_the_lowest_y(self, controller: Controller, relief: Frame) -> None:
        """The tip finds the heights of the image where the frame says that its pixels lie, and not upside down."""
        self.needs(controller, Capability.SCAN)
        self.needs(controller, Capability.TIP)
        if controller.locations() is not None:
            pytest.skip("the tip may not go to every pixel")
        height = controller.scan(relief).height
        rows, columns = np.linspace(0, np.array(relief.pixels) - 1, 5).astype(int).T
        felt = np.array([[self._height_at(controller, relief, row, column) for column in columns] for row in rows])
        seen = height[np.ix_(rows, columns)]
        upside_down = height[::-1][np.ix_(rows, columns)]
        assert np.ptp(seen) > 0, "a flat image cannot tell"
        assert np.std(felt - seen) < 0.7 * np.std(felt - upside_down)

    @staticmethod
    def _height_at(controller: Controller, frame: Frame, row: int, column: int) -> float:
        x, y = frame.to_sample((row, column))
        controller.move_tip(Point(float(x), float(y)))
        return controller.get_tip().z


def _or_skip(act: Callable[[], Answer]) -> Answer:
    """Return what an act returns; what is refused is not ignored, and there is nothing more to test."""
    try:
        return act()
    except NotCapableError as refusal:
        pytest.skip(str(refusal))
