"""One program at a time holds an instrument, by name; it is taken over only on purpose."""

import subprocess
import sys

import pytest

from bluesky_stm.controllers.nanonis import _claim, check
from bluesky_stm.errors import STMError
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

ANNA, BEN = "anna@pc-1, process 1", "ben@pc-2, process 2"
SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


def marks(server):
    return server.software.answer("Marks.PointsGet", [])[0][4]


def test_a_second_program_is_refused_with_the_name_of_the_first_and_does_nothing(connect, server, heard):
    connect(claimant=ANNA)
    heard.clear()
    with pytest.raises(STMError, match=f"{ANNA} holds this instrument. Nothing was done"):
        connect(claimant=BEN)
    assert set(heard) <= {"Util.VersionGet", "Marks.PointsGet"}
    assert marks(server) == [_claim.SAYS + ANNA]


def test_the_end_of_a_program_lets_the_next_one_in(connect, server):
    connect(claimant=ANNA).close()
    assert not marks(server)
    assert connect(claimant=BEN).describe()["claim"] == BEN


def test_who_only_looks_needs_no_claim_and_says_who_holds_it(connect):
    connect(claimant=ANNA)
    found = {finding.what: finding.found for finding in check(connect(read_only=True))}
    assert found["held by"] == ANNA


def test_taken_over_on_purpose_the_first_program_is_told_and_does_no_more(connect, server, monkeypatch):
    """Its end leaves the instrument to the second one, a running sweep of which it would have stopped."""
    monkeypatch.setattr(_claim, "PERIOD", 0.0)
    first = connect(claimant=ANNA)
    first.sweep(SHORT)
    second = connect(claimant=BEN, take_over=True)
    with pytest.raises(STMError, match=f"{BEN} holds this instrument"):
        first.sweep(SHORT)
    asked, answer = [], server.software.answer
    monkeypatch.setattr(server.software, "answer", lambda command, values: asked.append(command) or answer(command, values))
    first.close()
    assert "BiasSpectr.Stop" not in asked
    assert marks(server) == [_claim.SAYS + BEN]
    assert len(second.sweep(SHORT).current) == SHORT.points


def test_a_claim_of_a_process_that_has_ended_on_this_host_counts_for_nothing(connect, server):
    """A killed program leaves its mark behind."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    name = _claim.own_name().rpartition(", process ")[0]
    server.software.answer("Marks.PointDraw", [0.0, 0.0, f"{_claim.SAYS}{name}, process {ended.pid}", 0])
    server.software.answer("Marks.PointDraw", [0.0, 0.0, "a step edge", 0])
    controller = connect()
    assert marks(server) == ["a step edge", _claim.SAYS + controller.describe()["claim"]]


def test_two_claims_at_the_same_moment_leave_one_program_in(connect, server, monkeypatch):
    """The other one's is drawn between our look and our drawing."""
    answer = server.software.answer

    def both(command, values):
        if command == "Marks.PointDraw" and BEN in values[2]:
            answer(command, [0.0, 0.0, _claim.SAYS + ANNA, 0])
        return answer(command, values)

    monkeypatch.setattr(server.software, "answer", both)
    with pytest.raises(STMError, match=ANNA):
        connect(claimant=BEN)
    assert marks(server) == [_claim.SAYS + ANNA]


def test_a_restart_of_the_software_loses_the_claim_and_it_is_drawn_anew(connect, server, monkeypatch):
    monkeypatch.setattr(_claim, "PERIOD", 0.0)
    controller = connect(claimant=ANNA)
    server.software.answer("Marks.PointsErase", [-1])
    controller.sweep(SHORT)
    assert marks(server) == [_claim.SAYS + ANNA]
