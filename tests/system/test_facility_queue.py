"""The queue server on loopback: Redis, RE manager, 0MQ proxy; explorations queued as plain JSON, and an agent elsewhere."""

import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
import zmq

from bluesky_stm.geometry import Frame
from bluesky_stm.runs import replay
from bluesky_stm.storage import open_catalog

pytest.importorskip("bluesky_queueserver_api", reason="pip install 'bluesky-stm[queueserver]'")
from bluesky_queueserver_api import BPlan
from bluesky_queueserver_api.zmq import REManagerAPI

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky_queueserver"),
]
BIN = Path(sys.executable).parent

SCALES = [
    {"name": "terrace", "frame": 50, "pixels": 64, "patch": 4, "step": 2, "budget": 6, "seeds": 4, "agent": "gp-xy"},
    {"name": "defect", "frame": 10, "pixels": 64, "patch": 1.2, "step": 0.4, "budget": 6, "seeds": 4, "agent": "gp-xy"},
]
INTEGRAL = {"name": "integral", "between": [0.2, 1.0]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command, **options):
    process = subprocess.Popen([str(part) for part in command], **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition, seconds=60.0, every=0.05):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(every)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def client_of(**addresses):
    """A client of the queue server; its own ``close`` leaves its 0MQ contexts open."""
    before = {id(context) for context in contexts()}
    client = REManagerAPI(**addresses, timeout_recv=10)
    its_own = [context for context in contexts() if id(context) not in before]
    try:
        yield client
    finally:
        client.close()
        for context in its_own:
            context.destroy(linger=0)


def contexts():
    return [thing for thing in gc.get_objects() if issubclass(type(thing), zmq.Context)]


