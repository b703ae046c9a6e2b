"""Features in which all places look alike are no knowledge: that is said, and not where a person sees differences."""

from types import SimpleNamespace

import numpy as np
import pytest

from bluesky_stm import files
from bluesky_stm.agents import _deep, make_agent
from bluesky_stm.agents._appearance import unseen
from bluesky_stm.agents._health import SAME_APPEARANCE, alike
from bluesky_stm.agents._kernel import matern
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation
from bluesky_stm.surface import EuZn2As2, Surface

FRAME = Frame.square((0.0, 0.0), 20.0, 48)
GROWN = EuZn2As2().build()
BARE = GROWN.with_density(**{species.name.replace(" ", "_"): 0.0 for species in GROWN.species})


def warned(topograph, name="dkl", **settings):
    """What an agent that knows of fifteen places says besides its next one."""
    agent = make_agent(name, seed=2, seeds=5, **settings)
    agent.observe(topograph)
    places = np.random.default_rng(0).permutation(agent.candidates)[:15]
    agent.ingest([Observation(Point(*p), float(np.sin(p[0]))) for p in places])
    return agent.suggest()[0].health.warning


def rough():
    return Topograph(FRAME, np.random.default_rng(0).standard_normal(FRAME.pixels), setpoint=Setpoint(-1.5, 0.2))


def constant():
    return Topograph(FRAME, np.full(FRAME.pixels, 3.0), setpoint=Setpoint(-1.5, 0.2))


IN_THE_PICTURE, TO_THE_NET = (f"all candidates look alike {where}" for where in ("in the picture", "to the net"))


def test_of_a_constant_image_neither_picture_nor_net_tells_anything():
    warning = warned(constant())
    assert "collapsed features" in warning and IN_THE_PICTURE in warning and TO_THE_NET in warning


def test_only_what_an_agent_takes_is_missed():
    assert warned(constant(), "gp-xy") == ""
    assert IN_THE_PICTURE in warned(constant(), "gp-patch") and TO_THE_NET not in warned(constant(), "gp-patch")
    assert TO_THE_NET not in warned(constant(), net=False)


def test_it_is_said_as_well_where_nothing_could_be_fitted():
    agent = make_agent("dkl", seeds=1)
    agent.observe(constant())
    agent.ingest([Observation(Point(0.0, 0.0), 1.0)])
    assert {"fewer than three spectra have a value"} < set(agent.suggest()[0].health.warning.split("; "))


def test_a_net_that_maps_all_to_one_point_is_noticed(monkeypatch):
    monkeypatch.setattr(_deep, "features", lambda rings: np.full((len(rings), 16), 0.3))
    warning = warned(rough())
    assert TO_THE_NET in warning and IN_THE_PICTURE not in warning


def test_measured_places_that_look_alike_say_nothing_of_what_the_others_look_like():
    def noticed(appearance, share=0.5, blind=()):
        measured = {"xy": np.zeros((len(appearance), 2)), "deep": np.asarray(appearance, dtype=float)[:, None]}
        return unseen(SimpleNamespace(measured=measured, share=lambda part: share if part == "deep" else 0.0), blind)

    assert noticed([1.0] * 20) == ["collapsed features: all 20 measured places look alike to the net"]
    assert noticed([1.0] * 15 + [2.0] * 5) == []
    assert noticed([1.0] * 20, share=0.01) == []  # depth is not in use
    assert noticed([1.0] * 20, blind=["deep"]) == []  # said already, of all candidates
    assert noticed([1.0] * 5) == []  # too few to tell


def test_a_rare_kind_of_spot_is_enough_to_see():
    appearance = np.zeros((1000, 4))
    assert alike(appearance)
    appearance[:20] = 5.0
    assert not alike(appearance)
    assert not alike(appearance[:1])  # one place has nothing to be told from


def test_what_looks_alike_has_values_that_differ_by_an_eighth_of_a_standard_deviation():
    correlation = matern(np.array([SAME_APPEARANCE**2]))
    assert float(np.sqrt(2 * (1 - correlation[0]))) == pytest.approx(1 / 8, rel=0.05)


@pytest.mark.parametrize("sample", [GROWN, BARE], ids=["defects", "flat terraces"])
@pytest.mark.parametrize("side", [200.0, 50.0, 10.0])
def test_nothing_is_said_of_usual_scenes(side, sample):
    controller = SimulatedController(Surface(sample, 4), seed=4, profile="good_day")
    assert "collapsed" not in warned(controller.scan(Frame.square((0.0, 0.0), side, 128)))


@pytest.mark.parametrize("name", ["Figure3_large_area_250nm.hf5", "Figure7_DKL1_200nm.hf5"])
def test_nothing_is_said_of_published_runs(name, data_file):
    run = files.read_hf5(data_file(name))
    for settings in ({}, {"candidates": [list(map(float, spectrum.position)) for spectrum in run.spectra]}):
        assert "collapsed" not in warned(run.topograph, **settings)


def test_nothing_is_said_of_a_recorded_grid(data_file):
    grid = files.read_3ds(data_file("NanonisReader_STS_grid_lockin.3ds"))
    assert "collapsed" not in warned(Topograph(grid.frame, grid.height, setpoint=grid.setpoint))
