"""Microscopes that happi knows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bluesky_stm.facility
from bluesky_stm.controllers import InstantClock, SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer

happi = pytest.importorskip("happi", reason="pip install 'bluesky-stm[happi]'")

DATABASE = Path(bluesky_stm.facility.__file__).with_name("happi.json")


@pytest.fixture(name="config")
def _config(tmp_path, monkeypatch):
    shutil.copy(DATABASE, tmp_path / "happi.json")
    path = tmp_path / "happi.cfg"
    path.write_text(f"[DEFAULT]\nbackend=json\npath={tmp_path / 'happi.json'}\n")
    monkeypatch.setenv("HAPPI_CFG", str(path))
    return path


def call(*arguments, **options):
    command = [str(Path(sys.executable).parent / "happi"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_a_microscope_is_loaded_by_its_name(config):
    stm = happi.Client.from_config().load_device(name="stm")
    assert stm.name == "stm" and stm.controller.describe()["seed"] == 7


def test_limits_come_from_the_database(config):
    database = config.with_name("happi.json")
    items = json.loads(database.read_text())
    items["stm"]["limits"] = {"bias": [-1.0, 1.0]}
    database.write_text(json.dumps(items))
    assert happi.Client.from_config().load_device(name="stm").limits.bias == (-1.0, 1.0)


@pytest.mark.system
def test_happi_load_puts_it_at_a_prompt(config):
    done = call("load", "stm", input="print('the bias is', stm.bias.position)\nexit()\n")
    assert "the bias is -1.5" in done.stdout, done.stderr


@pytest.fixture(name="answering")
def _answering(config):
    """The database, its Nanonis item at the address of a simulated server."""
    database = config.with_name("happi.json")
    with NanonisServer(SimulatedController(seed=1, clock=InstantClock()), [0, 0]) as server:
        items = json.loads(database.read_text())
        items["nanonis"]["controller"]["ports"] = list(server.ports)
        database.write_text(json.dumps(items))
        yield database


@pytest.mark.system
def test_the_audit_of_all_microscopes_is_clean(answering):
    done = call("audit", "name=*")
    said = done.stdout + done.stderr
    assert "found 2 items to verify" in said and "# devices failed: 0 / 2" in said, said


@pytest.mark.system
def test_the_nanonis_item_has_the_limits_of_the_database(answering):
    stm = happi.Client.from_config().load_device(name="nanonis")
    try:
        assert stm.limits.bias == (-2.0, 2.0) and stm.bias.position == pytest.approx(-1.5)
    finally:
        stm.controller.close()