class Bench:
    """The servers of a facility, their addresses, and the client of the queue."""

    def __init__(self, folder, stack, **instrument):
        if not shutil.which("redis-server"):
            pytest.skip("redis-server is not installed: apt-get install redis-server")
        self.folder, self.catalog = folder, folder / "catalog"
        redis, control, info, self.publish, self.subscribe = (free_port() for _ in range(5))
        self.queue = f"tcp://127.0.0.1:{control}"
        self.settings = folder / "bluesky_stm.yaml"
        self.settings.write_text(
            yaml.safe_dump(
                {
                    "microscope": {"name": "simulated", "seed": 7},
                    "scales": SCALES,
                    "catalog": str(self.catalog),
                    "publish": f"127.0.0.1:{self.publish}",
                    "operator": "the night shift",
                }
            )
        )
        self.environment = {**os.environ, "BLUESKY_STM_SETTINGS": str(self.settings), "OMP_NUM_THREADS": "1"}
        instrument = {**self.environment, **instrument}
        self.call("bluesky-stm", "queue-files", folder, environment=instrument)
        log = stack.enter_context((folder / "servers.log").open("w"))
        quiet = {"cwd": folder, "env": instrument, "stdout": log, "stderr": log}
        stack.enter_context(running(["redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", ""], **quiet))
        ends = ["--in-address", f"tcp://127.0.0.1:{self.publish}", "--out-address", f"tcp://127.0.0.1:{self.subscribe}"]
        stack.enter_context(running([BIN / "bluesky-0MQ-proxy", *ends], **quiet))
        wait_for(lambda: answers(redis))
        manager = [BIN / "start-re-manager", "--redis-addr", f"127.0.0.1:{redis}"]
        manager += ["--zmq-control-addr", self.queue, "--zmq-info-addr", f"tcp://127.0.0.1:{info}"]
        manager += ["--startup-module", "bluesky_stm.facility.queue_startup"]
        manager += ["--existing-plans-devices", folder / "existing_plans_and_devices.yaml"]
        manager += ["--user-group-permissions", folder / "user_group_permissions.yaml"]
        stack.enter_context(running(manager, **quiet))
        wait_for(lambda: answers(control))
        information = f"tcp://127.0.0.1:{info}"
        self.client = stack.enter_context(client_of(zmq_control_addr=self.queue, zmq_info_addr=information))
        self.client.environment_open()
        self.client.wait_for_idle(timeout=120)
        stack.callback(self._close_environment)

    def _close_environment(self):
        self.client.environment_close()
        self.client.wait_for_idle(timeout=60)

    def call(self, program, *arguments, environment=None):
        done = subprocess.run(
            [BIN / program, *map(str, arguments)],
            env=environment or self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add(self, name, **parameters):
        self.client.history_clear()
        self.client.queue_clear()  # an aborted plan goes back into the queue
        self.client.item_add(BPlan(name, **json.loads(json.dumps(parameters))))
        self.client.queue_start()

    def result(self, seconds=180):
        self.client.wait_for_idle(timeout=seconds)
        (item,) = self.client.history_get()["items"]
        return item["result"]

    def runs(self, uids):
        with open_catalog(self.catalog, write=False) as catalog:
            return [catalog[uid] for uid in uids]

    def spectra(self):
        """Spectra of the run that goes on, so far."""
        with open_catalog(self.catalog, write=False) as catalog:
            return len(catalog[-1].spectra) if len(catalog) and catalog[-1].stop is None else 0


@pytest.fixture(scope="module", name="bench")
def _bench(tmp_path_factory):
    with ExitStack() as stack:
        yield Bench(tmp_path_factory.mktemp("facility"), stack)


def test_a_multiscale_exploration_is_queued_as_plain_json_and_runs_to_its_end(bench):
    bench.add("explore_multiscale", scales=["terrace", "defect"], scalarizer=INTEGRAL, agent="gp-xy", budget=5)
    result = bench.result()
    assert result["exit_status"] == "completed", result["traceback"]
    terrace, defect = bench.runs(result["run_uids"])
    assert defect.start["parent_run"] == terrace.uid
    assert [len(run.spectra) for run in (terrace, defect)] == [5, 5]
    assert {run.start["scalarizer"]["name"] for run in (terrace, defect)} == {"integral"}
    assert terrace.start["operator"] == "the night shift"
    parent, child = (Frame.from_dict(run.start["frame"]) for run in (terrace, defect))
    assert parent.contains(child.corners, margin=-1e-6).all()


@pytest.mark.parametrize(
    ("plan", "parameters"),
    [
        ("explore_multiscale", {"scales": ["atoms"]}),
        ("explore_multiscale", {"agent": "nobody"}),
        ("explore", {"scale": "terrace", "budget": 0}),
        ("scan_topograph", {"size": -5.0}),
        ("make_coffee", {}),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_is_queued(bench, plan, parameters):
    with pytest.raises(bench.client.RequestFailedError):
        bench.client.item_add(BPlan(plan, **parameters))
    assert bench.client.status()["items_in_queue"] == 0


def test_a_paused_exploration_goes_on_where_it_was(bench):
    bench.add("explore", scale="defect", budget=40, agent="gp-xy")
    wait_for(lambda: bench.spectra() >= 3)
    bench.client.re_pause("deferred")
    bench.client.wait_for_idle_or_paused(timeout=60)
    assert bench.client.status()["manager_state"] == "paused"
    taken = bench.spectra()
    time.sleep(1.0)
    assert bench.spectra() == taken < 40, "nothing is measured while it is paused"
    bench.client.re_resume()
    result = bench.result()
    assert result["exit_status"] == "completed", result["traceback"]
    (run,) = bench.runs(result["run_uids"])
    places = [decision.candidate for decision in run.decisions]
    assert len(run.spectra) == 40 and len(set(places)) == len(places) == 41
    assert replay(run).exact


def test_an_aborted_exploration_leaves_the_tip_at_rest_and_its_spectra_stored(bench):
    bench.add("explore", scale="defect", budget=60, agent="gp-xy")
    wait_for(lambda: bench.spectra() >= 3)
    bench.client.re_pause("immediate")
    bench.client.wait_for_idle_or_paused(timeout=60)
    bench.client.re_abort()
    result = bench.result()
    assert result["exit_status"] == "aborted"
    (run,) = bench.runs(result["run_uids"])
    assert run.stop["exit_status"] == "abort" and len(run.spectra) >= 3
    bench.add("spectra_at", points=[[0.0, 0.0]])  # in contact, as before: else it would be refused
    assert bench.result()["exit_status"] == "completed"


NO_TORCH = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "gpytorch", "linear_operator"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


@pytest.fixture(scope="module", name="torchless")
def _torchless(tmp_path_factory):
    """An instrument's host on which torch is not installed; that of the agent has it."""
    folder, hook = tmp_path_factory.mktemp("torchless"), tmp_path_factory.mktemp("hook")
    (hook / "sitecustomize.py").write_text(NO_TORCH)
    with ExitStack() as stack:
        yield Bench(folder, stack, PYTHONPATH=str(hook))


def agent_command(bench, *options):
    stream = f"tcp://127.0.0.1:{bench.subscribe}"
    return ["bluesky-stm", "agent", "--subscribe", stream, "--queue", bench.queue, *map(str, options)]


def test_the_host_of_the_instrument_has_no_torch(torchless):
    torchless.add("explore", scale="terrace", agent="gp-xy", budget=5)
    result = torchless.result()
    assert result["exit_status"] == "failed" and "No module named 'torch'" in result["traceback"]


def test_a_remote_agent_leads_to_the_decisions_of_a_local_one(torchless):
    torchless.client.history_clear()
    torchless.client.queue_clear()
    said = torchless.call(*agent_command(torchless, "--scale", "terrace", "--seed", 3, "--budget", 12))
    assert "success" in said
    result = torchless.result()
    (run,) = torchless.runs(result["run_uids"])
    assert len(run.spectra) == 12
    assert [decision.ingested for decision in run.decisions] == list(range(13)), "each measurement is taken in once"
    assert len({decision.why for decision in run.decisions}) > 1, "seed points, and then decisions of a model"
    assert replay(run).exact, "an agent of the same description, taught here, decides the same to the last bit"


def test_a_remote_agent_gets_an_earlier_run_from_the_instrument(torchless):
    torchless.client.history_clear()
    torchless.client.queue_clear()
    options = "--scale", "terrace", "--seed", 3, "--budget", 6
    torchless.call(*agent_command(torchless, *options))
    (earlier,) = torchless.result()["run_uids"]
    torchless.client.history_clear()
    assert "success" in torchless.call(*agent_command(torchless, *options, "--prior", earlier))
    (uid,) = torchless.result()["run_uids"]
    with open_catalog(torchless.catalog, write=False) as catalog:
        again = replay(catalog[uid])
    assert again.exact and again.run.start["agent"]["prior"] == [earlier]
    assert len(again.agent.checkpoint()["inherited"]) > 0


def test_an_agent_that_was_killed_rejoins_the_run(torchless):
    torchless.client.history_clear()
    torchless.client.queue_clear()
    program, *options = agent_command(torchless, "--scale", "terrace", "--seed", 3, "--budget", 30)
    first = subprocess.Popen([BIN / program, *options], env=torchless.environment, stdout=subprocess.DEVNULL)
    wait_for(lambda: torchless.spectra() >= 6)
    first.kill()
    first.wait()
    said = torchless.call(*agent_command(torchless, "--rejoin"))
    assert "Going on as gp-xy after" in said and "success" in said
    (run,) = torchless.runs(torchless.result()["run_uids"])
    assert len(run.spectra) == 30
    assert [decision.ingested for decision in run.decisions] == list(range(31)), "each measurement is taken in once"
    assert replay(run).exact, "as if it had never been away"


def test_there_is_nothing_to_rejoin_where_no_agent_is_missing(torchless):
    program, *options = agent_command(torchless, "--rejoin")
    done = subprocess.run([BIN / program, *options], env=torchless.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "No exploration of a remote agent goes on" in done.stderr


def test_an_agent_that_gets_no_documents_says_so(bench):
    """Nobody publishes there: the plan fails in time for lack of an answer, and the host ends."""
    bench.client.queue_clear()
    nowhere = f"tcp://127.0.0.1:{free_port()}"
    command = ["bluesky-stm", "agent", "--subscribe", nowhere, "--queue", bench.queue, "--scale", "terrace", "--budget", "4"]
    done = subprocess.Popen([BIN / command[0], *command[1:]], env=bench.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: bench.client.status(reload=True)["manager_state"] == "executing_queue")
    bench.client.re_pause("immediate")  # a person need not wait for the two minutes that an answer may take
    bench.client.wait_for_idle_or_paused(timeout=60)
    bench.client.re_abort()
    bench.client.wait_for_idle(timeout=60)
    assert bench.client.status()["items_in_queue"] == 1, "an aborted plan goes back into the queue"
    assert "last document did not come" in done.communicate(timeout=60)[1]
    assert done.returncode == 2
