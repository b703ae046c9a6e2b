"""The page holds what was measured, needs no network and stays small."""

import base64
import json
import re

import numpy as np
import pytest

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.views import RunRecord, report


def data_of(path):
    """The numbers in the page."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())[1])


def unpacked(packed):
    """Numbers as the page decodes them: plain ones, levels between two ends, or an inverse hyperbolic sine of each row's."""
    kinds = {"levelled": "u2", "compressed": "i2"}
    sent = np.frombuffer(base64.b64decode(packed["data"]), f"<{kinds.get(packed['kind'], packed['kind'])}")
    sent = sent.reshape(packed["shape"])
    if packed["kind"] == "levelled":
        low, high = packed["range"]
        return np.where(sent == 0, np.nan, low + (sent - 1.0) / 65534 * (high - low))
    if packed["kind"] == "compressed":
        scale = np.frombuffer(base64.b64decode(packed["scale"]), "<f4").astype(float)[:, None]
        return np.where(sent == -32768, np.nan, scale * np.sinh(sent / 32767 * np.arcsinh(1e6)) / 1e6)
    return sent


def channel(shown, name):
    return unpacked(shown["spectra"]["channels"][name]["rows"])


@pytest.fixture(scope="module")
def page(campaign, tmp_path_factory):
    return report(campaign, tmp_path_factory.mktemp("report") / "deep" / "report.html")


def test_spectra_places_and_values_of_the_page_are_those_measured(campaign, page):
    for shown, record in zip(data_of(page)["runs"], map(RunRecord.of, campaign), strict=True):
        for name in ("current", "didv", "lockin_x", "lockin_y"):  # within 0.03 %, and 1e-9 of the largest
            measured = np.array([getattr(s, name) for s in record.spectra])
            np.testing.assert_allclose(channel(shown, name), measured, rtol=3e-4, atol=1e-9 * np.abs(measured).max())
        np.testing.assert_allclose(unpacked(shown["spectra"]["place"]), record.places, atol=1e-3)
        np.testing.assert_allclose(np.array(shown["spectra"]["values"], dtype=float), record.values, rtol=1e-4)
        every = np.array([known.mean for known in record.maps])
        np.testing.assert_allclose(unpacked(shown["maps"]["mean"])[-1], every[-1], atol=np.ptp(every) / 65534)
        assert shown["best"] == record.best.number and len(shown["decisions"]["why"]) == 31


def test_a_child_frame_stands_in_its_parent(campaign, page):
    shown = data_of(page)["runs"]
    ((child,), (grandchild,), none) = (run["children"] for run in shown)
    assert (child["uid"], grandchild["uid"], none) == (shown[1]["uid"], shown[2]["uid"], [])
    middle = np.mean(child["corners"], axis=0) - 100  # the parent is 200 nm wide, its centre at (0, 0)
    np.testing.assert_allclose(middle, RunRecord.of(campaign[1]).frame.center, atol=1e-3)


def test_heights_are_those_measured_but_for_a_plane(campaign, page):
    image = data_of(page)["runs"][2]["topograph"]["heights"]
    low, high = image["range"]
    shown, height = unpacked(image), RunRecord.of(campaign[2]).topograph.height
    assert shown.shape == height.shape and (shown.min(), shown.max()) == (low, high)
    rows, columns = np.indices(height.shape)
    plane = np.stack([rows, columns, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    residual = (height - shown).ravel()
    residual -= plane @ np.linalg.lstsq(plane, residual, rcond=None)[0]
    assert np.abs(residual).max() < (high - low) / 65534


def test_where_small_is_sought_people_read_the_quantity_itself(make_run, tmp_path):
    run = make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "mesa", budget=10, scalarizer={"name": "gap", "prefer": "small"})
    record, shown = RunRecord.of(run), data_of(report([run], tmp_path / "report.html"))["runs"][0]
    assert record.best.value < 0 < shown["spectra"]["values"][shown["best"]] == min(filter(None, shown["spectra"]["values"]))
    assert (np.diff(shown["curve"]) <= 0).all() and shown["small"]


def test_nothing_is_loaded_from_anywhere(page):
    text = page.read_text()
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a format, not a place
    assert "default-src 'none'" in text and not re.search(r"<link|<script src|@import|url\((?!#)", text)


def test_three_large_runs_stay_below_5_mb(make_run, tmp_path):
    frame = Frame(Point(0, 0), (200, 200), (700, 700))
    runs = [make_run(frame, name, budget=12) for name in "abc"]
    records = [RunRecord.of(run) for run in runs]
    for record in records:  # as if each had taken four hundred spectra and a hundred maps
        record.observations[:] = 34 * record.observations
        record.maps *= 34
    path = report(records, tmp_path / "large.html")
    assert path.stat().st_size < 5e6
    shown = data_of(path)["runs"][0]
    assert len(shown["spectra"]["values"]) == 408 == channel(shown, "didv").shape[0]


def test_a_thousand_spectra_stay_below_3_mb(make_run, tmp_path):
    record = RunRecord.of(make_run(Frame(Point(0, 0), (200, 200), (512, 512)), "mesa", budget=40, seeds=20))
    record.observations[:] = 25 * record.observations
    record.decisions[:] = 25 * record.decisions
    record.maps *= 25
    path = report(record, tmp_path / "large.html")
    assert len(data_of(path)["runs"][0]["spectra"]["values"]) == 1000
    assert path.stat().st_size < 3e6


def test_what_people_write_cannot_break_the_page(make_run, tmp_path):
    run = make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "</script><script>alert(1)</script>", budget=8)
    path = report([run], tmp_path / "report.html", title="<b>Night & day</b>")
    text = path.read_text()
    assert "<title>&lt;b&gt;Night &amp; day&lt;/b&gt;</title>" in text and "alert(1)</script>" not in text
    assert data_of(path)["runs"][0]["name"].startswith("</script>")


def test_a_run_that_broke_off_can_be_reported(make_run, tmp_path):
    run = make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "mesa", budget=8)
    for kept in (1, 3, 6, 8):
        shown = data_of(report([run[:kept]], tmp_path / "report.html"))["runs"][0]
        assert shown["exit"] == "not finished"


def test_no_run_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SettingsError, match="Nothing has been written"):
        report([], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_an_infinite_setting_of_the_microscope_is_a_word_which_a_browser_reads(campaign, tmp_path):
    (name, start), *rest = campaign[0]
    told = {**start, "controller": {"name": "nanonis", "interlocks": {"sweep_ends_above": float("inf")}}}
    text = report([[(name, told), *rest]], tmp_path / "report.html").read_text()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    shown = json.loads(data, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert shown["runs"][0]["about"]["controller"]["interlocks"]["sweep_ends_above"] == "inf"
