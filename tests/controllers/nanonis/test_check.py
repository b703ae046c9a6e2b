"""What ``nanonis-check`` finds, and that it writes nothing."""

import pytest

from bluesky_stm.controllers.nanonis import check
from bluesky_stm.controllers.nanonis_wire._commands import only_reads


@pytest.fixture
def looking(connect, server):
    """It looks at an instrument whose Safe Tip acts below the end of the preamplifier."""
    server.software.registers.set("SafeTip.Props", [0, 1, 9e-9])
    return connect(read_only=True)


def missing(controller):
    return {finding.what for finding in check(controller) if finding.missing}


def test_a_tip_in_tunneling_with_safe_tip_on_lacks_nothing(looking, server, monkeypatch):
    commands, answer = [], server.software.answer
    monkeypatch.setattr(server.software, "answer", lambda command, values: commands.append(command) or answer(command, values))
    assert missing(looking) == set()
    assert commands
    assert all(map(only_reads, commands))


def test_what_is_missing_is_named_with_what_to_do(looking, server, microscope):
    server.software.registers.set("SafeTip.OnOff", [2])
    server.software.registers.set("SafeTip.Props", [1, 1, 5e-9])
    server.software.z.withdraw()
    found = {finding.what: finding for finding in check(looking)}
    assert {name for name, finding in found.items() if finding.missing} == {"Safe Tip", "Safe Tip recovery", "z controller"}
    assert "approach" in found["z controller"].advice


def test_a_feedback_that_does_not_hold_its_set_point_is_noticed(looking, microscope, monkeypatch):
    monkeypatch.setattr(microscope, "read_current", lambda: -0.001)
    assert missing(looking) == {"current"}


def test_a_safe_tip_that_the_preamplifier_never_reaches_is_missing(looking, server):
    """It ends at 10 nA; what stands above is no protection."""
    server.software.registers.set("SafeTip.Props", [0, 1, 11e-9])
    assert missing(looking) == {"Safe Tip threshold"}
    server.software.registers.set("SafeTip.Props", [0, 1, 9e-9])
    assert missing(looking) == set()


def test_one_noisy_reading_of_the_current_is_not_a_lost_tip(looking, microscope, monkeypatch):
    readings = iter([-0.001, -0.2])
    monkeypatch.setattr(microscope, "read_current", lambda: next(readings, -0.2))
    assert missing(looking) == set()
