"""A small night at a simulated microscope without faults."""

import pytest

from bluesky_stm.session import simulated

SCALES = [
    {"name": "terrace", "frame": 40, "pixels": 48, "patch": 4, "step": 2, "budget": 6, "seeds": 4, "agent": "gp-xy"},
    {"name": "defect", "frame": 10, "pixels": 48, "patch": 2, "step": 1, "budget": 5, "seeds": 4, "agent": "gp-xy"},
]
SMALL = {"scales": SCALES, "suspend": {"sleep": 0}}


@pytest.fixture(name="small")
def _small():
    return SMALL


@pytest.fixture(name="session")
def _session(tmp_path, RE):
    with simulated(seed=2, catalog=tmp_path / "catalog", profile="ideal", RE=RE) as session:
        yield session
