"""A run enters the index while it goes on, and is there in the end as the journal has it, whatever happened in between."""

import os
import subprocess
import sys

import numpy as np
import pytest
from bluesky import RunEngine

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.errors import CatalogError
from bluesky_stm.plans import explore
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import documents, open_catalog

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Tiled's own dependencies
]
BUDGET, CHUNK = 11, 4


def measure(catalog, look, budget=BUDGET):
    """An exploration; ``look`` is called with the number of spectra after each."""
    stm = STM(controller=SimulatedController(seed=1), name="stm")
    scale = LengthScale(name="small", frame=20, pixels=32, patch=4, step=2, budget=budget, seeds=2, agent="random")
    RE, count = RunEngine(), []

    def counted(name, doc):
        if name == "event" and "stm_sweep_didv" in doc["data"]:
            count.append(doc)
            look(len(count))

    RE.subscribe(catalog)
    RE.subscribe(counted)
    RE(explore(stm, AgentDevice(make_agent("random", seed=1, patch=4, step=2, seeds=2), scale, name="agent")))


def spectra_in_index(catalog, uid):
    return len(catalog.client[uid]["primary"].read()["stm_sweep_x"])


def check_whole(catalog, run):
    stored = [(doc["seq_num"], doc["data"]) for name, doc in documents(catalog.client[run.uid]) if name == "event"]
    assert len(stored) == sum(run.stop["num_events"].values()) and not catalog.index_faults
    didv = [data["stm_sweep_didv"] for _, data in stored if "stm_sweep_didv" in data]
    np.testing.assert_array_equal(didv, [spectrum.didv for spectrum in run.spectra])


def test_the_index_shows_spectra_before_the_run_has_stopped_and_in_the_end_all_of_the_journal(tmp_path, caplog):
    shown = []
    with open_catalog(tmp_path) as catalog:
        catalog.index_while_measuring(chunk=CHUNK)

        def look(count):
            if count == 9:
                shown.append((catalog[-1].stop, spectra_in_index(catalog, catalog[-1].uid)))

        measure(catalog, look)
        assert shown == [(None, 8)]  # two chunks of four
        check_whole(catalog, catalog[-1])
    assert "enter the index when" not in caplog.text and "enters the index when" not in caplog.text


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[2])
from test_growing_index import CHUNK, measure, open_catalog, spectra_in_index
catalog = open_catalog(sys.argv[1])
catalog.index_while_measuring(chunk=CHUNK)
def look(count):
    if count == 9:
        print("shown", spectra_in_index(catalog, catalog[-1].uid), flush=True)
        os.kill(os.getpid(), 9)
measure(catalog, look)
"""


def test_a_session_that_is_killed_while_the_index_grows_loses_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), os.path.dirname(__file__)], capture_output=True, text=True, check=False
    )
    assert "shown 8" in done.stdout and done.returncode == -9, done.stderr
    with open_catalog(tmp_path) as catalog:
        catalog.index_while_measuring(chunk=CHUNK)
        (recovered,) = catalog.recovered
        assert len(recovered.spectra) == 9
        check_whole(catalog, recovered)


def test_an_index_that_fails_ends_no_run_and_has_it_afterwards(tmp_path, monkeypatch):
    from bluesky_stm.storage._tiled import TiledStore

    honest = TiledStore.writer

    def failing(store, batch):
        if batch == CHUNK:
            raise OSError("no space left on device")
        return honest(store, batch)

    monkeypatch.setattr(TiledStore, "writer", failing)
    with open_catalog(tmp_path) as catalog:
        catalog.index_while_measuring(chunk=CHUNK)
        measure(catalog, lambda count: None, budget=3)
        assert catalog[-1].stop["exit_status"] == "success"
        check_whole(catalog, catalog[-1])


def test_a_catalog_that_is_only_read_has_no_run_that_grows(tmp_path):
    open_catalog(tmp_path).close()
    with open_catalog(tmp_path, write=False) as catalog, pytest.raises(CatalogError, match="nobody measures into it"):
        catalog.index_while_measuring()
