"""The report page in a real browser: what is clicked is what is shown, and nothing complains."""

import base64
import re
from dataclasses import replace

import numpy as np
import pytest
from chromium import NEEDED

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import Failed
from bluesky_stm.views import RunRecord, report

pytestmark = [pytest.mark.system, NEEDED]


@pytest.fixture(scope="module")
def path(campaign, tmp_path_factory):
    return report(campaign, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture
def page(browser, path):
    browser.open(path, 1400)
    browser("lazily.all()")  # as if somebody had scrolled through all of it
    yield browser
    assert browser.complaints == []


@pytest.fixture(scope="module")
def records(campaign):
    return [RunRecord.of(run) for run in campaign]


def test_every_scale_has_its_maps_and_every_spectrum_its_point(page, records):
    for number, record in enumerate(records, 1):
        section = f"document.querySelector('section:nth-of-type({number})')"
        assert page(f"{section}.id") == record.uid
        assert page(f"{section}.querySelectorAll('[data-spectrum].point').length") == len(record.spectra)
        assert page(f"[...{section}.querySelectorAll('.map .layer')].every((i) => i.href.baseVal.startsWith('data:image/png'))")


@pytest.mark.parametrize("number", [0, 3, 17, 29])
def test_a_click_on_a_point_shows_its_spectrum(page, records, number):
    """The dI/dV curve that is drawn, back in its own units, is the one measured; number 3 is one that failed."""
    page("location.hash = ''")
    page.click(f"section .map [data-spectrum='{number}']")
    chart = "document.querySelectorAll('section:first-of-type .chart')[1]"
    log = f"{chart}.closest('figure').querySelector('.tools button')"
    page(f"(button => button.getAttribute('aria-pressed') === 'true' && button.click())({log})")
    assert page(f"{chart}.dataset.spectrum") == str(number)
    assert page("document.querySelector('.said').textContent").startswith(f"Spectrum {number + 1} of 30")
    pieces = page(f"[...{chart}.querySelectorAll('polyline.picked')].map((p) => p.getAttribute('points'))")
    heights = [-float(point.split(",")[1]) for piece in pieces for point in piece.split()]
    spectrum = records[0].spectra[number]
    saturated = _saturated(spectrum)
    drawn, measured = _normed(heights), _normed(spectrum.didv[~saturated & np.isfinite(spectrum.didv)])
    assert len(drawn) == len(measured) and max(abs(a - b) for a, b in zip(drawn, measured, strict=True)) < 2e-3


def test_the_slider_goes_back_to_an_earlier_decision(page, records):
    slide = "(s => {{ s.value = {}; s.dispatchEvent(new Event('input')); }})(document.querySelector('section input'))"
    last = page("document.querySelectorAll('section .map .layer')[1].href.baseVal")
    page(slide.format(12))
    assert page("document.querySelectorAll('section:first-of-type .map .point:not([visibility])').length") == 12
    assert page("document.querySelectorAll('section .aside')[1].textContent") == "after 10 spectra"
    assert page("document.querySelectorAll('section .map .layer')[1].href.baseVal") != last
    decision = records[0].decisions[11]
    words = page("document.querySelector('.said').textContent")
    assert decision.why in words and f"{decision.mean:.4g}" in words
    page(slide.format(30))
    assert page("document.querySelectorAll('section .map .layer')[1].href.baseVal") == last


def test_the_acquisition_function_can_be_shown_instead_of_the_uncertainty(page, records):
    third = "document.querySelectorAll('section:first-of-type .panels figure')[2]"
    doubt = page(f"{third}.querySelector('.layer').href.baseVal")
    assert page(f"{third}.querySelector('figcaption').textContent").startswith("cUncertainty")
    page.click("section button[title^='Show the acquisition']")
    assert page(f"{third}.querySelector('figcaption').textContent").startswith("cAcquisition function")
    assert page(f"{third}.querySelector('.layer').href.baseVal") not in {doubt, ""}
    ends = page(f"[...{third}.querySelectorAll('.ends span')].map((n) => n.textContent)")
    low, middle, high = (float(end.replace("\N{MINUS SIGN}", "-")) for end in ends)
    known = records[0].maps[-1].acquisition
    assert (low, high) == pytest.approx((np.nanmin(known), np.nanmax(known)), rel=0.01) and low < middle < high
    page.click("section button[title^='Show the acquisition']")
    assert page(f"{third}.querySelector('.layer').href.baseVal") == doubt


def test_all_maps_of_a_scale_zoom_together_and_come_back(page):
    boxes = "[...document.querySelectorAll('section:first-of-type .map')].map((m) => m.getAttribute('viewBox'))"
    page.click("section button[title='Zoom in']")
    zoomed = page(boxes)
    assert len(set(zoomed)) == 1 and float(zoomed[0].split()[2]) == pytest.approx(200 / 1.6)
    page.click("section button[title='Show the whole frame']")
    assert page(boxes) == ["0 0 200 200"] * 3


RINGS = """(() => {
  const ring = document.querySelectorAll("section:nth-of-type(NUMBER) .map circle.KIND")[0].getBoundingClientRect();
  const stage = document.querySelector("section:nth-of-type(NUMBER) .stage");
  const map = stage.querySelector(".map").getBoundingClientRect();
  const share = [(ring.left + ring.width / 2 - map.left) / map.width, (map.bottom - ring.top - ring.height / 2) / map.height];
  const read = (name) => (node) => [parseFloat(node.style[name]) / 100, node.textContent];
  const ends = (side, name) => [...stage.querySelectorAll(`.${side} span`)].map(read(name));
  return { share, along: ends("along", "left"), up: ends("up", "bottom") };
})()"""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_axes_of_a_map_give_the_places_on_the_sample(page, records, number):
    """A ring lies by the ticks beside it where the documents say: the best spectrum, and where the agent would go on."""
    record = records[number - 1]
    for kind, place in (("picked", record.places[record.best.number]), ("next", record.decisions[-1].point)):
        seen = page(RINGS.replace("NUMBER", str(number)).replace("KIND", kind))
        read = [
            np.polyval(
                np.polyfit([at for at, _ in ticks], [float(text.replace("\N{MINUS SIGN}", "-")) for _, text in ticks], 1), at
            )
            for ticks, at in ((seen["along"], seen["share"][0]), (seen["up"], seen["share"][1]))
        ]
        assert read == pytest.approx(tuple(place), abs=0.004 * record.frame.size[0])
    said = page(f"document.querySelectorAll('.said')[{number - 1}].textContent").replace("\N{MINUS SIGN}", "-")
    x, y = re.search(r"next would have been \(([-\d.e]+), ([-\d.e]+)\)", said).groups()
    assert (float(x), float(y)) == pytest.approx(tuple(record.decisions[-1].point), rel=1e-3, abs=1e-3)


def test_values_of_some_mev_are_told_in_mev_everywhere_on_the_page(browser, campaign, tmp_path):
    """The same run with all values and biases a thousandth: the page shows the same figures in another unit."""
    record = RunRecord.of(campaign[0])
    for number, one in enumerate(record.observations):
        swept = replace(one.spectrum, bias=one.spectrum.bias / 1000)
        value = one.value / 1000 if isinstance(one.value, float) else one.value
        record.observations[number] = replace(one, spectrum=swept, value=value, deviation=one.deviation / 1000)
    record.decisions[:] = [replace(one, mean=one.mean / 1000, std=one.std / 1000) for one in record.decisions]
    record.maps[:] = [replace(one, mean=one.mean / 1000, std=one.std / 1000) for one in record.maps]
    asked = (
        "[...document.querySelectorAll('section:first-of-type .key .ends span')].map((n) => n.textContent)",
        "document.querySelector('section:first-of-type .said').textContent",
        "[...document.querySelectorAll('section:first-of-type .chart text')].map((n) => n.textContent)",
    )
    pages = []
    for number, shown in enumerate((RunRecord.of(campaign[0]), record)):
        browser.open(report(shown, tmp_path / f"{number}.html"), 1400)
        browser("lazily.all()")
        pages.append([browser(each) for each in asked])
    (bars, said, texts), (small_bars, small_said, small_texts) = pages
    assert small_bars == bars and small_said == said.replace("\u202fV", "\u202fmV")
    assert {text for text in small_texts if "(mV)" in text} == {text.replace("(V)", "(mV)") for text in texts if "(V)" in text}
    assert len([text for text in small_texts if "(mV)" in text]) >= 6


def test_a_run_without_a_value_shows_no_scale_of_values_and_its_spectra_in_the_order_taken(browser, make_run, tmp_path):
    """A bar from 0 to 1 V would be made up."""
    run = make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "mesa", budget=12)
    record = RunRecord.of(run)
    record.maps.clear()
    record.observations[:] = [replace(one, value=Failed("gap: none")) for one in record.observations]
    browser.open(report(record, tmp_path / "report.html"), 1400)
    browser("lazily.all()")
    keys = browser("[...document.querySelectorAll('section .key')].map((n) => n.innerText)")
    assert keys[0].startswith("no spectrum has a value") and "height" in keys[0] and keys[1:] == ["", ""]
    assert browser("document.querySelectorAll('section .map .point.failed').length") == len(record.observations)
    assert browser("document.querySelector('select[aria-label=\"Which spectra\"]').value") == "order"
    assert "12 of 12 spectra" in browser("document.querySelector('.waterfall').nextSibling.textContent")
    assert browser.complaints == []


