"""What watches over the process that measures: heartbeat, log, checks of the doctor, service files, process variables."""

import importlib.metadata
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.errors import FileFormatError, SettingsError
from bluesky_stm.facility import (
    PVS,
    Beat,
    Facility,
    Log,
    PVServer,
    RunPVs,
    _heartbeat,
    checks,
    open_session,
    read_heartbeat,
    write_deploy_files,
)
from bluesky_stm.facility._heartbeat import Heartbeat
from bluesky_stm.facility._log import logging_to
from bluesky_stm.plans import explore

NOW = 1e9
ALIVE = Beat(NOW, 10.0, os.getpid(), socket.gethostname(), "f00dfeed", "explore terrace", 12)


@pytest.fixture(name="gone", scope="module")
def _gone():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_silence_of_a_minute_or_a_process_that_is_gone_is_death_and_a_closed_session_is_not(gone):
    assert ALIVE.dead(NOW + 59) == "" and "silent for 61 s" in ALIVE.dead(NOW + 61)
    assert "is gone" in replace(ALIVE, pid=gone).dead(NOW)
    elsewhere = replace(ALIVE, pid=gone, host="another.example.org")
    assert elsewhere.dead(NOW + 1) == "", "of a process on another host only the silence is known"
    assert replace(ALIVE, pid=gone, closed=True).dead(NOW + 1e6) == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only /proc tells a killed child from a living one")
def test_a_killed_worker_whose_parent_has_not_asked_about_it_yet_is_gone():
    worker = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    beat = replace(ALIVE, pid=worker.pid)
    try:
        assert beat.dead(NOW) == ""
        worker.kill()
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is left as it is
        os.kill(worker.pid, 0)
        assert "is gone" in beat.dead(NOW)
    finally:
        worker.kill()
        worker.communicate()


@pytest.fixture(name="session")
def _session(tmp_path):
    """A session whose heart beats fast, with five spectra to take."""
    scale = {"name": "terrace", "frame": 50, "pixels": 32, "patch": 8, "step": 4, "budget": 5, "seeds": 5, "agent": "random"}
    microscope = {"name": "simulated", "seed": 7, "profile": "ideal"}
    told = {"microscope": microscope, "catalog": str(tmp_path / "catalog"), "scales": [scale], "heartbeat": 1e-3}
    with open_session(Facility.parse(told)) as session:
        yield session


def test_a_heartbeat_names_the_run_that_goes_on_and_how_far_it_is(session, docs):
    folder, seen = session.catalog.path, []

    def look(name, doc):
        if name == "event" and len(docs.events()) == 3 and not seen:
            written = read_heartbeat(folder).time
            while read_heartbeat(folder).time <= written:  # the next beat comes from its own thread
                time.sleep(1e-3)
            seen.append(read_heartbeat(folder))

    session.RE.subscribe(docs)
    session.RE.subscribe(look)
    session.RE(explore(session.stm, session.agent("terrace")))
    uid = session.catalog[-1].uid
    session.close()
    assert (seen[0].spectra, seen[0].run, seen[0].what) == (3, uid, "explore terrace")
    assert read_heartbeat(folder).closed and read_heartbeat(folder).run == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"time": 1e9}', '{"time": "now", "every": 10, "pid": 1, "host": "stm"}'])
