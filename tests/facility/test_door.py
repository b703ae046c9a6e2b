"""The door of a session: requests from another process are asked of the exploration, or refused in words."""

import json
import stat
import threading
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from bluesky_stm.errors import LostConnectionError, SettingsError
from bluesky_stm.facility import DoorClient, open_session, read_settings

SCALE = {"name": "small", "frame": 20, "pixels": 32, "patch": 2, "step": 1, "budget": 6, "seeds": 4, "agent": "gp-xy"}


@pytest.fixture
def session(tmp_path):
    settings = read_settings({}).changed(catalog=str(tmp_path / "catalog"), scales=[SCALE], microscope="simulated")
    with open_session(settings) as session:
        yield session


@pytest.fixture
def door(session):
    return DoorClient(session.catalog.path)


def explore(session, act):
    """Run a night, with ``act`` called in another thread, whose end is waited for, once a spectrum is there."""
    done = []

    def look(name, doc):
        if name == "event" and "stm_sweep_x" in doc["data"] and "tip_check_x" not in doc["data"] and not done:
            done.append(True)
            thread = threading.Thread(target=act)
            thread.start()
            thread.join(20)

    session.RE.subscribe(look)
    session.RE(session.night({"drift": False, "tip": False}))
    return session.catalog[-1]


def test_who_may_ask_is_the_user_of_the_session_alone(session):
    address = Path(json.loads((session.catalog.path / "door.json").read_text())["address"])
    assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700


def test_a_request_through_the_door_is_an_event_with_its_author(session, door):
    states = []
    run = explore(
        session,
        lambda: states.append(door.state()) or door.ask("budget", "Ada", "the desk", {"spectra": 5}, "enough"),
    )
    assert states[0]["engine"] == "running" and states[0]["withdrawn"] is None, "a controller at work is left alone"
    (asked,) = [event["data"] for event in run.events("intervention")]
    assert (asked["intervention_who"], asked["intervention_source"]) == ("Ada", "the desk")
    assert len(run.spectra) == 5


def test_a_request_during_a_topograph_is_taken_and_says_what_it_waits_for(session, door):
    """A topograph may take half an hour, in which nobody else attends to a person."""
    said, scan = [], session.stm.controller.scan

    def asked(frame, line_time=None, progress=None):
        def tell(done, total):
            progress(done, total)
            if not said:
                said.append(door.ask("budget", "Ada", "the desk", {"spectra": 4}))

        return scan(frame, line_time, tell)

    session.stm.controller.scan = asked
    session.RE(session.night({"drift": False, "tip": False}))
    assert "it waits for the end of what goes on: stm_scanner, " in said[0] and "of 32 lines" in said[0]
    assert len(session.catalog[-1].spectra) == 4


def test_a_withdrawal_does_not_wait_for_the_next_safe_place(session, door):
    run = explore(session, lambda: door.ask("withdraw", "Ada", "the desk", {}, "smoke"))
    assert session.stm.withdrawn and "smoke" in run.stop["reason"] and len(run.spectra) == 1
    assert [event["data"]["intervention_kind"] for event in run.events("intervention")] == ["withdraw"]


def test_where_nothing_goes_on_only_a_withdrawal_is_taken(session, door):
    idle = {"engine": "idle", "attended": False, "proposed": None, "fault": ""}
    assert door.state() == {**idle, "withdrawn": False}
    with pytest.raises(SettingsError, match="No exploration goes on"):
        door.ask("stop", "Ada", "the desk", {})
    door.ask("withdraw", "Ada", "the desk", {})
    session.stm.z.contact.set(False).wait(10)
    assert session.stm.withdrawn and session.steer.take() == []
    assert door.state()["withdrawn"] is True


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b'{"ask": "money"}', b"\x80\x04K\x01.", b'{"request": "stop"}'])
def test_what_is_no_question_is_refused_and_the_door_stays_open(session, door, sent):
    with Client(json.loads((session.catalog.path / "door.json").read_text())["address"]) as wire:
        wire.send_bytes(sent)
        assert json.loads(wire.recv_bytes())["ok"] is False
    assert door.state()["engine"] == "idle"


def test_what_is_too_long_is_not_read_and_a_client_that_says_nothing_holds_up_nobody(session, door):
    address = json.loads((session.catalog.path / "door.json").read_text())["address"]
    with Client(address), Client(address) as wire:
        with pytest.raises((EOFError, ConnectionError)):
            wire.send_bytes(b" " * 100_000)
            wire.recv_bytes()
        assert door.state()["engine"] == "idle"


def test_after_the_session_nobody_answers(session, door):
    session.close()
    with pytest.raises(LostConnectionError, match="No session answers"):
        door.state()
