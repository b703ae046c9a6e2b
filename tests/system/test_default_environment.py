"""What a default environment has is enough for all but the index: the packages of the extras are kept out of reach."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from speed_setup import environment, size

MOST, LARGEST = 110, 1.2
"""Packages of a default environment, and GB of their files."""

CODE = """
import sys
from importlib.machinery import PathFinder

MISSING = set(sys.argv[2].split(","))

class Found(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in MISSING else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Found

import databroker

import bluesky_stm
from bluesky_stm.errors import CatalogError
from bluesky_stm.plans import explore

with bluesky_stm.simulated(seed=2, catalog=sys.argv[1]) as session:
    agent = session.agent(session.scale("defect").changed(seeds=4))
    uid, = session.RE(explore(session.stm, agent, budget=6))
    run = session.catalog[uid]
    assert bluesky_stm.replay(run).exact
    assert bluesky_stm.load_run(run).children and len(bluesky_stm.storage.runs(session.catalog)) == 1
    bluesky_stm.report([uid], sys.argv[1] + "/report.html", catalog=session.catalog)
    bluesky_stm.export(run, sys.argv[1] + "/run.nxs")
    try:
        session.catalog.client
    except CatalogError as error:
        print(error)
"""


def test_a_default_environment_explores_replays_reports_and_exports_and_says_how_to_get_the_index(tmp_path):
    packages = environment("bluesky-stm")
    there = {module for module, brought in packages_distributions().items() if {*map(canonicalize_name, brought)} & packages}
    missing = set(packages_distributions()) - there
    assert {"duckdb", "asyncpg", "bluesky_tiled_plugins", "llvmlite"} <= missing
    command = [sys.executable, "-c", CODE, str(tmp_path), ",".join(sorted(missing))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pip install 'bluesky-stm[index]'" in done.stdout


def test_a_default_environment_is_small():
    packages = environment("bluesky-stm")
    assert {"torch", "databroker", "ophyd", "tiled"} <= packages
    assert len(packages) <= MOST
    assert sum(map(size, packages)) <= LARGEST * 1e9
