"""What holds for every agent, whatever it is made of."""

import json
import subprocess
import sys

import msgpack
import msgpack_numpy
import numpy as np
import pytest

from bluesky_stm import parts
from bluesky_stm.agents import make_agent
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Agent, Experience, Failed, Observation

FRAME = Frame.square((30.0, -10.0), 20.0, 64, angle=20.0)
LAYOUT = {"patch": 3.0, "step": 1.0, "seeds": 5}
FEW = {"paper-dkl": {"steps": 20}}
"""Two hundred steps of Adam from a fresh start at every spectrum are for those tests that ask what a fit comes to."""
LEARNED = [name for name in parts.agents.names if name not in {"random", "space-filling"}]


def topograph(height=None):
    """Bumps on a plane."""
    if height is None:
        rows, columns = np.indices(FRAME.pixels) / 10
        height = 0.05 * np.sin(rows) * np.cos(1.3 * columns) + 0.001 * rows
    return Topograph(FRAME, height, setpoint=Setpoint(-1.5, 0.2))


def value(point):
    """Smooth in x and y."""
    return 2.0 + np.sin((point[0] - 30) / 4) * np.cos((point[1] + 10) / 5)


def taught(name, n=12, ask=False, seed=3, **settings):
    agent = make_agent(name, seed=seed, **{**LAYOUT, **FEW.get(name, {}), **settings})
    agent.observe(topograph())
    places = np.random.default_rng(0).choice(agent.candidates, n, replace=False)
    for i, place in enumerate(places):
        agent.ingest([Observation(Point(*place), Failed("clipped", again=True) if i == 4 else value(place))])
        if ask:
            agent.suggest(2)
            agent.posterior()
    return agent


@pytest.mark.parametrize("name", parts.agents.names)
def test_every_agent_fulfils_the_protocol_and_suggests_free_candidates(name):
    agent = taught(name)
    assert isinstance(agent, Agent)
    measured = {tuple(o.point) for o in agent.observations}
    pending = [Point(*agent.candidates[7])]
    mask = np.arange(len(agent.candidates)) % 3 == 0
    decisions = agent.suggest(5, pending, mask)
    assert len({d.candidate for d in decisions}) == 5
    for decision in decisions:
        assert mask[decision.candidate]
        assert tuple(decision.point) == tuple(agent.candidates[decision.candidate])
        assert tuple(decision.point) not in measured | {tuple(pending[0])}
        assert decision.ingested == 12
    assert str(agent.suggest(5, pending, mask)) == str(decisions)


@pytest.mark.parametrize("name", parts.agents.names)
def test_decisions_follow_from_the_lessons_and_not_from_how_often_it_was_asked(name):
    asked, quiet = taught(name, ask=True), taught(name)
    assert str(asked.suggest(3)) == str(quiet.suggest(3))
    assert np.array_equal(asked.posterior().mean, quiet.posterior().mean, equal_nan=True)


def test_kernels_refitted_in_turns_leave_no_trace_of_when_it_was_asked():
    places = np.random.default_rng(0).permutation(taught("dkl", 0).candidates)[:84]
    lessons = [Observation(Point(*place), value(place) + 0.1 * np.sin(i)) for i, place in enumerate(places)]
    asked, quiet = taught("dkl", 0), taught("dkl", 0)
    asked.ingest(lessons[:60])
    for lesson in lessons[60:]:
        asked.ingest([lesson])
        asked.posterior()
    quiet.ingest(lessons)
    assert np.array_equal(asked.posterior().mean, quiet.posterior().mean)
    assert np.array_equal(asked.posterior().std, quiet.posterior().std)


def kept(state):
    """Written with msgpack, as it would be on a disk, and read again."""
    return msgpack.unpackb(msgpack.packb(state, default=msgpack_numpy.encode), object_hook=msgpack_numpy.decode)


@pytest.mark.parametrize("name", parts.agents.names)
def test_an_agent_goes_back_to_its_checkpoint(name):
    agent = taught(name)
    before, state = str(agent.suggest(2)), kept(agent.checkpoint())
    agent.ingest([Observation(Point(*agent.candidates[0]), 40.0)])
    agent.restore(state)
    assert [o.value for o in agent.observations] == [o.value for o in taught(name).observations]
    assert str(agent.suggest(2)) == before
    other = make_agent(name, **FEW.get(name, {}))
    other.restore(state)
    assert str(other.suggest(2)) == before


@pytest.mark.parametrize("name", parts.agents.names)
def test_an_agent_is_made_again_from_what_it_says_of_itself(name):
    agent = taught(name, seed=11)
    described = json.loads(json.dumps(agent.describe()))
    again = make_agent(described["name"], seed=described["seed"], **described["settings"])
    again.observe(topograph())
    again.ingest(agent.observations)
    assert str(again.suggest(2)) == str(agent.suggest(2))
    assert again.describe() == agent.describe()


