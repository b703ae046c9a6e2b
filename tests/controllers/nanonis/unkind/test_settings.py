"""What is set is read back, and what is measured is whole or says that it is not."""

import re
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers.nanonis import Interlocks, NanonisError
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind
from bluesky_stm.controllers.nanonis_server._spectroscopy import BiasSpectrModule
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings, TipShape

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)
FRAME = Frame.square((0.0, 0.0), 8.0, 16)


SETTINGS = {
    "Bias.Set": lambda c: c.ramp_bias(-1.48),
    "FolMe.XYPosSet": lambda c: c.move_tip(Point(2.0, 0.0)),
    "FolMe.SpeedSet": lambda c: c.move_tip(Point(2.0, 0.0), speed=5.0),
    "ZCtrl.OnOffSet": lambda c: c.set_feedback(False),
    "ZCtrl.SetpntSet": lambda c: c.set_setpoint_current(0.1),
    "ZCtrl.GainSet": lambda c: c.set_gains(replace(c.get_gains(), proportional=0.01)),
    "LockIn.ModAmpSet": lambda c: c.set_lockin(replace(c.get_lockin(), amplitude=0.004)),
    "LockIn.ModPhasFreqSet": lambda c: c.set_lockin(replace(c.get_lockin(), frequency=500.0)),
    "LockIn.DemodPhasSet": lambda c: c.set_lockin(replace(c.get_lockin(), phase=45.0)),
    "LockIn.ModOnOffSet": lambda c: c.set_lockin(replace(c.get_lockin(), on=not c.get_lockin().on)),
    "Piezo.DriftCompSet": lambda c: c.set_drift((0.002, 0.0)),
    "TipShaper.PropsSet": lambda c: c.shape_tip(TipShape(0.3)),
    "AutoApproach.OnOffSet": lambda c: (c.withdraw(), c.approach()),
    "Scan.FrameSet": lambda c: c.scan(FRAME),
    "Scan.BufferSet": lambda c: c.scan(FRAME),
    "Scan.SpeedSet": lambda c: c.scan(FRAME, line_time=0.3),
    "BiasSpectr.ChsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.PropsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.TimingSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.LimitsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.AdvPropsSet": lambda c: c.sweep(SHORT),
    "BiasSpectr.ZOffRevertSet": lambda c: c.sweep(replace(SHORT, z_offset=0.05)),
}
"""Every command that sets what can be read back, and an act that needs it."""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", SETTINGS)
def test_what_is_set_and_does_not_hold_is_an_error(controller, server, at_the_instrument, command):
    """Answered as if it were done: only what is read back is believed."""
    at_the_instrument("BiasSpectr.ZOffRevertSet", 2)
    at_the_instrument("BiasSpectr.AdvPropsSet", 2, 2, 0, 2)
    at_the_instrument("BiasSpectr.ChsSet", [0])
    server.faults.add(Fault(FaultKind.IGNORE, command))
    with pytest.raises(STMError):
        SETTINGS[command](controller)
    assert not server.faults.pending


@pytest.mark.parametrize("command", ["SafeTip.PropsSet", "SafeTip.OnOffSet", "ZCtrl.LimitsSet", "ZCtrl.LimitsEnabledSet"])
def test_an_interlock_that_does_not_hold_ends_the_connection(connect, server, at_the_instrument, command):
    """Among them that Safe Tip does not bring a crashed tip back by itself."""
    at_the_instrument("SafeTip.PropsSet", 1, 1, 8e-9)
    at_the_instrument("SafeTip.OnOffSet", 2)
    at_the_instrument("ZCtrl.LimitsEnabledSet", 0)
    server.faults.add(Fault(FaultKind.IGNORE, command))
    with pytest.raises(NanonisError, match="interlocks"):
        connect(interlocks=Interlocks(safe_tip=8.0, z=(-100.0, 100.0)))


@pytest.mark.parametrize(("harmonic", "holed"), [(1, "lockin_y"), (2, "d2idv2")])
def test_a_spectrum_with_a_hole_in_the_lock_in_is_incomplete(controller, server, at_the_instrument, harmonic, holed):
    """Its current is whole; what demodulator 2 reads is recorded last, where it is set to harmonic 2."""
    at_the_instrument("LockIn.DemodHarmonicSet", 2, harmonic)
    server.faults.add(Fault(FaultKind.HOLES, "BiasSpectr.Start"))
    spectrum = controller.sweep(SHORT)
    assert np.isfinite(spectrum.current).all()
    assert np.isnan(getattr(spectrum, holed)).sum() == 3
    assert spectrum.quality == Quality.INCOMPLETE


def test_an_image_with_a_hole_is_incomplete(controller, server, scans_are_seen):
    # From the second image on: how often it is looked at while it grows depends on how busy the machine is.
    for number in range(2, 200):
        server.faults.add(Fault(FaultKind.HOLES, "Scan.FrameDataGrab", at=number))
    image = controller.scan(FRAME)
    assert image.quality == Quality.INCOMPLETE
    assert np.isnan(image.height[-1]).all()


def test_a_mean_of_sweeps_that_says_so_in_its_name_is_found(controller, monkeypatch):
    """As the columns of the files of several sweeps do, on the way back, too."""
    table = BiasSpectrModule.table

    def named(*asked):
        names, rows = table(*asked)
        return [re.sub(r" (\(A\)|\[bwd\])", r" [AVG] \1", name, count=1) for name in names], rows

    plain = controller.sweep(replace(SHORT, averages=3, backward=True))
    monkeypatch.setattr(BiasSpectrModule, "table", named)
    spectrum = controller.sweep(replace(SHORT, averages=3, backward=True))
    assert spectrum.quality == plain.quality == Quality.GOOD
    assert set(spectrum.backward) == set(plain.backward)
    assert np.isfinite(spectrum.lockin_x).all()
