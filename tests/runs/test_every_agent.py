"""Whoever decides, a stored run reproduces it: every agent, every acquisition function, here and elsewhere."""

import subprocess
import sys

import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.agents._acquisition import ACQUISITIONS
from bluesky_stm.plans import explore_multiscale
from bluesky_stm.runs import replay
from bluesky_stm.session import simulated
from bluesky_stm.storage import export, import_run, open_catalog

pytestmark = pytest.mark.slow

NEEDED = {"target": {"low": 0.1, "high": 0.3}, "per-time": {}}
"""Settings without which an acquisition function cannot be made."""

CHOICES = [("random", None), ("space-filling", None)]
CHOICES += [(name, {"name": how, **NEEDED.get(how, {})}) for name in ("gp-xy", "gp-patch", "dkl") for how in ACQUISITIONS]


def record(folder, recorder, agent, acquisition, decisions=15):
    settings = {"acquisition": acquisition} if acquisition else {}
    with open_catalog(folder) as catalog:
        recorder(catalog, make_agent(agent, seed=7, patch=8, step=4, seeds=4, **settings)).run(decisions)


@pytest.mark.parametrize(
    ("agent", "acquisition"), CHOICES, ids=lambda value: value["name"] if isinstance(value, dict) else value
)
def test_every_agent_with_every_acquisition_function_decides_the_same_again(tmp_path, recorder, agent, acquisition):
    record(tmp_path, recorder, agent, acquisition)
    with open_catalog(tmp_path) as catalog:
        again = replay(catalog[-1])
    assert again.exact and len(again.decisions) == 16, str(again)


def test_the_default_agent_decides_the_same_in_another_process_and_after_export_and_import(tmp_path, recorder):
    record(tmp_path / "live", recorder, "dkl", None)
    with open_catalog(tmp_path / "live") as catalog, open_catalog(tmp_path / "json") as other:
        import_run(other, export(catalog[-1], tmp_path / "run.jsonl"))
        export(catalog[-1], tmp_path / "run.msgpack")
    code = """
import sys
from bluesky_stm.runs import replay
from bluesky_stm.storage import open_catalog
for source in (open_catalog(sys.argv[1])[-1], open_catalog(sys.argv[2])[-1], sys.argv[3]):
    print(replay(source).exact)
"""
    arguments = [str(tmp_path / name) for name in ("live", "json", "run.msgpack")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.stdout.split() == ["True"] * 3, done.stderr


@pytest.mark.system
@pytest.mark.timeout(1500)
def test_twenty_nights_of_the_default_agent_at_three_scales_are_reproduced(tmp_path):
    for seed in range(20):
        with simulated(seed=seed, catalog=tmp_path / str(seed)) as session:
            scales = [scale.changed(pixels=64, budget=9, seeds=5) for scale in session.scales.values()]
            session.RE(explore_multiscale(session.stm, scales, session.agent))
            assert len(session.catalog) == 3
            for run in session.catalog:
                again = replay(run)
                assert again.exact and len(again.decisions) == 10, str(again)
