"""Rules that end a scale early."""

import numpy as np
import pytest

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Point
from bluesky_stm.parts import stop_rules
from bluesky_stm.plans import RunState
from bluesky_stm.protocols import Decision, Health
from bluesky_stm.settings import LengthScale


def rule(name, **settings):
    return stop_rules.make(name, **settings)


def decision(acquisition=1.0, mean=0.0, std=1.0, noise=0.1):
    return Decision(Point(0, 0), 0, "ei", mean, std, acquisition, health=Health("toy", noise=noise))


def test_no_improvement_waits_until_hope_is_gone_several_times_in_a_row():
    stop = rule("no-improvement", patience=3, fraction=0.1)
    assert stop(RunState([decision(0.001)] * 2)) is None
    assert stop(RunState([decision(0.001), decision(0.02), decision(0.001)])) is None
    assert "0.1 of the noise" in stop(RunState([decision(0.5)] + [decision(0.009)] * 3))


def test_seed_points_never_end_a_scale():
    assert rule("no-improvement", patience=1)(RunState([decision(float("nan"))])) is None


def test_a_target_is_found_when_it_is_measured_and_not_when_it_is_expected():
    stop = rule("target", value=1.0)
    assert stop(RunState([decision(mean=1.5, std=0.01)])) is None
    assert stop(RunState([decision()], best=0.9)) is None
    assert "1.1 was measured" in stop(RunState([decision()], best=1.1))


def promised(left, best=2.0, maps=()):
    decision = Decision(Point(0, 0), 0, "ei", health=Health("toy", left=left))
    return RunState([decision], maps=[(np.array(mean), np.ones(len(mean))) for mean in maps], best=best)


def test_a_promise_ends_a_scale_when_no_more_is_left_than_is_allowed():
    stop = rule("promise", within=0.3)
    assert stop(promised(0.31)) is None
    assert stop(promised(float("nan"))) is None
    assert stop(RunState()) is None
    assert "90 %, at most one in a hundred of the places left is better than the best, 2, by over 0.3" in stop(promised(0.3))


def test_what_a_promise_allows_follows_from_how_far_the_best_stands_out():
    stop = rule("promise", share=0.1)
    half, first = [0.0, 1.0, 1.5], [1.9, 1.9, 1.9]
    assert stop(promised(0.1, best=2.0, maps=[first, half])) is not None
    assert stop(promised(0.11, best=2.0, maps=[first, half])) is None
    assert stop(promised(0.0, best=2.0)) is None  # no map yet to compare with


def test_time_is_that_of_the_microscope_unless_the_wall_is_asked():
    assert rule("time", seconds=60)(RunState(seconds=59)) is None
    assert "60 s were given" in rule("time", seconds=60)(RunState(seconds=61))
    assert rule("time", seconds=1000, clock="wall")(RunState(seconds=5000)) is None
    assert "60 s were given" in rule("time", seconds=60, clock="wall")(RunState(wall_seconds=61))


def test_a_map_has_converged_when_it_stands_still_and_is_known():
    mean = np.linspace(0, 1, 50)
    known, unknown = np.full(50, 0.01), np.full(50, 1.0)
    stop = rule("map-converged", change=0.05, uncertainty=0.2)
    assert stop(RunState(maps=[(mean, known)])) is None
    assert stop(RunState(maps=[(mean, known)] * 3)) is not None
    assert stop(RunState(maps=[(mean, unknown)] * 3)) is None
    assert stop(RunState(maps=[(mean, known), (mean[::-1], known), (mean, known)])) is None
    assert stop(RunState(maps=[(np.full(50, np.nan), known)] * 3)) is None


def test_several_rules_end_with_the_first_that_says_so():
    stop = rule("any", of=["budget", {"name": "time", "seconds": 10}])
    assert stop(RunState(seconds=5)) is None
    assert "10 s were given" in stop(RunState(seconds=11))


def test_unknown_rules_and_settings_are_refused():
    with pytest.raises(UnknownNameError, match="map-converged"):
        rule("map-convergd")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "target", "value": "-0.7x"}, "value: .*number.*'-0.7x'"),
        ({"name": "target", "value": float("nan")}, "value: .*finite"),
        ({"name": "target"}, "value: this setting has to be given"),
        ({"name": "no-improvement", "patience": "five"}, "patience: .*integer.*'five'"),
        ({"name": "no-improvement", "patience": 0}, "patience: "),
        ({"name": "time", "seconds": "1h"}, "seconds: .*number.*'1h'"),
        ({"name": "time", "second": 3}, "second: there is no such setting"),
        ({"name": "time", "seconds": 3, "clock": "sun"}, "clock: .*'controller' or 'wall'"),
        ({"name": "any", "of": [{"name": "target", "value": "-0.7x"}]}, "value: .*'-0.7x'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_when_a_scale_names_the_rule(settings, said):
    with pytest.raises(SettingsError, match=said):
        LengthScale(name="s", frame=20, patch=3, step=1, stop=settings)


@pytest.mark.parametrize("value", ["-0.7", -0.7, "-7e-1"])
def test_a_number_may_be_written_as_text(value):
    """As in a settings file with a quotation mark too many; what is no number is refused, above."""
    assert rule("target", value=value) == rule("target:-0.7") == rule("target:value=-0.7")