def test_a_damaged_heartbeat_is_told_in_words_by_whoever_reads_it(tmp_path, text):
    (tmp_path / "heartbeat.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"is no heartbeat .* Remove the file"):
        read_heartbeat(tmp_path)
    (found,) = [check for check in checks(Facility.parse({"catalog": str(tmp_path)})) if check.what == "heartbeat"]
    assert found.verdict == "bad" and "Remove the file" in found.said


def test_a_heart_whose_disk_was_full_once_beats_on(tmp_path, monkeypatch, caplog):
    write, failed = _heartbeat._write_whole, []

    def full_once(path, text):
        if not failed:
            failed.append(path)
            raise OSError(28, "No space left on device")
        write(path, text)

    heart = Heartbeat(tmp_path, every=1e-3)
    monkeypatch.setattr(_heartbeat, "_write_whole", full_once)
    while not failed:
        time.sleep(1e-3)
    first = read_heartbeat(tmp_path).time
    while read_heartbeat(tmp_path).time <= first:
        time.sleep(1e-3)
    heart.close()
    assert "No space left" in caplog.text and read_heartbeat(tmp_path).closed


def test_people_are_told_once_of_a_session_that_died(tmp_path, monkeypatch, gone):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bluesky_stm.yaml").write_text("catalog: .\nalerts: {file: told.log}\n")
    asked = ["heartbeat", "--alert"]
    assert CliRunner().invoke(app, asked).exit_code == 0, "nobody has written here"
    for pid in (gone, gone, os.getpid()):
        (tmp_path / "heartbeat.json").write_text(json.dumps(asdict(replace(ALIVE, pid=pid, time=time.time()))))
        codes = [CliRunner().invoke(app, asked).exit_code for _ in range(2)]
        assert codes == ([1, 1] if pid == gone else [0, 0])
    told = (tmp_path / "told.log").read_text().splitlines()
    assert len(told) == 2, "one line for each of the two that died"
    assert "f00dfeed, 12 spectra so far. Look at the tip" in told[0]


def test_a_log_has_the_levels_and_the_form_that_the_settings_ask_for(tmp_path):
    log = Log(level="ERROR", levels={"bluesky_stm.controllers": "INFO"}, style="json", file=tmp_path / "logs" / "stm.log")
    before = logging.getLogger("bluesky_stm").level
    with logging_to(log, tmp_path):
        logging.getLogger("bluesky_stm.controllers.nanonis").info('a "quoted" %s', "word")
        logging.getLogger("bluesky_stm.plans").warning("not written")
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("bluesky").exception("written")
    logging.getLogger("bluesky_stm").error("after the end")
    lines = [json.loads(line) for line in log.file.read_text().splitlines()]
    assert [line["message"] for line in lines] == ['a "quoted" word', "written"]
    assert "ValueError: why" in lines[1]["traceback"] and lines[0]["logger"] == "bluesky_stm.controllers.nanonis"
    assert logging.getLogger("bluesky_stm").level == before


def test_the_doctor_finds_what_answers_and_what_does_not(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as other:
        port, closed = listening.getsockname()[1], other.getsockname()[1]
        other.close()
        settings = Facility.parse(
            {
                "catalog": str(tmp_path / "catalog"),
                "publish": f"127.0.0.1:{port}",
                "server": f"http://127.0.0.1:{closed}/api/v1",
                "sinks": [{"name": "redis", "url": f"redis://127.0.0.1:{closed}/0"}],
                "alerts": {"command": ["no-such-program"], "file": str(tmp_path / "told.log")},
            }
        )
        found = {check.what: check for check in checks(settings, tmp_path)}
    assert found["0MQ proxy (publish)"].verdict == found["alerts in a file"].verdict == "good"
    for what in ("Tiled server (server)", "sink redis", "alerts by a program"):
        assert found[what].verdict == "bad", what
    assert str(closed) in found["sink redis"].said and "gets what it missed" in found["sink redis"].said
    assert "no-such-program" in found["alerts by a program"].said
    assert found["heartbeat"].verdict == "absent" and not (tmp_path / "catalog").exists(), "nothing is changed"


def test_services_start_commands_that_there_are_with_options_that_they_take(tmp_path):
    written = write_deploy_files(tmp_path / "deploy", tmp_path, "stm")
    commands = get_command(app).commands
    started = [line for path in written for line in path.read_text().splitlines() if "bluesky-stm " in line and "Exec" in line]
    assert len(started) == 3
    for line in started:
        _, name, *options = line.partition("=")[2].split()
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= known
    assert not any("$" in path.read_text() for path in written if path.suffix)
    with pytest.raises(SettingsError, match="blanks, quotes"):
        write_deploy_files(tmp_path, tmp_path / "two words")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bluesky-stm", "start-re-manager", "bluesky-0MQ-proxy"):
        (programs / name).symlink_to("/bin/true")
    for path in write_deploy_files(tmp_path, tmp_path, "root"):
        path.write_text(re.sub(rf"{re.escape(os.path.dirname(sys.executable))}(?=/)", str(programs), path.read_text()))
    units = sorted(str(path) for path in tmp_path.glob("bluesky-stm-*"))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "bluesky-stm" in line]
    assert ours == []


def test_the_image_of_the_instrument_has_all_that_is_asked_for_but_torch(tmp_path):
    text = next(path for path in write_deploy_files(tmp_path, tmp_path) if path.name == "Dockerfile").read_text()
    assert re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE) == ["base", "instrument", "agent"]
    program = re.search(r'python -c "(from importlib.*?)" >', text).group(1)
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split("\n")
    asked = [one for one in importlib.metadata.requires("bluesky-stm") if "extra ==" not in one]
    missing = set(asked) - set(listed)
    assert {re.match(r"[\w-]+", one).group() for one in missing} == {"torch", "gpytorch"} and len(listed) > 15


