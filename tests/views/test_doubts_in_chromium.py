"""What the report says of what is not known: guesses of the model, clipped spectra, lines that jumped, and nothing at all."""

import re
from dataclasses import replace

import numpy as np
import pytest
from chromium import NEEDED

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import Failed
from bluesky_stm.views import RunRecord, report
from bluesky_stm.views._payload import Comparison

pytestmark = [pytest.mark.system, NEEDED]
COUNT = 30
JUMP, LINE = 0.04, 21


@pytest.fixture(scope="module")
def record(make_run):
    """A run whose topograph jumps by 40 pm after its line 21."""
    run = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=COUNT)
    record = RunRecord.of(run)
    record.topograph.height[LINE:] += JUMP
    return record


@pytest.fixture(scope="module")
def opened(browser, record, tmp_path_factory):
    compared = Comparison("gap, level 0.5", "its best comes later", "V", np.arange(9.0), np.arange(9.0) / 2)
    browser.open(report(record, tmp_path_factory.mktemp("page") / "report.html", comparisons={record.uid: [compared]}), 1400)
    browser("lazily.all()")
    return browser


@pytest.fixture
def page(opened):
    yield opened
    assert opened.complaints == []


def words(page, selector):
    """Texts, with plain minus signs and spaces."""
    found = page(f"[...document.querySelectorAll({selector!r})].map((node) => node.textContent)")
    return [re.sub(r"[\s\u202f]+", " ", text.replace("\N{MINUS SIGN}", "-")) for text in found]


HATCHED = """(() => {
  const map = document.querySelectorAll("section .map")[1];
  const path = map.querySelector(".hatched");
  const at = ([x, y]) => path.isPointInFill(new DOMPoint(x, y));
  return PLACES.map(at);
})()"""


def test_a_map_is_hatched_exactly_where_it_explains_less_than_half_of_the_variance_of_the_values(page, record):
    seen = record.maps[-1]
    values = record.values[: seen.ingested]
    least = np.std(values[np.isfinite(values)]) * np.sqrt(0.5)
    inside = [(float(x + 25), float(25 - y)) for x, y in record.candidates]
    hatched = np.array(page(HATCHED.replace("PLACES", str([list(place) for place in inside]))))
    sure = np.abs(seen.std - least) > 1e-3 * seen.std.max()  # the page holds 65534 levels of it
    assert np.array_equal(hatched[sure], (seen.std > least)[sure])
    assert 0.1 < hatched.mean() < 0.9 and sure.mean() > 0.9
    (told,) = words(page, "section .remark.guess")
    assert "little more than a guess" in told
    assert float(re.search(r"above ([\d.]+) V", told)[1]) == pytest.approx(least, rel=0.01)


def test_where_nothing_is_hatched_the_colours_are_those_of_the_map(page):
    """Between the lines of a hatch the colours stay; the lines lie in a layer of their own, below the points."""
    of_a_map = "[...document.querySelectorAll('section .map')[1].children]"
    layers = page(f"{of_a_map}.map((n) => n.querySelector('.hatched') ? 'hatch' : n.getAttribute('class'))")
    assert layers[:3] == ["ground", "layer", "hatch"]
    assert page("document.querySelectorAll('section .map')[0].querySelector('.hatched')") is None


def test_a_spectrum_that_was_clipped_is_marked_on_the_map_and_in_the_list(page, record):
    clipped = [number for number, one in enumerate(record.spectra) if one.quality & Quality.CLIPPED]
    marked = page("[...document.querySelectorAll('section .map .point.clipped')].map((n) => Number(n.dataset.spectrum))")
    assert marked == clipped and clipped
    assert words(page, "section .remark.clipped") == [
        f" preamplifier saturated in a part of the sweep: {len(clipped)} of {COUNT}"
    ]
    dashes = "getComputedStyle(document.querySelector('section .map .point{}')).strokeDasharray"
    assert page(dashes.format(".clipped")) != "none" == page(dashes.format(":not(.clipped)"))
    (learned,) = (f for f in range(12) if "Learning" in page(f"document.querySelectorAll('section figure')[{f}].textContent"))
    assert page(f"document.querySelectorAll('section figure')[{learned}].querySelectorAll('.point.clipped').length") == sum(
        np.isfinite(record.values[clipped])
    )