def test_a_child_frame_leads_to_its_section(page, records):
    page.click("section .map .childname")
    assert page("location.hash") == f"#{records[1].uid}"


def test_the_order_can_be_shown_instead_of_the_value(page):
    fill = "document.querySelector('section .map circle[data-spectrum=\"2\"]').getAttribute('fill')"
    before = page(fill)
    page.click("section .group button")
    assert page(fill) != before and "order" in page("document.querySelector('section .key').textContent")


def test_a_logarithmic_axis_shows_decades(page):
    """Most of a curve with a gap is next to nothing beside its largest value: decades are shown from the beginning."""
    decade, chart = "10\N{MINUS SIGN}2", "document.querySelector('section .chart').textContent"
    assert decade in page(chart)
    page.click("section figure:has(.chart) .tools button")
    assert decade not in page(chart)


@pytest.mark.parametrize("width", [360, 768, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window_and_can_be_read(browser, path, width, scheme):
    browser.open(path, width, **{"color-scheme": scheme})
    assert browser("document.documentElement.scrollWidth") <= width
    ink, paper = (_shade(browser(f"getComputedStyle(document.documentElement).{key}")) for key in ("color", "backgroundColor"))
    assert abs(ink - paper) > 0.7 and (paper < 0.5) == (scheme == "dark")
    assert browser.complaints == []


@pytest.mark.parametrize("kept", [1, 3, 4, 6, 12])
def test_a_run_that_broke_off_early_opens_too(browser, campaign, tmp_path, kept):
    browser.open(report([campaign[0][:kept]], tmp_path / "report.html"), 1000)
    taken = len(RunRecord.of(campaign[0][:kept]).spectra)
    # one expression: the next decision is played a moment later
    play = "document.querySelector(\"section button[title='Play the decisions']\").click()"
    browser("lazily.all()")
    said = browser(f"({play}, document.querySelector('.said').textContent)")
    assert browser("document.querySelectorAll('.map [data-spectrum].point').length") == taken
    assert said.startswith("Spectrum 1" if taken else "No spectrum")
    assert browser.complaints == []


def test_the_page_prints(page):
    assert _pages(page) == 8, "the chain of scales, two for each of the three, and all side by side"


def test_a_single_run_prints_on_two_pages(browser, campaign, tmp_path):
    browser.open(report(campaign[:1], tmp_path / "report.html"), 1000)
    assert _pages(browser) == 2


@pytest.mark.parametrize("warnings", [1, 6])
def test_what_is_printed_fits_the_width_of_the_paper(browser, campaign, tmp_path, warnings):
    """A4 less its margins: 186 mm are 703 pixels of the style sheet; with long warnings, too."""
    record = RunRecord.of(campaign[0])
    long = " and ".join(["the places look alike to the kernel, which no value can tell apart"] * 4)
    record.decisions[10:] = [
        replace(one, health=replace(one.health, warning="; ".join(f"{long} ({k})" for k in range(warnings))))
        for one in record.decisions[10:]
    ]
    browser.open(report([record, *campaign[1:]], tmp_path / "report.html"), 703)
    browser("dispatchEvent(new Event('beforeprint'))")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser("document.documentElement.scrollWidth") <= 703
        right = "[...document.querySelectorAll('figure, table, .heading, .trust')].map((n) => n.getBoundingClientRect().right)"
        assert max(browser(right)) <= 703
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="")


def _pages(browser):
    """How many pages are printed."""
    size = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True, "preferCSSPageSize": True}
    return len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(browser.ask("Page.printToPDF", **size)["data"])))


