"""Twenty questions about a run that its documents answer, answered by the text of the report page alone."""

import re

import numpy as np
import pytest
from chromium import NEEDED

from bluesky_stm.measurements import Quality
from bluesky_stm.views import Check, RunRecord, Trust, report

pytestmark = [pytest.mark.system, NEEDED]

START = {
    "operator": "A. Person", "lockin": {"amplitude": 0.0164, "frequency": 977.1, "phase": 0.0, "on": True},
    "sweep": {"start": -1.5, "stop": 1.5, "points": 121, "settle": 0.004, "integrate": 0.01, "averages": 1, "backward": False},
    "night": {"sample": {"name": "crystal 7", "temperature": 77.0}}, "host": "stm-1",
}  # fmt: skip


@pytest.fixture(scope="module")
def record(make_campaign):
    (run,) = make_campaign(sides=(200,), fail=(3,), **START)
    return RunRecord.of(run)


@pytest.fixture(scope="module")
def text(browser, record, tmp_path_factory):
    """What a person reads: the text of the page, and of each spectrum that is looked at."""
    folder = tmp_path_factory.mktemp("answers")
    checks = {
        record.uid: [Check("replay", True, "31 of 31 decisions reproduced, bit for bit"), Check("verification", True, "whole")]
    }
    browser.open(report([record], folder / "report.html", checks=checks), 1400)
    browser("lazily.all()")
    each = browser(
        "[...document.querySelectorAll('.map [data-spectrum]')].map((node) => {"
        "node.dispatchEvent(new MouseEvent('click', { bubbles: true }));"
        "return document.querySelector('.said').textContent; })"
    )
    whole = browser("document.body.innerText")
    return (
        re.sub(r"[\s\u202f]+", " ", whole).replace("\N{MINUS SIGN}", "-"),
        [re.sub(r"[\s\u202f]+", " ", one) for one in each],
    )


def figures(value, digits=4):
    return f"{float(f'{value:.{digits}g}'):g}"


QUESTIONS = {
    "At which bias was the feedback held?": lambda r: "-1.5 V",
    "At which current?": lambda r: "200 pA",
    "How large was the modulation?": lambda r: "16.4 mV (peak)",
    "At which frequency?": lambda r: "977.1 Hz",
    "From which bias to which was swept?": lambda r: "-1.5 to 1.5 V",
    "In how many points?": lambda r: "121 points",
    "How long did a sweep take?": lambda r: "1.69 s",
    "At which temperature?": lambda r: "77 K",
    "On which sample?": lambda r: "EuZn2As2 (made up)",
    "Who measured?": lambda r: "A. Person",
    "How many spectra were taken?": lambda r: "30 spectra",
    "How many have no value, and why?": lambda r: (
        "1 of 30 spectra have no value: 1 x gap: the spectrum is marked: lost contact"
    ),
    "In how many did the preamplifier saturate, and where?": lambda r: (
        f"saturated at 10 nA in {sum(bool(s.quality & Quality.CLIPPED) for s in r.spectra)} of 30 spectra"
    ),
    "What is the best value?": lambda r: f"highest gap {figures(r.best.value)} V",
    "Is the map to be trusted?": lambda r: Trust.of(r).verdict,
    "How many predictions were right within one standard deviation?": lambda r: f"{Trust.of(r).within(1)} (",
    "Was it replayed?": lambda r: "replay: 31 of 31 decisions reproduced",
    "How large was the frame, and where?": lambda r: "200 nm 30 spectra of",
    "Which seed and which agent?": lambda r: "dkl",
    "When was it measured?": lambda r: "2026-09-21",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_page_answers(text, record, question):
    assert QUESTIONS[question](record) in text[0]


def test_each_spectrum_says_where_it_was_taken_and_whether_it_was_clipped(text, record):
    """The place of the best one among them: where the vacancy is."""
    for said, spectrum, place in zip(text[1], record.spectra, record.places, strict=True):
        assert ("clipped" in said) == bool(spectrum.quality & Quality.CLIPPED)
        x, y = (float(one) for one in re.search(r"\(([-\d.]+), ([-\d.]+)\) ?nm", said.replace("\N{MINUS SIGN}", "-")).groups())
        assert (x, y) == pytest.approx(tuple(place), abs=0.05)
    assert np.isfinite(record.places).all()
