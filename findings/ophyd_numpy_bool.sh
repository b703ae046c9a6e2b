#!/usr/bin/env bash
# Expected: a soft signal that holds a flag may be given the result of a comparison, whether of Python numbers or of numpy's.
# Seen (ophyd 1.11.2): True is described as an integer (not as a boolean), and np.True_ cannot be described at all: the value is accepted
#   by put, and the next plan that reads the signal ends in "failed to describe ... with value 'True'". A flag that turns into np.True_ after
#   the stream was opened goes through, so that it depends on the order of events.
# Hurts: flags such as "in contact", "tip changed", "current above limit" that are set from a reading: current > limit is np.bool_ as soon as
#   the current came from an array, and the failure shows one run later.
# Do: put bool(...), or a signal class of one's own whose describe() says "boolean".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "ophyd==1.11.2" "bluesky==1.15.1" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
from bluesky import RunEngine
from ophyd import Signal

print("ophyd", version("ophyd"), "bluesky", version("bluesky"), "numpy", version("numpy"))
engine = RunEngine({})
events = []
engine.subscribe(lambda name, document: events.append(document["data"]), "event")
current = np.array([2.0])

flag = Signal(name="in_contact", value=True)
print("a flag of True is described as", flag.describe()["in_contact"]["dtype"])
assert flag.describe()["in_contact"]["dtype"] == "integer"

flag.put(current[0] > 1.0)
print("put accepts", repr(flag.get()))
try:
    engine(bp.count([flag]))
except ValueError as error:
    print("count ends in ValueError:", error)
else:
    raise SystemExit("a numpy boolean can now be described")
assert not events

late = Signal(name="tip_changed", value=False)


def turned_in_mid_run():
    yield from bps.open_run()
    yield from bps.trigger_and_read([late])
    late.put(current[0] > 1.0)
    yield from bps.trigger_and_read([late])
    yield from bps.close_run()


engine(turned_in_mid_run())
print("the same value put in mid-run goes through:", events)
assert len(events) == 2

flag.put(bool(current[0] > 1.0))
engine(bp.count([flag]))
assert len(events) == 3
print("as ever: bool(...) is needed around a comparison of numpy numbers")
PY
