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


def told(documents, stream, catalog=None):
    progress = Progress(stream, catalog)
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


def test_a_pause_moves_the_end_and_is_not_taken_for_the_pace():
    """Twenty spectra of 3 s, ten minutes of pause, twenty more: the time left is that of the spectra, as it was."""
    pace, now, left = Pace(), 0.0, []
    pace.begin(0.0)
    for number in range(1, 41):
        now += 603.0 if number == 21 else 3.0
        pace.spectrum(now, 40 - number)
        left.append(pace.left(now))
    assert left == pytest.approx([3.0 * (40 - number) for number in range(1, 41)])


def test_while_spectra_are_to_come_the_time_left_is_not_nothing():
    pace = Pace()
    pace.begin(0.0)
    for number in range(1, 6):
        pace.spectrum(3.0 * number, 5)
    assert pace.left(1000.0) == pytest.approx(3.0)


def test_what_is_asked_at_a_pause_stands_on_lines_of_its_own(documents):
    """The line of the run is written over itself alone: what others print in between is not drawn over."""
    stream = Terminal()
    progress = Progress(stream)
    for number, (name, doc) in enumerate(documents):
        progress(name, doc)
        if number == 40:
            stream.write("\nPaused. Enter goes on: \n")
    text = stream.getvalue()
    before, after = text.split("Paused. Enter goes on: \n")
    assert "\x1b[1A" not in text, "the cursor never moves up into what stands there"
    assert after.count("\n") == 1 and "25/25" in after and "/25" in before


class Shelf(dict):
    """A catalog of documents by uid."""

    def __init__(self, *runs):
        super().__init__({run[0][1]["uid"]: Held(run) for run in runs})


class Held:
    def __init__(self, run):
        self.run = run

    def documents(self):
        return iter(self.run)


@pytest.fixture(scope="module")
def parts(make_run):
    """Three parts of one run, of which the first found the largest value."""
    frame = Frame(Point(0, 0), (50, 50), (64, 64))
    found = sorted((make_run(frame, "mesa", budget=5, seed=seed) for seed in (1, 2, 3)), key=lambda run: -best(run))
    for before, after in pairwise(found):
        after[0][1]["resumes"] = before[0][1]["uid"]
    return found


def best(run):
    return RunRecord.of(run).best.value


def test_a_run_that_goes_on_says_the_best_of_all_its_parts(parts):
    """The last part goes on with the second, and that with the first."""
    first, _, last = parts
    x, y = RunRecord.of(first).places[RunRecord.of(first).best.number]
    said = told(last, io.StringIO(), Shelf(*parts)).splitlines()
    assert f"largest gap {best(first):.4g} V at ({x:.3g}, {y:.3g}) nm" in said[-1] and len(said) >= 2
    assert f"largest gap {best(last):.4g} V" in told(last, io.StringIO()).splitlines()[-1], "without a catalog it knows its own"


def test_a_part_that_the_catalog_lacks_is_left_out_and_told(parts, caplog):
    _, second, last = parts
    said = told(last, io.StringIO(), Shelf(second, last)).splitlines()
    assert f"largest gap {best(second):.4g} V" in said[-1]
    assert f"leaves out run {second[0][1]['resumes'][:8]}" in caplog.text


def test_the_run_after_one_that_went_on_begins_anew(parts):
    _, second, last = parts
    alone = [("start", {key: entry for key, entry in last[0][1].items() if key != "resumes"}), *last[1:]]
    assert f"largest gap {best(last):.4g} V" in told([*second, *alone], io.StringIO(), Shelf(*parts)).splitlines()[-1]


def test_values_of_another_quantity_do_not_count(parts, make_run):
    first, *_ = parts
    other = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=5, scalarizer="conduction_edge")
    other[0][1]["resumes"] = first[0][1]["uid"]
    assert f"largest conduction edge {best(other):.4g} V" in told(other, io.StringIO(), Shelf(first)).splitlines()[-1]


def test_while_spectra_are_to_come_some_time_is_left(documents):
    """A simulated spectrum takes hundredths of a second, of which even twenty would be rounded to nothing."""
    began = documents[0][1]["time"]
    hurried = [
        (name, {**doc, "time": began + 1e-3 * (doc["time"] - began)} if name != "descriptor" else doc)
        for name, doc in documents
    ]
    lines = told(hurried, io.StringIO()).splitlines()
    assert [line.rpartition(", ")[2] for line in lines[1:-1]] == ["00:01 left"] * len(lines[1:-1]) and len(lines) > 3
