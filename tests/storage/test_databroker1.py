"""databroker 1.2 reads our journals as they stand, and what it hands on leads to the same decisions.

It cannot live beside databroker 2: ``make experiments`` makes an environment of its own from ``databroker1.txt``, or give the
Python of one in ``BLUESKY_STM_DATABROKER1``.
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
    pytest.mark.skipif(not PYTHON, reason="BLUESKY_STM_DATABROKER1 names no Python with databroker 1.2: make experiments"),
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
        "replays": [replay(source, conftest.ToyAgent(seed=3)).agrees for source in (run, header)],
    }
print(json.dumps(found))
"""

BY_NAME = """
import importlib.util, json, os, pathlib, sys
home = pathlib.Path(sys.argv[1])
(home / "intake").mkdir(), (home / "facility").mkdir()
(home / "intake" / "beamline.yml").write_text(f'''
sources:
  beamline:
    driver: bluesky-msgpack-catalog
    args: {{paths: ["{home}/facility/*.msgpack"]}}
''')
os.environ["INTAKE_PATH"] = str(home / "intake")
spec = importlib.util.spec_from_file_location("conftest", sys.argv[2])
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)
from bluesky_stm.runs import replay
from bluesky_stm.storage import load_run, open_catalog, runs
with open_catalog("databroker:beamline", folder=home / "here") as catalog:
    for seed in (1, 2):
        conftest.Recorder(catalog, conftest.ToyAgent(seed), sample=f"sample {seed}").run(3)
    sent, faults = list(catalog.client), catalog.index_faults
    table, loaded = runs(catalog), load_run(catalog[-1])
with open_catalog("databroker:beamline", folder=home / "elsewhere", write=False) as catalog:
    print(json.dumps({
        "sent": sent, "faults": faults, "uids": list(table.uid), "here": os.listdir(home / "elsewhere" / "journal"),
        "listed": runs(catalog).equals(table), "second": list(runs(catalog, sample="SAMPLE 2").uid),
        "loaded": load_run(catalog[table.uid[1][:8]]).equals(loaded),
        "replays": replay(catalog[-1], conftest.ToyAgent(2)).agrees,
    }))
"""


def run_there(code, folder):
    """What a script prints last, in the environment of databroker 1.2."""
    done = subprocess.run(
        [PYTHON, "-c", code, str(folder), str(ROOT / "tests" / "conftest.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_catalog_of_databroker_1_by_name_takes_runs_and_is_listed_loaded_and_replayed(tmp_path):
    found = run_there(BY_NAME, tmp_path)
    assert sorted(found["sent"]) == sorted(found["uids"]) and len(found["uids"]) == 2 and not found["faults"]
    assert not found["here"] and found["listed"] and found["second"] == found["uids"][1:]
    assert found["loaded"] and found["replays"]


def test_databroker_1_reads_finished_and_recovered_runs_and_replays_them(tmp_path, recorder, toy_agent):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, toy_agent(seed=3)).run(6)
        killed = recorder(catalog, toy_agent(seed=3))
        for _ in range(4):
            killed.measure(killed.decide().point)
    with open_catalog(tmp_path) as catalog:
        found = run_there(READ, tmp_path)
        assert set(found) == {run.uid for run in catalog}
        for run in catalog:
            read = found[run.uid]
            assert read["status"] == run.stop["exit_status"] and read["replays"] == [True, True]
            assert read["table"] == len(run.spectra) == len(read["didv"])
            assert read["didv"][0] == run.spectra[0].didv.tolist()
            assert read["image"][0] == run.topograph.height.tolist()
