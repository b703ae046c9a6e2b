"""What a person may set, and how what is wrong is said."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bluesky_stm.agents import RandomPlaces
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.geometry import Frame, patch_centers
from bluesky_stm.settings import LengthScale, Limits

SCALE = {"name": "terrace", "frame": 50, "pixels": 256, "patch": 3, "step": 1}


@given(st.floats())
def test_a_value_outside_its_limits_is_never_let_through_and_never_clipped(value):
    limits = Limits(bias=(-2, 1.5))
    if math.isfinite(value) and -2 <= value <= 1.5:
        limits.check("bias", value)
    else:
        with pytest.raises(LimitError, match="Nothing has moved"):
            limits.check("bias", value)


def test_limits_are_never_wider_than_the_hardware():
    hardware = {"bias": (-2.0, 2.0), "x": (-100.0, 100.0)}
    assert Limits.within(hardware).x == (-100, 100)
    assert Limits.within(hardware, {"bias": (-1, 1)}).bias == (-1, 1)
    with pytest.raises(SettingsError, match="beyond what the hardware can do"):
        Limits.within(hardware, {"bias": (-3, 1)})


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"bias": (math.nan, 1)}, r"The limits cannot be used: bias.0: it has to be a finite number"),
        ({"bias": 3}, "bias"),
        ({"bias": (True, 3)}, "not a switch"),
        ({"temperature": (0, 300)}, "no such setting"),
        ([1], "settings by name were expected"),
    ],
)
def test_limits_that_make_no_sense_are_said_to_be_that_and_not_too_wide(limits, said):
    with pytest.raises(SettingsError, match=said) as caught:
        Limits.within({"bias": (-2.0, 2.0)}, limits)
    assert "hardware" not in str(caught.value)


def test_a_scale_that_is_refused_is_called_by_its_name():
    with pytest.raises(SettingsError, match=r"^The length scale 's' cannot be used: frame"):
        LengthScale.parse({**SCALE, "name": "s", "frame": -1})


def test_limits_the_wrong_way_round_are_refused():
    with pytest.raises(SettingsError, match="must lie below"):
        Limits.parse({"bias": (2, -2)})


def test_a_scale_survives_json():
    scale = LengthScale.parse({**SCALE, "scalarizer": {"name": "gap", "sigmas": 4}})
    assert LengthScale.model_validate_json(scale.model_dump_json()) == scale
    assert scale.scalarizer.sigmas == 4


def test_a_name_alone_is_a_choice_without_settings():
    assert LengthScale.parse({**SCALE, "agent": "random"}).agent == RandomPlaces()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frame": -1}, "greater than 0"),
        ({"patch": 60}, "does not fit into a frame of 50 nm"),
        ({"frame": 20e-9, "patch": 2e-9, "step": 1e-9}, "Lengths are in nm: 20 nm is 20"),
        ({"budget": 5, "seeds": 9}, "9 seed points do not fit"),
        ({"framesize": 3}, "framesize"),
        ({"frame": math.nan}, "finite"),
    ],
)
def test_what_is_wrong_with_a_scale_is_said(change, said):
    with pytest.raises(SettingsError, match=said):
        LengthScale.parse({**SCALE, **change})


@pytest.mark.parametrize("setting", [{"patch": 4}, {"step": 2}, {"seeds": 3}, {"sites": "spots"}, {"begin": [[0, 0]]}])
def test_what_a_scale_gives_its_agent_is_not_given_twice(setting):
    with pytest.raises(SettingsError, match=r"agent 'gp-xy' was given .*: set these in the scale. Nothing"):
        LengthScale.parse({**SCALE, "agent": {"name": "gp-xy", **setting}})


def test_a_changed_scale_is_validated_again():
    with pytest.raises(SettingsError):
        LengthScale.parse(SCALE).changed(patch=100)


@given(st.floats(5, 500), st.integers(16, 300), st.floats(0.02, 0.5), st.floats(0.01, 0.2))
def test_a_scale_knows_how_many_candidates_it_has(frame, pixels, patch, step):
    assume(step >= 0.5 / pixels)
    scale = LengthScale(name="any", frame=frame, pixels=pixels, patch=patch * frame, step=step * frame)
    assert scale.candidates == len(patch_centers(Frame.square((0, 0), frame, pixels), scale.patch, scale.step))


def test_a_scale_with_a_smaller_budget_has_no_more_seed_points_than_that():
    scale = LengthScale(name="s", frame=50, patch=3, step=1, budget=60, seeds=20)
    assert (scale.changed(budget=14).budget, scale.changed(budget=14).seeds) == (14, 14)
    assert scale.changed(budget=30).seeds == 20
    with pytest.raises(SettingsError, match="15 seed points do not fit into a budget of 14"):
        scale.changed(budget=14, seeds=15)
