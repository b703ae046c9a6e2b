"""The script in docs/night-desk.md steers a real exploration as it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench import BIN, answers, free_port, running, wait_for

from bluesky_stm.desk import new_person, write_people
from bluesky_stm.runs import replay
from bluesky_stm.storage import open_catalog

pytest.importorskip("httpx", reason="the script needs httpx, which comes with Tiled's client")
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
PAGE = Path(__file__).parents[2] / "docs" / "night-desk.md"
SCALE = "{name: small, frame: 20, pixels: 32, patch: 2, step: 1, budget: 200, seeds: 4, agent: gp-xy}"
SETTINGS = f"catalog: CATALOG\nmicroscope: {{name: simulated, seed: 7, speed: 4}}\nscales: [{SCALE}]\n"


def taken(catalog):
    with open_catalog(catalog, write=False) as stored:
        return len(stored[-1].spectra) if len(stored) else 0


def test_the_script_of_the_page_steers_a_run_and_a_withdrawal_ends_it(tmp_path):
    (script,) = re.findall(r"^```python\n(import os.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    catalog, people, port = tmp_path / "catalog", tmp_path / "people.yaml", free_port()
    settings = tmp_path / "bluesky_stm.yaml"
    settings.write_text(SETTINGS.replace("CATALOG", str(catalog)))
    person, token = new_person("Ada", "operate")
    write_people(people, [person])
    environment = {**os.environ, "TOKEN": token, "OMP_NUM_THREADS": "1", "BLUESKY_STM_SETTINGS": str(settings)}
    quiet = {"cwd": tmp_path, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    night = [BIN / "bluesky-stm", "run", "--agent", "gp-xy"]
    with (
        running([BIN / "bluesky-stm", "desk", "--catalog", catalog, "--people", people, "--port", port], **quiet),
        running(night, **quiet) as measuring,
    ):
        wait_for(lambda: answers(port), 120)
        wait_for((catalog / "journal").is_dir, 120)  # the session of the run makes it
        wait_for(lambda: taken(catalog) > 2, 300)
        ending = (
            'desk.post("/api/request", json={"request": "withdraw", "settings": {}, "reason": "", "run": state()["run"]})\n'
        )
        text = script.replace("127.0.0.1:8642", f"127.0.0.1:{port}") + ending
        done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert measuring.wait(120) == 0
    asked = re.findall(r'^ask\("(\w+)"', script, flags=re.MULTILINE)
    kinds = {"approve_each": "approve", "scalarize": "scalarizer", "tune": "agent"}
    expected = [kinds.get(one, one) for one in asked]
    assert done.stdout.splitlines() == [f"{kind} is done" for kind in expected]
    with open_catalog(catalog, write=False) as stored:
        run = stored[-1]
        events = [event["data"] for event in run.events("intervention")]
        assert [event["intervention_kind"] for event in events] == [*expected, "withdraw"]
        assert {event["intervention_who"] for event in events} == {"Ada"}
        assert (2.5, -3.5) in [tuple(map(float, spectrum.position)) for spectrum in run.spectra]
        assert replay(run).exact
