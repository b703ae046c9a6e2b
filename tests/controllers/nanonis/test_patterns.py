"""The grid experiments of the simulated software: places of grid, line and cloud, one file of them, pause and stop."""

import time

import numpy as np
import pytest

from bluesky_stm.controllers.nanonis_server._pattern import ASCII, BINARY
from bluesky_stm.files import read

CURRENT = 0


@pytest.fixture
def ready(ask):
    """The sweep is short, and the experiment is open."""
    ask("BiasSpectr.PropsSet", 0, 0, 0, 12, 0.0, 0, 0)
    ask("Pattern.ExpOpen")


def ended(ask):
    end = time.monotonic() + 60
    while ask("Pattern.ExpStatusGet")[0]:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.usefixtures("ready")
def test_a_grid_is_swept_at_each_place_and_saved_as_one_file(server, ask):
    """What the file holds is what a sweep at that place of the surface shows."""
    ask("Pattern.PropsSet", BINARY, "dense", "", 0.0, 0)
    ask("Pattern.GridSet", 1, 3, 2, 0, 5e-9, 0.0, 6e-9, 4e-9, 0.0)
    ask("Pattern.ExpStart", 0)
    ended(ask)
    (path,) = server.folder.glob("dense*.3ds")
    grid = read(path)
    assert grid.frame.pixels == (2, 3)
    assert grid.current.shape == (2, 3, 12)
    np.testing.assert_allclose(grid.frame.points()[0], [[3, -1], [5, -1], [7, -1]], atol=1e-3)
    np.testing.assert_allclose(grid.bias, np.linspace(-1.5, 1.5, 12), atol=1e-6)
    assert np.isfinite(grid.height).all()
    # the feedback stood at -1.5 V, the first point of each sweep: there is the current that it held
    np.testing.assert_allclose(np.abs(grid.current[..., 0]), 0.2, rtol=0.3)
    assert not list(server.folder.glob("*.dat"))


@pytest.mark.usefixtures("ready")
def test_a_turned_grid_turns_clockwise(server, ask):
    ask("Pattern.GridSet", 1, 2, 1, 0, 0.0, 0.0, 8e-9, 4e-9, 90.0)
    ask("Pattern.ExpStart", 1)
    ended(ask)
    places = [tuple(np.round(spectrum.position, 3)) for spectrum in server.software.pattern.done]
    assert places == [(0, 2), (0, -2)]


@pytest.mark.usefixtures("ready")
def test_a_line_is_swept_from_end_to_end(server, ask):
    ask("Pattern.LineSet", 1, 3, 0, 0.0, 0.0, 4e-9, 4e-9)
    ask("Pattern.ExpStart", 0)
    ended(ask)
    np.testing.assert_allclose([s.position for s in server.software.pattern.done], [[0, 0], [2, 2], [4, 4]], atol=1e-6)
    (path,) = server.folder.glob("*.3ds")
    np.testing.assert_allclose(read(path).frame.points()[0], [[0, 0], [2, 2], [4, 4]], atol=1e-3)
    assert ask("Pattern.LineGet") == [3, 0.0, 0.0, 4e-9, 4e-9]


@pytest.mark.usefixtures("ready")
def test_a_cloud_is_swept_in_its_order_into_a_file_each(server, client):
    """Over the wire, as the vendor's client sends a cloud: both arrays follow one number."""
    client.Pattern_CloudSet(1, 3, [1e-9, -2e-9, 0.0], [0.0, 3e-9, 1e-9])
    client.Pattern_ExpStart(3)
    end = time.monotonic() + 60
    while client.Pattern_ExpStatusGet()[0]:
        assert time.monotonic() < end
    np.testing.assert_allclose([s.position for s in server.software.pattern.done], [[1, 0], [-2, 3], [0, 1]], atol=1e-5)
    assert len(list(server.folder.glob("grid*.dat"))) == 3
    assert client.Pattern_CloudGet()[0] == 3


@pytest.mark.usefixtures("ready")
def test_an_experiment_that_is_stopped_saves_what_was_swept(server, ask, monkeypatch):
    swept = server.software.spectroscopy.measure
    count = []

    def measure(name):
        count.append(name)
        if len(count) == 2:
            server.software.pattern.end()
        return swept(name)

    monkeypatch.setattr(server.software.spectroscopy, "measure", measure)
    ask("Pattern.GridSet", 1, 2, 2, 0, 0.0, 0.0, 4e-9, 4e-9, 0.0)
    ask("Pattern.ExpStart", 1)
    ended(ask)
    (path,) = server.folder.glob("*.3ds")
    assert np.isfinite(read(path).current[..., 0]).sum() == 2


@pytest.mark.usefixtures("ready")
def test_a_paused_experiment_goes_on_where_it_was(server, ask, monkeypatch):
    swept, count = server.software.spectroscopy.measure, []

    def measure(name):
        count.append(name)
        ask("Pattern.ExpPause", 1)
        return swept(name)

    monkeypatch.setattr(server.software.spectroscopy, "measure", measure)
    ask("Pattern.GridSet", 1, 2, 1, 0, 0.0, 0.0, 4e-9, 4e-9, 0.0)
    ask("Pattern.ExpStart", 1)
    end = time.monotonic() + 60
    while not server.software.pattern.done:
        assert time.monotonic() < end
    assert ask("Pattern.ExpStatusGet") == [True]
    assert len(count) == 1
    monkeypatch.setattr(server.software.spectroscopy, "measure", swept)
    ask("Pattern.ExpPause", 0)
    ended(ask)
    assert len(server.software.pattern.done) == 2


def test_an_experiment_that_nobody_opened_or_that_is_not_there_is_refused(ask, refused):
    assert "not been configured" in refused("Pattern.ExpStart", 1)
    assert refused("Pattern.PropsSet", "Kelvin", "", "", 0.0, 0) == "The selected experiment is not valid"
    assert ask("Pattern.PropsGet")[0] == [BINARY, ASCII]
    assert "0 places" in refused("Pattern.GridSet", 1, 0, 3, 0, 0.0, 0.0, 1e-9, 1e-9, 0.0)


@pytest.mark.usefixtures("ready")
def test_a_tip_that_safe_tip_withdraws_ends_the_experiment(server, ask, microscope):
    """At once: the sweep in which it happens does not wait for the experiment that it belongs to."""
    server.software.registers.set("SafeTip.Props", [0, 1, 1e-9])
    ask("Pattern.GridSet", 1, 3, 3, 0, 0.0, 0.0, 4e-9, 4e-9, 0.0)
    begun = time.monotonic()
    ask("Pattern.ExpStart", 1)
    ended(ask)
    assert time.monotonic() - begun < 8
    assert microscope.is_withdrawn()
    assert len(server.software.pattern.done) < 9
