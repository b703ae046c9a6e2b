"""Whatever interferes with a run, in whatever order: no wrong spectrum counts as good, and the tip ends safe."""

import random

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SWEEP = SweepSettings(-1.5, 1.0, 16, settle=0.001, integrate=0.001)
A_RUN = 12
"""Interferences in one run."""

PERSON = {
    "bias": ("Bias.Set", -1.2),
    "set point": ("ZCtrl.SetpntSet", 0.3e-9),
    "tip": ("FolMe.XYPosSet", 7e-9, 7e-9, 1),
    "modulation": ("LockIn.ModAmpSet", 1, 0.005),
    "phase": ("LockIn.DemodPhasSet", 1, 60.0),
    "harmonic": ("LockIn.DemodHarmonicSet", 1, 2),
    "output": ("LockIn.ModSignalSet", 1, 30),
    "drift": ("Piezo.DriftCompSet", 1, 3e-12, 0.0, 0.0, 10.0),
    "Safe Tip": ("SafeTip.OnOffSet", 2),
    "threshold": ("SafeTip.PropsSet", 1, 1, 49e-9),
    "segments": ("BiasSpectr.MLSModeSet", "MLS"),
    "limits of the sweep": ("BiasSpectr.LimitsSet", -9.0, 9.0),
    "channels": ("BiasSpectr.ChsSet", [30]),
    "feedback": ("ZCtrl.OnOffSet", 0),
    "withdrawal": ("ZCtrl.Withdraw", 1, -1),
}
"""What a person does at the instrument."""

WIRE = [kind for kind in FaultKind if kind not in {FaultKind.DELAY, FaultKind.REFUSE}]
"""What goes wrong with a single answer, or at the instrument beside it."""

WHERE = ["BiasSpectr.Start", "FolMe.XYPosSet", "Signals.ValsGet", "ZCtrl.StatusGet", "LockIn.ModAmpGet", "Bias.Get", "*"]

RIGHT = {
    **{"Bias.Set": (-1.5,), "ZCtrl.SetpntSet": (0.2e-9,), "LockIn.ModAmpSet": (1, 0.02), "LockIn.DemodPhasSet": (1, 0.0)},
    **{"LockIn.DemodHarmonicSet": (1, 1), "LockIn.ModSignalSet": (1, 24), "Piezo.DriftCompSet": (2, 0.0, 0.0, 0.0, 10.0)},
    **{"SafeTip.OnOffSet": (1,), "SafeTip.PropsSet": (0, 1, 8e-9)},
}
"""As a person leaves the instrument who has looked at it."""


class Watched(SimulatedController):
    """Notes how it stood at each sweep, and lets a person come between, before or after the sweep itself."""

    meddle, at_sweep = None, None

    def sweep(self, settings, progress=None):
        if self.meddle and self.meddle[0] == "before":
            self.act()
        self.at_sweep = self.get_setpoint(), self.get_tip().point, self.get_lockin().amplitude
        done = super().sweep(settings, progress)
        if self.meddle:
            self.act()
        return done

    def act(self):
        _, command, values = self.meddle
        self.meddle = None
        self.software.answer(command, list(values))


def interfere(rng, server, microscope):
    """One interference, somewhere in the next move and sweep; its name."""
    if rng.random() < 0.5:
        what = rng.choice(list(PERSON))
        command, *values = PERSON[what]
        when = rng.choice(["before", "after", "now"])
        if when == "now":
            server.software.answer(command, list(values))
        else:
            microscope.meddle = when, command, values
        return f"{what} {when}"
    kind, where = rng.choice(WIRE), rng.choice(WHERE)
    server.faults.add(Fault(kind, where, at=rng.randint(1, 30) if where == "*" else 1))
    return f"{kind} at {where}"


def put_right(server, controller, microscope):
    """A person looks at the instrument, and the program connects again."""
    server.faults.clear()
    microscope.meddle = None
    server.software.safe_tip.overload = False
    for command, values in RIGHT.items():
        server.software.answer(command, list(values))
    for _ in range(3):
        try:
            controller.arm()
            if controller.is_withdrawn():
                controller.approach()
            controller.set_feedback(True)
            return
        except STMError:
            server.faults.clear()


def a_run(seed):
    """Moves and sweeps under one interference after the other; how many were good."""
    rng, good = random.Random(seed), 0
    microscope = Watched(seed=seed)
    with NanonisServer(microscope, (0,) * 4) as server:
        microscope.software = server.software
        server.software.registers.set("Util.AcqPeriod", [0.001])
        server.software.registers.set("SafeTip.Props", [0, 1, 8e-9])
        controller = NanonisController(ports=server.ports, timeout=1.0)
        for number in range(A_RUN):
            told = f"seed {seed}, {number}: {interfere(rng, server, microscope)}"
            place = Point(float(number % 5), float(number // 5))
            try:
                controller.move_tip(place)
                spectrum = controller.sweep(SWEEP)
            except STMError:
                put_right(server, controller, microscope)
                continue
            if spectrum.quality == Quality.GOOD:
                good += 1
                setpoint, point, amplitude = microscope.at_sweep
                assert spectrum.setpoint.current == pytest.approx(setpoint.current, rel=1e-3), told
                assert spectrum.setpoint.bias == pytest.approx(setpoint.bias, abs=2e-3), told
                assert np.hypot(spectrum.position.x - point.x, spectrum.position.y - point.y) < 0.06, told
                assert controller.get_lockin().amplitude == pytest.approx(amplitude, rel=1e-3), told
                assert np.isfinite(spectrum.current).all(), told
                assert np.abs(spectrum.current).max() <= 10.0, told
                np.testing.assert_allclose(spectrum.bias, SWEEP.bias, atol=1e-6)
            else:
                assert spectrum.quality.words, told
                put_right(server, controller, microscope)
        server.faults.clear()
        try:
            controller.close()
        except STMError:
            pass
        assert microscope.is_withdrawn() or microscope.get_feedback(), f"seed {seed}: the tip is held by nothing"
    return good


@pytest.mark.parametrize("seed", range(4))
def test_no_wrong_spectrum_counts_as_good_under_random_interferences(seed):
    a_run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(17))
def test_no_wrong_spectrum_counts_as_good_under_two_thousand_interferences(block):
    """17 times 10 runs of 12; some spectra of them are good, so that the test sees something."""
    assert sum(a_run(100 + 10 * block + seed) for seed in range(10)) > 0
