"""What a long stored run costs to load and to report: measures of `bench_speed`, run in an environment of either build.

python benchmarks/speed_storage.py 10000        most memory that is resident while a run of so many spectra is stored
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_speed import report as said

from bluesky_stm.plans import explore
from bluesky_stm.session import simulated
from bluesky_stm.storage import load_run, open_catalog
from bluesky_stm.views import report

SPECTRA = 3000
EVERY = 25
"""Spectra from one map to the next."""


def measured(folder):
    """Documents of a short run of this build."""
    with simulated(seed=5, catalog=folder) as session:
        scale = session.scales["terrace"].changed(pixels=64, patch=6, step=2, budget=24, seeds=4, agent="gp-xy")
        session.RE(explore(session.stm, session.agent(scale), maps_every=12))
        return list(session.catalog[-1].documents())


def prolonged(documents, spectra):
    """The run with its decisions, spectra and maps again and again, until there are so many spectra."""
    streams = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    by_stream, counts = {}, {}
    for name, doc in documents:
        if name == "event":
            by_stream.setdefault(streams[doc["descriptor"]], []).append(doc)
    used = {"agent", "primary", "maps"}
    for name, doc in documents:
        if name in ("start", "descriptor") or (name == "event" and streams[doc["descriptor"]] not in used):
            yield name, doc

    def again(stream, number):
        doc = by_stream[stream][number % len(by_stream[stream])]
        counts[stream] = counts.get(stream, 0) + 1
        data = {key: number if key.endswith("_ingested") else value for key, value in doc["data"].items()}
        return "event", {**doc, "data": data, "uid": f"{stream}-{number}", "seq_num": counts[stream]}

    for number in range(spectra):
        yield again("agent", number)
        yield again("primary", number)
        if number % EVERY == 0 and "maps" in by_stream:
            yield again("maps", number)
    stop = dict(documents[-1][1])
    stop.pop("chain", None)
    yield "stop", {**stop, "num_events": {**stop["num_events"], **counts}}


def loading():
    """Processor time of `load_run` and `report` of a run of 3,000 spectra, in s."""
    with TemporaryDirectory() as folder:
        documents = measured(Path(folder) / "short")
        with open_catalog(Path(folder) / "long") as catalog:
            for name, doc in prolonged(documents, SPECTRA):
                catalog(name, doc)
            run = catalog[-1]
            load_run(documents)  # imports what it needs
            begun = time.process_time()
            assert load_run(run)["spectra"].sizes["spectrum"] == SPECTRA
            between = time.process_time()
            report([run.documents()], Path(folder) / "report.html")
            return {
                "load_run of 3,000 spectra": between - begun,
                "report of 3,000 spectra": time.process_time() - between,
            }


def memory(spectra):
    """Print the most memory, in MB, that was resident when a run was stored, then verified, then indexed."""
    import resource

    from bluesky_stm.storage import verify

    def most():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    with TemporaryDirectory() as folder:
        documents = measured(Path(folder) / "short")
        with open_catalog(Path(folder) / "long") as catalog:
            for name, doc in prolonged(documents, spectra):
                catalog(name, doc)
            stored = most()
            assert verify(catalog[-1]).whole
            verified = most()
            assert catalog.client and not catalog.index_faults
            print(f"{spectra} spectra: stored {stored} MB, verified {verified} MB, indexed {most()} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        memory(int(sys.argv[1]))
    else:
        said(loading)
