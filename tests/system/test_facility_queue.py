"""The queue server on loopback: Redis, RE manager, 0MQ proxy; explorations queued as plain JSON, and an agent elsewhere."""

import json
import subprocess
import time
from contextlib import ExitStack

import numpy as np
import pytest

from bluesky_stm.facility import Facility, checks
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality
from bluesky_stm.runs import rebuild_agent, replay
from bluesky_stm.storage import open_catalog
from bluesky_stm.teaching import teach

pytest.importorskip("bluesky_queueserver_api", reason="pip install 'bluesky-stm[queueserver]'")
from bench import BIN, Bench, free_port, wait_for
from bluesky_queueserver_api import BPlan

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky_queueserver"),
]
SCALES = [
    {"name": "terrace", "frame": 50, "pixels": 64, "patch": 4, "step": 2, "budget": 6, "seeds": 4, "agent": "gp-xy"},
    {"name": "defect", "frame": 10, "pixels": 64, "patch": 1.2, "step": 0.4, "budget": 6, "seeds": 4, "agent": "gp-xy"},
]
SETTINGS = {"microscope": {"name": "simulated", "seed": 7, "speed": 40}, "scales": SCALES, "operator": "the night shift"}
"""The microscope keeps a pace, as otherwise a run may be over before somebody who asks for something has begun to speak."""
INTEGRAL = {"name": "integral", "between": [0.2, 1.0]}


@pytest.fixture(scope="module", name="bench")
def _bench(tmp_path_factory):
    with ExitStack() as stack:
        yield Bench(tmp_path_factory.mktemp("facility"), stack, SETTINGS)


def test_a_multiscale_exploration_is_queued_as_plain_json_and_runs_to_its_end(bench):
    bench.add("explore_multiscale", scales=["terrace", "defect"], scalarizer=INTEGRAL, agent="gp-xy", each=5)
    result = bench.result()
    assert result["exit_status"] == "completed", result["traceback"]
    terrace, defect = bench.runs(result["run_uids"])
    assert defect.start["parent_run"] == terrace.uid
    assert [len(run.spectra) for run in (terrace, defect)] == [5, 5]
    assert {run.start["scalarizer"]["name"] for run in (terrace, defect)} == {"integral"}
    assert (terrace.start["user"], terrace.start["user_group"]) == ("Queue Server API User", "primary")
    assert terrace.start["operator"] == "unknown", "a client that names nobody"
    assert terrace.start["item"] == defect.start["item"] == bench.client.history_get()["items"][0]["item_uid"]
    parent, child = (Frame.from_dict(run.start["frame"]) for run in (terrace, defect))
    assert parent.contains(child.corners, margin=-1e-6).all()


