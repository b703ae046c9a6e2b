"""The live view beside a measurement: from another process over 0MQ, and of ``bluesky-stm run``."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from matplotlib.image import imread

from bluesky_stm.facility import Facility, open_session
from bluesky_stm.plans import explore

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
BIN = Path(sys.executable).parent
SCALE = {"name": "s", "frame": 20, "pixels": 32, "patch": 4, "step": 2, "budget": 4, "seeds": 3, "agent": "gp-xy"}


def shows_something(picture):
    """A topograph, which is dark, and not the empty page."""
    return picture.exists() and (imread(picture)[..., :3].mean(axis=-1) < 0.75).mean() > 0.04


@pytest.fixture(name="proxy")
def _proxy():
    """In- and out-address of a running proxy."""
    import socket

    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    ends = [f"tcp://127.0.0.1:{port}" for port in ports]
    process = subprocess.Popen(
        [BIN / "bluesky-0MQ-proxy", "--in-address", ends[0], "--out-address", ends[1]], stdout=subprocess.DEVNULL
    )
    yield ends
    process.terminate()
    process.wait(timeout=20)


def test_another_process_shows_the_run_and_ends_on_demand(proxy, tmp_path):
    picture = tmp_path / "live.png"
    command = [BIN / "bluesky-stm", "live", "--subscribe", proxy[1], "--picture", picture]
    viewer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        settings = {"catalog": tmp_path / "data", "scales": [SCALE], "publish": proxy[0].removeprefix("tcp://")}
        with open_session(Facility.parse(settings)) as session:
            deadline = time.monotonic() + 120
            while not picture.exists():  # the viewer may still be starting: what it missed is not repeated
                assert time.monotonic() < deadline and viewer.poll() is None, viewer.stderr.read()
                session.RE(explore(session.stm, session.agent("s")))
                time.sleep(1.5)
    finally:
        viewer.send_signal(signal.SIGTERM)
        assert viewer.wait(timeout=30) == 0, viewer.stderr.read()
        viewer.stderr.close()


def test_who_joins_in_mid_run_sees_it_from_its_beginning(proxy, tmp_path):
    """The run waits at its third spectrum until the picture of the first two is there, drawn by a viewer that came later."""
    picture, data = tmp_path / "live.png", tmp_path / "data"
    viewers = []

    def join(name, doc):
        if name == "event" and "stm_sweep_x" in doc["data"] and doc["seq_num"] == 2:
            command = [BIN / "bluesky-stm", "live", "--subscribe", proxy[1], "--picture", picture, "--catalog", data]
            viewers.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            deadline = time.monotonic() + 120
            while not shows_something(picture):
                assert time.monotonic() < deadline and viewers[0].poll() is None, viewers[0].stderr.read()
                time.sleep(0.2)

    settings = {"catalog": data, "scales": [SCALE], "publish": proxy[0].removeprefix("tcp://")}
    try:
        with open_session(Facility.parse(settings)) as session:
            session.RE.subscribe(join)
            session.RE(explore(session.stm, session.agent("s")))
            assert len(session.catalog[-1].spectra) == 4
        first = picture.read_bytes()
        deadline = time.monotonic() + 60
        while picture.read_bytes() == first:
            assert time.monotonic() < deadline, "the rest of the run is shown, too"
            time.sleep(0.2)
    finally:
        for viewer in viewers:
            viewer.send_signal(signal.SIGTERM)
            assert viewer.wait(timeout=30) == 0, viewer.stderr.read()
            viewer.stderr.close()


def test_run_shows_itself_in_a_picture(tmp_path):
    (tmp_path / "scales.yaml").write_text(yaml.safe_dump([{**SCALE, "agent": "random"}]))
    command = [BIN / "bluesky-stm", "run", "--scales", "scales.yaml", "--catalog", "data", "--picture", "live.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert shows_something(tmp_path / "live.png")


def test_a_window_where_there_is_no_display_is_refused_before_anything_starts(tmp_path):
    command = [BIN / "bluesky-stm", "run", "--live", "--catalog", "data"]
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "--picture" in done.stderr
    assert not (tmp_path / "data").exists()
