"""Runs are shown in whatever form people have them: stored, as documents, by uid, one or several."""

import pytest

from bluesky_stm.errors import SettingsError
from bluesky_stm.views import RunRecord, figure, report
from bluesky_stm.views._given import records_of


class Stored:
    """A stored run: whatever has documents."""

    def __init__(self, stream):
        self.stream = stream

    def documents(self):
        return iter(self.stream)


@pytest.fixture
def stored(campaign):
    return {RunRecord.of(stream).uid: Stored(stream) for stream in campaign}


@pytest.mark.parametrize(
    "form",
    [
        lambda stored, uid: stored[uid],
        lambda stored, uid: uid,
        lambda stored, uid: stored[uid].stream,
        lambda stored, uid: iter(stored[uid].stream),
        lambda stored, uid: [list(document) for document in stored[uid].stream],  # as JSON has them
        lambda stored, uid: RunRecord.of(stored[uid].stream),
        lambda stored, uid: [stored[uid]],
        lambda stored, uid: (uid,),
        lambda stored, uid: [stored[uid].stream],
    ],
)
def test_a_run_is_shown_in_whatever_form_it_is_given(stored, form):
    uid = next(iter(stored))
    assert [record.uid for record in records_of(form(stored, uid), stored)] == [uid]


def test_several_runs_of_different_forms_are_shown_in_their_order(stored, tmp_path):
    first, second, third = stored
    given = [stored[first], second, RunRecord.of(stored[third].stream)]
    assert [record.uid for record in records_of(given, stored)] == [first, second, third]
    assert len(figure(given, catalog=stored).subfigs) == 3
    page = report(given, tmp_path / "page.html", catalog=stored).read_text()
    assert all(uid in page for uid in stored)


def test_a_uid_without_a_catalog_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"'3f2a' is a uid.*catalog="):
        report("3f2a", tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_run_that_has_neither_frame_nor_topograph_is_no_exploration(tmp_path):
    """As of `bluesky.plans.count` in the same catalog: before a picture of it is drawn."""
    start = {"uid": "3f2a", "time": 0.0, "plan_name": "count"}
    documents = [("start", start), ("stop", {"uid": "1", "time": 1.0, "run_start": "3f2a", "exit_status": "success"})]
    for show in (figure, lambda run: report(run, tmp_path / "page.html")):
        with pytest.raises(SettingsError, match="3f2a of the plan 'count' is no exploration"):
            show(documents)
    assert not list(tmp_path.iterdir())