def test_process_variables_hold_what_was_measured_where_the_smallest_is_sought_and_by_the_scalarizer_that_holds(session):
    """An agent is told minus a gap; nobody at a display wants to read that."""
    shown, values = {}, []
    serving = RunPVs(lambda name, value: shown.update({name: value}))

    def watch(name, doc):
        serving(name, doc)
        if name == "event" and np.isfinite(shown["VALUE"]):
            values.append((shown["SPECTRA"], shown["VALUE"], shown["BEST"]))
        if name == "event" and shown["SPECTRA"] == 3:
            session.steer.scalarize("conduction_edge")

    session.RE.subscribe(watch)
    session.RE(explore(session.stm, session.agent("terrace")))
    gaps = [value for taken, value, _ in values if taken <= 4]
    assert min(gaps) > 0 and all(best == min(gaps[: n + 1]) for n, (*_, best) in enumerate(values[: len(gaps)]))
    assert 0 < values[-1][1] < min(gaps), "a conduction edge is a part of the gap"


def test_process_variables_follow_a_run_and_nobody_can_write_to_them(session, docs):
    client_of = pytest.importorskip("p4p.client.thread")
    server = PVServer("T:", isolated=True)
    client = client_of.Context("pva", conf=server.settings, useenv=False)
    try:
        assert client.get("T:STATE") == "no run" and np.isnan(client.get("T:BEST"))
        session.RE.subscribe(docs)
        session.RE.subscribe(RunPVs(server.post))
        session.RE(explore(session.stm, session.agent("terrace")))
        got = {name: client.get(f"T:{name}") for name in PVS}
        last, decided = docs.events()[-1], docs.events("agent")[-1]
        assert (got["STATE"], got["RUN"], got["SPECTRA"], got["PROGRESS"]) == ("success", session.catalog[-1].uid, 5, 1.0)
        assert (got["X"], got["Y"]) == (last["stm_sweep_x"], last["stm_sweep_y"])
        assert got["BEST"] == decided["agent_best"]
        assert got["SPECTRUM:BIAS"] == pytest.approx(last["stm_sweep_bias"])
        setpoint = last["stm_sweep_setpoint_current"]
        assert got["CURRENT"] == pytest.approx(-setpoint if got["SETPOINT:BIAS"] < 0 else setpoint, rel=0.3)
        assert client.get("T:X").raw.display.units == "nm"
        with pytest.raises(client_of.RemoteError):
            client.put("T:X", 3.0)
    finally:
        client.close()
        server.close()
