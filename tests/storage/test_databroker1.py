"""databroker 1.2 reads our journals as they stand, and what it hands on leads to the same decisions.

It cannot live beside databroker 2: give the Python of an environment with ``databroker==1.2.5``, this package's dependencies
for storage (filelock, h5py, msgpack-numpy, pydantic, scikit-image, scipy) and pytest in ``BLUESKY_STM_DATABROKER1``.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from bluesky_stm.storage import open_catalog

PYTHON = os.environ.get("BLUESKY_STM_DATABROKER1", "")
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="BLUESKY_STM_DATABROKER1 names no Python with databroker 1.2"),
]

READ = """
import importlib.util, json, sys
from databroker._drivers.msgpack import BlueskyMsgpackCatalog
from databroker.v1 import Broker
spec = importlib.util.spec_from_file_location("conftest", sys.argv[2])
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
from bluesky_stm.runs import replay
catalog = BlueskyMsgpackCatalog(sys.argv[1] + "/journal/*.msgpack")
found = {}
for uid in list(catalog):
    run = catalog[uid]
    header = catalog.v1[uid]
    data = run.primary.read()
    found[uid] = {
        "didv": data["stm_sweep_didv"].fillna(-1).values.tolist(),
        "image": run.topograph.read()["stm_scanner_topograph"].values.tolist(),
        "status": run.metadata["stop"]["exit_status"],
        "table": len(header.table("primary")),
        "replays": [replay(source, conftest.ToyAgent(seed=3)).exact for source in (run, header)],
    }
print(json.dumps(found))
"""


def test_databroker_1_reads_finished_and_recovered_runs_and_replays_them(tmp_path, recorder, toy_agent):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, toy_agent(seed=3)).run(6)
        killed = recorder(catalog, toy_agent(seed=3))
        for _ in range(4):
            killed.measure(killed.decide().point)
    with open_catalog(tmp_path) as catalog:
        done = subprocess.run(
            [PYTHON, "-c", READ, str(tmp_path), str(ROOT / "tests" / "conftest.py")],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert set(found) == {run.uid for run in catalog}
        for run in catalog:
            read = found[run.uid]
            assert read["status"] == run.stop["exit_status"] and read["replays"] == [True, True]
            assert read["table"] == len(run.spectra) == len(read["didv"])
            assert read["didv"][0] == run.spectra[0].didv.tolist()
            assert read["image"][0] == run.topograph.height.tolist()
