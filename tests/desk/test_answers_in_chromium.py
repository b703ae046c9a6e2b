"""The buttons by which a person answers the agent: off while an answer is under way, and never for good."""

import pytest
from chromium import NEEDED, opened
from desk_page import Page, wait_for

from bluesky_stm.storage import open_catalog

pytestmark = [NEEDED, pytest.mark.system]
DISABLED = "['accept', 'reject'].map((name) => document.querySelector(`[data-ask=${name}]`).disabled)"


@pytest.fixture
def page(serve, tokens, recorder, tmp_path):
    desk = serve()
    with open_catalog(tmp_path / "catalog") as catalog, opened(tmp_path / "profile") as browser:
        live = recorder(catalog)
        live.emit(
            "intervention",
            {
                "intervention_kind": "approve",
                "intervention_settings": '{"on": true}',
                "intervention_reason": "",
                "intervention_who": "Ada",
                "intervention_source": "",
                "intervention_refused": "",
                "intervention_asked": 1.8e9,
            },
        )
        live.decide()
        page = Page(browser, f"http://127.0.0.1:{desk.port}/")
        page.open()
        page(f"introduce({tokens['operate'][1]!r}).then((said) => desk.steering.known(said)); null")
        page.wait(f"!{DISABLED}.includes(true)")
        yield page


def test_nobody_answers_twice_about_a_place_and_after_a_while_one_may_answer_again(page, session):
    """The recorder never takes the answer up, as a plan that hangs would not."""
    page("later = []; setTimeout = (call, delay) => later.push([call, delay]); null")
    page.press("reject")
    assert page(DISABLED) == [True, True]
    wait_for(lambda: session.asked)
    page.wait("document.querySelector('.answer').textContent.includes('reject')")
    assert page(DISABLED) == [True, True] and [one[0] for one in session.asked] == ["reject"]
    page("later.find(([, delay]) => delay === ANSWERED)[0](); null")
    assert page(DISABLED) == [False, False]


def test_after_a_refusal_one_may_answer_at_once(page, session):
    session.refuse = "another place is proposed by now"
    page.press("accept")
    page.wait("document.querySelector('.answer.refusal')?.textContent.includes('another place is proposed')")
    assert page(DISABLED) == [False, False] and session.asked == []
