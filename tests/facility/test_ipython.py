"""A prompt as beamline staff expect it; one RunEngine, whoever made it."""

import subprocess
import sys
from pathlib import Path

import pytest
from bluesky import RunEngine

from bluesky_stm.facility import load_ipython_extension, unload_ipython_extension
from bluesky_stm.storage import open_catalog

pytest.importorskip("IPython", reason="pip install 'bluesky-stm[ipython]'")
from IPython.core.interactiveshell import InteractiveShell

QUIET = ("--simple-prompt", "--no-banner", "--quick")

SETTINGS = """
catalog: data
operator: Ada
scales: [{name: defect, frame: 10, pixels: 32, patch: 2, step: 1, budget: 3, seeds: 3, agent: random}]
"""


@pytest.fixture(name="place")
def _place(tmp_path, monkeypatch):
    (tmp_path / "bluesky_stm.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(name="shell")
def _shell(place):
    shell = InteractiveShell()
    yield shell
    unload_ipython_extension(shell)


def test_the_extension_uses_the_run_engine_that_is_there(shell):
    engine = shell.user_ns["RE"] = RunEngine({"beamline": "7"})
    before = dict(engine.md)
    shell.run_line_magic("load_ext", "bluesky_stm")
    assert shell.user_ns["RE"] is shell.user_ns["session"].RE is engine
    assert engine.md == before, "its metadata are its owner's"


def test_everything_is_at_hand_by_its_name(shell, capsys):
    load_ipython_extension(shell)
    names = "RE stm catalog agents scales steer bec sweep scanner grid explore measure_at bps bp estimate".split()
    assert not [name for name in names if name not in shell.user_ns]
    assert shell.user_ns["agents"]["defect"].agent_name == "random"
    assert list(shell.user_ns["agents"]) == ["defect"]
    shell.run_line_magic("wa", "")
    shown = capsys.readouterr().out
    assert "stm_tip_x" in shown and "stm_bias" in shown
    shell.run_line_magic("mov", "stm.tip.x 3.0 stm.tip.y -2.0")
    assert tuple(shell.user_ns["stm"].tip.position) == pytest.approx((3.0, -2.0), abs=0.05)


def test_loaded_twice_it_keeps_the_session(shell):
    load_ipython_extension(shell)
    session = shell.user_ns["session"]
    load_ipython_extension(shell)
    assert shell.user_ns["session"] is session


def typed(lines, place, *arguments):
    """What a session prints when somebody types these lines."""
    command = [sys.executable, "-m", "bluesky_stm.cli", "ipython", *arguments, "--", *QUIET]
    done = subprocess.run(command, input=lines, cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.system
def test_a_typed_exploration_is_stored_with_metadata_that_last(place):
    first = typed(
        'RE.md["sample"] = "Au(111)"\nRE(explore(stm, agents["defect"]))\nestimate(stm, scales)\n', place, "simulated"
    )
    assert "Transient Scan ID: 1" in first and "Estimate" in first
    second = typed('RE(explore(stm, agents["defect"]))\n', place)
    assert "Transient Scan ID: 2" in second
    with open_catalog(place / "data", write=False) as catalog:
        starts = [run.start for run in catalog]
    assert [start["scan_id"] for start in starts] == [1, 2]
    assert {start["sample"] for start in starts} == {"Au(111)"} and {start["operator"] for start in starts} == {"Ada"}


@pytest.mark.system
def test_the_start_up_file_can_be_copied_and_edited(place):
    from bluesky_stm.facility import startup_file

    copy = place / "ours.py"
    copy.write_text(startup_file().read_text() + "\nlamp = 'on'\n")
    assert "'on'" in typed("lamp\n", place, "--startup", str(copy))


@pytest.mark.system
def test_a_script_begins_as_the_prompt_does(place):
    code = "from bluesky_stm.facility.startup import *; RE(explore(stm, agents['defect'])); session.close()"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(Path(place / "data" / "journal").glob("*.msgpack"))) == 1


@pytest.mark.system
def test_a_microscope_that_nobody_knows_is_refused_in_words(place):
    command = [sys.executable, "-m", "bluesky_stm.cli", "ipython", "simulatd"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 2 and "Did you mean 'simulated'" in done.stderr and "Traceback" not in done.stderr
