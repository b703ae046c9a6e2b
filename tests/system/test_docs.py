"""What the pages in docs/ show is true: Python runs as typed, the settings file is one; they are built without a warning."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from bluesky_stm.cli import app
from bluesky_stm.facility import Facility

pytestmark = pytest.mark.system

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("tutorial", "facility", "extending")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / f"{page}.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs_as_typed(page, tmp_path):
    lines = "\n".join(blocks(page, "python"))
    environment = {**os.environ, "BLUESKY_STM": "simulated"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", lines], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_settings_file_that_is_shown_is_valid():
    (text,) = blocks("facility", "yaml")
    settings = Facility.parse(yaml.safe_load(text))
    assert set(yaml.safe_load(text)) == set(Facility.model_fields), "every key is shown"
    assert settings.scales[1].agent.name == "gp-xy"


@pytest.mark.parametrize("page", [path.stem for path in sorted(DOCS.glob("*.md"))])
def test_commands_and_options_that_a_page_names_exist(page):
    commands = get_command(app).commands
    for command, rest in re.findall(r"bluesky-stm ([a-z][a-z-]*)([^`\n|]*)", (DOCS / f"{page}.md").read_text()):
        assert command in commands, command
        known = {option for parameter in commands[command].params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)) <= known, (command, rest)


def test_the_pages_are_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="pip install 'bluesky-stm[docs]'")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-E",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(DOCS),
        str(tmp_path / "html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    reference = (tmp_path / "html" / "reference.html").read_text()
    for name in ("explore_multiscale", "LengthScale", "open_session", "what_if"):
        assert f".{name}" in reference
