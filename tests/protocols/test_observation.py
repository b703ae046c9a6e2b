"""A value counts as much whatever kind of number a scalarizer returns, and what is no number is no value."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from bluesky_stm.agents import make_agent
from bluesky_stm.facility._remote import lessons_digest
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Failed, Observation
from bluesky_stm.runs import what_if
from bluesky_stm.storage import Run

KINDS = {
    "int": int,
    "float32": np.float32,
    "int16": np.int16,
    "array of no dimension": lambda value: np.array(round(value)),
    "array of one number": lambda value: np.array([[value]]),
    "masked array without a mask": lambda value: np.ma.array([value]),
    "tensor": torch.tensor,
    "tensor that awaits a gradient": lambda value: torch.tensor(value, requires_grad=True),
    "tensor of half precision": lambda value: torch.tensor([value], dtype=torch.bfloat16),
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@kinds
def test_any_kind_of_number_is_the_float(kind):
    observation = Observation(Point(1.0, 2.0), kind(3.0))
    assert observation.has_value and observation.reason == "" and not observation.taken_back
    assert type(observation.value) is type(observation.number) is float
    assert observation.value == observation.number == 3.0


@pytest.mark.parametrize("flag", [True, np.True_])
def test_a_yes_or_no_counts_as_one_or_zero(flag):
    assert Observation(Point(0.0, 0.0), flag).number == 1.0 and Observation(Point(0.0, 0.0), not flag).number == 0.0


@pytest.mark.parametrize(
    "odd",
    [None, "3.0", 1j, [1.0], np.array([1.0, 2.0]), math.nan, np.float32("nan"), math.inf, -math.inf, 1e301, 10**400, object()],
    ids=lambda odd: repr(odd)[:20],
)
def test_what_cannot_be_computed_with_is_no_value_and_says_why(odd):
    observation = Observation(Point(0.0, 0.0), odd)
    assert not observation.has_value and math.isnan(observation.number)
    assert isinstance(observation.value, Failed) and "number" in observation.reason and not observation.taken_back


def test_the_mean_of_an_array_that_is_masked_everywhere_is_no_value():
    """NumPy gives the constant ``masked`` for it, which as a float would be 0: a value that nobody measured."""
    for masked in (np.ma.array([1.0, 2.0], mask=True).mean(), np.ma.array([3.0], mask=[True])):
        observation = Observation(Point(0.0, 0.0), masked)
        assert not observation.has_value and math.isnan(observation.number) and "no number" in observation.reason


class FailsAsAnArray:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("not now")


@pytest.mark.parametrize("odd", [FailsAsAnArray(), torch.zeros(2), torch.tensor(1j), np.array(["1"]), np.ma.masked_array([])])
def test_what_only_looks_like_a_number_is_no_value(odd):
    assert "is no number" in Observation(Point(0.0, 0.0), odd).reason


@pytest.mark.parametrize(
    "long", [list(range(10_000)), np.arange(1e5), "1" * 10_000, 10**5000], ids=lambda long: type(long).__name__
)
def test_a_reason_is_short_however_long_the_value_is(long):
    assert 20 < len(Observation(Point(0.0, 0.0), long).reason) < 150


@pytest.mark.parametrize("odd", [None, "0.1", np.ma.masked, -0.1, math.inf])
def test_a_deviation_that_is_none_is_unknown_and_the_value_stays(odd):
    observation = Observation(Point(0.0, 0.0), 3.0, deviation=odd)
    assert observation.value == 3.0 and math.isnan(observation.deviation)


def test_a_failed_spectrum_has_no_number_but_a_reason():
    observation = Observation(Point(0.0, 0.0), Failed("clipped", again=True))
    assert not observation.has_value and observation.reason == "clipped" and observation.taken_back
    assert math.isnan(observation.number)


@kinds
@pytest.mark.parametrize("name", ["dkl", "gp-xy", "paper-dkl", "random"])
def test_an_agent_learns_the_same_from_any_kind_of_number(kind, name):
    rng = np.random.default_rng(3)
    image = Topograph(Frame.square((0, 0), 24, 24), rng.normal(size=(24, 24)), setpoint=Setpoint(1.0, 0.1))

    def taught(number):
        agent = make_agent(name, seed=1, patch=4, step=3, seeds=3)
        agent.observe(image)
        agent.ingest([Observation(Point(*p), number(float(i % 4))) for i, p in enumerate(agent.candidates[::5])])
        (decision,) = agent.suggest(1)
        return decision.candidate, decision.why, repr(decision.mean), lessons_digest(image, agent.observations)

    assert taught(kind) == taught(float)


class Counting:
    """A scalarizer of one's own that is no part of this package: it counts samples of high conductance."""

    name, units = "counting", ""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, spectrum):
        return self.kind(float(np.sum(spectrum.didv > np.nanmedian(spectrum.didv) + 0.1)))

    def describe(self):
        return {"name": self.name}


@kinds
def test_a_what_if_values_the_spectra_the_same_by_any_kind_of_number(kind, recorder, toy_agent):
    documents = []
    recorder(lambda name, doc: documents.append((name, doc))).run(6)
    by_kind, by_float = (what_if(Run(documents), scalarizer=Counting(k), agent=toy_agent()) for k in (kind, float))
    assert np.isfinite(by_float.recorded).any()
    np.testing.assert_array_equal(by_kind.recorded, by_float.recorded)
    assert [d.candidate for d in by_kind.decisions] == [d.candidate for d in by_float.decisions]


def test_nobody_else_asks_whether_there_is_a_value_by_its_type():
    root = Path(__file__).resolve().parents[2]
    asked = re.compile(r"isinstance\(.*\bFailed\)|isinstance\([\w.\[\]-]*\bvalues?(?:\[-1\])?, (?:float|int)\b")
    asking = {
        path.relative_to(root).as_posix()
        for room in ("bluesky_stm/agents", "bluesky_stm/teaching", "bluesky_stm/views", "bluesky_stm/runs", "devices", "plans")
        for path in (root / room).rglob("*.py")
        if asked.search(path.read_text())
    }
    assert asking == set()
