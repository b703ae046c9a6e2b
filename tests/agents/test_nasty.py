"""Whatever comes in the night: a valid suggestion or a clear refusal, never NaN, never another exception."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluesky_stm.agents import make_agent
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Experience, Failed, Observation

IMAGES = {
    "constant": lambda rng: np.full((16, 16), 3.0),
    "steps": lambda rng: np.repeat(rng.integers(0, 2, 16), 16).reshape(16, 16) * 1e-9,
    "noise": lambda rng: rng.standard_normal((16, 16)) * 10.0 ** rng.integers(-15, 9),
    "holes": lambda rng: np.where(rng.random((16, 16)) < 0.9, np.nan, rng.standard_normal((16, 16))),
    "nothing": lambda rng: np.full((16, 16), np.nan),
    "infinite": lambda rng: np.where(rng.random((16, 16)) < 0.1, np.inf, rng.standard_normal((16, 16))),
    "one pixel": lambda rng: np.pad(np.ones((1, 1)), ((3, 12), (9, 6))) * 1e12,
}
value = st.one_of(
    st.just(Failed("clipped")),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-1, 1),
    st.sampled_from([0.0, 1.0, -1e300, 1e-300]),
)


BIAS = np.linspace(-1.0, 1.0, 9)
CURVES = {
    "flat": lambda x: np.zeros(9),
    "alike": lambda x: BIAS**2,
    "lively": lambda x: np.abs(np.sin(x + 5 * BIAS)),
    "huge": lambda x: 1e12 * np.cosh(BIAS + x),
    "torn": lambda x: np.where(BIAS > 0.9 - abs(x) / 10, np.nan, 1.0 + x * BIAS),
}

TARGETS = [{"name": "target", **ends} for ends in ({"low": 0.5}, {"high": -1e300}, {"low": -0.1, "high": 1e-300})]
ACQUISITIONS = [
    *("ei", "ucb", "variance", "near"),
    {"name": "near", "of": "variance"},
    *TARGETS,
]

INPUTS = {
    "image": st.sampled_from(sorted(IMAGES)),
    "name": st.sampled_from(["dkl", "gp-xy", "gp-patch", "novelty", "pareto", "random", "space-filling"]),
    "acquisition": st.sampled_from(ACQUISITIONS),
    "places": st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=12),
    "lessons": st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6), value), max_size=12),
    "twice": st.booleans(),
    "curve": st.sampled_from([None, *sorted(CURVES)]),
    "inherited": st.booleans(),
    "pending": st.integers(0, 2),
    "seed": st.integers(0, 2**31),
}
UNHURRIED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@given(**INPUTS)
@settings(max_examples=40, **UNHURRIED)
def test_a_suggestion_or_a_refusal(**nasty):
    suggests_or_refuses(**nasty)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@given(**INPUTS)
@settings(max_examples=10_000, derandomize=True, **UNHURRIED)
def test_ten_thousand_times_a_suggestion_or_a_refusal(**nasty):
    suggests_or_refuses(**nasty)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@given(**INPUTS | {"name": st.sampled_from(["dkl", "gp-xy", "gp-patch"]), "acquisition": st.sampled_from(TARGETS)})
@settings(max_examples=1000, derandomize=True, **UNHURRIED)
def test_a_thousand_times_a_target_is_sought_or_refused(**nasty):
    suggests_or_refuses(**nasty)


@given(**INPUTS | {"name": st.just("paper-dkl")})
@settings(max_examples=5, **UNHURRIED)
def test_the_published_agent_suggests_or_refuses(**nasty):
    suggests_or_refuses(**nasty)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@given(**INPUTS | {"name": st.just("paper-dkl")})
@settings(max_examples=300, derandomize=True, **UNHURRIED)
def test_three_hundred_times_the_published_agent_suggests_or_refuses(**nasty):
    suggests_or_refuses(**nasty)


def lesson(x, y, told, curve):
    """With a spectrum, or without one."""
    if curve is None:
        return Observation(Point(x, y), told)
    didv = CURVES[curve](x)
    return Observation(
        Point(x, y),
        told,
        Spectrum(
            position=Point(x, y),
            bias=BIAS,
            current=didv * BIAS,
            lockin_x=didv,
            lockin_y=0 * didv,
            didv=didv,
            setpoint=Setpoint(-1.5, 0.2),
        ),
    )


def suggests_or_refuses(image, name, acquisition, places, lessons, twice, curve, inherited, pending, seed):
    """One agent, taught ``lessons``, each of them ``twice`` or once, all of them ``inherited`` before, is asked once."""
    weighing = {"acquisition": acquisition} if name in {"dkl", "gp-xy", "gp-patch"} else {}
    agent = make_agent(name, seed=seed, candidates=places, patch=2.0, seeds=1, **weighing)
    height = IMAGES[image](np.random.default_rng(seed))
    topograph = Topograph(Frame.square((0.0, 0.0), 10.0, 16), height, setpoint=Setpoint(-1.5, 0.2))
    told = [lesson(*one, curve) for one in lessons]
    agent.observe(topograph, [Experience(topograph, told)] * inherited)
    agent.ingest(told * (1 + twice))
    waiting = [Point(*p) for p in places[:pending]]
    try:
        decision = agent.suggest(1, waiting)[0]
    except SettingsError as refusal:
        assert "candidates are left" in str(refusal)
        return
    assert tuple(decision.point) == tuple(agent.candidates[decision.candidate])
    assert tuple(decision.point) not in {tuple(p) for p in waiting}
    if decision.why not in {"seed", "random", "space filling"}:
        assert np.isfinite(decision.acquisition)
        if name in {"novelty", "pareto"} and np.isnan(decision.mean):
            assert np.isnan(decision.std)  # they do without the scalar of the run, and may not know it
        else:
            assert np.isfinite([decision.mean, decision.std]).all() and decision.std >= 0


def test_a_value_beyond_all_others_between_two_fits_is_survived():
    """From 60 values on not each is fitted to: this one meets the scale of those before."""
    agent = make_agent("gp-xy", patch=2.0, step=0.5, seeds=1)
    agent.observe(Topograph(Frame.square((0.0, 0.0), 10.0, 16), np.zeros((16, 16)), setpoint=Setpoint(-1.5, 0.2)))
    places = np.random.default_rng(0).permutation(agent.candidates)[:62]
    agent.ingest([Observation(Point(*p), 1e-157 * (1 + np.sin(p[0]))) for p in places[:61]])
    agent.suggest()
    agent.ingest([Observation(Point(*places[61]), 1e300)])
    decision = agent.suggest()[0]
    assert decision.why == "ei" and np.isfinite([decision.mean, decision.std, decision.acquisition]).all()


@pytest.mark.parametrize("bad", [(float("nan"), 0.0), (float("inf"), 0.0)])
def test_a_spectrum_from_nowhere_is_refused(bad):
    agent = make_agent("dkl", candidates=[(0.0, 0.0)], patch=2.0)
    agent.observe(Topograph(Frame.square((0.0, 0.0), 10.0, 16), np.zeros((16, 16)), setpoint=Setpoint(-1.5, 0.2)))
    with pytest.raises(SettingsError, match="finite"):
        agent.ingest([Observation(Point(*bad), 1.0)])
