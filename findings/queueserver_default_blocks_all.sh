#!/usr/bin/env bash
# Expected: a plan whose parameter has an odd default (infinity, NaN, a member of an Enum, a numpy number) is listed with that default as text,
#   or is left out by itself.
# Seen (bluesky-queueserver 0.0.25): the default must be readable by ast.literal_eval; where it is not, the list of *all* plans and devices fails
#   with ValueError, so that the environment of the worker does not open. The same plan runs at the prompt.
# Hurts: a facility whose queue stops opening since somebody wrote `until: float = math.inf` or `step=np.float64(0.1)` into one plan of a
#   startup module, or `mode: Mode = Mode.FAST`.
# Do: None or a plain number as default, turned into infinity inside of the plan; or a plain "default" in parameter_annotation_decorator. List the
#   plans in a test of the startup module. The manager's option ignore_invalid_plans, off unless asked for, leaves out the odd plan alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "bluesky-queueserver==0.0.25" "bluesky==1.15.1" "ophyd==1.11.2"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import enum
import math
from importlib.metadata import version

import numpy as np
from bluesky_queueserver.manager.profile_ops import existing_plans_and_devices_from_nspace

print("bluesky-queueserver", version("bluesky-queueserver"))


class Mode(enum.Enum):
    FAST = "fast"


def count(bias: float = 0.1):
    yield


def until_infinity(until: float = math.inf):
    yield


def until_nan(until: float = math.nan):
    yield


def with_mode(mode: Mode = Mode.FAST):
    yield


def with_step(step: float = np.float64(0.1)):
    yield


def until_none(until: float | None = None):
    yield


def listed(*plans, **options):
    return sorted(existing_plans_and_devices_from_nspace(nspace={plan.__name__: plan for plan in plans}, **options)[0])


print("plans of a sound module:", listed(count, until_none))
assert listed(count, until_none) == ["count", "until_none"]
for odd in (until_infinity, until_nan, with_mode, with_step):
    try:
        listed(count, odd)
    except ValueError as error:
        print(f"with {odd.__name__} beside them: ValueError:", str(error)[:130])
    else:
        raise SystemExit(f"{odd.__name__} no longer stops the others")
assert listed(count, until_infinity, ignore_invalid_plans=True) == ["count"]
print("with ignore_invalid_plans the odd one is left out and the others stay")
print("as ever: one odd default stops every plan of the module")
PY
