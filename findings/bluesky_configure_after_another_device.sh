#!/usr/bin/env bash
# Expected: a plan that changes a configuration in the middle of a run, by bps.configure, gets a new descriptor for each stream that the device
#   is read in, whatever else was read in between.
# Seen (bluesky 1.15.1): it works while the device was the last one that was read. Where another device was read in a stream of its own since
#   then, as a thermometer between two images, the plan ends with a KeyError that names the device.
# Hurts: whoever changes exposure, range or number of pixels during a run that also reads something else: the run ends at that message, with
#   "fail", and the error says nothing of streams.
# Do: read the device once more into its stream just before it is configured.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "bluesky==1.15.1" "ophyd==1.11.2"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import logging

import bluesky
import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky import RunEngine
from ophyd import Component, Device, Signal

logging.disable(logging.CRITICAL)


class Camera(Device):
    image = Component(Signal, value=1.0)
    exposure = Component(Signal, value=0.1, kind="config")


def outcome(between):
    engine, seen = RunEngine({}), []
    engine.subscribe(lambda name, doc: seen.append(name))
    camera, thermometer = Camera("", name="camera"), Signal(name="thermometer", value=4.2)

    @bpp.run_decorator()
    def plan():
        yield from bps.trigger_and_read([camera], name="images")
        if between:
            yield from bps.trigger_and_read([thermometer], name="temperatures")
        yield from bps.configure(camera, {"exposure": 0.2})
        yield from bps.trigger_and_read([camera], name="images")

    try:
        engine(plan())
    except KeyError:
        return "KeyError"
    return f"{seen.count('descriptor')} descriptors, {seen.count('event')} events"


alone, mixed = outcome(False), outcome(True)
print("bluesky", bluesky.__version__)
print("images alone, configured between them       :", alone)
print("a temperature was read before the configure :", mixed)
assert alone == "2 descriptors, 2 events" and mixed == "KeyError"
print("as ever: what was read last decides whether a device can be configured")
PY