def test_a_point_says_its_number_and_its_value_where_the_pointer_is(page, record):
    for number in (0, 7, COUNT - 1):
        page(
            f"document.querySelector('section .map [data-spectrum=\"{number}\"]')"
            ".dispatchEvent(new MouseEvent('mousemove', { bubbles: true, clientX: 5, clientY: 5 }))"
        )
        (said,) = words(page, "#tip")
        assert said.startswith(f"no. {number + 1}: {float(f'{record.values[number]:.4g}'):g} ± ") and " V" in said


def test_lines_between_which_the_height_jumps_are_named(page):
    (told,) = words(page, "section .remark.jumps")
    before, after, height = re.search(r"between lines (\d+) and (\d+) \(\+(\d+) pm\), counted from below", told).groups()
    assert (int(before), int(after)) == (LINE, LINE + 1) and abs(int(height) - 1000 * JUMP) <= 3


def test_what_an_error_bar_holds_is_said(page):
    assert any("one standard deviation by the noise of its own spectrum" in text for text in words(page, "section .trust p"))


def test_each_panel_has_a_letter_of_its_own(page):
    letters = words(page, "section figure figcaption > b")
    assert len(words(page, "section figure")) == len(letters) and letters == sorted(set(letters)) and letters[-1] == "m"


def test_no_two_keys_of_a_chart_look_alike(page):
    """A key is drawn as what it stands for, so that it is known without colours, too."""
    looks = """[...document.querySelectorAll('section figure .notes')].map((notes) =>
      [...notes.querySelectorAll('i:not(.null)')].map((i) => {
        const s = getComputedStyle(i);
        return [i.className, [s.background, s.width, s.height, s.border, s.maskImage].join()];
      }))"""
    for keys in page(looks):
        kinds = dict(map(tuple, keys))
        assert len(set(kinds.values())) == len(kinds)


SHOWN = """[...document.querySelectorAll('section figure')].map((figure) => {
  const chart = figure.querySelector('svg.chart');
  const text = chart ? chart.textContent : figure.querySelector('.key')?.innerText || '';
  return [figure.querySelector('figcaption').textContent, chart ? chart.querySelectorAll('.tick').length : 0, text];
})"""
EMPTY = {
    "Values": "no spectrum has a value", "Learning": "no spectrum has a value", "Predicted and": "no place with a value",
    "Predicted gap": "nothing is predicted", "Uncertainty": "",
}  # fmt: skip


def test_a_panel_with_nothing_to_show_says_so_and_has_no_axes(browser, make_run, tmp_path):
    """Axes from 0 to 1 V, and colour bars, would look like a result."""
    empty = RunRecord.of(make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "mesa", budget=12))
    empty.observations[:] = [replace(one, value=Failed("gap: none")) for one in empty.observations]
    unknown = {"mean": np.nan, "std": np.nan, "acquisition": np.nan}
    empty.decisions[:] = [replace(one, **unknown) for one in empty.decisions]
    blank = np.full(len(empty.candidates), np.nan)
    empty.maps[:] = [replace(one, **dict.fromkeys(unknown, blank)) for one in empty.maps]
    browser.open(report(empty, tmp_path / "report.html"), 1400)
    browser("lazily.all()")
    told = {title[1:]: (ticks, text.strip()) for title, ticks, text in browser(SHOWN)}
    for title, reason in EMPTY.items():
        ((ticks, text),) = [one for name, one in told.items() if name.startswith(title)]
        assert ticks == 0 and text.startswith(reason)
    assert "none has a value" in browser("document.querySelector('.heading p').textContent")
    assert browser.complaints == []


def test_what_is_usual_is_interrupted_where_no_spectrum_says_anything(browser, make_run, tmp_path):
    """At the end of the preamplifier in all spectra; a corner that is no number is an error on the console of the browser."""
    bare = RunRecord.of(make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "mesa", budget=12))
    gone = slice(60, 70)
    for number, one in enumerate(bare.observations):
        didv = one.spectrum.didv.copy()
        didv[gone] = didv[-1] = np.nan
        bare.observations[number] = replace(one, spectrum=replace(one.spectrum, didv=didv))
    browser.open(report(bare, tmp_path / "report.html"), 1400)
    browser("lazily.all()")
    bands = browser(
        "[...document.querySelectorAll('section .chart')[1].querySelectorAll('polygon.usual')]"
        ".map((p) => p.getAttribute('points').split(' ').length / 2)"
    )
    assert bands == [60, 50]
    assert browser.complaints == []
