"""What ``nanonis-check`` finds, and that it writes nothing."""

from dataclasses import replace

import pytest

from bluesky_stm.controllers.nanonis import check
from bluesky_stm.controllers.nanonis_wire._commands import Comparison, SafeAction, only_reads
from bluesky_stm.protocols import LockInCalibration


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


def test_a_sweep_that_ends_above_safe_tip_and_a_threshold_in_amperes_are_missing(looking, server):
    level, current = 9.5e-9, looking.channels.current
    _, error = server.software.answer("BiasSpectr.SafeCond1Set", [SafeAction.STOP, level, current, Comparison.ABOVE])
    assert not error
    assert missing(looking) == {"safe conditions of sweeps"}
    server.software.registers.set("SafeTip.Props", [0, 1, 8e-18])
    assert "Safe Tip threshold" in missing(looking)


def test_one_noisy_reading_of_the_current_is_not_a_lost_tip(looking, microscope, monkeypatch):
    readings = iter([-0.001, -0.2])
    monkeypatch.setattr(microscope, "read_current", lambda: next(readings, -0.2))
    assert missing(looking) == set()


def turn(microscope, degrees):
    """Turn the demodulator from where X holds all of dI/dV, which is known of a simulated microscope."""
    lockin = microscope.get_lockin()
    microscope.set_lockin(replace(lockin, phase=lockin.phase - lockin.turned() + degrees, on=True))


def phase_found(controller):
    (found,) = [finding for finding in check(controller) if finding.what == "phase"]
    assert not found.missing
    return found


@pytest.mark.parametrize("turned", [0.0, 25.0, -60.0])
def test_a_phase_that_is_off_a_known_reference_is_said_and_no_run_waits_for_it(connect, microscope, turned):
    lockin = microscope.get_lockin()
    turn(microscope, turned)
    known = LockInCalibration(preamplifier=lockin.preamplifier)
    found = phase_found(connect(read_only=True, lockin=known, reference=lockin.reference))
    assert f"{turned:+.1f} from" in found.found
    assert ("nanonis-phase" in found.advice) == bool(turned)


@pytest.mark.parametrize("turned", [0.0, 25.0, -60.0])
def test_the_displacement_current_of_a_withdrawn_tip_tells_the_phase(connect, server, turned):
    """Where it lies in Y alone, X holds all of dI/dV; of that current only the axis is known, and not the sign of the stage."""
    microscope = server.software.controller
    turn(microscope, turned)
    controller = connect(read_only=True)
    server.software.z.withdraw()
    found = phase_found(controller)
    said = float(found.found.split(", ")[1].split()[0])
    assert said == pytest.approx(turned, abs=1.0)
    assert bool(found.advice) == (abs(turned) > 5)


def test_where_nothing_tells_the_phase_that_is_said(connect):
    found = phase_found(connect(read_only=True))
    assert "Nothing tells" in found.advice
    assert "nanonis-phase" in found.advice
