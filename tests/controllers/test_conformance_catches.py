"""The conformance suite fails each controller that ignores in silence what it is asked, and no other."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import FakeController
from bluesky_stm.controllers.conformance import ControllerConformance
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import SweepSettings

FRAME = Frame.square((3.7, 6.1), 10.0, 16)
PLACES = [Point(float(x), float(y)) for x, y in FRAME.corners]
SWEEP = SweepSettings(-1.0, 1.0, 41, settle=0.002, integrate=0.008)


class IgnoresZOffset(FakeController):
    def sweep(self, settings, progress=None):
        return super().sweep(replace(settings, z_offset=0.0), progress)


class TurnsZOffsetRound(FakeController):
    def sweep(self, settings, progress=None):
        return super().sweep(replace(settings, z_offset=-settings.z_offset), progress)


class IgnoresAverages(FakeController):
    def sweep(self, settings, progress=None):
        return super().sweep(replace(settings, averages=1), progress)


class IgnoresBackward(FakeController):
    def sweep(self, settings, progress=None):
        return super().sweep(replace(settings, backward=False), progress)


class IgnoresLineTime(FakeController):
    def scan(self, frame, line_time=None, progress=None):
        return super().scan(frame, None, progress)


class IgnoresSpeed(FakeController):
    def move_tip(self, point, speed=None):
        return super().move_tip(point)


class ScansUpsideDown(FakeController):
    def scan(self, frame, line_time=None, progress=None):
        image = super().scan(frame, line_time, progress)
        return replace(image, height=np.flipud(image.height))


class Refuses(FakeController):
    """Says that it cannot, which is as good as doing it."""

    def sweep(self, settings, progress=None):
        if settings.z_offset or settings.averages > 1 or settings.backward:
            raise NotCapableError("no")
        return super().sweep(settings, progress)

    def scan(self, frame, line_time=None, progress=None):
        if line_time is not None:
            raise NotCapableError("no")
        return super().scan(frame, line_time, progress)

    def move_tip(self, point, speed=None):
        if speed is not None:
            raise NotCapableError("no")
        return super().move_tip(point)


class ShowsItsParts(FakeController):
    @property
    def bias(self):
        return self._bias


CHECKS = {
    "test_a_sweep_nearer_to_the_surface_carries_more_current": (SWEEP, PLACES),
    "test_averages_take_their_time": (SWEEP, PLACES),
    "test_a_sweep_both_ways_gives_the_way_back": (SWEEP, PLACES),
    "test_lines_take_the_time_asked_for": (FRAME,),
    "test_a_slow_move_takes_longer": (PLACES,),
    "test_row_zero_of_an_image_is_the_lowest_y": (FRAME,),
    "test_nothing_public_leads_round_what_the_controller_refuses": (),
}


def failed_by(make):
    """Names of the tests of the suite that a controller fails."""
    failed = []
    for name, arguments in CHECKS.items():
        try:
            getattr(ControllerConformance(), name)(make(), *arguments)
        except AssertionError:
            failed.append(name)
        except pytest.skip.Exception:
            pass
    return failed


@pytest.mark.parametrize(
    ("wrong", "caught_by"),
    [
        (IgnoresZOffset, "test_a_sweep_nearer_to_the_surface_carries_more_current"),
        (TurnsZOffsetRound, "test_a_sweep_nearer_to_the_surface_carries_more_current"),
        (IgnoresAverages, "test_averages_take_their_time"),
        (IgnoresBackward, "test_a_sweep_both_ways_gives_the_way_back"),
        (IgnoresLineTime, "test_lines_take_the_time_asked_for"),
        (IgnoresSpeed, "test_a_slow_move_takes_longer"),
        (ScansUpsideDown, "test_row_zero_of_an_image_is_the_lowest_y"),
        (ShowsItsParts, "test_nothing_public_leads_round_what_the_controller_refuses"),
    ],
)
def test_a_controller_that_ignores_what_it_is_asked_is_caught(wrong, caught_by):
    assert failed_by(wrong) == [caught_by]


@pytest.mark.parametrize("right", [FakeController, Refuses])
def test_a_controller_that_heeds_or_refuses_passes(right):
    assert failed_by(right) == []