def test_the_name_of_a_child_frame_is_not_covered_by_points(page):
    """Where there is room for it: above the frame, below or inside."""
    sides = "(n) => (({ x, y, right, bottom }) => [x, y, right, bottom])(n.getBoundingClientRect())"
    boxes = f"((q) => [...document.querySelectorAll(q)].map({sides}))"
    (name,) = page(f"{boxes}('section:first-of-type figure:first-child .childname')")
    points = page(f"{boxes}('section:first-of-type figure:first-child .map .point')")
    inside = [p for p in points if name[0] < (p[0] + p[2]) / 2 < name[2] and name[1] < (p[1] + p[3]) / 2 < name[3]]
    assert len(points) == 30 and not inside


def test_an_error_in_the_page_would_be_noticed(browser, path):
    browser.open(path, 1000)
    browser.ask(
        "Runtime.evaluate", expression="new Promise(() => { throw Error('on purpose'); }); fetch('http://localhost:9/')"
    )
    browser("1 + 1")
    assert browser.complaints


def _saturated(spectrum):
    """Samples at the end of the preamplifier: those that read the largest current of a clipped spectrum."""
    size = np.abs(spectrum.current)
    return (size >= 0.999 * np.nanmax(size)) & bool(spectrum.quality & Quality.CLIPPED)


