"""What the live view costs: CPU time for each spectrum, in the process that measures and in one that listens over 0MQ.

``python benchmarks/bench_views.py`` writes ``results/views.md``. A deep kernel's run of 120 spectra on a topograph of 256 x 256
with 2116 candidates is recorded first; then its documents are shown, 0.3 s apart where another process listens.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bluesky_stm
from bluesky_stm.plans import explore

BUDGET = 120
PACE = 0.3
BIN = Path(sys.executable).parent
RESULT = Path(__file__).with_name("results") / "views.md"


def recorded(folder):
    """Documents of an exploration; the view is fed them later."""
    documents = []
    with bluesky_stm.simulated(seed=7, catalog=folder) as session:
        session.RE(explore(session.stm, session.agent("terrace"), budget=BUDGET), lambda *document: documents.append(document))
    return documents


def cpu(show, documents):
    """CPU time, in s, of this process, as it shows documents; the stop document, which may cost anything, left out."""
    began = time.process_time()
    for name, doc in documents[:-1]:
        show(name, doc)
    return time.process_time() - began


def here(documents):
    """In the process that measures: drawing included, but nothing that only a window would do."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from bluesky_stm.views import LiveView

    figure = Figure(figsize=(12.4, 6.9))
    FigureCanvasAgg(figure)
    return cpu(LiveView(figure), documents) / BUDGET


def elsewhere(documents, folder):
    """Over 0MQ: CPU time a spectrum of the process that publishes, and of the one that shows."""
    from bluesky.callbacks.zmq import Publisher

    from bluesky_stm.facility import packed_one

    entry, leave = free_port(), free_port()
    ends = ["--in-address", f"tcp://127.0.0.1:{entry}", "--out-address", f"tcp://127.0.0.1:{leave}"]
    proxy = subprocess.Popen([BIN / "bluesky-0MQ-proxy", *ends], stdout=subprocess.DEVNULL)
    live = ["live", "--subscribe", f"tcp://127.0.0.1:{leave}", "--picture", f"{folder}/live.png"]
    viewer = subprocess.Popen([BIN / "bluesky-stm", *live])
    publisher = Publisher(f"127.0.0.1:{entry}", serializer=packed_one)
    time.sleep(20)
    before = used_by(viewer.pid)

    def paced(name, doc):
        publisher(name, doc)
        if name == "event" and "stm_sweep_x" in doc["data"]:
            time.sleep(PACE)

    published = cpu(paced, documents) / BUDGET
    time.sleep(5)
    shown = (used_by(viewer.pid) - before) / BUDGET
    publisher.close()
    for process in (viewer, proxy):
        process.terminate()
        process.wait()
    return published, shown


def used_by(pid):
    """CPU time of a process so far, in s (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    with tempfile.TemporaryDirectory() as folder:
        documents = recorded(folder)
        drawn = here(documents)
        published, shown = elsewhere(documents, folder)
    lines = [
        f"CPU time of the live view for each of {BUDGET} spectra (topograph 256 x 256, maps every 10 spectra);",
        f"bar: 50 ms. Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        "",
        "| who | ms a spectrum |",
        "|---|---|",
        f"| the process that measures, drawing itself (`LiveView`) | {1e3 * drawn:.1f} |",
        f"| the process that measures, publishing over 0MQ | {1e3 * published:.1f} |",
        f"| another process that draws (`bluesky-stm live`), its picture file each second included | {1e3 * shown:.1f} |",
    ]
    RESULT.write_text("\n".join(lines) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
