"""What the index costs: measures of `bench_speed`, in an environment of either build."""

import time
from tempfile import TemporaryDirectory

import event_model
import numpy as np
from bench_speed import report

from bluesky_stm.storage import open_catalog

POINTS = 121
CHANNELS = ("sweep_bias", "sweep_current", "sweep_lockin_x", "sweep_lockin_y", "sweep_didv")
RUNS = 100
"""Runs that are indexed; the bar of 1,000 runs is held against ten times their time."""


def run(catalog, events):
    """Store a run of so many Events with a spectrum each."""
    made = event_model.compose_run(metadata={"plan_name": "spectra_at", "sample": "none"})
    catalog("start", made.start_doc)
    keys = {name: {"source": "sim", "dtype": "array", "shape": [POINTS], "units": "nA"} for name in CHANNELS}
    keys["tip_x"] = {"source": "sim", "dtype": "number", "shape": [], "units": "nm"}
    stream = made.compose_descriptor(name="primary", data_keys=keys)
    catalog("descriptor", stream.descriptor_doc)
    rng = np.random.default_rng(0)
    for k in range(events):
        data = {name: rng.standard_normal(POINTS) for name in CHANNELS} | {"tip_x": float(k)}
        catalog("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0), validate=False))
    catalog("stop", made.compose_stop())


def taken(catalog):
    """Return the processor time until all runs are in the index, in s."""
    begun = time.process_time()
    _ = catalog.client
    return time.process_time() - begun


def index():
    """Processor time until runs are in the index, in s; opening it, with its imports, is told apart."""
    found = {}
    with TemporaryDirectory() as folder, open_catalog(folder) as catalog:
        run(catalog, 1)
        found["index opened, 1 Event"] = taken(catalog)
        for events in (10, 500):
            run(catalog, events)
            found[f"index, a run of {events} Events"] = taken(catalog)
        for _ in range(RUNS):
            run(catalog, 10)
        found["index, 1,000 runs of 10 Events"] = taken(catalog) / RUNS * 1000
    return found | {"3 minutes": 180.0}


if __name__ == "__main__":
    report(index)
