"""Whatever goes wrong: no hang, no wrong value taken for a right one, and a tip that can be brought to safety."""

import random
import time
from contextlib import closing

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController, _passage
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.controllers.nanonis_wire._commands import only_reads
from bluesky_stm.errors import LostConnectionError, SettingsError, STMError, TipCrashError, UnknownNameError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

TIMEOUT = 1.0
LATE = 2 * TIMEOUT
LONGEST = 15 * TIMEOUT
"""A fault may cost a time-out and an attempt to connect on each connection: of the act, of its rescue, of the withdrawal when
the feedback is found open, and of the one that follows here, the last two over a spare port as well."""

SHORT = SweepSettings(-1.5, 1.0, 16, settle=0.001, integrate=0.001)
FRAME = Frame.square((0.0, 0.0), 8.0, 16)


@pytest.fixture(autouse=True)
def _quick_sweeps(monkeypatch):
    """Simulated time takes none: there is no need to wait long for the end of a sweep."""
    monkeypatch.setattr(_passage, "OVERHEAD", 0.1)


@pytest.fixture
def controller(connect):
    return connect(timeout=TIMEOUT)


@pytest.mark.parametrize("kind", FaultKind)
@pytest.mark.parametrize("command", ["FolMe.XYPosSet", "BiasSpectr.Start", "Scan.FrameDataGrab", "ZCtrl.SetpntGet"])
def test_a_fault_is_raised_in_time_and_the_tip_withdrawn(controller, server, microscope, kind, command):
    """Whichever connection it strikes, but for what is none: an answer in pieces, holes that are marked, a question to ignore.

    Safe Tip stands far above the preamplifier.
    """
    server.faults.add(Fault(kind, command, seconds=LATE))
    begun, raised = time.monotonic(), False
    try:
        controller.move_tip(Point(1.0, 1.0))
        controller.sweep(SHORT)
        controller.scan(FRAME)
    except STMError:
        raised = True
    assert time.monotonic() - begun < LONGEST
    asks = kind is FaultKind.IGNORE and only_reads(command)
    assert raised == (kind not in {FaultKind.SPLIT, FaultKind.OVERCURRENT, FaultKind.HOLES} and not asks)
    controller.withdraw()
    assert controller.is_withdrawn()
    assert abs(microscope.read_current()) < 0.01


def test_a_crash_is_told_as_one(controller, server):
    server.faults.add(Fault(FaultKind.CRASH, "BiasSpectr.Start"))
    with pytest.raises(TipCrashError):
        controller.sweep(SHORT)
    assert controller.is_withdrawn()


def test_too_much_current_in_a_sweep_ends_it_in_a_crash(controller, server):
    server.software.registers.set("SafeTip.Props", [0, 1, 5e-9])
    controller.arm()
    server.faults.add(Fault(FaultKind.OVERCURRENT, "BiasSpectr.Start"))
    with pytest.raises(STMError):
        controller.sweep(SHORT)
    assert controller.is_withdrawn()


def test_a_refused_connection_is_tried_again(controller, server):
    server.faults.add(Fault(FaultKind.REFUSE, "connect"))
    server.drop_connections()
    with pytest.raises(LostConnectionError):
        controller.get_bias()
    assert controller.get_bias() == pytest.approx(-1.5)


def test_a_withdrawal_survives_the_loss_of_the_watching_connection(controller, server, microscope):
    """Over any other port there is."""
    server.faults.add(Fault(FaultKind.DROP, "ZCtrl.Withdraw"))
    controller.withdraw()
    assert abs(microscope.read_current()) < 0.01


def test_faults_are_read_from_words():
    assert Fault.parse("drop:BiasSpectr.Start:3") == Fault(FaultKind.DROP, "BiasSpectr.Start", 3)
    assert Fault.parse("delay:*:1:2.5").seconds == 2.5
    with pytest.raises(UnknownNameError, match="drop"):
        Fault.parse("dorp")
    with pytest.raises(UnknownNameError, match=r"Bias\.Set"):
        Fault.parse("drop:Bias.Sett")
    with pytest.raises(SettingsError):
        Fault.parse("drop:Bias.Set:often")


class Witness(SimulatedController):
    """Remembers what it measured, to compare with what arrived."""

    spectrum = topograph = None

    def sweep(self, settings, progress=None):
        self.spectrum = super().sweep(settings, progress)
        return self.spectrum

    def scan(self, frame, line_time=None, progress=None):
        self.topograph = super().scan(frame, line_time, progress)
        return self.topograph


def storm(seed, injections):
    """Random faults at random commands of random cycles, states that lag or not; what is returned must be what was measured."""
    draw, witness = random.Random(seed), Witness(seed=3)
    raised = 0
    with NanonisServer(witness, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        with closing(NanonisController(ports=server.ports)) as patient:
            heard = commands_of_a_cycle(server, patient)
        controller = NanonisController(ports=server.ports, timeout=TIMEOUT)
        while injections:
            fault = Fault(draw.choice(list(FaultKind)), draw.choice(heard), draw.randint(1, 2), draw.choice([0.01, LATE]))
            server.faults.add(fault)
            server.software.lag.seconds = draw.choice([0.0, 0.0, 0.03])
            begun = time.monotonic()
            try:
                cycle(controller, witness, draw)
            except STMError:
                raised += 1
                controller.withdraw()
                assert abs(witness.read_current()) < 0.01, f"{fault}: the tip is not withdrawn"
            assert time.monotonic() - begun < LONGEST, f"{fault}: it took too long"
            injections -= not server.faults.pending
            server.faults.clear()
            server.software.lag.seconds = 0.0
            recover(controller)
        controller.close()
        assert witness.get_feedback()
    return raised


def commands_of_a_cycle(server, controller):
    """All commands that a cycle sends, once each."""
    heard, answer = set(), server.software.answer
    server.software.answer = lambda command, values: heard.add(command) or answer(command, values)
    cycle(controller, server.software.controller, random.Random(0))
    controller.scan(FRAME)
    server.software.answer = answer
    return sorted(heard)


def cycle(controller, witness, draw):
    controller.move_tip(Point(draw.uniform(-5, 5), draw.uniform(-5, 5)))
    if draw.random() < 0.2:
        image = controller.scan(FRAME)
        compare(image.height, lambda: witness.topograph.height, image.quality, 1e-5)
    spectrum = controller.sweep(SHORT)
    full = spectrum.quality & Quality.CLIPPED  # these sweeps stay below 2 nA: the preamplifier was made to overflow
    assert spectrum.position == pytest.approx(controller.get_tip().point)
    compare(spectrum.current, lambda: np.full(16, 10.0) if full else witness.spectrum.current, spectrum.quality, 1e-8)
    compare(spectrum.lockin_x, lambda: witness.spectrum.lockin_x, spectrum.quality, 1e-8)


def compare(values, truth, quality, absolute):
    """What is there is true, unless it is marked as measured in the air; what is missing is marked."""
    known = np.isfinite(values)
    assert known.all() or quality & Quality.INCOMPLETE
    if not quality & Quality.LOST_CONTACT:
        assert values[known] == pytest.approx(truth()[known], rel=1e-5, abs=absolute)


def recover(controller):
    """What a person does after a fault: look, and approach."""
    try:
        controller.stop()
    except STMError:
        controller.stop()
    if controller.is_withdrawn():
        controller.approach()
    assert controller.get_feedback()


def test_random_faults_leave_no_wrong_value_and_no_unsafe_tip():
    assert storm(seed=1, injections=12) > 5


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_random_faults_leave_no_wrong_value_and_no_unsafe_tip(seed):
    assert storm(seed, injections=100) > 20
