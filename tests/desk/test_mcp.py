"""Tools for a language-model agent: what it is told is checked to the letter, what it is answered is plain, nothing moves."""

import asyncio
import json
import threading
import time

import pytest

pytest.importorskip("mcp", reason="pip install 'bluesky-stm[mcp]'")
from mcp import Client

from bluesky_stm.desk import People, Refused, new_person
from bluesky_stm.desk._cards import Cards
from bluesky_stm.desk._mcp import http_app, make_server
from bluesky_stm.desk._questions import Questions
from bluesky_stm.desk._tools import Tools
from bluesky_stm.facility import read_settings
from bluesky_stm.session import simulated
from bluesky_stm.storage import open_catalog

SMALL = {"name": "small", "frame": 20, "pixels": 32, "patch": 2, "step": 1, "budget": 6, "seeds": 4, "agent": "gp-xy"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A catalog with a run that has ended."""
    folder = tmp_path_factory.mktemp("mcp")
    with simulated(seed=3, catalog=folder / "catalog", scales=[SMALL]) as session:
        session.RE(session.night({"drift": False, "tip": False}))
    return folder / "catalog"


@pytest.fixture
def goes_on(folder, tmp_path):
    """The same run while it goes on: a journal without its stop document."""
    from bluesky_stm.storage._journal import Journal

    (tmp_path / "journal").mkdir()
    journal = Journal(tmp_path / "journal")
    with open_catalog(folder, write=False) as catalog:
        for name, doc in catalog[-1].documents():
            if name != "stop":
                journal(name, doc)
    yield tmp_path
    journal.close()


@pytest.fixture(scope="module")
def agent():
    return new_person("a model", "propose")


@pytest.fixture
def asked(goes_on, agent):
    """``asked(name, **arguments)``: structured content, or the code and words of a refusal."""
    tools = Tools(goes_on, Cards(read_settings({})))
    server = make_server(tools, lambda headers: agent[0])

    def ask(name, /, **arguments):
        async def once():
            async with Client(server) as client:
                return await client.call_tool(name, arguments)

        answer = asyncio.run(once())
        if answer.is_error:
            return json.loads(answer.content[0].text)
        assert len(answer.content) == 1 and json.loads(answer.content[0].text) == answer.structured_content
        json.dumps(answer.structured_content, allow_nan=False)
        return answer.structured_content

    yield ask
    tools.close()


def decided(asked, key):
    while (one := asked("proposal", id=key))["state"] == "rehearsing":
        time.sleep(0.05)
    return one


def test_it_reads_what_the_run_has_measured_and_decided(asked, folder):
    with open_catalog(folder, write=False) as catalog:
        run = catalog[-1]
        spectrum, decision = run.spectra[2], run.decisions[-1]
    assert asked("state")["taken"] == 6 and asked("state")["run"] == run.uid
    summary = asked("summary", run="")
    assert summary["spectra"] == 6 and summary["units"] == "V" and summary["exit"] == "goes on"
    told = asked("spectrum", run=run.uid, number=2)
    assert told["place"] == list(spectrum.position)
    assert told["current"] == pytest.approx(spectrum.current, rel=1e-6)
    last = asked("decisions", run="", last=1)["decisions"][0]
    assert (last["x"], last["y"], last["why"]) == (*decision.point, decision.why)
    assert len(asked("predicted_map", run="")["mean"]) == len(asked("predicted_map", run="")["x"]) == summary["candidates"]
    assert "gap" in asked("part", kind="scalarizer", name="")["names"]


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("nothing", {}, "unknown-name"),
        ("runs", {"newest": True}, "bad-request"),
        ("runs", {"newest": 2.5}, "bad-request"),
        ("runs", {"newest": 0}, "bad-request"),
        ("runs", {"newest": 3, "neewst": 1}, "bad-request"),
        ("runs", {}, "bad-request"),
        ("summary", {"run": "../../../etc"}, "not-found"),
        ("summary", {"run": "0" * 36}, "refused"),
        ("spectrum", {"run": "", "number": 6}, "not-found"),
        ("part", {"kind": "scalarizer", "name": "gapp"}, "unknown-name"),
        ("propose_point", {"x_nm": True, "y_nm": 0, "reason": "x"}, "bad-request"),
        ("propose_point", {"x_nm": "1.5", "y_nm": 0, "reason": "x"}, "bad-request"),
        ("propose_point", {"x_nm": 1e300, "y_nm": 0, "reason": "x"}, "bad-request"),
        ("propose_point", {"x": 1, "y": 0, "reason": "x"}, "bad-request"),
        ("propose_point", {"x_nm": 1, "y_nm": 0, "reason": ""}, "bad-request"),
        ("propose_mask", {"x_nm": 1, "y_nm": 0, "width_nm": 0, "height_nm": 1, "reason": "x"}, "bad-request"),
        ("propose_night", {"night": {"tpi": True}, "reason": "x"}, "refused"),
        ("proposal", {"id": "../secrets"}, "bad-request"),
        ("proposal", {"id": "0" * 12}, "not-found"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_code(asked, name, arguments, code):
    answer = asked(name, **arguments)
    assert answer.get("code") == code and answer["said"]


def test_a_point_is_rehearsed_on_the_twin_and_its_card_tells_place_time_dose_and_limits(asked):
    one = asked("propose_point", x_nm=2.0, y_nm=-3.0, reason="a bright spot")
    assert one["state"] == "rehearsing" and one["by"] == "a model"
    one = decided(asked, one["id"])
    assert one["state"] == "open", one["outcome"]
    assert "(2, -3) nm, inside" in one["card"]["place"] and one["card"]["limits touched"] == "none"
    assert one["card"]["dose"].endswith("nA") and one["card"]["time"].endswith("s on the twin")
    assert asked("take_back", id=one["id"])["state"] == "taken back"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("propose_point", {"x_nm": 5000.0, "y_nm": 0.0}, "outside"),
        ("propose_mask", {"x_nm": 0.0, "y_nm": 0.0, "width_nm": 500.0, "height_nm": 500.0}, "every candidate"),
        ("propose_scalarizer", {"name": "gapp", "settings": {}}, "no scalarizer"),
        ("propose_scalarizer", {"name": "integral", "settings": {"between": [0.2, 1.0]}}, "values are in"),
    ],
)
def test_what_would_be_refused_is_refused_by_its_rehearsal(asked, name, arguments, said):
    one = asked(name, **arguments, reason="x")
    one = decided(asked, one["id"])
    assert one["state"] == "refused" and said in one["outcome"]


def test_a_mask_and_a_scalarizer_tell_what_they_would_change(asked):
    mask = decided(asked, asked("propose_mask", x_nm=0.0, y_nm=0.0, width_nm=4.0, height_nm=4.0, reason="dirt")["id"])
    other = decided(asked, asked("propose_scalarizer", name="conduction_edge", settings={}, reason="look")["id"])
    assert mask["state"] == other["state"] == "open"
    assert "candidates would be left out" in mask["card"]["rehearsed"] and "of 6 spectra" in other["card"]["rehearsed"]


def test_a_night_is_rehearsed_whole(asked):
    night = {"scales": [SMALL], "drift": False, "tip": False}
    one = decided(asked, asked("propose_night", night=night, reason="the first night")["id"])
    assert one["state"] == "open", one["outcome"]
    card = one["card"]
    assert "6 spectra" in card["rehearsed"] and "drift, tip off" in card["care"] and "spectra from (" in card["place"]
    assert card["dose"].split(" nC")[0] and card["limits touched"] == "none"
    asked_only = answered(asked, asked("rehearse_night", night=night))
    assert asked_only == card, "to ask shows what a proposal would show, and proposes nothing"


def answered(asked, said):
    while said["state"] != "answered":
        said = asked("answer", id=said["id"])
        assert "code" not in said, said
        time.sleep(0.05)
    return said["answer"]


def test_what_if_is_a_question_whose_answer_is_asked_for_again(asked, folder):
    with open_catalog(folder, write=False) as catalog:
        uid = catalog[-1].uid
    answer = answered(asked, asked("what_if", run=uid, scalarizer="conduction_edge", agent=""))
    assert answer["scalarizer"]["name"] == "conduction_edge" and len(answer["best_so_far"]["other"]) == 6
    assert asked("answer", id="0" * 12)["code"] == "not-found"
    assert asked("what_if", run=uid, scalarizer="gapp", agent="")["code"] == "unknown-name"


def test_few_questions_wait_and_one_that_waits_is_dropped():
    held, begun, questions = threading.Event(), threading.Event(), Questions(patience=0.0)
    try:
        first = questions.ask(lambda: {"at last": begun.set() or held.wait(20)})
        assert begun.wait(20)
        waiting = [questions.ask(dict)["id"] for _ in range(5)]
        with pytest.raises(Refused, match="wait already"):
            questions.ask(dict)
        assert questions.drop(waiting[0])["state"] == "dropped"
        with pytest.raises(Refused, match="dropped"):
            questions.answer(waiting[0])
        assert questions.drop(first["id"])["state"] == "working", "who works on it goes on: nothing is half done"
        held.set()
        while (said := questions.answer(first["id"]))["state"] != "answered":
            time.sleep(0.01)
        assert said["answer"] == {"at last": True}
    finally:
        held.set()
        questions.close()


def test_over_http_it_needs_a_token_that_may_propose(goes_on, agent, served):
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    watcher = new_person("watcher", "watch")
    tools = Tools(goes_on, Cards(read_settings({})))
    desk = served(http_app(tools, People((agent[0], watcher[0])), ("127.0.0.1",)))
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accepts = {"Accept": "application/json, text/event-stream"}
    try:
        assert desk.ask("POST", "/mcp", hello, **accepts)[1]["code"] == "no-credential"
        assert desk.ask("POST", "/mcp", hello, "nonsense", **accepts)[1]["code"] == "bad-credential"
        assert desk.ask("POST", "/mcp", hello, watcher[1], **accepts)[1]["code"] == "not-allowed"
        assert desk.ask("POST", "/mcp", hello, agent[1], **accepts, Origin="http://evil.example")[1]["code"] == "cross-site"
        assert desk.ask("POST", "/mcp", b" " * 70_000, agent[1], **accepts)[0] == 413

        async def once():
            headers = {"Authorization": f"Bearer {agent[1]}"}
            async with httpx2.AsyncClient(headers=headers) as http:
                async with Client(streamable_http_client(f"http://127.0.0.1:{desk.port}/mcp", http_client=http)) as client:
                    return await client.call_tool("propose_point", {"x_nm": 1.0, "y_nm": 1.0, "reason": "x"})

        assert asyncio.run(once()).structured_content["by"] == "a model"
    finally:
        tools.close()
