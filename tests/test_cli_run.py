"""``bluesky-stm run`` and the commands about stored runs heed the settings file of the folder; an option goes before it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.errors import SettingsError
from bluesky_stm.storage import open_catalog

SETTINGS = """
microscope: {name: fake, steps: 3}
sample: copper
operator: Ada
catalog: kept
seed: 5
scales: [{name: s, frame: 20, pixels: 32, patch: 4, step: 2, budget: 2, seeds: 2, agent: random, scalarizer: conductance}]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "bluesky_stm.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*arguments):
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def start(catalog):
    with open_catalog(catalog, write=False) as opened:
        return opened[-1].start


def test_a_run_is_as_the_settings_file_says(place):
    told = json.loads(CliRunner().invoke(app, ["run", "--json"], catch_exceptions=False).stdout)
    found = start(place / "kept")
    (row,) = told["runs"]
    assert told["finished"] and (row["uid"], row["spectra"], row["status"]) == (found["uid"], 2, "success")
    assert found["controller"]["part"] == {"name": "fake", "steps": 3}
    assert (found["sample"], found["operator"], found["agent"]["seed"]) == ("copper", "Ada", 5)
    assert found["length_scale"]["name"] == "s"
    assert found["uid"][:8] in said("ls") and found["uid"] in said("show")
    assert not (place / "bluesky_stm_data").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
@pytest.mark.parametrize("reader", ["went away", "is a full disk"])
def test_a_run_whose_output_nobody_reads_any_more_comes_to_its_end(place, reader):
    (place / "bluesky_stm.yaml").write_text(SETTINGS.replace("budget: 2", "budget: 24"))
    command = [sys.executable, "-m", "bluesky_stm.cli", "run"]
    if reader == "went away":
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            run.stdout.readline()
            run.stdout.close()
            assert run.wait(120) == 0, run.stderr.read()
    elif not Path("/dev/full").exists():
        pytest.skip("no device that is full")
    else:
        with open("/dev/full", "w") as full:
            assert subprocess.run(command, stdout=full, timeout=120).returncode == 0
    with open_catalog(place / "kept", write=False) as opened:
        assert len(opened[-1].spectra) == 24 and opened[-1].stop["exit_status"] == "success"


@pytest.mark.parametrize("where", ["the night", "the settings file"])
def test_the_option_for_the_sample_takes_no_gap_away_and_brings_none_to_another_sample(place, where):
    """Inside the gap the feedback would drive the tip into the surface, whatever the sample is called in the line."""
    glass = "sample: {name: glass, gap: [-4, 4]}\n"
    (place / "night.yaml").write_text(glass if where == "the night" else "operator: Eve\n")
    if where == "the settings file":
        (place / "bluesky_stm.yaml").write_text(SETTINGS.replace("sample: copper\n", glass))
    for named, refusal in (("glass", "inside the gap of glass"), ("copper", "--sample says copper.*glass")):
        with pytest.raises(SettingsError, match=refusal):
            CliRunner().invoke(app, ["run", "night.yaml", "--sample", named], catch_exceptions=False)
    assert "copper" in said("run", "--set", "sample=copper", "--json")


def test_an_option_goes_before_the_settings_file(place):
    said("run", "--controller", "simulated", "--sample", "Au(111)", "--seed", "6", "--catalog", "other")
    found = start(place / "other")
    assert found["controller"]["part"]["sample"]["name"] == "Au(111)" and found["sample"] == "Au(111) (simulated)"
    assert found["agent"]["seed"] == 6
    assert not (place / "kept").exists()


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["--controller", "simulated:sample=Au(111)", "--sample", "EuZn2As2"], r"'Au\(111\)' and 'EuZn2As2'"),
        (["one.3ds", "--controller", "recorded:two.3ds"], r"'two\.3ds' and 'one\.3ds'"),
        (["one.3ds", "--controller", "simulated"], "has no use for 'one.3ds'"),
        (["--sample", ""], "A sample is given by its name"),
    ],
)
def test_what_is_given_twice_or_for_nothing_is_refused_with_both_values(place, arguments, refused):
    with pytest.raises(SettingsError, match=refused):
        CliRunner().invoke(app, ["run", *arguments, "--catalog", "none"], catch_exceptions=False)
    assert not (place / "none").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("bluesky_stm.yaml", "seed: 1\nlimits:\n  bias: [-1, 1]\n  bias: [-2, 2]\n"),
        ("scales.yaml", "- {name: a, frame: 5, frame: 6}\n"),
    ],
)
def test_a_key_that_stands_twice_in_a_file_is_refused(place, file, text):
    (place / file).write_text(text)
    with pytest.raises(SettingsError, match=r"(bias|frame) stands twice in the mapping that begins in line \d"):
        CliRunner().invoke(app, ["run", "--scales", "scales.yaml", "--catalog", "none"], catch_exceptions=False)
    assert not (place / "none").exists()
