"""What the scalarizer saw is drawn where its numbers are, and a panel that is saved holds what it shows."""

import base64
import csv
import io
import urllib.parse

import numpy as np
import pytest
from chromium import NEEDED

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum
from bluesky_stm.protocols import Observation
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.views import RunRecord, report

pytestmark = [pytest.mark.system, NEEDED]

COUNT = 200
GAP = {"name": "gap", "prefer": "small"}


def drawn(number):
    """A spectrum with its edges, strength and noise drawn at random."""
    rng = np.random.default_rng(number)
    bias = np.linspace(-1.5, 1.5, 121)
    valence, conduction, strength = rng.uniform(-1.3, -0.6), rng.uniform(0.2, 1.2), rng.uniform(2, 20)
    above, below = np.clip(bias - conduction, 0, None), np.clip(valence - bias, 0, None)
    didv = strength * (above**2 + below**2) + 0.005 * rng.standard_normal(bias.size)
    current = strength / 3 * (above**3 - below**3) + 1e-4 * rng.standard_normal(bias.size)
    place = Point(*rng.uniform(-20, 20, 2))
    return Spectrum(
        position=place, bias=bias, current=current, lockin_x=0.0156 * didv, lockin_y=0 * didv, didv=didv,
        setpoint=Setpoint(-1.5, float(abs(current[0]))),
    )  # fmt: skip


@pytest.fixture(scope="module")
def record(make_run):
    """A run of 200 random spectra."""
    run = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=10, scalarizer=GAP)
    found = RunRecord.of(run)
    found.observations[:] = [Observation.of(drawn(number), make_scalarizer(GAP)) for number in range(COUNT)]
    return found


@pytest.fixture(scope="module")
def page(browser, record, tmp_path_factory):
    browser.open(report(record, tmp_path_factory.mktemp("page") / "report.html"), 1400)
    browser("lazily.all()")
    yield browser
    assert browser.complaints == []


EACH = """(() => {
  const chart = document.querySelectorAll("section .chart")[1];
  const log = chart.closest("figure").querySelector(".tools button");
  if (log.getAttribute("aria-pressed") === "false") log.click();
  const number = (node, name) => Number(node.getAttribute(name));
  return Array.from({ length: COUNT }, (_, i) => {
    document.querySelector(`section .map [data-spectrum="${i}"]`).dispatchEvent(new MouseEvent("click", { bubbles: true }));
    const ticks = [...chart.querySelectorAll("line.tick")].map((n) => number(n, "x1"));
    const texts = [...chart.querySelectorAll("text[text-anchor=middle]:not(.axis)")].map((n) => n.textContent);
    const powers = [...chart.querySelectorAll("text[text-anchor=end]:not(.levelname)")];
    const decades = powers.map((n) => n.textContent).filter(Boolean);
    const at = [...chart.querySelectorAll("line.grid")].map((n) => number(n, "y1"));
    return {
      shown: Number(chart.dataset.spectrum), ticks, texts, decades, at,
      edges: [...chart.querySelectorAll("line.edge")].map((n) => number(n, "x1")),
      levels: [...chart.querySelectorAll("line.level")].map((n) => number(n, "y1")),
    };
  });
})()""".replace("COUNT", str(COUNT))


def axis(at, texts):
    """Where numbers are drawn, as a straight line: from a place in the drawing back to the number."""
    numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]
    return np.poly1d(np.polyfit(at, numbers, 1))


def test_in_200_random_spectra_edges_and_levels_are_drawn_where_the_numbers_of_the_scalarizer_are(page, record):
    gap, checked = make_scalarizer(GAP), 0
    for number, seen in enumerate(page(EACH)):
        assert seen["shown"] == number
        if record.reasons[number]:
            continue
        found = gap.edges(record.spectra[number])
        bias = axis(seen["ticks"], seen["texts"])
        assert bias(seen["edges"]) == pytest.approx([found.valence, found.conduction], abs=1e-4)
        decade = axis(seen["at"], [text.removeprefix("10") for text in seen["decades"]])
        lowest = min(seen["at"] and decade(seen["at"]))
        expected = [np.log10(level) for level in (found.level, found.limit) if np.log10(level) >= lowest]
        assert decade(seen["levels"])[: len(expected)] == pytest.approx(expected, abs=1e-3)
        checked += 1
    assert checked > COUNT / 2


SAVED = """(async () => {
  const saved = [];
  HTMLAnchorElement.prototype.click = function () { saved.push([this.download, this.href]); };
  for (const figure of document.querySelectorAll("section figure.panel"))
    for (const button of figure.querySelectorAll("[data-format]")) {
      button.click();
      await new Promise((done) => setTimeout(done, 5));
    }
  while (saved.filter(([name]) => name.endsWith(".png")).length < 12)
    await new Promise((done) => setTimeout(done, 25));
  return saved;
})()"""


@pytest.fixture(scope="module")
def saved(page):
    answer = page.ask("Runtime.evaluate", expression=SAVED, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in answer, answer
    return dict(answer["result"]["value"])


def test_every_panel_is_saved_in_three_formats(saved):
    kinds = [name.rpartition(".")[2] for name in saved]
    assert [kinds.count(kind) for kind in ("svg", "png", "csv")] == [12, 12, 12]


def test_a_saved_drawing_is_an_svg_and_a_picture_that_is_not_empty(saved):
    from xml.etree import ElementTree

    from matplotlib.image import imread

    for name, url in saved.items():
        if name.endswith(".svg"):
            root = ElementTree.fromstring(base64.b64decode(url.partition(",")[2]))
            assert root.tag == "{http://www.w3.org/2000/svg}svg" and len(list(root.iter())) > 5, name
        elif name.endswith(".png"):
            image = imread(io.BytesIO(base64.b64decode(url.partition(",")[2])))
            assert image.shape[1] > 1000 and np.ptp(image[..., :3]) > 0.3, name


def test_the_table_of_a_panel_holds_the_numbers_measured(saved, record):
    def rows(name):
        (url,) = [url for saved_as, url in saved.items() if saved_as.startswith(name) and saved_as.endswith(".csv")]
        return list(csv.reader(io.StringIO(urllib.parse.unquote(url.partition(",")[2]))))

    head, *places = rows("mesa-topograph")
    assert head[:3] == ["spectrum", "x (nm)", "y (nm)"] and len(places) == COUNT
    assert np.array([row[1:3] for row in places], dtype=float) == pytest.approx(record.places, abs=1e-4)
    values = [float(row[3]) if row[3] else np.nan for row in places]
    assert values == pytest.approx((record.sign * record.values).tolist(), rel=1e-6, nan_ok=True)
    head, *samples = rows("mesa-differential-conductance")
    number = int(head[-1].split()[1]) - 1
    didv = record.spectra[number].didv
    assert [float(row[-1]) for row in samples] == pytest.approx(didv, rel=3e-4, abs=1e-8)
