#!/usr/bin/env bash
# Expected: setting an axis or a bias to None is refused, as float(None) is; at worst nothing happens.
# Seen (ophyd-async 0.21.3, bluesky 1.15.1): None means "the value at the start". `bps.mv(bias, None)` puts a soft signal back to its initial
#   value and the plan ends in success; a text becomes "" or its initial text, a switch its initial state.
# Hurts: plans whose next value is an answer that may be missing (an optimizer that stops, a dict.get, a fit that failed): the bias jumps from
#   where it was to where it was when the program started, with the tip in tunneling.
# Do: check for None (and NaN) in the plan before each set, or give the device a set() of its own that refuses both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "ophyd-async==0.21.3" "bluesky==1.15.1"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import bluesky.plan_stubs as bps
from bluesky import RunEngine
from ophyd_async.core import StandardReadable, init_devices, soft_signal_rw

print("ophyd-async", version("ophyd-async"), "bluesky", version("bluesky"))


class Junction(StandardReadable):
    def __init__(self, name=""):
        self.bias = soft_signal_rw(float, 0.5, units="V")
        self.feedback = soft_signal_rw(bool, True)
        self.mode = soft_signal_rw(str, "hold")
        super().__init__(name=name)


engine = RunEngine({}, call_returns_result=True)
with init_devices():
    junction = Junction("junction")


def moved(signal, value):
    def plan():
        yield from bps.mv(signal, value)
        return (yield from bps.rd(signal))

    result = engine(plan())
    print(f"mv({signal.name}, {value!r}) ends in {result.exit_status}; the value is {result.plan_result!r}")
    return result.plan_result


assert moved(junction.bias, -0.02) == -0.02
assert moved(junction.bias, None) == 0.5
assert moved(junction.feedback, False) is False
assert moved(junction.feedback, None) is True
assert moved(junction.mode, "sweep") == "sweep"
assert moved(junction.mode, None) == "hold"
print("as ever: None is a value, the first one")
PY
