"""The reference agent that lives beside the benchmarks is known to the tests of agents."""

import sys
from pathlib import Path

import pytest

from bluesky_stm.parts import register

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.fixture(scope="session", autouse=True)
def _reference_agent():
    from reference_agents import PatchGP

    register(PatchGP)
