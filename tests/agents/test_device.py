"""What a GPU computes is what the processor computes."""

import numpy as np
import pytest
import torch

from bluesky_stm.agents import _computing, _kernel_agents, make_agent
from bluesky_stm.agents._computing import MANY, device_for
from bluesky_stm.agents._fit import Fit
from bluesky_stm.agents._kernel import Kernel
from bluesky_stm.agents._process import Process
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Observation

GROUPS = {"xy": 2, "near": 4, "deep": 3}


def zeros(n, device="cpu"):
    return [torch.zeros(n, d, dtype=torch.float64, device=device) for d in GROUPS.values()]


def test_all_of_a_process_lives_where_its_candidates_do():
    """On the device without memory: what would mix two devices in an element-wise step is refused there, too."""
    kernel = Kernel(tuple(GROUPS))
    fit = Fit(kernel, torch.zeros(len(kernel.priors), dtype=torch.float64), 0.0)
    values = torch.zeros(7, dtype=torch.float64)
    process = (
        Process.conditioned(fit, zeros(6), values[:6], zeros(50, "meta")).extended(zeros(1), values[6]).with_values(values)
    )
    kept = [process.fit.parameters, *process.places, process.factor, process.rows.all, process.solved, process.noise]
    asked = [*process.at(zeros(4)), *process.joint(torch.arange(3)), *process.leave_one_out(), process.mean_where_measured]
    assert {tensor.device.type for tensor in [*kept, *asked, process.mean, process.variance]} == {"meta"}


def test_few_candidates_stay_on_the_processor():
    assert device_for(MANY - 1) == torch.device("cpu")
    assert (device_for(MANY).type == "cuda") == torch.cuda.is_available()


BIAS = np.linspace(-1, 1, 41)


def spectrum(place):
    didv = (2 + np.sin(place[0] / 3)) * BIAS**2 + 0.1
    return Spectrum(
        position=Point(*place),
        bias=BIAS,
        current=didv * BIAS,
        lockin_x=didv,
        lockin_y=0 * didv,
        didv=didv,
        setpoint=Setpoint(-1.5, 0.2),
    )


def taught(name="dkl", step=0.8, **settings):
    agent = make_agent(name, seed=3, patch=3.0, step=step, seeds=5, **settings)
    frame = Frame.square((0.0, 0.0), 20.0, 64)
    agent.observe(
        Topograph(frame, np.random.default_rng(0).standard_normal(frame.pixels).cumsum(0), setpoint=Setpoint(-1.5, 0.2))
    )
    places = np.random.default_rng(1).permutation(agent.candidates)[:30]
    values = np.sin(places[:, 0] / 3) + 0.1 * np.cos(7 * np.arange(30))
    agent.ingest([Observation(Point(*p), float(v), spectrum(p)) for p, v in zip(places, values, strict=True)])
    return agent


@pytest.fixture
def broken_gpu(monkeypatch):
    """A device that takes everything in and gives no number back."""
    monkeypatch.setattr(_kernel_agents, "device_for", lambda candidates: torch.device("meta"))


@pytest.fixture
def full_gpu(broken_gpu, monkeypatch):
    """One that has no memory left for a posterior."""
    whole = Process.conditioned.__func__

    def conditioned(cls, fit, places, values, candidates, known=None):
        if candidates[0].device.type == "meta":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")
        return whole(cls, fit, places, values, candidates, known)

    monkeypatch.setattr(Process, "conditioned", classmethod(conditioned))


TWO = {"objectives": [{"name": "conductance", "bias": bias} for bias in (-0.8, 0.8)]}


@pytest.mark.parametrize(("name", "settings"), [("dkl", {}), ("novelty", {}), ("pareto", TWO)])
def test_an_agent_goes_on_without_a_gpu_whose_memory_is_full_and_says_so(name, settings, full_gpu, monkeypatch):
    agent = taught(name, **settings)
    decision = agent.suggest(pending=[Point(0.0, 0.0)])[0]
    assert decision.health.device == "cpu"
    assert "the GPU failed (OutOfMemoryError: CUDA out of memory)" in decision.health.warning
    monkeypatch.undo()
    same = taught(name, **settings).suggest(pending=[Point(0.0, 0.0)])[0]
    assert (decision.candidate, decision.mean, decision.acquisition) == (same.candidate, same.mean, same.acquisition)
    assert same.health.device == "cpu" and "GPU" not in same.health.warning


QUESTIONS = {
    "posterior": lambda agent: agent.posterior().mean,
    "insight": lambda agent: agent.insight().acquisition,
    "quantiles": lambda agent: agent.quantiles([[1.0, 2.0]], [0.1, 0.9]),
    "log_density": lambda agent: agent.log_density([[1.0, 2.0]], [0.3]),
    "reconstruct": lambda agent: agent.reconstruct([[1.0, 2.0]]).didv,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_whatever_is_asked_first_is_answered_when_the_gpu_has_gone(question, broken_gpu, monkeypatch):
    answer = QUESTIONS[question](agent := taught())
    assert "the GPU failed" in agent.suggest()[0].health.warning
    monkeypatch.undo()
    assert np.array_equal(answer, QUESTIONS[question](taught()), equal_nan=True)


def test_the_gpu_is_tried_again_with_the_next_topograph(full_gpu, monkeypatch):
    agent = taught()
    assert "the GPU failed" in agent.suggest()[0].health.warning
    monkeypatch.undo()
    agent.restore(agent.checkpoint())
    assert "GPU" not in agent.suggest()[0].health.warning


def test_what_fails_on_the_processor_too_is_raised(monkeypatch):
    def broken(*args):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Process, "conditioned", broken)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        taught().suggest()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA knows")
def test_a_gpu_predicts_and_suggests_what_the_processor_does(monkeypatch):
    def asked():
        agent = taught(step=0.4)
        return agent.posterior(), agent.suggest(3, pending=[Point(0.0, 0.0)])

    here, decided = asked()
    monkeypatch.setattr(_computing, "MANY", 1)
    there, again = asked()
    assert there.mean == pytest.approx(here.mean, abs=1e-6) and there.std == pytest.approx(here.std, abs=1e-6)
    assert [d.candidate for d in again] == [d.candidate for d in decided]
    assert again[0].health.device == torch.cuda.get_device_name() and "GPU" not in again[0].health.warning
