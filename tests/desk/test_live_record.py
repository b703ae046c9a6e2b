"""What the desk says of a run under way: its state, and the decision that waits for a person."""

import json

import pytest

from bluesky_stm.desk._live_record import LiveRecord

APPROVED = ("approve", {"on": True})


def said(kind, settings, refused=""):
    told = {"kind": kind, "settings": json.dumps(settings), "reason": "", "who": "Ada", "source": "here", "asked": 1.8e9}
    return {f"intervention_{name}": value for name, value in {**told, "refused": refused}.items()}


@pytest.fixture
def record():
    return LiveRecord()


@pytest.fixture
def live(recorder, record):
    """A run of which each decision is to be approved; one waits."""
    live = recorder(record)
    live.emit("intervention", said(*APPROVED))
    live.decide()
    return live


@pytest.mark.parametrize("kind", ["mask", "unmask", "reject", "scalarizer", "agent", "measure"])
def test_a_decision_that_no_longer_holds_does_not_wait_until_the_next_one_is_made(live, record, kind):
    place = list(record.next.point)
    settings = {
        "mask": {"area": live.frame.as_dict()}, "reject": {"point": place}, "measure": {"point": [3.0, -2.0]},
        "scalarizer": {"name": "gap"}, "agent": {"seed": 2},
    }.get(kind, {})  # fmt: skip
    live.emit("intervention", said(kind, settings, refused="the plan refuses it"))
    assert (record.state, list(record.next.point)) == ("asking", place)
    live.emit("intervention", said(kind, settings))
    assert (record.state, record.next, record.now()["next"]) == ("measuring", None, None)
    again = live.decide()
    assert (record.state, record.next.point) == ("asking", again.point)


def test_what_is_accepted_is_carried_out_and_waits_no_more(live, record):
    live.emit("intervention", said("accept", {"point": list(record.next.point)}))
    assert record.state == "measuring" and record.next
    live.measure(record.next.point)
    assert record.next is None
    live.decide()
    assert record.state == "asking"


@pytest.mark.parametrize("kind", ["stop", "withdraw"])
def test_what_the_agent_decides_after_the_end_waits_for_nobody(live, record, kind):
    live.emit("intervention", said(kind, {}))
    live.decide()
    assert (record.state, record.next) == ("measuring", None)
