"""What the README shows is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    from bluesky_stm.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands} - {"demo"}
    assert set(re.findall(r"`([\w-]+)`", README.split("lists the rest:")[1].split(". ")[0])) == known