def _normed(values):
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values]


def _shade(color):
    """From 0, black, to 1, white, of ``rgb(r, g, b)``."""
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 765


def test_below_the_topograph_it_says_how_many_spectra_have_no_value_and_why(page, records):
    words = [page(f"document.querySelector('section:nth-of-type({n}) .failures')?.textContent || ''") for n in (1, 2, 3)]
    assert "without a value: 1" in words[0] and "lost contact" in words[0]
    assert [bool(text) for text in words] == [any(record.reasons) for record in records]


def test_a_spectrum_cut_off_by_the_preamplifier_is_called_saturated(page, records):
    page("location.hash = ''")
    spectra = records[0].spectra
    for flag in (Quality.CLIPPED, Quality.GOOD):
        number = next(i for i, spectrum in enumerate(spectra) if spectrum.quality == flag)
        page.click(f"section .map [data-spectrum='{number}']")
        notes = page("[...document.querySelectorAll('section:first-of-type .notes')[0].children].map((n) => n.textContent)")
        (note,) = [text for text in notes if re.match(rf"no\. {number + 1}\b", text)]
        assert ("preamp saturated" in note) == (flag == Quality.CLIPPED)


def _pixels(browser):
    """What the window shows once all of it is drawn, as (row, column, 3) bytes."""
    import io

    from matplotlib.image import imread

    browser.drawn()
    shot = browser.ask("Page.captureScreenshot", format="png")["data"]
    return (imread(io.BytesIO(base64.b64decode(shot)))[..., :3] * 255).round().astype(int)


