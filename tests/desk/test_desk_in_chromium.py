"""The desk in a real browser, over runs of the real queue server: what is clicked is an Event with its author, and replayed."""

import signal
import subprocess
from contextlib import ExitStack

import chromium
import pytest
from chromium import NEEDED, opened
from desk_page import Page

pytest.importorskip("bluesky_queueserver_api", reason="pip install 'bluesky-stm[queueserver]'")
from bench import BIN, Bench, answers, free_port, running, wait_for
from bluesky_queueserver_api import BPlan

from bluesky_stm.desk import new_person, write_people
from bluesky_stm.geometry import Frame
from bluesky_stm.runs import replay

pytestmark = [
    pytest.mark.system,
    NEEDED,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky_queueserver"),
]
SCALE = {"name": "small", "frame": 20, "pixels": 32, "patch": 2, "step": 1, "budget": 200, "seeds": 4, "agent": "gp-xy"}
SETTINGS = {"microscope": {"name": "simulated", "seed": 7, "speed": 4}, "scales": [SCALE]}


@pytest.fixture(scope="module", name="servers")
def _servers(tmp_path_factory):
    with ExitStack() as stack:
        yield Bench(tmp_path_factory.mktemp("desk"), stack, SETTINGS)


@pytest.fixture(scope="module")
def tokens(servers):
    made = {name: new_person(name, role) for name, role in {"Ada": "operate", "Bob": "steer", "Eve": "watch"}.items()}
    write_people(servers.folder / "people.yaml", [person for person, _ in made.values()])
    return {name: token for name, (_, token) in made.items()}