@pytest.mark.parametrize(
    ("plan", "parameters", "said"),
    [
        ("explore_multiscale", {"scales": ["atoms"]}, "There is no length scale named 'atoms'"),
        ("explore_multiscale", {"agent": "nobody"}, "There is no agent named 'nobody'"),
        ("explore", {"scale": "terrace", "budget": 0}, "budget should be a whole number of at least 1, not 0"),
        ("spectra_at", {"points": [[1e9, 0]]}, "Nothing has moved"),
        ("night", {"night": {"tip": {"every": 0}}}, "The settings of a tip check cannot be used"),
        ("make_coffee", {}, "not in the list of allowed plans"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_is_queued(bench, plan, parameters, said):
    """All forty of `tests/facility/test_queue_startup.py` go through the same annotations."""
    with pytest.raises(bench.client.RequestFailedError, match=said):
        bench.queue_up(BPlan(plan, **parameters))
    assert bench.client.status()["items_in_queue"] == 0


def test_an_item_that_was_aborted_goes_on_where_it_stopped_and_so_does_one_whose_worker_was_killed(bench):
    bench.add("explore", scale="defect", budget=24, agent="gp-xy")
    uids = []
    for spectra in (3, 4):
        wait_for(lambda least=spectra: bench.spectra() >= least)
        uids.append(bench.newest().uid)
        if spectra == 3:
            bench.client.re_pause("immediate")
            bench.client.wait_for_idle_or_paused(timeout=60)
            bench.client.re_abort()
        else:
            bench.client.environment_destroy()
        bench.client.wait_for_idle(timeout=60)
        if not bench.client.status(reload=True)["worker_environment_exists"]:
            bench.client.environment_open()
            bench.client.wait_for_idle(timeout=120)
        assert bench.client.status(reload=True)["items_in_queue"] == 1, "it is in the queue again"
        bench.client.queue_start()
    bench.client.wait_for_idle(timeout=180)
    last = bench.newest()
    first, second = bench.runs(uids)
    assert (second.start["resumes"], last.start["resumes"]) == (first.uid, second.uid)
    assert [len(run.spectra) for run in (first, second, last)][2] > 0
    assert sum(len(run.spectra) for run in (first, second, last)) == 24
    taken = [spectrum for run in (first, second, last) for spectrum in run.spectra]
    again = [one for n, one in enumerate(taken) if any(one.position == other.position for other in taken[n + 1 :])]
    assert all(one.quality & Quality.TIP_CHANGED for one in again), "a place is measured again only after a changed tip"
    assert second.stop["exit_status"] == "abort" or "reason" in second.stop, "a session that came later gave it its end"
    bench.add("approach")  # whatever the worker left: the next test begins in contact
    bench.result()


@pytest.mark.slow
def test_an_item_that_is_aborted_after_every_tenth_spectrum_ends_with_the_map_of_the_same_values(bench):
    """As an agent that was taught the same values in one run that was never aborted; each place is measured once."""
    bench.add("explore", scale="defect", budget=60, agent="gp-xy")
    parts = []
    while True:
        wait_for(lambda: bench.spectra() >= 10 or bench.client.status(reload=True)["manager_state"] == "idle")
        parts.append(bench.newest().uid)
        if bench.client.status(reload=True)["manager_state"] == "idle":
            break
        bench.client.re_pause("immediate")
        bench.client.wait_for_idle_or_paused(timeout=60)
        if bench.client.status(reload=True)["manager_state"] == "paused":
            bench.client.re_abort()
        bench.client.wait_for_idle(timeout=60)
        if not bench.client.status(reload=True)["items_in_queue"]:
            break  # it came to its end before the pause did
        bench.client.queue_start()
    *aborted, last = bench.runs(dict.fromkeys(parts))
    assert len(aborted) >= 3 and all(run.stop["exit_status"] == "abort" for run in aborted)
    assert sum(len(run.spectra) for run in (*aborted, last)) == 60
    assert replay(last).exact
    whole = rebuild_agent(aborted[0].start)
    begun = [document for run in aborted for document in run.documents() if document[0] != "stop"]
    starts = [document for document in begun if document[0] == "start"][:1]
    begun = [*starts, *(document for document in begun if document[0] != "start")]
    teach(whole, [*begun, *(document for document in last.documents() if document[0] != "start")])
    stored = [event["data"]["agent_map_mean"] for event in last.events("maps")][-1]
    np.testing.assert_array_equal(np.ravel(whole.posterior().mean), np.ravel(stored))


def test_a_person_steers_an_item_through_the_queue_and_is_on_record(bench):
    bench.add("explore", scale="defect", budget=300, agent="gp-xy")
    wait_for(lambda: bench.spectra() >= 2)
    said = bench.call("bluesky-stm", "steer", "budget", "spectra=12", "--queue", bench.queue, "--reason", "the shift ends")
    assert "budget" in said
    result = bench.result()
    (run,) = bench.runs(result["run_uids"])
    (asked,) = [event["data"] for event in run.events("intervention")]
    assert asked["intervention_who"] and "shell at" in asked["intervention_source"] and asked["intervention_asked"] > 1e9
    assert asked["intervention_reason"] == "the shift ends" and not asked["intervention_refused"]
    assert 12 <= len(run.spectra) < 300 and "the budget of 12 spectra is spent" in run.stop["reason"]


def test_a_plan_is_submitted_from_a_shell_and_refused_there_in_its_own_words(bench):
    bench.client.queue_clear()
    refused = subprocess.run(
        [BIN / "bluesky-stm", "submit", "spectra_at", "points=[[1e9,0]]", "--queue", bench.queue],
        env=bench.environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert refused.returncode == 2 and "outside" in refused.stderr and "Nothing has moved" in refused.stderr
    asked = ["submit", "spectra_at", "points=[[1,0]]", "--queue", bench.queue, "--user", "Ada"]
    assert "In the queue as" in bench.call("bluesky-stm", *asked)
    bench.client.history_clear()
    bench.client.queue_start()
    assert bench.result()["exit_status"] == "completed"
    assert bench.newest().start["operator"] == "Ada"


def test_the_doctor_tells_an_open_environment_from_one_that_died_or_was_closed(bench, monkeypatch):
    monkeypatch.setenv("QSERVER_ZMQ_CONTROL_ADDRESS", bench.queue)

    def found(catalog=bench.catalog):
        (check,) = [
            one for one in checks(Facility.parse({"catalog": str(catalog)}), bench.folder) if one.what == "queue server"
        ]
        return check

    assert found().verdict == "good" and "idle" in found().said
    dead = bench.folder / "left"
    dead.mkdir()
    beat = json.loads((bench.catalog / "heartbeat.json").read_text())
    (dead / "heartbeat.json").write_text(json.dumps({**beat, "time": beat["time"] - 1e6, "host": "elsewhere"}))
    assert found(dead).verdict == "bad" and "is silent" in found(dead).said and "environment destroy" in found(dead).said
    bench.client.environment_close()
    bench.client.wait_for_idle(timeout=60)
    assert found().verdict == "bad" and "environment is closed: qserver environment open" in found().said
    bench.client.environment_open()
    bench.client.wait_for_idle(timeout=120)


def test_a_failing_item_does_not_stop_a_queue_that_is_told_so(bench):
    bench.client.history_clear()
    bench.client.queue_clear()
    bench.client.queue_mode_set(mode={"ignore_failures": True})
    bench.queue_up(BPlan("withdraw"))
    bench.queue_up(BPlan("spectra_at", points=[[0.0, 0.0]]))  # refused when reached: the tip is withdrawn
    bench.queue_up(BPlan("approach"))
    bench.client.queue_start()
    bench.client.wait_for_idle(timeout=120)
    ended = [item["result"]["exit_status"] for item in bench.client.history_get()["items"]]
    bench.client.queue_mode_set(mode="default")
    assert ended == ["completed", "failed", "completed"]


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
    again = [number for number, place in enumerate(places[:-1]) if place in places[number + 1 :]]
    assert len(run.spectra) == 40 and len(places) == 41
    assert all(run.spectra[number].quality & Quality.TIP_CHANGED for number in again), "only there is a place worth another one"
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
        yield Bench(folder, stack, SETTINGS, PYTHONPATH=str(hook))


def agent_command(bench, *options):
    stream = f"tcp://127.0.0.1:{bench.subscribe}"
    return ["bluesky-stm", "agent", "--subscribe", stream, "--queue", bench.queue, *map(str, options)]


def test_a_host_without_torch_explores_with_the_default_agent_and_refuses_the_published_one(torchless):
    torchless.add("explore", scale="terrace", agent="gp-xy", budget=5)
    assert torchless.result()["exit_status"] == "completed"
    torchless.add("explore", scale="terrace", agent="paper-dkl", budget=5)
    result = torchless.result()
    assert result["exit_status"] == "failed" and "No module named 'gpytorch'" in result["traceback"]


@pytest.fixture(scope="module")
def remote(torchless):
    """What an agent on another host printed, and its run."""
    torchless.client.history_clear()
    torchless.client.queue_clear()
    said = torchless.call(*agent_command(torchless, "--scale", "terrace", "--seed", 3, "--budget", 12))
    (run,) = torchless.runs(torchless.result()["run_uids"])
    return said, run


def test_a_remote_agent_leads_to_the_decisions_of_a_local_one(remote):
    said, run = remote
    assert "success" in said
    assert len(run.spectra) == 12
    assert [decision.ingested for decision in run.decisions] == list(range(13)), "each measurement is taken in once"
    assert len({decision.why for decision in run.decisions}) > 1, "seed points, and then decisions of a model"
    assert replay(run).exact, "an agent of the same description, taught here, decides the same to the last bit"


def test_a_remote_agent_gets_an_earlier_run_from_the_instrument(torchless, remote):
    _, earlier = remote
    torchless.client.history_clear()
    torchless.client.queue_clear()
    options = "--scale", "terrace", "--seed", 3, "--budget", 6
    assert "success" in torchless.call(*agent_command(torchless, *options, "--prior", earlier.uid))
    (uid,) = torchless.result()["run_uids"]
    with open_catalog(torchless.catalog, write=False) as catalog:
        again = replay(catalog[uid])
    assert again.exact and again.run.start["agent"]["prior"] == [earlier.uid]
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
    wait_for(lambda: bench.client.status(reload=True)["re_state"] == "running")
    bench.client.re_pause("immediate")  # a person need not wait for the two minutes that an answer may take
    bench.client.wait_for_idle_or_paused(timeout=60)
    bench.client.re_abort()
    bench.client.wait_for_idle(timeout=60)
    assert bench.client.status()["items_in_queue"] == 1, "an aborted plan goes back into the queue"
    assert "last document did not come" in done.communicate(timeout=60)[1]
    assert done.returncode == 2
