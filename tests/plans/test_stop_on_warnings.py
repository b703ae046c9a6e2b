"""A run can end on what its agent warns of."""

import pytest

from bluesky_stm.geometry import Point
from bluesky_stm.parts import stop_rules
from bluesky_stm.plans import RunState
from bluesky_stm.protocols import Decision, Health

STUCK, NO_VALUE = "stuck: the last 10 places lie within 0.1 nm", "8 of the last 10 spectra have no value"


def state(*warnings):
    return RunState([Decision(Point(0, 0), 0, "ei", health=Health("kernel", warning=warning)) for warning in warnings])


@pytest.mark.parametrize(
    ("choice", "warnings", "ends"),
    [
        ("warned", [STUCK] * 5, True),
        ("warned", [STUCK] * 4, False),
        ("warned", [STUCK] * 4 + [""], False),
        ("warned", [""] + [STUCK, NO_VALUE] * 3, True),
        ("warned:stuck", [NO_VALUE] * 9, False),
        ("warned:no value", [NO_VALUE] * 5, True),
        ("warned:about=stuck,times=2", [f"{NO_VALUE}; {STUCK}"] * 2, True),
    ],
)
def test_so_many_warnings_in_a_row_end_the_run(choice, warnings, ends):
    reason = stop_rules.make(choice)(state(*warnings))
    assert (reason is not None) == ends
    if ends:
        assert "has warned" in reason and any(one in reason for one in (STUCK, NO_VALUE))
