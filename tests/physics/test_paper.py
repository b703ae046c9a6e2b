"""The preset ``paper`` is what the published runs did.

Sources: the public code (gnganesh99/DKL_on_STM: DKL_using_gpax.py, next_DKL_coordinate.py, scalarizer.py), the data files, and
G. Narasimha et al., npj Comput. Mater. 11, 189 (2025).
"""

import numpy as np
import pytest

from bluesky_stm import simulated
from bluesky_stm.errors import SettingsError
from bluesky_stm.facility import Facility
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import child_rules
from bluesky_stm.plans import FrameKnowledge, explore
from bluesky_stm.protocols import Observation, Posterior
from bluesky_stm.runs import replay
from bluesky_stm.scales import SETS, scales_named
from bluesky_stm.session import make_agent_device

PAPER = [name for name in SETS if name.startswith("paper")]


@pytest.mark.parametrize("name", PAPER)
def test_each_frame_has_windows_of_30_pixels_10_pixels_apart(name):
    """Centres are 20, 30 .. 490 of 512 pixels in the data files, and 15, 25 .. 495 here: one more on a side."""
    for scale in scales_named(name):
        assert scale.candidates == 49 * 49
        assert scale.pixels == 512 and scale.seeds == 20 and scale.sites == "raster"
        assert scale.patch / scale.frame == pytest.approx(30 / 512) and scale.step / scale.frame == pytest.approx(10 / 512)
        assert scale.agent.name == "paper-dkl" and scale.agent.first == "random"


def test_the_chain_of_frames_is_that_of_figure_7():
    assert [scale.frame for scale in scales_named("paper")] == [200, 100, 20]
    assert [scale.budget for scale in scales_named("paper")] == [210, 210, 210]


def test_beta_is_10_for_20_spectra_and_falls_by_a_tenth_with_each_further_one():
    """``beta = 10 * 0.9 ** (n - 20)``, at least 0.001 (DKL_using_gpax.py)."""
    agent = scales_named("paper")[0].agent
    beta = [max(agent.start * agent.decay ** max(n - 20, 0), agent.least) for n in (3, 20, 21, 30, 200)]
    assert beta == pytest.approx([10, 10, 9, 10 * 0.9**10, 0.001])


@pytest.mark.parametrize(
    ("name", "file", "in_si"),
    [("paper-figure-3", "Figure3_large_area_250nm.hf5", 1e-9), ("paper", "Figure7_DKL1_200nm.hf5", 1.0)],
)
def test_the_scalars_of_the_data_files_come_back(published_scalars, name, file, in_si):
    """In A V and without unit there; in nA V and without unit here (scalars stored beside the spectra)."""
    scale = scales_named(name)[0]
    spectra, stored = published_scalars(file)
    assert len(stored) == scale.budget
    assert [scale.scalarizer(one) * in_si for one in spectra] == pytest.approx(stored, rel=1e-6)


def test_the_next_frame_has_the_largest_sum_of_the_scalar_itself():
    """Three values of 0.9 outweigh two of 1 where the sum is raw, and not where it counts from the least value of 0.8."""
    frame = Frame.square((0, 0), 100, 64)
    places = {(-30, -30): [0.9, 0.9, 0.9], (30, 30): [1.0, 1.0], (0, 40): [0.8]}
    observations = [Observation(Point(x + i, y), v) for (x, y), values in places.items() for i, v in enumerate(values)]
    known = FrameKnowledge(frame, np.array(list(places), dtype=float), Posterior(np.zeros(3), np.ones(3)), observations)
    centers = np.array(list(places), dtype=float)
    raw = child_rules.make(scales_named("paper")[0].child)(known, centers, 20)
    assert raw == pytest.approx([2.7, 2.0, 0.8])
    assert child_rules.make("largest-sum")(known, centers, 20) == pytest.approx([0.3, 0.4, 0.0])


def test_the_preset_is_chosen_by_one_name_in_the_settings_and_at_the_prompt(tmp_path):
    assert Facility.parse({"scales": "paper"}).scales == scales_named("paper")
    with simulated(seed=1, catalog=tmp_path, scales="paper") as session:
        assert list(session.scales.values()) == list(scales_named("paper"))
    with pytest.raises(SettingsError, match="Did you mean 'paper'"):
        Facility.parse({"scales": "papper"})


def test_a_run_of_the_preset_replays(tmp_path):
    """With 24 spectra of 210, and 20 steps of each fit: beyond the random ones the agent decides."""
    scale = scales_named("paper")[2]
    short = scale.changed(budget=23, pixels=128, agent={**scale.agent.describe(), "steps": 20})
    with simulated(seed=1, catalog=tmp_path) as session:
        agent = make_agent_device(short, session.stm.controller, 1)
        session.RE(explore(session.stm, agent, md={"sample": session.sample}))
        run = session.catalog[-1]
        assert [d.why for d in run.decisions[:20]] == ["seed"] * 20
        assert {d.why for d in run.decisions[20:23]} <= {"annealed-ucb", "space filling"}
        assert replay(run).exact
