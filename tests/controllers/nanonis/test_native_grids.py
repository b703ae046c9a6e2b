"""A grid that Nanonis takes by itself: what comes of it is what sweeps there give, and whatever goes wrong is said."""

import threading

import numpy as np
import pytest

from bluesky_stm.controllers.nanonis_server import Fault, FaultKind
from bluesky_stm.errors import LimitError, NotCapableError, STMError, TipCrashError
from bluesky_stm.files import read
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.plans import cits_grid
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.session import nanonis
from bluesky_stm.storage import import_files

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SWEEP = SweepSettings(-1.5, 1.0, 16, settle=0.001, integrate=0.001)
FRAME = Frame((4.0, -1.0), (6.0, 4.0), (2, 3), 20.0)


def meddle(server, monkeypatch, at, act):
    """Let somebody act during the sweep with that number."""
    swept, count = server.software.spectroscopy.measure, []

    def measure(name):
        count.append(name)
        if len(count) == at:
            act()
        return swept(name)

    monkeypatch.setattr(server.software.spectroscopy, "measure", measure)
    return count


def test_it_is_what_sweeps_at_the_same_places_give(controller, server, heard):
    taken = controller.sweep_grid(FRAME, SWEEP)
    assert heard.count("Pattern.ExpStart") == 1
    assert "BiasSpectr.Start" not in heard
    np.testing.assert_allclose([s.position for s in taken], FRAME.points().reshape(-1, 2), atol=1e-3)
    assert controller.get_feedback()
    (path,) = server.folder.glob("grid-*.3ds")
    assert {spectrum.native for spectrum in taken} == {str(path)}
    np.testing.assert_allclose(read(path).current.reshape(-1, 16), [s.current for s in taken], rtol=1e-5, atol=1e-7)
    for spectrum in taken[::3]:
        controller.move_tip(spectrum.position)
        one = controller.sweep(SWEEP)
        assert one.quality == spectrum.quality
        assert one.setpoint == spectrum.setpoint
        np.testing.assert_allclose(spectrum.bias, one.bias, atol=1e-7)
        for name in ("current", "lockin_x", "didv"):
            ours, theirs = getattr(spectrum, name), getattr(one, name)
            assert np.abs(ours - theirs).max() < 0.2 * np.abs(theirs).max(), name
    times = [spectrum.time for spectrum in taken]
    assert times == sorted(times)


def test_way_back_and_set_point_are_those_of_a_sweep(controller):
    there = Setpoint(-1.2, 0.1)
    before = controller.get_setpoint()
    one, *_ = controller.sweep_grid(FRAME, SweepSettings(-1.5, 1.0, 16, 0.001, 0.001, backward=True, setpoint=there))
    assert one.setpoint.current == pytest.approx(0.1)
    assert one.setpoint.bias == pytest.approx(-1.2)
    assert set(one.backward) >= {"current", "lockin_x"}
    assert controller.get_setpoint() == before


@pytest.mark.parametrize("wrong", ["corner", "sweep"])
def test_what_lies_outside_the_ranges_is_refused_before_anything_is_sent(controller, heard, wrong):
    frame = Frame((1e6, 0.0), (6.0, 4.0), (2, 3)) if wrong == "corner" else FRAME
    sweep = SweepSettings(-1.5, 11.0, 16) if wrong == "sweep" else SWEEP
    heard.clear()
    with pytest.raises(LimitError):
        controller.sweep_grid(frame, sweep)
    assert not [command for command in heard if command.startswith("Pattern") or command.endswith("Set")]


def test_a_session_path_out_of_reach_is_refused_before_anything_is_sent(connect, server, heard, tmp_path):
    controller = connect(folder=str(tmp_path / "mounted"))
    heard.clear()
    with pytest.raises(NotCapableError, match="Mount it"):
        controller.sweep_grid(FRAME, SWEEP)
    assert not [command for command in heard if command.endswith(("Set", "Start"))]
    (tmp_path / "mounted").symlink_to(server.folder)
    assert len(controller.sweep_grid(FRAME, SWEEP)) == 6


def test_a_stop_ends_it_after_the_sweep_under_way_and_the_others_come_back(controller, server, monkeypatch):
    stopper = threading.Thread(target=controller.stop)

    def stop():
        stopper.start()
        assert server.software.pattern.ends.wait(10)

    meddle(server, monkeypatch, 3, stop)
    taken = controller.sweep_grid(FRAME, SWEEP)
    stopper.join()
    assert len(taken) == 3
    assert not server.software.is_doing("grid")
    assert controller.get_feedback()


