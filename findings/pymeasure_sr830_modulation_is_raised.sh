#!/usr/bin/env bash
# Expected: a driver of a lock-in amplifier refuses an amplitude, time constant or frequency that the instrument does not have.
# Seen (pymeasure 0.16.0): the SR830 takes the nearest that it has, without a word. A modulation of 1 mV, usual on a superconductor, becomes
#   4 mV (what the sine output gives at least), a time constant of 20 ms becomes 30 ms, a reference of 200 kHz becomes 102 kHz.
# Hurts: spectra are broadened four times as much as their metadata say, and a dI/dV that is divided by the amplitude asked for is four times too
#   large. The amplitude can be read back, but a program that sets it keeps what it asked for.
# Do: read back after each setting and compare; reach small modulations by a voltage divider.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "pymeasure==0.16.0"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

from pymeasure.instruments.srs import SR830
from pymeasure.test import expected_protocol

print("pymeasure", version("pymeasure"))
for name, asked, sent in (("sine_voltage", 0.001, "SLVL0.004"), ("time_constant", 0.02, "OFLT7"), ("frequency", 200e3, "FREQ1.02000e+05")):
    with expected_protocol(SR830, [(sent, None)]) as amplifier:  # fails if anything else is sent, or nothing
        setattr(amplifier, name, asked)
    print(f"{name} = {asked:g}: sends {sent!r}, no error")
with expected_protocol(SR830, [("SLVL0.004", None), ("SLVL?", "0.004")]) as amplifier:
    amplifier.sine_voltage = 0.001
    read = amplifier.sine_voltage
print("read back:", read, "V of 0.001 V")
assert read == 0.004
print("as ever: what is out of range is replaced in silence")
PY
