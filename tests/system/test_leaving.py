"""Whoever ends a run by the keyboard, by closing the terminal or by killing the process finds it in order."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="terminals of POSIX")

from ways_out import leave

WAYS_OUT = Path(__file__).with_name("ways_out.py")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["storm", "closed"])
def test_a_run_is_left_in_order(tmp_path, kind):
    assert leave(tmp_path / "catalog", kind, 1, fresh=True) == ""


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kinds", [["same", "near", "storm"], ["closed", "hangup", "killed", "removed", "full"]])
def test_a_run_is_left_in_order_each_time(kinds):
    """Ctrl-C twice a hundred times, and a hundred other ways out."""
    made = subprocess.run(
        [sys.executable, str(WAYS_OUT), *kinds, "--trials", "100", "--jobs", "2"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
