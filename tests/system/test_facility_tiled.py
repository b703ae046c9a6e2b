"""A running Tiled server: runs arrive there, ended or under way, another process reads them, the web page answers."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from chromium import NEEDED, opened

import bluesky_stm.facility
from bluesky_stm.facility import Facility, checks, open_session
from bluesky_stm.plans import explore

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CONFIG = Path(bluesky_stm.facility.__file__).with_name("tiled_server.yml")
SCALE = {"name": "s", "frame": 20, "pixels": 32, "patch": 4, "step": 2, "budget": 4, "seeds": 4, "agent": "random"}
KEY = "secret0of0the0test"

READER = """
import json, sys
from tiled.client import from_uri
from tiled.queries import Key
client = from_uri(sys.argv[1]).v3
(uid,) = client.search(Key("sample") == "Au(111)")
run = client[uid]
primary = run["primary"]
names = [name for name, doc in run.documents()]
current = primary["stm_sweep_current"].read()
print(json.dumps({"uid": uid, "names": names, "shape": current.shape, "last": float(current[-1, -1]),
                  "image": run["topograph"]["stm_scanner_topograph"].read().shape, "client": type(run).__module__,
                  "start": run.start["uid"], "stop": run.stop["exit_status"],
                  "table": list(primary.read()["stm_sweep_x"].shape), "streams": sorted(run)}))
"""


def serve(folder, port):
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "TILED_FOLDER": str(folder), "TILED_SINGLE_USER_API_KEY": KEY}
    command = [sys.executable, "-m", "tiled", "serve", "config", CONFIG, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("a") as log:
        process = subprocess.Popen([str(part) for part in command], env=environment, stdout=log, stderr=log)
    while not answers(port):
        assert process.poll() is None, (folder / "server.log").read_text()
        time.sleep(0.2)
    return process


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process):
    process.terminate()
    process.wait(timeout=30)


def place_in(folder):
    """A folder for the server, its port and address, and settings of sessions that send their runs there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}/api/v1"
    settings = Facility.parse({"catalog": folder / "data", "scales": [SCALE], "server": uri, "sample": "Au(111)"})
    return folder / "server", port, uri, settings


@pytest.fixture(autouse=True, scope="module")
def _key():
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TILED_API_KEY", KEY)
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server to which a session has sent its run: port, address, uid and spectra of the run."""
    folder, port, uri, settings = place_in(tmp_path_factory.mktemp("served"))
    server = serve(folder, port)
    try:
        with open_session(settings) as session:
            (uid,) = session.RE(explore(session.stm, session.agent("s")))
            spectra = session.catalog[uid].spectra
        yield port, uri, uid, spectra
    finally:
        end(server)


def test_a_run_is_read_back_from_the_server_by_another_process(served):
    _, uri, uid, spectra = served
    read = subprocess.run([sys.executable, "-c", READER, uri], capture_output=True, text=True, timeout=120)
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout)
    assert found["uid"] == uid
    assert found["names"][0] == "start" and found["names"][-1] == "stop"
    assert found["client"].startswith("bluesky_tiled_plugins"), "its clients work on our runs"
    assert (found["start"], found["stop"], found["table"]) == (uid, "success", [4])
    assert {"agent", "maps", "primary", "topograph"} <= set(found["streams"])
    assert found["shape"] == [4, 121] and found["image"] == [1, 32, 32]
    assert found["last"] == pytest.approx(np.asarray(spectra[-1].current)[-1], rel=1e-12)


def test_the_doctor_tells_a_server_that_would_take_a_run_from_one_whose_key_is_missing_or_wrong(served, tmp_path, monkeypatch):
    settings = Facility.parse({"catalog": tmp_path, "server": served[1]})

    def found():
        (check,) = [one for one in checks(settings, tmp_path) if one.what == "Tiled server (server)"]
        return check

    assert found().verdict == "good" and "takes what is sent" in found().said
    monkeypatch.setenv("TILED_API_KEY", "another")
    assert found().verdict == "bad"
    monkeypatch.delenv("TILED_API_KEY")
    assert found().verdict == "bad" and "TILED_API_KEY" in found().said


@NEEDED
def test_the_web_page_of_the_server_shows_the_run_and_its_spectra(served, tmp_path):
    port, _, uid, _ = served
    with opened(tmp_path / "profile") as browser:
        for address, words in {
            "": [uid],
            f"{uid}": ["agent", "maps", "primary", "topograph"],
            f"{uid}/primary": ["stm_sweep_bias", "stm_sweep_current", "stm_sweep_didv"],
        }.items():
            browser.open(f"http://127.0.0.1:{port}/ui/browse/{address}", 1400)
            deadline = time.monotonic() + 60
            while not all(word in browser("document.body.innerText") for word in words):
                assert time.monotonic() < deadline, browser("document.body.innerText")
                time.sleep(0.5)


def test_a_server_that_is_down_ends_nothing_and_gets_the_run_later(tmp_path):
    folder, port, uri, settings = place_in(tmp_path)
    with open_session(settings) as session:
        (uid,) = session.RE(explore(session.stm, session.agent("s")))
        assert session.catalog[uid].stop["exit_status"] == "success"
    server = serve(folder, port)
    try:
        open_session(settings).close()
        read = subprocess.run([sys.executable, "-c", READER, uri], capture_output=True, text=True, timeout=120)
        assert read.returncode == 0, read.stderr
        assert json.loads(read.stdout)["uid"] == uid
    finally:
        end(server)


def test_a_run_under_way_is_read_from_the_server_and_is_whole_there_in_the_end(served, tmp_path, monkeypatch):
    """Fifty Events of a stream arrive together; those after them with the next fifty, or when the run has ended."""
    monkeypatch.setattr("bluesky_stm.storage._index.GROWN_EVERY", 0.0)
    settings = {"catalog": tmp_path / "data", "scales": [SCALE], "server": served[1], "index_while_measuring": True}
    taken, shown = [], []

    def look(name, doc):
        if name == "event" and "stm_sweep_current" in doc["data"]:
            taken.append(doc["data"]["stm_sweep_current"])
            if len(taken) == 55:
                shown.append(currents_on(served[1], session.catalog[-1].uid, 50))
                assert session.catalog[-1].stop is None

    with open_session(Facility.parse(settings)) as session:
        session.RE.subscribe(look)
        (uid,) = session.RE(explore(session.stm, session.agent("s"), budget=60))
    np.testing.assert_array_equal(shown[0], taken[:50])
    np.testing.assert_array_equal(currents_on(served[1], uid, 60), taken)


def currents_on(uri, uid, number):
    """The currents of a run as the server has them, as soon as it has that many."""
    from tiled.client import from_uri

    client, deadline = from_uri(uri).v3, time.monotonic() + 60
    while True:
        primary = client[uid].get("primary") if uid in client else None
        if primary is not None and "stm_sweep_current" in primary:
            if len(read := primary["stm_sweep_current"].read()) >= number:
                client.context.close()
                return read
        assert time.monotonic() < deadline, "the server has too few spectra"
        time.sleep(0.2)
