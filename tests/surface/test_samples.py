"""Samples are chosen by name, with settings, and a surface says which one it has grown from."""

import json

import numpy as np
import pytest

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.parts import samples
from bluesky_stm.surface import AREAS, Au111, EuZn2As2, Surface

PLACES = np.random.default_rng(1).uniform(-50, 50, (40, 2))


@pytest.mark.parametrize("area", AREAS)
def test_each_published_area_is_chosen_behind_the_colon_and_no_other(area):
    assert samples.make(f"EuZn2As2:{area}") == EuZn2As2(area=area)
    with pytest.raises(SettingsError, match=r"area: .*'figure 3'.*got 'figure 99'"):
        samples.make("EuZn2As2:figure 99")


def test_two_areas_are_two_samples_and_one_area_is_one():
    one, two = (Surface(f"EuZn2As2:{area}", seed=3).height(PLACES) for area in ("figure 3", "figure 4"))
    assert not np.allclose(one, two)
    assert np.array_equal(one, Surface(EuZn2As2(area="figure 3"), seed=3).height(PLACES))
    assert np.array_equal(one, Surface(EuZn2As2(area="figure 3").build(), seed=3).height(PLACES))


@pytest.mark.parametrize("chosen", ["Au(111)", "EuZn2As2:figure 5", Au111()])
def test_a_surface_is_grown_again_from_what_it_says_of_itself(chosen):
    surface = Surface(chosen, seed=5)
    said = json.loads(json.dumps(surface.describe()))
    assert np.array_equal(Surface(**said).height(PLACES), surface.height(PLACES))


def test_what_a_tip_leaves_behind_does_not_change_what_the_sample_is():
    surface = Surface("EuZn2As2:figure 4", seed=5)
    assert surface.with_defects(*surface.defects([0, 0], [20, 20])[:1]).describe() == surface.describe()


def test_an_unknown_sample_is_refused_with_those_that_are_known():
    with pytest.raises(UnknownNameError, match=r"no sample named 'Au\(11\)'.*Au\(111\)"):
        Surface("Au(11)")
