"""What a GPU computes is what the processor computes."""

import numpy as np
import pytest
import torch

from bluesky_stm.agents import _process, make_agent
from bluesky_stm.agents._fit import Fit
from bluesky_stm.agents._kernel import Kernel
from bluesky_stm.agents._process import Process, home_of
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

GROUPS = {"xy": 2, "near": 4, "deep": 3}


def zeros(n, device="cpu"):
    return [torch.zeros(n, d, dtype=torch.float64, device=device) for d in GROUPS.values()]


def test_all_of_a_process_lives_where_its_candidates_do():
    """On the device without memory: what would mix two devices in an element-wise step is refused there, too."""
    kernel = Kernel(tuple(GROUPS))
    fit = Fit(kernel, torch.zeros(len(kernel.priors), dtype=torch.float64), 0.0)
    values = torch.zeros(7, dtype=torch.float64)
    process = Process.conditioned(fit, zeros(6), values[:6], zeros(50, "meta")).extended(zeros(1), values[6]).told(values)
    kept = [process.fit.parameters, *process.places, process.factor, process.rows.all, process.solved]
    asked = [*process.at(zeros(4)), *process.joint(torch.arange(3)), *process.leave_one_out(), process.mean_where_measured]
    assert {tensor.device.type for tensor in [*kept, *asked, process.mean, process.variance]} == {"meta"}


def test_few_candidates_stay_on_the_processor():
    assert home_of(_process.MANY - 1) == torch.device("cpu")
    assert (home_of(_process.MANY).type == "cuda") == torch.cuda.is_available()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA knows")
def test_a_gpu_predicts_and_suggests_what_the_processor_does(monkeypatch):
    def asked():
        agent = make_agent("dkl", seed=3, patch=3.0, step=0.4, seeds=5)
        frame = Frame.square((0.0, 0.0), 20.0, 64)
        agent.observe(Topograph(frame, np.random.default_rng(0).standard_normal(frame.pixels).cumsum(0), Setpoint(-1.5, 0.2)))
        places = np.random.default_rng(1).permutation(agent.candidates)[:70]
        agent.ingest([Observation(Point(*p), float(np.sin(p[0] / 3) + 0.1 * np.cos(7 * i))) for i, p in enumerate(places)])
        return agent.posterior(), agent.suggest(3, pending=[Point(*places[-1])])

    here, decided = asked()
    monkeypatch.setattr(_process, "MANY", 1)
    there, again = asked()
    assert there.mean == pytest.approx(here.mean, abs=1e-6) and there.std == pytest.approx(here.std, abs=1e-6)
    assert [d.candidate for d in again] == [d.candidate for d in decided]