def test_a_tip_that_safe_tip_withdraws_ends_it(connect, server, microscope, monkeypatch, caplog):
    server.software.registers.set("SafeTip.Props", [0, 1, 9e-9])
    controller = connect()

    def crash():
        server.software.safe_tip.overload = True

    count = meddle(server, monkeypatch, 2, crash)
    with pytest.raises(TipCrashError):
        controller.sweep_grid(FRAME, SWEEP)
    assert microscope.is_withdrawn()
    assert len(count) < 6
    assert "bluesky-stm import" in caplog.text


def test_an_interlock_that_a_person_changes_meanwhile_ends_it(controller, server, microscope, monkeypatch):
    from bluesky_stm.controllers.nanonis import _grids

    monkeypatch.setattr(_grids, "LOOKED", 0.0)
    going = threading.Event()

    def recover():
        server.software.answer("SafeTip.PropsSet", [1, 1, 49e-9])
        going.wait(5.0)

    meddle(server, monkeypatch, 2, recover)
    threading.Timer(1.0, going.set).start()
    with pytest.raises(STMError, match="interlocks"):
        controller.sweep_grid(FRAME, SWEEP)
    assert not server.software.is_doing("grid")
    assert microscope.get_feedback() or microscope.is_withdrawn()


def test_a_set_point_that_a_person_changes_meanwhile_marks_all_and_stays(controller, server, monkeypatch):
    meddle(server, monkeypatch, 4, lambda: server.software.answer("ZCtrl.SetpntSet", [0.3e-9]))
    taken = controller.sweep_grid(FRAME, SWEEP)
    assert len(taken) == 6
    assert all(spectrum.quality & Quality.DISTURBED for spectrum in taken)
    assert "set point" in taken[0].disturbed
    assert controller.get_setpoint().current == pytest.approx(0.3, rel=1e-5)


def test_cables_that_are_pulled_meanwhile_end_it_and_the_tip_is_held(connect, server, microscope, monkeypatch):
    controller = connect(timeout=2.0)
    meddle(server, monkeypatch, 2, server.drop_connections)
    with pytest.raises(STMError):
        controller.sweep_grid(FRAME, SWEEP)
    controller.get_feedback()  # connects again, which ends what was left
    assert not server.software.is_doing("grid")
    assert microscope.get_feedback() or microscope.is_withdrawn()


def test_a_grid_that_reads_back_otherwise_is_not_started(controller, server, heard):
    server.faults.add(Fault(FaultKind.IGNORE, "Pattern.GridSet"))
    with pytest.raises(STMError, match="reads back"):
        controller.sweep_grid(FRAME, SWEEP)
    assert "Pattern.ExpStart" not in heard


def test_one_that_is_not_started_leaves_no_file_and_is_an_error(controller, impatient, server):
    server.faults.add(Fault(FaultKind.IGNORE, "Pattern.ExpStart"))
    with pytest.raises(STMError, match="file of the grid"):
        controller.sweep_grid(FRAME, SWEEP)


def test_a_persons_grid_is_left_alone(controller, server, ask):
    ask("BiasSpectr.PropsSet", 0, 0, 0, 8, 0.0, 0, 0)
    ask("Pattern.ExpOpen")
    ask("Pattern.ExpStart", 1)
    ask("Pattern.ExpPause", 1)
    with pytest.raises(STMError, match="Somebody else's grid"):
        controller.sweep_grid(FRAME, SWEEP)
    assert server.software.is_doing("grid")
    server.software.halt("grid")


def test_a_withdrawn_tip_takes_none(controller, heard):
    controller.withdraw()
    with pytest.raises(STMError, match="withdrawn"):
        controller.sweep_grid(FRAME, SWEEP)
    assert "Pattern.ExpStart" not in heard


def test_a_run_of_it_is_stored_linked_and_found_again_by_import(server, tmp_path):
    server.software.registers.set("SafeTip.Props", [0, 1, 10e-9])
    session = nanonis("127.0.0.1", 1, tmp_path / "runs", ports=server.ports, timeout=10.0)
    session.stm.sweep.set(SWEEP)
    with session:
        session.RE(cits_grid(session.stm, (2, 3), Frame(FRAME.center, FRAME.size, (16, 16), 20.0), native=True))
        (run,) = session.catalog
        assert len(run.spectra) == 6
        assert [spectrum.position for spectrum in run.spectra] == [
            pytest.approx(tuple(place), abs=1e-3) for place in FRAME.points().reshape(-1, 2)
        ]
        (path,) = server.folder.glob("grid-*.3ds")
        assert {spectrum.native for spectrum in run.spectra} == {str(path)}
        (found,) = import_files(session.catalog, [path])
        assert found.known
        assert found.run.uid == run.uid


def test_the_path_is_that_of_the_computer_of_the_instrument():
    from bluesky_stm.controllers.nanonis._grids import joined

    assert joined("D:\\nanonis\\session", "grid-1.3ds") == "D:\\nanonis\\session\\grid-1.3ds"
    assert joined("/home/stm/", "grid-1.3ds") == "/home/stm/grid-1.3ds"