@pytest.fixture(scope="module")
def address(servers, tokens):
    port = free_port()
    command = [BIN / "bluesky-stm", "desk", "--catalog", servers.catalog, "--people", servers.folder / "people.yaml"]
    command += ["--queue", servers.queue, "--port", port]
    with running(command, env=servers.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_for(lambda: answers(port))
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def page(tmp_path, address, monkeypatch):
    monkeypatch.setattr(chromium, "_is_own", lambda url: url.startswith((address, address.replace("http", "ws"), "data:")))
    with opened(tmp_path / "profile") as browser:
        page = Page(browser, address)
        page.open()
        yield page
        assert browser.complaints == []


@pytest.fixture
def run(servers):
    """An exploration in the queue, ended at the end if nobody has."""
    servers.client.history_clear()
    servers.client.queue_clear()
    servers.queue_up(BPlan("explore", scale="small", agent="gp-xy", anew=True), patience=240)
    servers.until(lambda: servers.spectra() >= 2)
    yield servers
    if servers.client.status(reload=True)["manager_state"] != "idle":
        servers.call("bluesky-stm", "steer", "stop", "--queue", servers.queue)
        servers.client.wait_for_idle(timeout=120)


def login(page, token):
    page.fill(".credential input", token)
    page.browser.click(".credential button")
    page.wait("document.querySelector('.credential .who').textContent.startsWith('You are')")


def test_every_action_is_clicked_and_is_an_event_with_its_author_and_the_run_is_replayed(page, run, tokens):
    login(page, tokens["Ada"])
    page.wait("document.getElementById('state').textContent.startsWith('Measuring')")
    expected = []

    def press(name, kind, refused=False):
        """Press, and wait until it is on record."""
        expected.append((kind, refused))
        page.press(name)
        wait_for(lambda: page.log() == expected, 180)

    press("pause", "pause")
    page.wait("document.getElementById('state').textContent.startsWith('Paused by Ada')")
    page.shot("paused")
    page.browser.click("#view .map .layer")
    assert abs(float(page("document.querySelector('#forms input').value"))) < 0.5, (
        "the middle of the frame is where one clicked"
    )
    fields = "#forms form:nth-of-type({}) .field:nth-of-type({}) {}"
    page.fill(fields.format(1, 1, "input"), "-5")
    page.fill(fields.format(1, 2, "input"), "0")
    page.fill(fields.format(2, 1, "input"), "8")
    page.fill(fields.format(2, 2, "input"), "18")
    page.fill(fields.format(6, 1, "input"), "a piece of dirt")
    press("mask", "mask")
    page.fill(fields.format(1, 1, "input"), "2.5")
    page.fill(fields.format(1, 2, "input"), "-3.5")
    press("measure", "measure")
    page.fill(fields.format(1, 1, "input"), "5000")
    press("measure", "measure", refused=True)
    page.choose(fields.format(3, 1, "select"), "conduction_edge")
    press("scalarize", "scalarizer")
    page.choose(fields.format(4, 1, "select"), "variance")
    press("tune", "agent")
    page.fill(fields.format(5, 1, "input"), "120")
    press("budget", "budget")
    press("approve_eachon", "approve")
    press("resume", "resume")
    page.wait("document.getElementById('state').textContent.startsWith('A decision waits')")
    page.shot("asking")
    rejected = page("document.querySelector('.proposal').textContent")
    press("reject", "reject")
    page.wait("document.getElementById('state').textContent.startsWith('A decision waits')")
    assert page("document.querySelector('.proposal').textContent") != rejected, "it waits no more once it is rejected"
    press("accept", "accept")
    press("approve_eachoff", "approve")
    press("unmask", "unmask")
    press("stop", "stop")
    run.client.wait_for_idle(timeout=120)
    page.wait("document.getElementById('state').textContent.startsWith('The run is over: success, ended by Ada')")
    page.shot("over")
    stored = run.newest()
    events = [event["data"] for event in stored.events("intervention")]
    assert [(e["intervention_kind"], bool(e["intervention_refused"])) for e in events] == expected
    assert {e["intervention_who"] for e in events} == {"Ada"}
    assert all("the desk at" in e["intervention_source"] and e["intervention_asked"] > 1e9 for e in events)
    assert events[1]["intervention_reason"] == "a piece of dirt"
    area = Frame.square((-5, 0), 8, 1)
    taken = [spectrum.position for spectrum in stored.spectra]
    assert (2.5, -3.5) in [tuple(map(float, p)) for p in taken] and len(taken) < 120
    assert area.size == (8.0, 8.0)
    assert replay(stored).exact


def test_a_withdrawal_by_who_may_steer_ends_the_run_at_once(page, run, tokens):
    login(page, tokens["Bob"])
    assert page("document.querySelector('[data-ask=stop]').disabled"), "that is for who operates"
    page.wait("!document.querySelector('[data-ask=withdraw]').disabled")
    page.tab_to("document.activeElement.dataset.ask === 'withdraw'")
    page.key("Enter")
    run.client.wait_for_idle(timeout=120)
    stored = run.newest()
    assert "withdrawn" in stored.stop["reason"] and "Bob" in stored.stop["reason"]
    page.wait("document.getElementById('facts').textContent.includes('tip withdrawn')")
    run.client.history_clear()
    run.queue_up(BPlan("approach"))
    run.until(run.done)
    assert run.client.history_get()["items"][-1]["result"]["exit_status"] == "completed"


def test_who_may_watch_sees_everything_and_every_button_is_off(page, run, tokens):
    login(page, tokens["Eve"])
    page.wait("document.querySelectorAll('#view .map .point').length >= 2")
    assert page("[...document.querySelectorAll('[data-ask]')].every((b) => b.disabled)")
    assert page("[...document.querySelectorAll('#view .map .layer')][0].href.baseVal.startsWith('data:image/png')")
    assert page("document.querySelectorAll('#view .map .coming').length") in {0, 3}
    page.click_until("#view figure button[aria-pressed]", "document.querySelector('{}').ariaPressed === 'false'")
    taken = page("desk.scale.run.spectra.count")
    page.wait(f"desk.scale.run.spectra.count > {taken + 1}")
    assert page("document.querySelector('#view figure button[aria-pressed]').getAttribute('aria-pressed')") == "false"
    for width in (1280, 768, 360):
        for scheme in ("light", "dark"):
            page.open(width, **{"color-scheme": scheme})
            page.wait("document.querySelectorAll('#view .map .point').length >= 2")
            assert page("document.documentElement.scrollWidth") <= width
            page.shot(f"measuring-{width}-{scheme}")


def test_a_browser_and_a_desk_that_die_leave_no_trace_in_the_run(servers, tokens, tmp_path):
    servers.client.history_clear()
    servers.client.queue_clear()
    port = free_port()
    command = [BIN / "bluesky-stm", "desk", "--catalog", servers.catalog, "--people", servers.folder / "people.yaml"]
    servers.queue_up(BPlan("explore", scale="small", agent="gp-xy", budget=8, anew=True))
    before = len(servers.stored())
    servers.until(lambda: len(servers.stored()) > before)
    for _ in range(2):
        desk = subprocess.Popen([*map(str, command), "--port", str(port)], env=servers.environment, stdout=subprocess.DEVNULL)
        wait_for(lambda: answers(port))
        desk.send_signal(signal.SIGKILL)
        desk.wait()
    servers.client.wait_for_idle(timeout=600)
    stored = servers.newest()
    assert stored.stop["exit_status"] == "success" and len(stored.spectra) == 8 and replay(stored).exact
    assert list(stored.events("intervention")) == []
