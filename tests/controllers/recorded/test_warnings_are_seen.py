"""What an agent warns of is seen when it arises: in the terminal, in the report, among the alerts; and it can end the run."""

import io
import logging

import made
import pytest

from bluesky_stm import session
from bluesky_stm.night._alerts import NightWatch
from bluesky_stm.plans import explore
from bluesky_stm.views import Progress, RunRecord, report


@pytest.fixture
def seen(tmp_path, caplog):
    """A run in which nothing has a value, the conductance at 0.5 V in sweeps of 5 mV, with a rule that ends it on that."""
    screen = io.StringIO()
    caplog.set_level(logging.WARNING, logger="bluesky_stm.alerts")
    with session.recorded(made.superconductor(tmp_path / "5mV.3ds"), catalog=tmp_path / "catalog") as s:
        choices = {"agent": "random", "scalarizer": "conductance:bias=0.5", "budget": 40, "seeds": 5, "stop": "warned:value"}
        s.RE.subscribe(Progress(screen))
        s.RE.subscribe(NightWatch())
        s.RE(explore(s.stm, s.agent(s.scales["recorded"].changed(**choices))))
        run = s.catalog[-1]
        page = report(run, tmp_path / "report.html").read_text()
        yield run, screen.getvalue(), page, caplog.text


def test_a_run_in_which_nothing_has_a_value_says_so_everywhere_and_ends(seen):
    run, screen, page, alerts = seen
    spectra = len(list(run.spectra))
    assert spectra < 20, "the warning begins with the sixth spectrum, and five in a row end the run"
    assert "the agent has warned 5 times in a row: none of" in run.stop["reason"]
    assert screen.count("warning after 6 spectra: none of 6 spectra has a value, mostly because: conductance") == 1
    assert f"{spectra} of {spectra} spectra have no value: {spectra} x conductance" in screen
    assert "none of 6 spectra has a value" in page
    assert alerts.count("the agent warns: none of 6 spectra has a value") == 1


def test_the_record_names_each_kind_of_warning_once_and_counts_the_reasons(seen):
    record = RunRecord.of(seen[0].documents())
    assert [count for count, _ in record.warnings] == [6]
    assert record.failures.startswith(f"{len(record.observations)} of {len(record.observations)} spectra have no value")
