"""What the pages in docs/ show is true: Python runs as typed, the settings file is one; they are built without a warning."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points

import pages
import pytest
import yaml
from typer.main import get_command

from bluesky_stm.cli import app
from bluesky_stm.facility import Facility
from bluesky_stm.night import Night
from bluesky_stm.parts import KINDS

pytestmark = pytest.mark.system

DOCS = pages.ROOT / "docs"
PAGES = sorted(path.relative_to(pages.ROOT).as_posix() for path in [*DOCS.glob("*.md"), pages.ROOT / "README.md"])
OWN = {"README.md": "test_readme.py", "docs/stored-runs.md": "test_stored_runs_page.py"}
"""Pages whose Python is run by a test of its own."""


@pytest.mark.parametrize("page", ["docs/tutorial.md", "docs/extending.md", "docs/devices.md"])
def test_the_python_of_a_page_runs_as_typed(page, tmp_path):
    pages.run(page, tmp_path, lambda block: block.language == "python")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "page", ["docs/tutorial.md", "docs/facility.md", "docs/night-desk.md", "docs/nanonis.md", "docs/napari.md"]
)
def test_every_block_of_a_page_runs_with_its_servers(page, tmp_path):
    if "redis-server" in (pages.ROOT / page).read_text() and not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    pages.run(page, tmp_path)


@pytest.mark.slow
def test_the_recorded_grid_of_the_readme_is_explored(data_file, tmp_path):
    (tmp_path / "NanonisReader_STS_grid_lockin.3ds").symlink_to(data_file("NanonisReader_STS_grid_lockin.3ds"))
    assert "Report:" in pages.run("README.md", tmp_path, lambda block: "recorded" in block.text)


def test_every_block_of_code_is_run_or_says_why_it_is_not():
    every = {page: pages.blocks((pages.ROOT / page).read_text()) for page in PAGES}
    code = {page: [block for block in found if block.language in {"sh", "python"}] for page, found in every.items()}
    run = {
        "docs/tutorial.md",
        "docs/facility.md",
        "docs/nanonis.md",
        "docs/napari.md",
        "docs/night-desk.md",
        "docs/extending.md",
        "docs/devices.md",
        *OWN,
    }
    assert {page for page, found in code.items() if found} == run, "a page with code is one that a test runs"
    assert not [block for page in ("docs/extending.md", "docs/devices.md") for block in code[page] if block.language == "sh"]
    left_out = [block.reason for found in code.values() for block in found if block.reason]
    assert set(left_out) == {
        "it needs a microscope",
        "it needs a display",
        "it takes minutes",
        "it serves until Ctrl-C",
        "it needs the desk, and a token",
        "there is no proposal yet",
        "it needs an exploration whose agent is gone",
        "it installs what runs it",
        "it sets up what runs it",
        "these are tests",
    }
    assert len(left_out) == 20 < sum(map(len, code.values())) / 3


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_from_the_tests_in_an_indented_block(page):
    command = r"^    (?:bluesky-stm|python|pip|happi|tiled|RM\.|RE\()"
    assert not re.findall(command, re.sub(pages.BLOCK, "", (pages.ROOT / page).read_text()), re.MULTILINE)


def test_the_settings_file_that_is_shown_is_valid():
    blocks = pages.blocks((DOCS / "facility.md").read_text())
    text, night, *more = (block.text for block in blocks if block.language == "yaml")
    settings = Facility.parse(yaml.safe_load(text))
    assert all(Facility.parse(yaml.safe_load(one)) for one in more)
    shown = {key for one in (text, *more) for key in yaml.safe_load(one)}
    assert Facility.model_fields.keys() - Night.model_fields - {"record"} <= shown, "every key is shown"
    assert Night.parse(yaml.safe_load(night)).care().tip.pulse == (4.0, 0.1)
    assert settings.scales[1].agent.name == "gp-xy"


@pytest.mark.parametrize("page", [path.stem for path in sorted(DOCS.glob("*.md"))])
def test_commands_and_options_that_a_page_names_exist(page):
    commands = get_command(app).commands
    for command, rest in re.findall(r"bluesky-stm ([a-z][a-z-]*)([^`\n|]*)", (DOCS / f"{page}.md").read_text()):
        assert command in commands, command
        known = {option for parameter in commands[command].params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)) <= known, (command, rest)


READ = """
import sys
from sphinx.application import Sphinx
docs, out, builder = sys.argv[1:]
app = Sphinx(docs, docs, out, out + "/doctrees", builder, status=None, freshenv=True, warningiserror=True)
app.build(force_all=True)
print(*app.env.domains["py"].objects)
sys.exit(app.statuscode)
"""


@pytest.mark.parametrize("builder", ["dummy", pytest.param("html", marks=pytest.mark.slow)])
def test_the_pages_are_built_without_a_warning(tmp_path, builder):
    """Everything is read and every reference resolved; what the writer of HTML adds is done by `make docs`, too."""
    pytest.importorskip("sphinx", reason="pip install 'bluesky-stm[docs]'")
    command = [sys.executable, "-c", READ, str(DOCS), str(tmp_path), builder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    described = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert described >= {"explore_multiscale", "LengthScale", "open_session", "what_if"}


def test_the_reference_of_parts_holds_every_part_and_every_setting():
    command = [sys.executable, str(DOCS / "parts_reference.py")]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for kind, registry in KINDS.items():
        section = page.partition(f"## {kind.capitalize()}s\n")[2].partition("\n## ")[0]
        for name in entry_points(group=registry.group).names:  # a test before this one may have registered others
            part = section.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
            assert part, f"{kind} {name}"
            for setting in registry.describe(name)["settings"]:
                assert f"| `{setting['name']}` | " in part, f"{kind} {name}: {setting['name']}"
