"""What all tests share: where the real microscope files lie."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("BLUESKY_STM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def data_file(name: str) -> Path:
    """A real microscope file; the test is skipped, with a reason, where it is absent."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"the real microscope file {name} is not in {DATA}; set BLUESKY_STM_DATA to its folder")
    return path


@pytest.fixture(name="data_file")
def _data_file():
    return data_file
