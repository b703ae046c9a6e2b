"""What a program proposes moves nothing until a person with another credential accepts what was rehearsed, once."""

import json
import threading

import pytest

from bluesky_stm.desk import Proposals, Refused, new_person


@pytest.fixture
def clock():
    return [1e9]


@pytest.fixture
def kept(tmp_path, clock):
    return Proposals(tmp_path, clock=lambda: clock[0])


@pytest.fixture(scope="module")
def people():
    made = {role: new_person(role, role)[0] for role in ("watch", "propose", "steer", "operate")}
    return {**made, "other": new_person("other", "operate")[0]}


POINT = {"point": [1.0, 2.0]}


def proposed(kept, person, act="measure", content=POINT):
    made = kept.propose(person, act, content, "a bright spot", "a spectrum", "run")
    return kept.rehearsed(made.id, {"place": "(1, 2) nm", "dose": "1 nC"})


def refused(code, do, *args):
    with pytest.raises(Refused) as error:
        do(*args)
    assert error.value.code == code


def test_another_person_accepts_what_was_seen_once(kept, people):
    one = proposed(kept, people["propose"])
    done = kept.decide(people["steer"], one.id, one.digest, "accept")
    assert (done.state, done.decided_by, done.by) == ("accepted", "steer", "propose")
    for verdict in ("accept", "decline"):
        refused("decided-already", kept.decide, people["operate"], one.id, one.digest, verdict)


@pytest.mark.parametrize("who", ["steer", "operate"])
def test_nobody_accepts_a_proposal_of_ones_own(kept, people, who):
    one = proposed(kept, people[who])
    refused("self-approval", kept.decide, people[who], one.id, one.digest, "accept")
    twin = people["other"].changed(name=who)
    refused("self-approval", kept.decide, twin, one.id, one.digest, "accept")
    assert kept[one.id].state == "open"


def test_who_may_not_ask_for_it_may_not_accept_it_either(kept, people):
    one = proposed(kept, people["propose"])
    for who in ("watch", "propose"):
        refused("not-allowed", kept.decide, people[who], one.id, one.digest, "accept")
    night = proposed(kept, people["propose"], "night", {})
    refused("not-allowed", kept.decide, people["steer"], night.id, night.digest, "accept")
    refused("not-allowed", kept.propose, people["watch"], "measure", POINT, "why", "a spectrum", "run")


def test_what_was_not_rehearsed_changed_or_is_old_is_not_accepted(kept, people, clock, tmp_path):
    raw = kept.propose(people["propose"], "measure", POINT, "why", "a spectrum", "run")
    refused("refused", kept.decide, people["steer"], raw.id, raw.digest, "accept")
    kept.rehearsed(raw.id, {}, "refused: outside of the limits")
    refused("decided-already", kept.decide, people["steer"], raw.id, kept[raw.id].digest, "accept")
    one = proposed(kept, people["propose"])
    path = tmp_path / "proposals" / f"{one.id}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "content": {"point": [900.0, 2.0]}}))
    refused("changed-since", kept.decide, people["steer"], one.id, one.digest, "accept")
    old = proposed(kept, people["propose"])
    clock[0] += 3601
    refused("too-old", kept.decide, people["steer"], old.id, old.digest, "accept")
    assert kept.decide(people["steer"], old.id, old.digest, "decline").state == "declined"


@pytest.mark.parametrize("key", ["", "nothing", "../../etc/pass", "0" * 12, None, "0" * 13])
def test_what_is_no_proposal_is_not_found(kept, people, key):
    proposed(kept, people["propose"])
    refused("not-found", kept.decide, people["steer"], key, "", "accept")


def test_of_many_who_accept_at_once_one_does(kept, people):
    one = proposed(kept, people["propose"])
    outcomes = []

    def accept():
        try:
            outcomes.append(kept.decide(people["operate"], one.id, one.digest, "accept").state)
        except Refused as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=accept) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["accepted", *["decided-already"] * 11]


def test_twenty_wait_and_no_more_and_only_ones_own_is_taken_back(kept, people):
    made = [proposed(kept, people["propose"]) for _ in range(20)]
    refused("too-many", kept.propose, people["propose"], "measure", POINT, "why", "a spectrum", "run")
    refused("not-allowed", kept.take_back, people["steer"], made[0].id)
    assert kept.take_back(people["propose"], made[0].id).state == "taken back"
    proposed(kept, people["propose"])