@pytest.mark.parametrize("name", parts.agents.names)
def test_a_new_topograph_makes_it_forget(name):
    agent, fresh = taught(name), make_agent(name, seed=3, **LAYOUT)
    agent.observe(topograph())
    fresh.observe(topograph())
    assert str(agent.suggest(3)) == str(fresh.suggest(3))
    assert agent.observations == []


@pytest.mark.parametrize("first", ["spread", "random"])
def test_seed_points_differ_with_the_seed_and_not_with_the_agent(first):
    def seeds(name, seed):
        agent = make_agent(name, seed=seed, first=first, **LAYOUT)
        agent.observe(topograph())
        decisions = agent.suggest(5)
        assert {d.why for d in decisions} == {"seed"}
        return [d.candidate for d in decisions]

    assert seeds("dkl", 1) == seeds("gp-xy", 1) != seeds("dkl", 2)


def test_random_seed_points_follow_after_the_places_to_begin_at():
    """Only the agent of the published runs begins at random whatever it is told."""

    def begun(name, **settings):
        agent = make_agent(name, seed=1, patch=3, step=1, seeds=20, begin=((4.0, -2.0),), **settings)
        agent.observe(topograph())
        return np.array([decision.point for decision in agent.suggest(20)]) - FRAME.center

    away = np.hypot(*(begun("gp-xy", first="random") - (4.0, -2.0)).T)
    assert away[0] < 1 and np.median(away[:5]) < 3 < np.max(away)
    published = begun("paper-dkl")
    assert not np.array_equal(published, begun("paper-dkl", first="spread"))
    assert np.hypot(*(published[0] - (4.0, -2.0))) > 1


def test_spread_seed_points_cover_the_frame_better_than_random_ones():
    def largest_hole(first, seed):
        agent = make_agent("space-filling", seed=seed, first=first, patch=3, step=1, seeds=20)
        agent.observe(topograph())
        taken = np.array([d.point for d in agent.suggest(20)])
        return np.linalg.norm(agent.candidates[:, None] - taken, axis=-1).min(axis=1).max()

    assert np.mean([largest_hole("spread", s) for s in range(8)]) < 0.8 * np.mean([largest_hole("random", s) for s in range(8)])


def test_candidates_can_be_given_and_nothing_else_is_suggested():
    places = [[30.0, -10.0], [31.5, -9.0], [28.0, -12.0]]
    agent = make_agent("dkl", candidates=places, patch=3, step=1, seeds=1)
    agent.observe(topograph())
    assert agent.candidates.tolist() == places
    assert {tuple(d.point) for d in agent.suggest(3)} == set(map(tuple, places))


def test_when_nothing_is_left_it_says_what_was_taken():
    agent = make_agent("dkl", candidates=[[30.0, -10.0], [31.0, -10.0]], patch=3, step=1, seeds=1)
    agent.observe(topograph())
    agent.ingest([Observation(Point(30.0, -10.0), 1.0)])
    with pytest.raises(SettingsError, match=r"0 of 2 candidates are left: 1 are measured, 1 pending"):
        agent.suggest(1, pending=[Point(31.0, -10.0)])
    with pytest.raises(SettingsError, match="mask needs one boolean for each of the 2 candidates"):
        agent.suggest(1, mask=np.ones(3, dtype=bool))


def test_asked_before_it_has_seen_anything_it_says_so():
    with pytest.raises(SettingsError, match="observe"):
        make_agent("dkl").suggest()


def test_unknown_agents_and_settings_are_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'gp-xy'"):
        make_agent("gpxy")
    with pytest.raises(SettingsError, match="steps"):
        make_agent("dkl", steps=3)
    with pytest.raises(SettingsError, match="acquisition: There is no acquisition function named 'best'"):
        make_agent("dkl", acquisition="best")


