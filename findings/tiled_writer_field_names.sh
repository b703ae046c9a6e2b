#!/usr/bin/env bash
# Expected: every name that event-model accepts for a field can be stored by TiledWriter and read again under that name.
# Seen (bluesky-tiled-plugins 2.0.12, tiled 0.2.20, tables in SQLite): two fields of a stream that differ by case alone ("X" of the lock-in, "x" of
#   the tip) end the writing in ValueError at the first event. A field "ts_bias" beside "bias" is accepted, its value is overwritten by the time
#   stamp of "bias", and the stream hides it; a lone "ts_lift" is taken for a time stamp as well and is missing among the data.
# Hurts: lock-in X and Y beside a position x and y (a plan dies when the writer is subscribed directly); tip-shaper fields that begin with "ts_".
# Do: give each field a name that stays unique in lower case and does not begin with "ts_"; ophyd's device prefix ("lockin_X") is enough.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "tiled[server]==0.2.20" "bluesky-tiled-plugins==2.0.12" "event-model==1.24.0"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import logging
import pathlib
from importlib.metadata import version

import event_model
from bluesky_tiled_plugins import TiledWriter
from tiled.catalog import from_uri
from tiled.client import Context, from_context
from tiled.server.app import build_app

logging.disable(logging.INFO)
print("bluesky-tiled-plugins", version("bluesky-tiled-plugins"), "tiled", version("tiled"))
folder = pathlib.Path("store").resolve()
folder.mkdir()
tree = from_uri(
    str(folder / "catalog.db"),
    init_if_not_exists=True,
    writable_storage=[str(folder / "data"), f"sqlite:///{folder / 'tables.db'}"],
    specs=[{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
)
client = from_context(Context.from_app(build_app(tree)))


def stored(reading):
    writer = TiledWriter(client, batch_size=1)
    run = event_model.compose_run()
    writer("start", run.start_doc)
    keys = {key: {"source": "demo", "dtype": "number", "shape": [], "dtype_numpy": "<f8"} for key in reading}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    writer("descriptor", stream.descriptor_doc)
    writer("event", stream.compose_event(data=reading, timestamps=dict.fromkeys(reading, 1700000000.0)))
    writer("stop", run.compose_stop())
    dataset = client[run.start_doc["uid"]]["primary"].read()
    return {key: dataset[key].values.tolist() for key in reading if key in dataset}


print("lockin_X and tip_x:", stored({"lockin_X": 1.5, "tip_x": 2.5}))
assert stored({"lockin_X": 1.5, "tip_x": 2.5}) == {"lockin_X": [1.5], "tip_x": [2.5]}
try:
    stored({"X": 1.5, "x": 2.5})
except ValueError as error:
    print("X and x: ValueError:", error)
else:
    raise SystemExit("fields that differ by case alone can now be stored")
beside = stored({"bias": 0.1, "ts_bias": 0.2})
print("bias and ts_bias, read again:", beside)
assert beside == {"bias": [0.1]}
lone = stored({"bias": 0.1, "ts_lift": 0.2})
print("bias and ts_lift, read again:", lone)
assert lone == {"bias": [0.1]}
print("as ever: names of fields are columns of a table with rules of its own")
PY
