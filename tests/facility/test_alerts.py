"""The night watch: what a person has to know reaches file, program and mail; what is routine does not."""

import logging
import smtplib
import sys
import threading
from email import message_from_bytes

import pytest
from event_model import compose_run

from bluesky_stm.facility import Alerts, Facility, NightWatch, open_session
from bluesky_stm.facility._alerts import handlers
from bluesky_stm.plans import explore


@pytest.fixture(name="watch")
def _watch(caplog):
    caplog.set_level(logging.INFO, "bluesky_stm.alerts")
    return NightWatch()


def emitted(watch, *, status="success", stream=None, data=None):
    run = compose_run(metadata={"plan_name": "explore", "length_scale": {"name": "defect"}})
    watch("start", run.start_doc)
    if stream:
        keys = {key: {"source": "test", "dtype": "number", "shape": []} for key in data}
        declared = run.compose_descriptor(name=stream, data_keys=keys)
        watch("descriptor", declared.descriptor_doc)
        watch("event", declared.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0), validate=False))
    watch("stop", run.compose_stop(exit_status=status, reason="the tip touched the surface" if status == "fail" else ""))


def levels(caplog):
    return [record.levelname for record in caplog.records if record.name == "bluesky_stm.alerts"]


@pytest.mark.parametrize(("status", "level"), [("success", "INFO"), ("abort", "WARNING"), ("fail", "ERROR")])
def test_the_end_of_a_run_is_as_urgent_as_it_went(watch, caplog, status, level):
    emitted(watch, status=status)
    assert levels(caplog) == ["INFO", level]


def test_a_changed_tip_is_a_warning_and_a_good_one_is_not(watch, caplog):
    check = {"tip_check_verdict": "changed", "tip_check_reason": "the gap has closed", "tip_check_revoked": 4}
    emitted(watch, stream="tip_check", data=check)
    assert levels(caplog) == ["INFO", "WARNING", "INFO"]
    assert "the gap has closed" in caplog.text and "4 spectra" in caplog.text
    caplog.clear()
    emitted(watch, stream="tip_check", data=check | {"tip_check_reason": "", "tip_check_revoked": 0})
    assert levels(caplog) == ["INFO", "INFO"]


@pytest.mark.parametrize(("speed", "warned"), [(0.3, True), (0.001, False)])
def test_fast_drift_is_a_warning(watch, caplog, speed, warned):
    fields = {"reference_time": 0.0, "time": 60.0, "x": 1.0, "y": 0.0, "correlation": 0.9, "trusted": True}
    data = {f"drift_{key}": value for key, value in {**fields, "velocity_x": 0.0, "velocity_y": -speed}.items()}
    emitted(watch, stream="drift", data=data)
    assert ("WARNING" in levels(caplog)) is warned


def test_a_failed_run_is_in_the_file_and_given_to_the_program(tmp_path):
    program = [sys.executable, "-c", "import sys; open('told.txt', 'a').write(sys.argv[1] + '\\n')"]
    program[2] = program[2].replace("told.txt", str(tmp_path / "told.txt"))
    alerts = Alerts(level="ERROR", file=tmp_path / "alerts.log", command=tuple(program))
    carriers = handlers(alerts)
    logger = logging.getLogger("bluesky_stm.alerts")
    for carrier in carriers:
        logger.addHandler(carrier)
    try:
        emitted(NightWatch(), status="abort")
        emitted(NightWatch(), status="fail")
    finally:
        for carrier in carriers:
            logger.removeHandler(carrier)
            carrier.close()
    for path in (tmp_path / "alerts.log", tmp_path / "told.txt"):
        (line,) = path.read_text().splitlines()
        assert "ERROR" in line and "the tip touched the surface" in line


class PostOffice(threading.Thread):
    """A mail server that takes one letter, by the rules of SMTP."""

    def __init__(self):
        import socket

        super().__init__(daemon=True)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port, self.letter = self.door.getsockname()[1], b""
        self.start()

    def run(self):
        caller, _ = self.door.accept()
        with caller, caller.makefile("rb") as said:
            caller.sendall(b"220 ready\r\n")
            for line in said:
                if line.upper().startswith(b"DATA"):
                    caller.sendall(b"354 go on\r\n")
                    for text in iter(said.readline, b".\r\n"):
                        self.letter += text
                caller.sendall(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")
                if line.upper().startswith(b"QUIT"):
                    return


def test_a_mail_is_sent(caplog):
    office = PostOffice()
    alerts = Alerts.parse({"mail": {"host": f"127.0.0.1:{office.port}", "sender": "stm@lab", "to": ["ada@lab"]}})
    (mail,) = handlers(alerts)
    mail.emit(logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "the tip touched the surface"}))
    office.join(10)
    office.door.close()
    letter = message_from_bytes(office.letter)
    assert letter["To"] == "ada@lab" and "the tip touched the surface" in letter.get_payload()


def test_a_whole_session_leaves_a_log_and_no_handler_behind(tmp_path):
    before = {name: list(logging.getLogger(name).handlers) for name in ("bluesky_stm", "bluesky_stm.alerts", "bluesky")}
    scale = {"name": "s", "frame": 20, "pixels": 32, "patch": 4, "step": 2, "budget": 2, "seeds": 2, "agent": "random"}
    settings = {"catalog": tmp_path, "scales": [scale], "alerts": {"level": "INFO", "file": tmp_path / "alerts.log"}}
    with open_session(Facility.parse(settings)) as session:
        session.RE(explore(session.stm, session.agent("s")))
    begin, end = (tmp_path / "alerts.log").read_text().splitlines()
    assert "begins" in begin and "success" in end and "budget of 2 spectra" in end
    assert {name: list(logging.getLogger(name).handlers) for name in before} == before


def test_smtp_is_the_protocol_that_the_handler_speaks():
    """The post office of this test takes a letter from the standard library's client, too."""
    office = PostOffice()
    with smtplib.SMTP("127.0.0.1", office.port, timeout=10) as client:
        client.sendmail("a@b", ["c@d"], "Subject: x\r\n\r\nhello")
    office.join(10)
    office.door.close()
    assert b"hello" in office.letter