def test_every_agent_is_known_and_its_settings_validated_and_the_default_one_decides_without_torch():
    code = """
import sys
import numpy as np
from bluesky_stm import parts
from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation
for name in parts.agents.names:
    assert parts.agents.make(name).given == {}
agent = make_agent("dkl", seed=1, seeds=3, patch=4, step=2)
image = np.random.default_rng(0).standard_normal((32, 32))
agent.observe(Topograph(Frame.square((0.0, 0.0), 20.0, 32), image, setpoint=Setpoint(-1.5, 0.2)))
agent.ingest([Observation(Point(*place), float(place[0])) for place in agent.candidates[::7]])
assert np.isfinite(agent.suggest()[0].mean) and np.isfinite(agent.posterior().mean).all() and agent.insight()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["gp-xy", "dkl"])
def test_a_smooth_property_is_learned_and_its_maximum_approached(name):
    agent = make_agent(name, seed=0, **{**LAYOUT, "seeds": 10})
    agent.observe(topograph())
    for _ in range(30):
        point = agent.suggest()[0].point
        agent.ingest([Observation(point, value(point))])
    truth = np.array([value(p) for p in agent.candidates])
    best = max(o.value for o in agent.observations)
    assert np.quantile(truth, 0.97) <= best


@pytest.mark.parametrize("name", LEARNED)
def test_torch_gets_its_threads_back(name):
    import torch

    before = torch.get_num_threads()
    taught(name).suggest()
    assert torch.get_num_threads() == before


BROKEN = {
    "flat": np.zeros(FRAME.pixels),
    "holes": np.where(np.arange(64) % 7 == 0, np.nan, np.random.default_rng(0).normal(size=FRAME.pixels)),
    "nothing": np.full(FRAME.pixels, np.nan),
    "spike": np.where(np.arange(64) == 30, 1e9, np.zeros(FRAME.pixels)),
    "tiny": 1e-15 * np.random.default_rng(0).normal(size=FRAME.pixels),
}


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("image", BROKEN)
def test_a_broken_image_still_gets_a_finite_suggestion(name, image):
    agent = make_agent(name, seed=0, **LAYOUT)
    agent.observe(topograph(BROKEN[image]))
    for place in agent.candidates[::37]:
        agent.ingest([Observation(Point(*place), value(place))])
    assert_sane(agent)


VALUES = {
    "all failed": lambda i: Failed("clipped"),
    "constant": lambda i: 2.5,
    "two kinds": lambda i: float(i % 2),
    "one outlier": lambda i: 1e12 if i == 5 else float(np.sin(i)),
    "huge": lambda i: 1e300 * np.sin(i),
    "tiny": lambda i: 1e-300 * np.sin(i),
    "not finite": lambda i: float("nan") if i % 3 else float("inf"),
    "one value": lambda i: 1.0 if i == 3 else Failed("clipped"),
}


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("kind", VALUES)
def test_odd_values_still_get_a_finite_suggestion(name, kind):
    agent = make_agent(name, seed=0, **LAYOUT)
    agent.observe(topograph())
    for i, place in enumerate(agent.candidates[::37]):
        agent.ingest([Observation(Point(*place), VALUES[kind](i))] * (1 + i % 2))
    assert_sane(agent)


def assert_sane(agent):
    for decision in agent.suggest(2):
        assert np.isfinite(decision.point).all()
        if decision.why not in {"seed", "space filling"}:
            assert np.isfinite([decision.mean, decision.std, decision.acquisition]).all()
            assert np.isfinite(decision.health.noise)
            posterior = agent.posterior()
            assert np.isfinite(posterior.mean).all() and np.isfinite(posterior.std).all()


LINE = [[30.0 + x, -10.0] for x in range(-9, 10)]


@pytest.mark.parametrize("acquisition", ["ei", "ucb", "variance", {"name": "target", "low": 1.5}])
def test_of_two_sides_of_which_it_knows_as_much_it_goes_to_the_one_where_spectra_have_values(acquisition):
    """The values lie symmetrically around the middle; spectra at both ends of the left side failed."""
    agent = make_agent("gp-xy", seed=0, acquisition=acquisition, candidates=LINE, patch=3.0, seeds=1)
    agent.observe(topograph(np.zeros(FRAME.pixels)))
    agent.ingest([Observation(Point(30.0 + x, -10.0), v) for x, v in ((-1, 1.2), (1, 1.2), (-4, 1.0), (4, 1.0), (0, 1.3))])
    even = agent.insight().acquisition
    free = ~np.isnan(even) & ~np.isnan(even[::-1])
    assert even[free] == pytest.approx(even[::-1][free])
    agent.ingest([Observation(Point(30.0 + x, -10.0), Failed("no gap")) for x in (-9, -8, -6)])
    assert agent.suggest()[0].point.x > 30.0


def test_a_spectrum_that_was_taken_back_says_nothing_of_its_place():
    agent, told = taught("gp-xy"), taught("gp-xy")
    told.ingest([Observation(Point(*told.candidates[9]), Failed("the tip has changed", again=True))] * 3)
    assert told.insight().acquisition == pytest.approx(agent.insight().acquisition, nan_ok=True)


@pytest.mark.parametrize("seeds", [5, 20])
def test_the_place_of_the_best_value_that_was_taken_back_gets_another_spectrum(seeds):
    agent, best = taught("gp-xy", seeds=seeds), 50.0
    doubted = [
        Observation(Point(*agent.candidates[i]), Failed("the tip has changed", True, v)) for i, v in ((9, best), (40, 30.0))
    ]
    agent.ingest(doubted)
    again = make_agent("gp-xy")
    again.restore(
        msgpack.unpackb(msgpack.packb(agent.checkpoint(), default=msgpack_numpy.encode), object_hook=msgpack_numpy.decode)
    )
    for one in (agent, again):
        assert (one.suggest()[0].candidate, one.suggest()[0].why) == (9, "once more")
        assert one.suggest(1, [one.suggest()[0].point])[0].candidate == 40
    agent.ingest([Observation(Point(*agent.candidates[9]), 40.0)])
    assert agent.suggest()[0].why != "once more", "the other one was worth less than what stands now"


def test_a_place_that_spoils_the_tip_each_time_is_left_after_three_spectra():
    agent = taught("gp-xy")
    for times in range(3):
        assert (agent.suggest()[0].candidate == 9) == (times > 0)
        agent.ingest([Observation(Point(*agent.candidates[9]), Failed("the tip has changed", True, 50.0))])
    assert agent.suggest()[0].candidate != 9


@pytest.mark.parametrize(("name", "settings"), [("gp-xy", {"acquisition": "variance"}), ("random", {})])
def test_whoever_seeks_no_large_values_goes_back_to_none(name, settings):
    agent = taught(name, **settings)
    agent.ingest([Observation(Point(*agent.candidates[9]), Failed("the tip has changed", True, 50.0))])
    assert agent.suggest()[0].why != "once more"


def experience(n=14):
    """An earlier run of a larger frame; half of its spectra lie beyond this one."""
    wide = Frame.square((30.0, -10.0), 40.0, 64)
    places = [Point(30.0 + 18 * np.sin(2.4 * i), -10.0 + 18 * np.cos(2.4 * i) * (i % 2)) for i in range(n)]
    told = [Observation(p, Failed("clipped") if i == 3 else value(p)) for i, p in enumerate(places)]
    return Experience(Topograph(wide, np.zeros(wide.pixels), setpoint=Setpoint(-1.5, 0.2)), told)


@pytest.mark.parametrize("name", ["dkl", "gp-xy", "pareto"])
def test_what_an_earlier_run_measured_in_this_frame_is_known_from_the_start(name):
    earlier = experience()
    inside = [o for o in earlier.observations if FRAME.contains(o.point) and not isinstance(o.value, Failed)]
    assert 3 <= len(inside) < len(earlier.observations)
    heir, fresh = make_agent(name, seed=3, **LAYOUT), make_agent(name, seed=3, **LAYOUT)
    heir.observe(topograph(), [earlier])
    fresh.observe(topograph())
    fresh.ingest(inside)
    assert heir.posterior().mean == pytest.approx(fresh.posterior().mean)
    assert heir.observations == [] and {d.why for d in heir.suggest(5)} == {"seed"}
    again = make_agent(name)
    again.restore(kept(heir.checkpoint()))
    assert np.array_equal(again.posterior().mean, heir.posterior().mean)


def test_a_checkpoint_of_the_time_before_agents_inherited_is_that_of_one_that_inherited_nothing():
    agent = taught("gp-xy")
    agent.ingest([Observation(Point(*agent.candidates[9]), Failed("clipped"))])
    old = kept(agent.checkpoint())
    del old["inherited"], old["observations"][-1]["value"]["again"]
    again = make_agent("gp-xy")
    again.restore(old)
    assert again.suggest(1) == agent.suggest(1)


def test_a_checkpoint_that_is_not_whole_is_refused_with_what_it_lacks():
    agent = taught("gp-xy")
    before = agent.suggest(1)
    with pytest.raises(SettingsError, match="observations is missing"):
        agent.restore({key: value for key, value in agent.checkpoint().items() if key != "observations"})
    assert agent.suggest(1) == before


@pytest.mark.parametrize("name", ["dkl", "gp-xy", "novelty", "pareto"])
@pytest.mark.parametrize("question", ["posterior", "insight", "reconstruct"])
def test_an_agent_without_a_topograph_says_that_it_needs_one(name, question):
    settings = {"objectives": [{"name": "gap"}, {"name": "conductance", "bias": 0.5}]} if name == "pareto" else {}
    with pytest.raises(SettingsError, match="observe"):
        getattr(make_agent(name, **settings), question)()


def test_a_list_of_candidates_holds_one_at_least():
    with pytest.raises(SettingsError, match="candidates"):
        make_agent("random", candidates=[])


def test_a_checkpoint_of_another_agent_is_refused():
    agent = make_agent("dkl", seed=3)
    with pytest.raises(SettingsError, match="'gp-xy'"):
        agent.restore(make_agent("gp-xy").checkpoint())
    assert agent.seed == 3


def test_objectives_are_two_scalarizers_and_known_before_the_first_topograph():
    with pytest.raises(SettingsError, match="foo"):
        make_agent("pareto", objectives=["gap", "foo"])
    with pytest.raises(SettingsError, match="both"):
        make_agent("pareto", objectives=["gap", "gap"])
