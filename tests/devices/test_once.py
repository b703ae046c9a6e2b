"""What cannot be undone is done once, inside the interlocks, and never to a tip that hangs in the air."""

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.devices import STM, BiasPulse
from bluesky_stm.errors import LimitError, SettingsError, STMError, TipCrashError
from bluesky_stm.protocols import TipShape
from bluesky_stm.settings import Limits

ACTS = {"pulse": ("pulse", lambda: BiasPulse(4.0, 0.01)), "shaper": ("shape_tip", lambda: TipShape(1.0, 0.2, 0.01))}


@pytest.mark.parametrize("device", ACTS)
def test_it_is_done_once_however_often_the_plan_comes_back_to_it(RE, stm, fake, device):
    asked, make = ACTS[device]
    paused = []

    def plan(act):
        yield from bps.checkpoint()
        yield from bps.mv(getattr(stm, device), act)
        if not paused:
            paused.append(True)
            yield from bps.pause()

    with pytest.raises(RunEngineInterrupted):
        RE(plan(make()))
    RE.resume()
    assert fake.names_asked().count(asked) == 1
    RE(plan(make()))
    assert fake.names_asked().count(asked) == 2


@pytest.mark.parametrize("device", ACTS)
def test_it_is_never_repeated_after_a_fault_either(stm, fake, device):
    asked, make = ACTS[device]
    fake.fail(asked, TipCrashError("the tip touched"))
    act = make()
    with pytest.raises(TipCrashError):
        getattr(stm, device).set(act).wait(5)
    stm.clear_fault()
    getattr(stm, device).set(act).wait(5)
    assert fake.names_asked().count(asked) == 1


@pytest.mark.parametrize("device", ACTS)
def test_a_tip_in_the_air_is_left_alone(stm, fake, device):
    asked, make = ACTS[device]
    fake.withdraw()
    with pytest.raises(STMError, match="withdrawn"):
        getattr(stm, device).set(make())
    assert asked not in fake.names_asked()


@pytest.mark.parametrize(("bias", "width"), [(11.0, 0.01), (4.0, 100.0), (np.nan, 0.01)])
def test_a_pulse_outside_the_interlocks_is_refused(stm, fake, bias, width, check_limits):
    with pytest.raises(LimitError):
        check_limits(bps.mv(stm.pulse, BiasPulse(bias, width)))
    assert "pulse" not in fake.names_asked()


@pytest.mark.parametrize(
    "shape", [TipShape(11.0), TipShape(1.0, bias=11.0), TipShape(1.0, hold=100.0), TipShape(3.0), TipShape(1.0, lift=30.0)]
)
def test_a_dip_outside_the_interlocks_is_refused(fake, shape, check_limits):
    stm = STM(controller=fake, limits=Limits(z=(-2.0, 20.0)))
    with pytest.raises(LimitError, match="stm_shaper"):
        check_limits(bps.mv(stm.shaper, shape))
    assert "shape_tip" not in fake.names_asked()


def test_a_dip_goes_down():
    for depth in (0.0, -1.0, float("nan")):
        with pytest.raises(SettingsError):
            TipShape(depth)
