"""What makes no sense as an argument of a plan is refused in one sentence, before the first message: nothing has moved."""

import inspect
import math

import numpy as np
import pytest

from bluesky_stm import plans
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Point
from bluesky_stm.plans._arguments import CHECKS, PARSED

MEASURING = [
    getattr(plans, name)
    for name in (
        "explore",
        "explore_multiscale",
        "spectra_at",
        "spectrum_at",
        "cits_grid",
        "scan_topograph",
        "move_frame",
        "check_tip",
        "measure_drift",
        "track_drift",
        "calibrate_lockin",
        "auto_phase",
        "withdraw",
        "approach",
        "take_topograph",
        "decide",
        "measure_at",
        "measure_and_decide",
        "draw_map",
        "safely",
        "with_bias",
    )
]
SUSPENDING = [getattr(plans, name) for name in plans.__all__ if name.startswith("suspend_")]
GOOD = {
    "points": [(0, 0)],
    "point": (0, 0),
    "shape": (2, 2),
    "frame": {"center": (0, 0), "size": (10, 10), "pixels": (16, 16)},
    "speed": 1.0,
    "scales": [],
    "make_agent": print,
    "place": (0, 0),
    "pending": (0, 0),
    "value": -1.0,
    "plan": (),
}

BAD = {
    "stm": [3, None, "stm"],
    "agent": [3, None, "dkl"],
    "budget": ["x", 0, -1, 2.5, True, math.nan],
    "maps_every": ["x", 0, None, True],
    "hours": ["x", 0, -1, math.nan, True],
    "beside": [3, "cryostat", ["cryostat"]],
    "done": ["x", -1, 2.5, True, None],
    "children": [0, "2", False],
    "times": [0, "x"],
    "wait": ["x", -1, math.nan, math.inf, True],
    "sleep": ["x", -1, math.nan],
    "speed": ["x", -1, None],
    "margin": ["x", math.inf],
    "look": [1, "yes", None],
    "ahead": [1, "yes"],
    "shortest": [1, "yes"],
    "compensate": ["no", 0],
    "overview": ["no", 0],
    "native": [1, "yes"],
    "seconds": ["x", True, -1, math.inf],
    "frame": [
        3,
        "x",
        {},
        {"center": (0, 0)},
        {"center": "ab", "size": (1, 1), "pixels": (4, 4)},
        {"center": (0, 0), "size": (1, 1), "pixels": (4, 4), "angel": 3},
    ],
    "point": [3, "xy", (1, 2, 3), (math.nan, 0)],
    "place": [3, None, "xy", (1, 2, 3), (math.nan, 0)],
    "pending": [3, None, (1,)],
    "run_up": [3, None, "xy", (1,), (0, math.inf)],
    "stream": [3, None, ""],
    "value": ["x", None, True, math.nan],
    "plan": [3, None, "x", len],
    "points": [3, "xy", [(0, 0), (1,)], [(0, math.inf)]],
    "shape": [3, (2,), (0, 2), (2, 2.5), (2, 2, 2)],
    "scales": [3, "mesa", {"name": "mesa"}],
    "steer": [3, "x"],
    "make_agent": [3, None],
    "md": [3, [("a", 1)], {1: 2}],
}


def wrong():
    for plan in (*MEASURING, *SUSPENDING):
        for name in inspect.signature(plan).parameters:
            for value in BAD.get(name, ()):
                yield pytest.param(plan, name, value, id=f"{plan.__name__}-{name}-{value}")


@pytest.mark.parametrize(("plan", "name", "value"), list(wrong()))
def test_an_argument_that_makes_no_sense_is_refused_by_its_name_before_anything_moves(stm, agent, plan, name, value):
    needed = {one.name for one in inspect.signature(plan).parameters.values() if one.default is one.empty}
    given = {**{key: {**GOOD, "stm": stm, "agent": agent}[key] for key in needed}, name: value}
    with pytest.raises(SettingsError, match=rf"^{name}(\[\d\])? should be .*Nothing has moved") as caught:
        made = plan(**given)
        next(made)
    assert "pydantic" not in str(caught.value)
    assert stm.controller.now() == 0


@pytest.mark.parametrize("plan", [*MEASURING, *SUSPENDING], ids=lambda plan: plan.__name__)
def test_every_argument_of_a_plan_is_checked_by_somebody(plan):
    assert set(inspect.signature(plan).parameters) <= {*CHECKS, *PARSED}
    assert set(BAD) == set(CHECKS)


def test_numbers_of_numpy_and_places_as_lists_are_taken(RE, stm, agent):
    RE(plans.explore(stm, agent, budget=np.int64(3), ahead=np.bool_(False)))
    RE(plans.spectra_at(stm, np.array([[0.0, 0.0], [1.0, 1.0]])))
    assert stm.tip.position == Point(1.0, 1.0)
