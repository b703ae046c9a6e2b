"""Another process reads along in a journal: each document once, in order, whatever happens to the files."""

import os

import numpy as np
import pytest

from bluesky_stm.storage import Follower, open_catalog


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield catalog


def uids(documents):
    return [doc["uid"] if name == "start" else doc["run_start"] for name, doc in documents if name in {"start", "stop"}]


def test_what_is_there_comes_first_and_then_each_document_as_it_is_written(catalog, recorder):
    follower = Follower(catalog.path)
    assert list(follower.take()) == []
    live = recorder(catalog)
    seen = [len(list(follower.take()))]
    for _ in range(3):
        live.measure(live.decide().point)
        seen.append(len(list(follower.take())))
    live.run(0)
    last = list(follower.take())
    assert seen[0] > 0 and min(seen[1:]) >= 2 and last[-1][0] == "stop"
    stored = list(catalog[-1].documents())
    late = list(Follower(catalog.path).take())
    assert len(late) == sum(seen) + len(last) == len(stored)
    np.testing.assert_equal(late, [(name, doc) for name, doc in stored])


def test_only_the_newest_campaign_is_read_and_then_every_run_that_follows(catalog, recorder):
    other = recorder(catalog)
    other.run(2)
    follower = Follower(catalog.path)
    first = uids(follower.take())
    recorder(catalog).run(2)
    second = uids(follower.take())
    assert first == 2 * [other.uid] and len(set(second)) == 1 and second[0] != other.uid
    assert list(follower.take()) == []


def test_a_run_that_broke_off_is_left_behind_when_another_one_begins(catalog, recorder):
    follower = Follower(catalog.path)
    broken = recorder(catalog)
    broken.measure(broken.decide().point)
    assert uids(follower.take()) == [broken.uid]
    recorder(catalog).run(1)
    assert len(uids(follower.take())) == 2 and list(follower.take()) == []


def test_a_journal_that_was_removed_and_written_again_gives_nothing_twice(catalog, recorder):
    live = recorder(catalog)
    follower = Follower(catalog.path)
    before = len(list(follower.take()))
    (part,) = (catalog.path / "journal").glob("*.part")
    os.remove(part)
    live.measure(live.decide().point)
    live.run(0)
    after = list(follower.take())
    assert before + len(after) == len(list(catalog[-1].documents())) and after[-1][0] == "stop"