TO_TOPOGRAPH = "document.querySelector('section:nth-of-type({}) .map').scrollIntoView({{block: 'center', behavior: 'instant'}})"
OPEN_POINTS = """(section) => {{
  const map = document.querySelector(`section:nth-of-type(${{section}}) .map`);
  const box = map.getBoundingClientRect();
  const nodes = [...map.querySelectorAll("circle.point[fill]")].filter((node) => node.getAttribute("visibility") !== "hidden");
  return nodes.map((node) => {{
    const {{ x, y, width, height }} = node.getBoundingClientRect();
    const [cx, cy] = [x + width / 2, y + height / 2];
    const inside = cx > box.x + 4 && cx < box.right - 4 && cy > box.y + 4 && cy < box.bottom - 4;
    return inside && document.elementFromPoint(cx, cy) === node ? [Number(node.dataset.spectrum), cx, cy] : null;
  }}).filter(Boolean);
}}""".replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("zoom", [1, 1.6, 4, 16])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_point_has_the_colour_that_the_colour_bar_gives_its_value(page, records, number, zoom):
    """To 2 of 255, at frames of three sizes and four zooms; the table of colours is matplotlib's."""
    import matplotlib as mpl

    from bluesky_stm.views._pictures import COLORS

    record = records[number - 1]
    section = f"section:nth-of-type({number})"
    page(TO_TOPOGRAPH.format(number))
    page(
        f"document.querySelectorAll('{section} :is(.child, circle.picked, circle.next, .scalebar)').forEach((n) => n.remove())"
    )
    for _ in range(round(np.log(zoom) / np.log(1.6)) if zoom < 16 else 6):
        page(f"document.querySelector(`{section} button[title='Zoom in']`).click()")
    seen, shown = page(f"({OPEN_POINTS})({number})"), _pixels(page)
    values = record.sign * record.values
    low, high = np.nanmin(values), np.nanmax(values)
    table = mpl.colormaps[COLORS["small" if record.sign < 0 else "value"]]
    assert len(seen) >= (8 if zoom < 4 else 0)
    for spectrum, x, y in seen:
        level = 255 * (values[spectrum] - low) / (high - low)
        # The page holds five figures of a value: one that lies between two of the 256 colours may have either.
        near = {round(np.clip(level + off, 0, 255)) for off in (-0.05, 0, 0.05)}
        apart = [np.abs(shown[int(y), int(x)] - np.round(np.array(table(one)[:3]) * 255)).max() for one in near]
        assert min(apart) <= 2, f"spectrum {spectrum + 1}"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_points_leave_the_topograph_around_them_as_it_is(page, number):
    """Shadows that add up would turn it darker where points lie close."""
    page(TO_TOPOGRAPH.format(number))
    section = f"section:nth-of-type({number})"
    marks = f"document.querySelector('{section} .map > g:last-of-type')"
    box = page(f"document.querySelector('{section} .map').getBoundingClientRect().toJSON()")
    places = page(f"[...{marks}.querySelectorAll('.point, .picked, .next')].map((n) => n.getBoundingClientRect().toJSON())")
    page(f"{marks}.querySelectorAll('.child').forEach((n) => n.remove())")
    with_marks = _pixels(page)
    page(f"{marks}.remove()")
    without = _pixels(page)
    rows, columns = np.mgrid[0 : without.shape[0], 0 : without.shape[1]]
    apart = (columns > box["left"] + 2) & (columns < box["right"] - 2) & (rows > box["top"] + 2) & (rows < box["bottom"] - 2)
    bar = page(f"document.querySelector('{section} .scalebar').getBoundingClientRect().toJSON()")
    for place in [*places, bar]:
        apart &= ~(
            (columns > place["left"] - 4) & (columns < place["right"] + 4)
            & (rows > place["top"] - 4) & (rows < place["bottom"] + 4)
        )  # fmt: skip
    assert apart.sum() > 10_000
    assert np.abs(with_marks - without)[apart].max() == 0


def test_where_the_preamplifier_is_saturated_nothing_is_drawn_but_a_mark(page, records):
    """A lock-in at the end of the preamplifier reads next to nothing: drawn as data it would be a dip, and a peak before it."""
    page("location.hash = ''")
    spectra = records[0].spectra
    number = next(i for i, spectrum in enumerate(spectra) if spectrum.quality == Quality.CLIPPED)
    gone = int(_saturated(spectra[number]).sum())
    page.click(f"section .map [data-spectrum='{number}']")
    for chart in (0, 1):
        node = f"document.querySelectorAll('section:first-of-type .chart')[{chart}]"
        assert page(f"{node}.querySelectorAll('line.saturated').length") == gone > 0
        drawn = page(f"[...{node}.querySelectorAll('polyline.picked')].map((p) => p.getAttribute('points').split(' ').length)")
        assert sum(drawn) == len(spectra[number].bias) - gone
