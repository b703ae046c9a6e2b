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
    return np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['kind']}").reshape(packed["shape"])


@pytest.fixture(scope="module")
def page(campaign, tmp_path_factory):
    return report(campaign, tmp_path_factory.mktemp("report") / "deep" / "report.html")


def test_spectra_places_and_values_of_the_page_are_those_measured(campaign, page):
    for shown, record in zip(data_of(page)["runs"], map(RunRecord.of, campaign), strict=True):
        np.testing.assert_allclose(unpacked(shown["spectra"]["didv"]), [s.didv for s in record.spectra], rtol=1e-6)
        np.testing.assert_allclose(unpacked(shown["spectra"]["current"]), [s.current for s in record.spectra], rtol=1e-6)
        np.testing.assert_allclose(shown["spectra"]["place"], record.places, atol=1e-3)
        np.testing.assert_allclose(np.array(shown["spectra"]["values"], dtype=float), record.values, rtol=1e-4)
        np.testing.assert_allclose(unpacked(shown["maps"]["mean"])[-1], record.maps[-1].mean, rtol=1e-6)
        assert shown["best"] == record.best.number and len(shown["decisions"]) == 31


def test_a_child_frame_stands_in_its_parent(campaign, page):
    shown = data_of(page)["runs"]
    ((child,), (grandchild,), none) = (run["children"] for run in shown)
    assert (child["uid"], grandchild["uid"], none) == (shown[1]["uid"], shown[2]["uid"], [])
    middle = np.mean(child["corners"], axis=0) - 100  # the parent is 200 nm wide, its centre at (0, 0)
    np.testing.assert_allclose(middle, RunRecord.of(campaign[1]).frame.center, atol=1e-3)


def test_heights_are_those_measured_but_for_a_plane(campaign, page):
    image = data_of(page)["runs"][2]["topograph"]
    low, high = image["range"]
    levels = unpacked(image["levels"])
    height = RunRecord.of(campaign[2]).topograph.height
    assert levels.shape == height.shape and levels.min() == 1 and levels.max() == 65535
    shown = low + (levels - 1.0) / 65534 * (high - low)
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
    assert "default-src 'none'" in text and not re.search(r"<link|<script src|@import|url\(", text)


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
    assert len(shown["spectra"]["values"]) == 408 == unpacked(shown["spectra"]["didv"]).shape[0]


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
