"""A person reads in a terminal or a log how far the run is."""

import io
import re
from itertools import chain, pairwise

import pytest

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.views import Progress, RunRecord
from bluesky_stm.views._progress import Pace


class Terminal(io.StringIO):
    def isatty(self):
        return True


def told(documents, stream):
    progress = Progress(stream)
    for name, doc in documents:
        progress(name, doc)
    return stream.getvalue()


@pytest.fixture(scope="module")
def documents(make_run):
    return make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=25)


def test_a_log_gets_few_lines_with_count_best_place_and_time(documents):
    lines = told(documents, io.StringIO()).splitlines()
    best = RunRecord.of(documents).best
    x, y = RunRecord.of(documents).spectra[best.number].position
    assert lines[0] == "1 mesa, 50 nm: up to 25 spectra"
    assert lines[-1] == f"1 mesa, 50 nm: 25 spectra, largest gap {best.value:.4g} V at ({x:.3g}, {y:.3g}) nm, done in 01:54"
    assert all(re.search(r": \d+ of 25 spectra, largest gap .* V at \(.*\) nm, \d\d:\d\d left$", line) for line in lines[1:-1])
    assert 3 <= len(lines) <= 10


def test_documents_that_come_again_begin_no_second_record(documents):
    """Whoever joins a run is given what there was before, and the stream may bring some of it once more."""
    once, twice = (told(stream, io.StringIO()).splitlines() for stream in (documents, documents[:40] + documents))
    assert twice[0] == once[0] and twice[-1] == once[-1]
    assert sum("up to" in line for line in twice) == 1
    assert len(twice) <= len(once) + 1


def test_time_left_goes_by_the_spectra_and_not_by_the_topograph(documents):
    """A spectrum takes 2.6 s, a decision 0.3 s, every fifth a map of 0.1 s; the topograph took 40 s."""
    lines = told(documents, io.StringIO()).splitlines()
    done, left = re.search(r": (\d+) of 25 .* 00:(\d\d) left", lines[2]).groups()
    assert int(left) == pytest.approx((25 - int(done)) * 2.92, abs=3)


def test_the_time_left_does_not_jump_when_one_spectrum_takes_long():
    pace = Pace()
    pace.begin(0.0)
    now, left = 0.0, []
    for number in range(1, 41):
        now += 33.0 if number == 20 else 3.0
        pace.spectrum(now, 40 - number)
        left.append(pace.left(now))
    assert left[:19] == pytest.approx([3.0 * (40 - number) for number in range(1, 20)])
    assert left[19] < 1.35 * 60, "by the mean of the last twenty it would be 90 s"
    assert max(later - before for before, later in pairwise(left)) < 0.35 * 60
    assert left[-1] == 0.0


def test_the_smallest_value_is_called_smallest(make_run):
    scalarizer = {"name": "gap", "prefer": "small"}
    run = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=5, scalarizer=scalarizer)
    lowest = -max(RunRecord.of(run).values)
    assert f"smallest gap {lowest:.4g} V at" in told(run, io.StringIO()).splitlines()[-1]


def test_scales_of_a_campaign_are_counted(campaign):
    ends = [line for line in told(chain.from_iterable(campaign), io.StringIO()).splitlines() if " done " in line]
    assert [line.split(":")[0] for line in ends] == ["1 terraces, 200 nm", "2 mesa, 50 nm", "3 defect, 10 nm"]


def test_a_terminal_keeps_one_line_for_each_scale_and_what_is_to_be_known_of_it(campaign):
    text = told(chain.from_iterable(campaign), Terminal())
    shown = [re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", line).rpartition("\r")[2] for line in text.split("\n")]
    bars, said = [], []
    for line in filter(str.strip, shown):
        (said if re.search("warning|have no value", line) else bars).append(line)
    assert len(bars) == 3
    assert all("30/30" in line and "largest gap" in line and "done in" in line for line in bars)
    failed = [run for run in map(RunRecord.of, campaign) if any(run.reasons)]
    assert len([line for line in said if "have no value" in line]) == len(failed) > 0


def test_an_aborted_run_says_so(documents):
    stop = {**documents[-1][1], "exit_status": "abort"}
    assert "abort in" in told([*documents[:20], ("stop", stop)], io.StringIO()).splitlines()[-1]


def test_other_plans_are_ignored(documents):
    start = {k: v for k, v in documents[0][1].items() if k != "length_scale"}
    assert told([("start", start), *documents[1:]], io.StringIO()) == ""


def test_a_fault_is_logged_and_never_reaches_the_run_engine(documents, caplog):
    progress = Progress(io.StringIO())
    progress(*documents[0])
    progress("event", {"nonsense": True})
    assert "suppressed" in caplog.text
