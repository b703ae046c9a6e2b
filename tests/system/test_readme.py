"""What the README shows is true."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bluesky_stm.cli._app import COMMANDS

pytestmark = pytest.mark.system

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_ten_lines_run_as_typed(tmp_path):
    (lines,) = blocks("python")
    done = subprocess.run([sys.executable, "-W", "error", "-c", lines], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "reproduced" in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_it_names_every_command():
    known = {name for commands in COMMANDS.values() for name in commands} - {"demo"}
    assert set(re.findall(r"`([\w-]+)`", README.split("lists the rest:")[1].split(". ")[0])) == known


def test_at_a_terminal_a_session_says_how_far_it_is(tmp_path):
    """Nothing is subscribed by hand; in a pipe nothing is said."""
    lines = """
import bluesky_stm
from bluesky_stm.plans import explore
with bluesky_stm.simulated(seed=7) as s:
    scale = {"name": "t", "frame": 20, "pixels": 32, "patch": 4, "step": 2, "seeds": 3, "agent": "random", "scalarizer": "gap"}
    s.RE(explore(s.stm, s.agent(scale), budget=3))
"""
    ours, theirs = os.openpty()
    subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, stdout=theirs, check=True, timeout=120)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        said = terminal.read1(100_000).decode()
    assert "3/3" in said and "largest gap" in said and "done in" in said
    assert subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, timeout=120).stdout == b""
