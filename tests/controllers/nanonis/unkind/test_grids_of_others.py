"""A grid experiment of a person sweeps again and again; between two sweeps the state of sweeps says nothing of it."""

import time

import pytest

from bluesky_stm.controllers.nanonis import check
from bluesky_stm.controllers.nanonis_server._faults import Fault, FaultKind

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")


@pytest.fixture
def grid(server, ask):
    """A person's experiment, paused between two sweeps; ends with the test."""
    ask("BiasSpectr.PropsSet", 0, 0, 0, 8, 0.0, 0, 0)
    ask("Pattern.GridSet", 1, 8, 8, 0, 0.0, 0.0, 8e-9, 8e-9, 0.0)
    ask("Pattern.ExpOpen")

    def begin():
        ask("Pattern.ExpStart", 1)
        ask("Pattern.ExpPause", 1)
        end = time.monotonic() + 60
        while server.software.is_doing("sweep", "move") or not server.software.pattern.done:
            assert time.monotonic() < end

    yield begin
    server.software.halt("grid")


def test_it_is_red_before_a_run(controller, grid):
    grid()
    (running,) = [finding for finding in check(controller) if finding.what == "running"]
    assert running.missing
    assert running.found == "grid experiment"


def test_a_stop_ends_it_before_its_next_sweep(controller, grid, server):
    grid()
    controller.stop()
    assert not server.software.is_doing("grid")
    assert len(server.software.pattern.done) < 64
    assert controller.get_feedback()


def test_connecting_ends_it_as_a_scan_that_nobody_waits_for(connect, grid, server, caplog):
    grid()
    connect()
    assert not server.software.is_doing("grid")
    assert "grid experiment was still running" in caplog.text


def test_a_software_without_grid_experiments_runs_none(connect, server):
    server.faults.add(Fault(FaultKind.ERROR, "Pattern.ExpStatusGet"))
    controller = connect()
    assert controller.running()["grid experiment"] is False
    controller.stop()
