"""An agent elsewhere: the same decisions as here, each measurement taken in once, and no decision from other knowledge."""

import json

import pytest
from bluesky import RunEngine

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.errors import NotCapableError
from bluesky_stm.facility import AgentHost, Mailbox, RemoteAgent, packed, unpacked
from bluesky_stm.plans import explore
from bluesky_stm.runs import experience
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.session import make_scale_agent
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import Run

SCALE = LengthScale(name="s", frame=20, pixels=48, patch=3, step=1, budget=9, seeds=4, agent="gp-xy")


def explored(agent, *listeners, prior=None, **md):
    """Documents of an exploration with this agent on a fresh microscope."""
    documents = []
    engine = RunEngine()
    for listener in listeners:
        engine.subscribe(listener)
    stm = STM(controller=SimulatedController(seed=5), name="stm")
    device = AgentDevice(agent, SCALE, prior=prior, name="agent")
    engine(explore(stm, device, md=md), lambda *document: documents.append(document))
    return documents


def decisions(documents):
    stream = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    events = [doc["data"] for name, doc in documents if name == "event" and stream[doc["descriptor"]] == "agent"]
    return [{key: repr(value) for key, value in data.items() if key != "agent_elapsed"} for data in events]


def remotely(repeat=1, skip=lambda name, doc: False, timeout=30.0, earlier=None, prior=None):
    """``earlier``: documents by uid, as the host gets them; ``prior``: what the instrument makes of them."""
    mailbox, answers = Mailbox(), []
    asked = lambda uid: unpacked(packed(earlier[uid]))  # noqa: E731
    host = AgentHost(make_scale_agent(SCALE, seed=3), "this one", lambda answer: deliver(answer), asked)

    def deliver(answer):
        answers.append(answer)
        mailbox.put(json.loads(json.dumps(answer, allow_nan=False)))

    def stream(name, doc):
        for _ in range(0 if skip(name, doc) else repeat):
            host(name, doc)

    agent = RemoteAgent(make_scale_agent(SCALE, seed=3).describe(), mailbox, timeout)
    return explored(agent, stream, prior=prior, remote="this one"), answers, host


@pytest.fixture(scope="module", name="here")
def _here():
    return explored(make_scale_agent(SCALE, seed=3))


def test_it_decides_as_the_local_agent_does(here):
    there, _, host = remotely()
    assert decisions(there) == decisions(here)
    assert len(decisions(there)) == SCALE.budget + 1
    assert host.stop["exit_status"] == "success"


def test_it_decides_the_same_when_every_document_comes_twice(here):
    there, answers, _ = remotely(repeat=2)
    assert decisions(there) == decisions(here)
    assert len(answers) == SCALE.budget + 1, "one answer for the topograph and one for each spectrum"


def test_its_run_is_described_as_that_of_the_agent_itself(here):
    there, _, _ = remotely()
    assert there[0][1]["agent"] == here[0][1]["agent"]


def test_an_agent_that_missed_a_spectrum_leads_the_tip_nowhere():
    """Its answers are for other lessons: the run fails in time, and the tip stays."""
    from bluesky.utils import FailedStatus

    lost = lambda name, doc: name == "event" and doc["seq_num"] == 3 and "stm_sweep_current" in doc["data"]  # noqa: E731
    with pytest.raises(FailedStatus, match="has not answered"):
        remotely(skip=lost, timeout=1.0)


def test_documents_of_other_runs_teach_it_nothing(here):
    sent = []
    host = AgentHost(make_agent("random", seed=1, patch=3, step=1), "another", sent.append, {}.get)
    for name, doc in here:
        host(name, doc)
    assert sent == [] and host.stop is None


def test_it_does_not_look_ahead():
    agent = RemoteAgent(make_agent("random").describe(), Mailbox())
    with pytest.raises(NotCapableError, match="ahead=False"):
        agent.suggest(1, pending=[(0.0, 0.0)])


@pytest.fixture(scope="module", name="earlier")
def _earlier(here):
    """An earlier run of the same frame: its uid, its documents, and what an agent can learn from it."""
    uid = here[0][1]["uid"]
    return uid, here, experience(Run(here), make_scalarizer(SCALE.scalarizer))


def test_it_knows_of_earlier_runs_what_the_local_agent_knows(here, earlier):
    uid, documents, known = earlier
    there, _, host = remotely(earlier={uid: documents}, prior={uid: known})
    assert there[0][1]["agent"]["prior"] == [uid]
    assert decisions(there) == decisions(explored(make_scale_agent(SCALE, seed=3), prior={uid: known}))
    assert decisions(there) != decisions(here)
    assert len(host.agent.checkpoint()["inherited"]) == SCALE.budget


def test_an_agent_that_knows_another_earlier_run_leads_the_tip_nowhere(earlier):
    from bluesky.utils import FailedStatus

    uid, documents, known = earlier
    names = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    spectra = [doc["uid"] for name, doc in documents if name == "event" and names[doc["descriptor"]] == "primary"]
    other = [(name, doc) for name, doc in documents if doc["uid"] != spectra[-1]]
    with pytest.raises(FailedStatus, match="has not answered"):
        remotely(earlier={uid: other}, prior={uid: known}, timeout=1.0)
