"""What storage costs: for each event beside the bare parts it is made of, and for each look-up as the catalog grows.

``python -m pytest benchmarks/bench_storage.py`` holds the figures against their bars and writes ``results/storage.md``.
"""

import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path

import event_model
import msgpack
import msgpack_numpy
import numpy as np
import pytest

from bluesky_stm.storage import Catalog, DocumentSink, Feeder, open_catalog, runs

EVENTS = 10_000
SIZES = (10, 100, 1000)
ROUNDS = 25

RESULTS = Path(__file__).with_name("results") / "storage.md"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

READER = """
import sys, time
from bluesky_stm.storage import open_catalog
with open_catalog(sys.argv[1], write=False) as catalog:
    print("ready", flush=True)
    while not len(catalog):
        time.sleep(0.01)
    counts = []
    while not catalog[-1].complete:
        counts.append(sum(1 for _ in catalog[-1].events("primary")))
        time.sleep(0.1)
    counts.append(sum(1 for _ in catalog[-1].events("primary")))
print(*counts)
"""
"""Looks into the run again and again while another process writes it."""


@pytest.fixture(scope="module")
def say():
    """Keeps lines for the page of results."""
    lines = ["    python -m pytest benchmarks/bench_storage.py", ""]
    yield lines.append
    RESULTS.write_text("\n".join([*lines, ""]), encoding="utf-8")


def documents(events, metadata=None):
    """A run of spectra: five arrays of 121 and a dozen numbers each."""
    run = event_model.compose_run(metadata={"plan_name": "explore", "sample": "EuZn2As2", "scan_id": 1, **(metadata or {})})
    yield "start", run.start_doc
    channels = [f"stm_sweep_{name}" for name in ("bias", "current", "lockin_x", "lockin_y", "didv")]
    numbers = [f"stm_sweep_{name}" for name in ("x", "y", "z", "setpoint_bias", "setpoint_current", "time")]
    keys = {name: {"source": "benchmark", "dtype": "array", "shape": [121], "dtype_numpy": "<f8"} for name in channels}
    keys |= {name: {"source": "benchmark", "dtype": "number", "shape": []} for name in numbers}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    draw = np.random.default_rng(0)
    for _ in range(events):
        data = {name: draw.normal(size=121) for name in channels} | {name: float(draw.normal()) for name in numbers}
        yield "event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0), validate=False)
    yield "stop", run.compose_stop()


class Bare:
    """The least that keeps every document and a Tiled catalog beside it: one file, one buffered writer."""

    def __init__(self, folder):
        from bluesky.callbacks.buffer import BufferingWrapper
        from bluesky_tiled_plugins import TiledWriter

        self.index = Catalog(folder)
        self.file = (folder / "bare.msgpack").open("wb")
        self.writer = BufferingWrapper(TiledWriter(self.index.client, batch_size=25))

    def __call__(self, name, doc):
        self.file.write(msgpack.packb([name, doc], default=msgpack_numpy.encode, use_bin_type=True))
        self.file.flush()
        self.writer(name, doc)

    def close(self):
        """What the writer has not yet written is dropped: to wait for it takes many times as long as the run."""
        self.writer.shutdown(wait=False)
        self.file.close()
        self.index.close()


def timed(act, *arguments):
    begun = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - begun


@pytest.mark.timeout(1800)
def test_an_event_costs_at_most_half_more_than_the_bare_journal_with_a_buffered_writer(tmp_path, say):
    """Side by side: each document goes to both, in turns first, while the writer's thread works behind and another reads."""
    bare, catalog = Bare(tmp_path / "bare"), open_catalog(tmp_path / "ours")
    reader = subprocess.Popen([sys.executable, "-c", READER, str(catalog.path)], stdout=subprocess.PIPE, text=True)
    assert reader.stdout.readline() == "ready\n"
    ours, theirs = [], []
    for number, (name, doc) in enumerate(documents(EVENTS)):
        for keep, times in ((catalog, ours), (bare, theirs))[:: 1 if number % 2 else -1]:
            times.append(timed(keep, name, doc))
    counts = [int(count) for count in reader.communicate()[0].split()]
    bare.close()
    read = timed(lambda: list(catalog[-1].documents()))
    catalog.close()
    ratio = sum(ours) / sum(theirs)
    for who, times in (("ours", ours), ("bare journal and buffered writer", theirs)):
        say(f"- {who}: {sum(times) / EVENTS * 1e3:.3f} ms an event, median {statistics.median(times) * 1e3:.3f} ms")
    say(f"- {EVENTS} events: ratio {ratio:.2f} (bar: 1.5). All documents are read from the journal in {read:.2f} s.")
    say(f"- another process read the run {len(counts)} times as it grew: {', '.join(map(str, counts))} spectra")
    assert counts == sorted(counts) and counts[-1] == EVENTS and len(set(counts)) > 2
    assert ratio <= 1.5


