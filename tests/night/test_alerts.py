"""The night watch: what a person has to know reaches file, program and mail; what is routine does not."""

import logging
import math
import re
import smtplib
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from email import message_from_bytes

import numpy as np
import pytest
from event_model import compose_run

from bluesky_stm.controllers.simulated._piezo import Piezo
from bluesky_stm.errors import TipCrashError
from bluesky_stm.facility import Facility, open_session
from bluesky_stm.night import Alerts, NightWatch, handlers
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


@pytest.mark.parametrize(
    ("way", "named"), [({"command": ["no-such-program"]}, "no-such-program"), ({"mail": "refused"}, "mail through 127.0.0.1")]
)
def test_a_way_that_does_not_carry_alerts_is_told_in_one_line_and_not_again(caplog, capfd, way, named):
    with socket.socket() as closed:  # bound and never listening: nobody answers there
        closed.bind(("127.0.0.1", 0))
        if "mail" in way:
            way = {"mail": {"host": f"127.0.0.1:{closed.getsockname()[1]}", "sender": "a@example.org", "to": ["b@example.org"]}}
        (carrier,) = handlers(Alerts.model_validate(way))
        for number in (1, 2):
            carrier.handle(logging.LogRecord("alerts", logging.ERROR, "", 0, "fault %d", (number,), None))
    (told,) = [record.getMessage() for record in caplog.records]
    assert named in told and "fault 1" in told and "doctor --check" in told
    assert "Traceback" not in capfd.readouterr().err


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
    """A mail server that takes letters, by the rules of SMTP, until its door is closed."""

    def __init__(self):
        super().__init__(daemon=True)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port, self.letters = self.door.getsockname()[1], []
        self.start()

    def run(self):
        with suppress(OSError):
            while True:
                self.letters.append(self._letter(self.door.accept()[0]))

    def close(self):
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self.join(10)

    @staticmethod
    def _letter(caller):
        letter = b""
        with caller, caller.makefile("rb") as said:
            caller.sendall(b"220 ready\r\n")
            for line in said:
                if line.upper().startswith(b"DATA"):
                    caller.sendall(b"354 go on\r\n")
                    for text in iter(said.readline, b".\r\n"):
                        letter += text
                leaves = line.upper().startswith(b"QUIT")
                caller.sendall(b"221 bye\r\n" if leaves else b"250 ok\r\n")
                if leaves:
                    break
        return letter


@pytest.fixture(name="office")
def _office():
    office = PostOffice()
    yield office
    with suppress(OSError):
        office.close()


@pytest.fixture(name="told")
def _told(tmp_path, office):
    """Settings of alerts by all three ways, and what came: ``told()`` closes the office and gives a text for each way."""
    program = f"import sys; open({str(tmp_path / 'told.txt')!r}, 'a').write(sys.argv[1] + chr(10))"
    alerts = {
        "level": "INFO",
        "file": tmp_path / "alerts.log",
        "command": [sys.executable, "-c", program],
        "mail": {"host": f"127.0.0.1:{office.port}", "sender": "stm@lab", "to": ["ada@lab"]},
    }

    def told():
        office.close()
        letters = " ".join(
            " ".join(message_from_bytes(letter).get_payload(decode=True).decode().split()) for letter in office.letters
        )
        return {"file": alerts["file"].read_text(), "command": (tmp_path / "told.txt").read_text(), "mail": letters}

    told.settings = {"catalog": tmp_path / "data", "scales": [SCALE], "alerts": alerts}
    return told


SCALE = {"name": "s", "frame": 20, "pixels": 32, "patch": 4, "step": 2, "budget": 4, "seeds": 4, "agent": "random"}


def carried_out(told, prepare, **options):
    """An exploration in a session with these alerts; ``prepare`` may change its microscope."""
    with open_session(Facility.parse(told.settings)) as session:
        prepare(session.stm.controller)
        with suppress(Exception):
            session.RE(explore(session.stm, session.agent("s"), **options))
    return told()


def test_a_fault_and_the_end_are_told_in_a_file_by_a_program_and_by_mail(told):
    def touch(controller):
        def sweep(*arguments):
            raise TipCrashError("The current has reached 100 nA in a sweep. The tip is withdrawn. Look at it.")

        controller.sweep = sweep

    for way, text in carried_out(told, touch).items():
        assert "explore s" in text and "begins" in text, way
        assert "has ended: fail" in text and "100 nA" in text, way


def test_the_end_of_a_good_run_is_told_in_a_file_by_a_program_and_by_mail(told):
    for way, text in carried_out(told, lambda controller: None).items():
        assert "has ended: success" in text and "budget of 4 spectra" in text, way


def settled(kept, factor):
    """A microscope whose tip has grown blunt: of what is tunnelled at positive bias only this share is left."""

    def change(controller):
        sweep, taken = controller.sweep, []

        def blunt(settings, progress=None):
            spectrum = sweep(settings, progress)
            taken.append(spectrum)
            if len(taken) <= kept:
                return spectrum
            share = np.where(spectrum.bias > 0, factor, 1.0)
            names = "current", "didv", "lockin_x"
            return replace(spectrum, **{name: getattr(spectrum, name) * share for name in names})

        controller.sweep = blunt

    return change


def test_a_tip_that_has_changed_in_a_run_is_told_in_a_file_by_a_program_and_by_mail(told):
    told_of = carried_out(told, settled(kept=5, factor=0.3), tip={"every": 2, "then": "stop"})  # 3 of reference, two spectra
    for way, text in told_of.items():
        assert "the tip:" in text and "by a factor" in text and "2 spectra are taken back" in text and "WARNING" in text, way


@pytest.mark.parametrize(("velocity", "warned"), [((0.06, -0.04), True), ((0.0, 0.0), False)])
def test_drift_of_the_surface_in_a_run_is_told_in_a_file_by_a_program_and_by_mail(told, velocity, warned):
    def drift(controller):
        controller._junction.piezo = Piezo(velocity, 0.0, 0.0, 1.0)

    told.settings["scales"] = [{**SCALE, "frame": 30, "pixels": 64}]  # features enough to be found again
    for way, text in carried_out(told, drift, drift={"every": 2, "speed": 0.1, "pixels": 64, "compensate": False}).items():
        speeds = [float(speed) for speed in re.findall(r"drifts by ([\d.]+) nm/s", text)]
        assert bool(speeds) is warned, (way, text)
        assert speeds == pytest.approx([math.hypot(*velocity)] * len(speeds), rel=0.2), way


def test_a_mail_is_sent(office):
    alerts = Alerts.parse({"mail": {"host": f"127.0.0.1:{office.port}", "sender": "stm@lab", "to": ["ada@lab"]}})
    (mail,) = handlers(alerts)
    mail.emit(logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "the tip touched the surface"}))
    office.close()
    letter = message_from_bytes(office.letters[0])
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


def test_smtp_is_the_protocol_that_the_handler_speaks(office):
    """The post office of this test takes a letter from the standard library's client, too."""
    with smtplib.SMTP("127.0.0.1", office.port, timeout=10) as client:
        client.sendmail("a@b", ["c@d"], "Subject: x\r\n\r\nhello")
    office.close()
    assert b"hello" in office.letters[0]
