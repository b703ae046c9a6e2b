"""Each decision stands in the scan frame of the instrument's software, where people see it, if that is wanted."""

import pytest

from bluesky_stm.plans import explore
from bluesky_stm.session import nanonis
from bluesky_stm.settings import LengthScale

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

TINY = LengthScale(name="tiny", frame=16, pixels=16, patch=4, step=2, budget=4, seeds=2)


def explored(server, folder, **settings):
    """Places and texts that an exploration has drawn, and its decisions."""
    session = nanonis("127.0.0.1", 1, folder, ports=server.ports, timeout=10.0, despite=["Safe Tip threshold"], **settings)
    with session:
        session.RE(explore(session.stm, session.agent(TINY)))
        marks = server.software.answer("Marks.PointsGet", [])[0]
        (run,) = session.catalog
        return [mark for mark in zip(*marks[1:3], marks[4], strict=True) if "bluesky_stm" not in mark[2]], run.decisions


def test_decisions_are_drawn_at_their_places_with_number_and_reason(server, tmp_path):
    drawn, decisions = explored(server, tmp_path, marks=True)
    assert len(decisions) >= 4
    assert [text for *_, text in drawn] == [f"{n} {decision.why}" for n, decision in enumerate(decisions, 1)]
    for (x, y, _), decision in zip(drawn, decisions, strict=True):
        assert (1e9 * x, 1e9 * y) == pytest.approx(decision.point, abs=1e-4)


def test_nothing_is_drawn_where_nobody_asks(server, tmp_path):
    assert not explored(server, tmp_path)[0]


def test_a_mark_that_cannot_be_drawn_disturbs_no_run(server, tmp_path, monkeypatch):
    answer = server.software.answer

    def without_gold(command, values):
        refused = command == "Marks.PointDraw" and values[3] == 0xFFD700
        return ((), "no marks") if refused else answer(command, values)

    monkeypatch.setattr(server.software, "answer", without_gold)
    drawn, decisions = explored(server, tmp_path, marks=True)
    assert not drawn
    assert len(decisions) >= 4
