"""Whoever decides, a stored run reproduces it: every agent, every acquisition function, here and elsewhere."""

import subprocess
import sys

import pytest

from bluesky_stm import parts
from bluesky_stm.agents import make_agent
from bluesky_stm.errors import SettingsError
from bluesky_stm.plans import explore_multiscale
from bluesky_stm.runs import replay
from bluesky_stm.session import simulated
from bluesky_stm.storage import export, import_run, open_catalog

pytestmark = pytest.mark.slow

NEEDED = {"target": {"low": 0.1, "high": 0.3}}
"""Settings without which an acquisition function cannot be made."""

DECISIONS = 15

ELSEWHERE = """
import sys
from pathlib import Path
from bluesky_stm.runs import replay
from bluesky_stm.storage import open_catalog
for place in map(Path, sys.argv[1:]):
    for run in open_catalog(place, write=False) if place.is_dir() else [place]:
        again = replay(run)
        print(again.exact, len(again.decisions))
"""


def replayed_elsewhere(*places):
    """What a new process says of each run in these catalogs and files: whether exact, and how many decisions."""
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, *map(str, places)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def acquisitions(agent):
    """All of them, or none for an agent that does not weigh places."""
    described = [{"name": how, **NEEDED.get(how, {})} for how in parts.acquisition_functions.names]
    taken = [one for one in described if takes(agent, one)]
    assert len(taken) in {0, len(described)}, f"{agent} takes only {taken}"
    return taken or [None]


def takes(agent, acquisition):
    try:
        make_agent(agent, acquisition=acquisition)
    except SettingsError:
        return False
    return True


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("agent", parts.agents.names)
def test_every_agent_with_every_acquisition_function_decides_the_same_again(tmp_path, recorder, agent):
    """Bit for bit: here, and in a new process from documents that went out as JSON and came back."""
    chosen = acquisitions(agent)
    with open_catalog(tmp_path / "live") as catalog, open_catalog(tmp_path / "json") as other:
        for number, acquisition in enumerate(chosen):
            settings = {"acquisition": acquisition} if acquisition else {}
            recorder(catalog, make_agent(agent, seed=7, patch=8, step=4, seeds=4, **settings)).run(DECISIONS)
            again = replay(catalog[-1])
            assert again.exact and len(again.decisions) == DECISIONS + 1, f"{acquisition}: {again}"
            import_run(other, export(catalog[-1], tmp_path / f"{number}.jsonl"))
        export(catalog[-1], tmp_path / "last.msgpack")
    said = replayed_elsewhere(tmp_path / "json", tmp_path / "last.msgpack")
    assert said == [f"True {DECISIONS + 1}"] * (len(chosen) + 1)


@pytest.mark.system
@pytest.mark.timeout(3000)
def test_twenty_nights_of_the_default_agent_at_three_scales_are_reproduced_in_another_process(tmp_path):
    folders = [tmp_path / str(seed) for seed in range(20)]
    for seed, folder in enumerate(folders):
        with simulated(seed=seed, catalog=folder) as session:
            scales = [scale.changed(pixels=64, budget=9, seeds=5) for scale in session.scales.values()]
            session.RE(explore_multiscale(session.stm, scales, session.agent))
            assert len(session.catalog) == 3
            assert [run.start["agent"]["name"] for run in session.catalog] == ["dkl"] * 3
    assert replayed_elsewhere(*folders) == ["True 10"] * 60
