"""Everything that a person may ask at the desk is asked by the keyboard alone."""

import json

import pytest
from chromium import NEEDED, opened
from desk_page import Page, wait_for

from bluesky_stm.desk import Proposals
from bluesky_stm.steer import REQUESTS
from bluesky_stm.storage import open_catalog

pytestmark = [NEEDED, pytest.mark.system]

REACHED = "document.activeElement"
FIELD = f"{REACHED}.labels?.[0]?.textContent === {{}}"
FIELDS = {
    "measure": {"x (nm)": "2.5", "y (nm)": "-3.5"},
    "mask": {"width (nm)": "8", "height (nm)": "18"},
    "scalarize": {"scalarizer": "conduction_edge"},
    "tune": {"acquisition": "variance"},
    "budget": {"spectra in all": "120"},
}
"""What is typed before a button is pressed."""


def type_in(page, label, text):
    page.tab_to(FIELD.format(json.dumps(label)))
    if page(f"{REACHED}.tagName") == "SELECT":
        page.go_to(text)
    else:
        page(f"{REACHED}.select()")
        page.browser.ask("Input.insertText", text=text)
    assert page(f"{REACHED}.value") == text


def press(page, kind, session):
    page.tab_to(f"{REACHED}.dataset.ask?.startsWith({json.dumps(kind)})")
    asked = page("document.body.dataset.asked")
    for _ in range(20):  # to stop, a second time within five seconds, as it ends the exploration
        page.key("Enter")
        if page("document.body.dataset.asked") != asked:
            break
    wait_for(lambda: session.asked and session.asked[-1][0] == kind, 180)
    return session.asked[-1]


def intervention(kind, settings):
    said = {"kind": kind, "settings": json.dumps(settings), "reason": "", "who": "Ada", "source": "the desk", "asked": 1.8e9}
    return {f"intervention_{name}": value for name, value in {**said, "refused": ""}.items()}


def test_everything_is_asked_by_the_keyboard_alone(serve, tokens, session, recorder, tmp_path):
    desk = serve()
    with open_catalog(tmp_path / "catalog") as catalog:
        live = recorder(catalog)
        live.measure(live.decide().point)
        live.decide()
        with opened(tmp_path / "profile") as browser:
            page = Page(browser, f"http://127.0.0.1:{desk.port}/")
            page.open()
            page.wait("desk.state.uid")
            page.tab_to(f"{REACHED}.type === 'password'")
            browser.ask("Input.insertText", text=tokens["operate"][1])
            page.key("Enter")
            page.wait("person.name === 'Operate'")
            asked = {}
            for kind in (
                "pause",
                "withdraw",
                "stop",
                "measure",
                "mask",
                "unmask",
                "scalarize",
                "tune",
                "budget",
                "approve_each",
            ):
                for label, text in FIELDS.get(kind, {}).items():
                    type_in(page, label, text)
                asked[kind] = press(page, kind, session)
            for kind, settings in (("pause", {}), ("approve", {"on": True})):
                live.emit("intervention", intervention(kind, settings))
            page.wait("desk.state.now.state === 'paused'")
            asked["resume"] = press(page, "resume", session)
            live.emit("intervention", intervention("resume", {}))
            page.wait("desk.state.now.state === 'asking'")
            asked["reject"] = press(page, "reject", session)
            live.emit("intervention", intervention("reject", asked["reject"][3]))
            page.wait("desk.state.now.state === 'measuring' && !desk.state.next")
            again = live.decide(pending=[asked["reject"][3]["point"]]).point
            page.wait("desk.state.now.state === 'asking'")
            asked["accept"] = press(page, "accept", session)
            assert asked["accept"][3] == {"point": list(again)} != asked["reject"][3]
            kept = Proposals(tmp_path / "catalog")
            one = kept.propose(tokens["propose"][0], "measure", {"point": [1.0, 2.0]}, "a bright spot", "a spectrum", live.uid)
            kept.rehearsed(one.id, {"place": "(1, 2) nm"})
            page.wait("document.getElementById('state').textContent.includes('A proposal waits')")
            page.tab_to(f"{REACHED}.dataset.proposal === 'accept'")
            page.key("Enter")
            page.wait("document.querySelector('.answer').textContent.includes('measure')")
            assert session.asked[-1][3] == {"point": [1.0, 2.0]} and kept[one.id].decided_by == "Operate"
    assert asked.keys() == set(REQUESTS)
    assert asked["measure"][3] == {"point": [2.5, -3.5]} and asked["mask"][3]["area"]["size"] == [8, 18]
    assert asked["scalarize"][3]["choice"]["name"] == "conduction_edge" and asked["tune"][3] == {"acquisition": "variance"}
    assert all(who == "Operate" for _, who, *_ in asked.values())
