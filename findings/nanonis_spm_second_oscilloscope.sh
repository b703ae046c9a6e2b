#!/usr/bin/env bash
# Expected: each method of the vendor's client sends the command that it is named after: `Osci2T_ChGet` asks the oscilloscope of two channels for its channels.
# Seen (nanonis-spm 1.0.9): `Osci2T_ChSet`, `Osci2T_ChGet` and `Osci2T_TimebaseSet` speak to the oscilloscope of ONE channel; the two `TimebaseGet` send
#   `Osci1T.TimebaseSet` and `Osci2T_OversamplGet` sends `Osci2T.OversamplSet`, each with nothing to set: what was to be read is asked to change. Six of all methods.
# Hurts: whoever watches current and dI/dV side by side: the setting of another window changes, without an error from the client.
# Do: `quickSend("Osci2T.ChGet", ...)` with the name from the vendor's text, or a client of one's own.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "nanonis-spm==1.0.9" "numpy==2.4.6"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import inspect
from importlib.metadata import version

from nanonis_spm import Nanonis

print("nanonis-spm", version("nanonis-spm"))


class Noted(Nanonis):
    """Notes which command would go out, instead of sending it."""

    def quickSend(self, command, *_):
        self.command = command
        return ()


wrong, count = {}, 0
for name, method in inspect.getmembers(Nanonis, inspect.isfunction):
    if "_" not in name.strip("_") or not name[0].isupper():
        continue
    client, count = Noted(None), count + 1
    try:
        method(client, *[1 for _ in list(inspect.signature(method).parameters)[1:]])
    except Exception as error:  # a method that looks at its arguments before it sends
        print("not tried:", name, type(error).__name__)
        continue
    if (sent := getattr(client, "command", name)).replace(".", "_") != name:
        wrong[name] = sent
        print(f"{name} sends {sent}")
print(len(wrong), "of", count, "methods")
assert wrong == {
    "Osci1T_TimebaseGet": "Osci1T.TimebaseSet",
    "Osci2T_ChGet": "Osci1T.ChGet",
    "Osci2T_ChSet": "Osci1T.ChSet",
    "Osci2T_OversamplGet": "Osci2T.OversamplSet",
    "Osci2T_TimebaseGet": "Osci1T.TimebaseSet",
    "Osci2T_TimebaseSet": "Osci1T.TimebaseSet",
}
print("as ever: who asks for the second oscilloscope sets the first")
PY