class Nowhere(DocumentSink):
    """Takes what it is sent; what is left is what the sink costs the measuring process whatever its server is."""

    name: str = "nowhere"

    def open(self):
        return self

    def send(self, name, record, key):
        pass

    def close(self):
        pass


def test_a_sink_costs_the_measuring_process_at_most_a_millisecond_of_processor_time_a_spectrum(tmp_path, say):
    """What the journal has is sent: reading it, finding where each document ends, keeping how far it came."""
    with Catalog(tmp_path) as catalog:
        feeder = Feeder(tmp_path, Nowhere())
        for name, doc in documents(EVENTS):
            catalog(name, doc)
        begun = time.process_time()
        feeder("event", {})
        while feeder.sent < EVENTS + 3:
            time.sleep(0.01)
        spent = time.process_time() - begun
        feeder.close()
    say(f"- a sink: {spent / EVENTS * 1e3:.3f} ms of processor time a spectrum, without the client of its server (bar: 1)")
    assert spent / EVENTS < 1e-3


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory):
    """Catalogs of several sizes, with runs of ten spectra."""
    folders = {}
    template = list(documents(10))
    for size in SIZES:
        folders[size] = tmp_path_factory.mktemp(f"runs{size}")
        with open_catalog(folders[size]) as catalog:
            for number in range(size):
                for name, doc in renamed(template, str(uuid.uuid4()), 1.7e9 + number):
                    catalog(name, doc)
    return folders


def renamed(template, uid, when):
    """The same run under another uid, at another time."""
    for name, doc in template:
        doc = {**doc, "time": when} if name == "start" else dict(doc)
        if name == "start":
            doc["uid"] = uid
        if "run_start" in doc:
            doc["run_start"] = uid
        yield name, doc


def open_and_look(folder):
    with open_catalog(folder) as catalog:
        assert len(catalog[-1].stop) and len(list(catalog[-1].events("primary"))) == 10
        assert len(runs(catalog, newest=10)) == 10


def search_for_the_newest(folder):
    with open_catalog(folder, write=False) as catalog:
        assert len(runs(catalog, sample="euzn", newest=10)) == 10


def table_of_all(folder):
    with open_catalog(folder, write=False) as catalog:
        runs(catalog)


def test_listing_and_opening_a_run_take_the_same_time_as_the_catalog_grows(catalogs, say):
    """Sizes in turns, so that what else the machine does hits all; the bar is on the least disturbed of the rounds."""
    least = {}
    for act in (open_and_look, search_for_the_newest, table_of_all):
        rounds = [{size: timed(act, folder) for size, folder in catalogs.items()} for _ in range(ROUNDS)]
        least[act] = {size: min(one[size] for one in rounds) for size in SIZES}
        medians = {size: statistics.median(one[size] for one in rounds) for size in SIZES}
        shown = ", ".join(f"{size} runs {least[act][size] * 1e3:.2f} ms (median {medians[size] * 1e3:.2f})" for size in SIZES)
        say(f"- {act.__name__.replace('_', ' ')}: {shown}; 1000 to 10: {least[act][1000] / least[act][10]:.2f}")
    for act in (open_and_look, search_for_the_newest):
        assert least[act][SIZES[-1]] <= 1.3 * least[act][SIZES[0]], act.__name__
