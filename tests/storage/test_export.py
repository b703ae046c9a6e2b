"""Runs go out to files and come back: the same documents, the same decisions, the same arrays."""

import json
import resource
import signal
import warnings

import h5py
import numpy as np
import pytest

from bluesky_stm import files
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.measurements import Quality
from bluesky_stm.runs import replay, what_if
from bluesky_stm.storage import Run, documents, export, import_run, open_catalog, runs
from bluesky_stm.storage._plain import WRITERS


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield catalog


@pytest.fixture
def empty(tmp_path):
    with open_catalog(tmp_path / "empty") as catalog:
        yield catalog


@pytest.mark.parametrize("suffix", [".msgpack", ".jsonl"])
def test_documents_that_went_out_and_came_back_are_the_same_and_lead_to_the_same_decisions(
    catalog, empty, tmp_path, recorder, toy_agent, suffix
):
    recorder(catalog, toy_agent(seed=6)).run(7)
    path = export(catalog[-1], tmp_path / f"run{suffix}")
    run = import_run(empty, path)
    assert run.uid == catalog[-1].uid and runs(empty).equals(runs(catalog))
    for (name, doc), (kind, original) in zip(run.documents(), catalog[-1].documents(), strict=True):
        assert name == kind
        np.testing.assert_equal({**doc, "chain": None}, {**original, "chain": None})
    image, original = (next(r.events("topograph"))["data"]["stm_scanner_topograph"] for r in (run, catalog[-1]))
    assert image.tobytes() == original.tobytes() and image.dtype == original.dtype
    assert replay(run, toy_agent(seed=6)).exact and replay(path, toy_agent(seed=6)).exact
    assert replay(run, toy_agent(seed=6)).proof.chain == catalog[-1].stop["chain"]


def test_json_lines_are_json_that_everything_reads(catalog, tmp_path, recorder):
    recorder(catalog).run(5)
    path = export(catalog[-1], tmp_path / "run.jsonl")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    assert [name for name, _ in lines] == [name for name, _ in catalog[-1].documents()]


def test_numbers_that_json_does_not_know_come_back(catalog, empty, tmp_path, recorder):
    live = recorder(catalog)
    strange = {"a": np.array([np.nan, np.inf, -np.inf, 0.1]), "b": float("nan"), "c": float("-inf"), "d": 7, "e": "null"}
    live.emit("strange", {**strange, "f": np.array([[1, 2], [3, 4]], dtype=np.int32), "g": np.array([1 / 3], dtype=np.float32)})
    live.run(1)
    run = import_run(empty, export(catalog[-1], tmp_path / "run.jsonl"))
    (event,) = run.events("strange")
    np.testing.assert_equal({key: event["data"][key] for key in strange}, strange)
    assert event["data"]["f"].dtype == np.int32 and event["data"]["g"][0] == np.float32(1 / 3)


def test_a_run_is_imported_only_once_and_a_file_never_written_over(catalog, tmp_path, recorder):
    recorder(catalog).run(1)
    path = export(catalog[-1], tmp_path / "run.msgpack")
    with pytest.raises(CatalogError, match="already"):
        import_run(catalog, path)
    with pytest.raises(CatalogError, match="exists already"):
        export(catalog[-1], path)
    assert len(catalog) == 1


def test_documents_without_an_end_are_imported_as_a_run_that_was_killed(catalog, empty, recorder):
    recorder(catalog).run(3)
    run = import_run(empty, list(documents(catalog[-1]))[:-3])
    assert run.stop["exit_status"] == "abort" and not run.complete and len(empty) == 1
    recorder(empty).run(1)


@pytest.mark.parametrize("text", ['["stop", {}]\n', "no json\n", ""])
def test_a_file_that_is_no_run_is_refused_and_leaves_nothing(empty, tmp_path, text):
    (tmp_path / "other.jsonl").write_text(text)
    with pytest.raises(FileFormatError):
        import_run(empty, tmp_path / "other.jsonl")
    assert len(empty) == 0


def test_an_unknown_end_of_a_name_is_answered_with_all_that_an_export_has(catalog, tmp_path, recorder):
    recorder(catalog).run(1)
    every = r"\.3ds, \.csv, \.dat, \.hf5, \.jsonl, \.msgpack, \.nc, \.nxs, \.parquet, \.sxm"
    with pytest.raises(FileFormatError, match=rf"No format ends in '\.xls': choose one of {every}"):
        export(catalog[-1], tmp_path / "run.xls")


def test_documents_that_do_not_belong_together_are_refused_and_leave_nothing(catalog, empty, recorder):
    recorder(catalog).run(2)
    without = [(name, doc) for name, doc in documents(catalog[-1]) if name != "descriptor"]
    with pytest.raises(FileFormatError, match=r"no descriptor declares it. Nothing has been imported"):
        import_run(empty, without)
    assert len(empty) == 0
    assert import_run(empty, catalog[-1]).complete


@pytest.mark.parametrize("suffix", [".nxs", ".hf5"])
def test_what_was_measured_comes_back_from_the_formats_of_others(catalog, empty, tmp_path, recorder, suffix):
    recorder(catalog).run(6)
    run = catalog[-1]
    back = import_run(empty, export(run, tmp_path / f"run{suffix}"), sample="EuZn2As2")
    np.testing.assert_allclose(back.topograph.height, run.topograph.height, rtol=1e-6)
    assert back.topograph.frame.angle == pytest.approx(10) and back.start["sample"] == "EuZn2As2"
    for one, other in zip(back.spectra, run.spectra, strict=True):
        np.testing.assert_allclose(one.didv, other.didv, rtol=1e-6)
        assert one.position == pytest.approx(other.position)


def test_the_topograph_goes_to_nanonis(catalog, tmp_path, recorder):
    recorder(catalog).run(2)
    image = files.read_sxm(export(catalog[-1], tmp_path / "run.sxm"))
    np.testing.assert_allclose(image.height, catalog[-1].topograph.height, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("back_and_forth", [False, True])
def test_an_aborted_grid_goes_to_nanonis_with_nan_where_nothing_was_measured(catalog, tmp_path, recorder, back_and_forth):
    live = recorder(catalog)
    places = live.frame.points()
    if back_and_forth:
        places[1::2] = places[1::2, ::-1]
    for x, y in places.reshape(-1, 2)[:40]:
        live.measure(type(live.frame.center)(float(x), float(y)))
    grid = files.read_3ds(export(catalog[-1], tmp_path / "grid.3ds"))
    assert grid.current.shape == (24, 32, 61)
    missing = np.isnan(grid.current).all(axis=-1)
    assert missing.sum() == 24 * 32 - 40 and missing[2:].all()
    assert missing[1, :24].all() if back_and_forth else missing[1, 8:].all()
    np.testing.assert_allclose(grid.current[0, 3], catalog[-1].spectra[3].current, rtol=1e-6)
    assert grid.height[0, 3] == pytest.approx(0.3, rel=1e-6) and np.isnan(grid.height[3, 3])


def test_the_real_aborted_grid_is_imported_as_the_sweeps_it_is_and_is_no_cits_grid(empty, tmp_path, data_file):
    """It swept z, not the bias: nothing to learn from, nothing to make a bias grid of."""
    run = import_run(empty, data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds"))
    assert len(list(run.events("sweeps"))) == 88 and not run.spectra
    with pytest.raises(FileFormatError, match="no grid"):
        export(run, tmp_path / "grid.3ds")


def test_a_dense_grid_goes_through_a_catalog_and_comes_out_as_it_went_in(empty, tmp_path, data_file):
    path = data_file("NanonisReader_STS_grid_lockin.3ds")
    run = import_run(empty, path)
    before, after = files.read_3ds(path), files.read_3ds(export(run, tmp_path / "grid.3ds"))
    np.testing.assert_allclose(after.current, before.current, rtol=1e-6)
    np.testing.assert_allclose(after.lockin_x, before.lockin_x, rtol=1e-6)
    np.testing.assert_allclose(after.frame.points(), before.frame.points(), atol=1e-6)


def test_scattered_spectra_are_no_grid_and_a_format_that_nobody_knows_is_refused(catalog, tmp_path, recorder):
    recorder(catalog).run(3)
    with pytest.raises(FileFormatError, match="no grid"):
        export(catalog[-1], tmp_path / "run.3ds")
    with pytest.raises(FileFormatError, match="No format"):
        export(catalog[-1], tmp_path / "run.docx")
    assert not list(tmp_path.glob("run.*"))


# ---- a run of ours, exported, in programs of others


def outsider(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, at their own import
        return pytest.importorskip(name)


@pytest.fixture
def stopped(catalog, recorder):
    """A grid of 24 x 32 pixels that was stopped in its second row; its frame is turned by 10 degrees."""
    live = recorder(catalog)
    for x, y in live.frame.points().reshape(-1, 2)[:40]:
        live.measure(type(live.frame.center)(float(x), float(y)))
    live.sink("stop", live.bundle.compose_stop(exit_status="abort"))
    return catalog[-1]


def check_stopped(values, run, channel, factor=1.0):
    """The 40 spectra as float32, NaN and not zero behind them."""
    flat = np.asarray(values).reshape(24 * 32, -1)
    expected = np.stack([getattr(spectrum, channel) for spectrum in run.spectra]) * factor
    np.testing.assert_allclose(flat[:40], expected.astype(np.float32), rtol=1e-6)
    assert np.isnan(flat[40:]).all()


def test_nanonispy2_reads_the_exported_run(stopped, tmp_path):
    read = outsider("nanonispy2").read
    grid = read.Grid(str(export(stopped, tmp_path / "run.3ds")))
    check_stopped(grid.signals["Current (A)"], stopped, "current", 1e-9)
    assert grid.signals["sweep_signal"] == pytest.approx(stopped.spectra[0].bias, abs=1e-6)
    assert grid.header["angle"] == pytest.approx(-10), "clockwise there"
    scan = read.Scan(str(export(stopped, tmp_path / "run.sxm")))
    np.testing.assert_allclose(scan.signals["Z"]["forward"], stopped.topograph.height * 1e-9, rtol=1e-6, atol=1e-17)
    assert scan.header["scan_range"] == pytest.approx([64e-9, 48e-9])


def test_xarray_nanonis_reads_the_exported_run(stopped, tmp_path):
    read = outsider("xarray_nanonis.nanonis").Read_NanonisFile
    grid = read(export(stopped, tmp_path / "run.3ds"))
    check_stopped(grid.dataset["Current"].transpose("y", "x", "bias").values, stopped, "current", 1e-9)
    assert grid.dataset["Current"].attrs["units"] == "A" and grid.center == pytest.approx((3e-9, -2e-9))
    scan = read(export(stopped, tmp_path / "run.sxm"))
    heights = scan.dataset["Z"].sel(dir="forward")
    np.testing.assert_allclose(heights.values, stopped.topograph.height * 1e-9, rtol=1e-6, atol=1e-17)
    assert heights.attrs["units"] == "m" and scan.angle == pytest.approx(-10)


def test_pynsid_and_sidpy_read_the_exported_run(stopped, tmp_path):
    nsid = outsider("pyNSID").io.hdf_utils
    with h5py.File(export(stopped, tmp_path / "run.hf5")) as file:
        found = {main.name.split("/")[-1]: nsid.read_h5py_dataset(main) for main in nsid.get_all_main(file)}
        np.testing.assert_allclose(np.asarray(found["height"]), stopped.topograph.height, rtol=1e-6)
        np.testing.assert_allclose(np.asarray(found["didv"]), np.stack([s.didv for s in stopped.spectra]), rtol=1e-6)
        assert (found["height"].units, found["didv"].units, found["current"].units) == ("nm", "nS", "nA")
        assert [axis.units for axis in found["height"]._axes.values()] == ["nm", "nm"]
        np.testing.assert_allclose(np.asarray(found["didv"]._axes[1]), stopped.spectra[0].bias)


def test_nexusformat_reads_the_exported_run(stopped, tmp_path):
    entry = outsider("nexusformat.nexus").nxload(export(stopped, tmp_path / "run.nxs"))["entry"]
    image, spectra = entry["topograph"], entry["spectra"]
    np.testing.assert_allclose(image.nxsignal.nxvalue, stopped.topograph.height, rtol=1e-6)
    np.testing.assert_allclose(spectra["current"].nxvalue, np.stack([s.current for s in stopped.spectra]), rtol=1e-6)
    assert (image.nxsignal.units, spectra.nxsignal.units, spectra["current"].units) == ("nm", "nS", "nA")
    np.testing.assert_allclose(spectra["x"].nxvalue, [s.position.x for s in stopped.spectra])


def test_a_real_grid_whose_file_was_cut_gives_nan_through_the_catalog_and_out_again(empty, tmp_path, data_file):
    """As the instrument leaves it: 100 of 900 pixels."""
    whole = data_file("NanonisReader_STS_grid_lockin.3ds")
    head, mark, body = whole.read_bytes().partition(b":HEADER_END:\r\n")
    cut = tmp_path / "cut.3ds"
    cut.write_bytes(head + mark + body[: len(body) // 9])
    run = import_run(empty, cut)
    assert len(run.spectra) == 100
    again = outsider("nanonispy2").read.Grid(str(export(run, tmp_path / "again.3ds"))).signals["Current (A)"].reshape(900, -1)
    np.testing.assert_allclose(again[:100], files.read_3ds(whole).current.reshape(900, -1)[:100] * 1e-9, rtol=1e-6)
    assert np.isnan(again[100:]).all()


PUBLISHED = {
    "Figure3_large_area_250nm.hf5": ("positive_channel_area", 1e-9),
    "Figure7_DKL1_200nm.hf5": ({"name": "area_ratio", "offset": 0.005}, 1.0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_run_is_imported_with_its_scalars_and_asked_what_if(empty, data_file, name):
    """The scalars in the file are in SI, and were computed by the formula that is named here."""
    scalarizer, in_si = PUBLISHED[name]
    run = import_run(empty, data_file(name))
    stored = np.array([event["data"]["stored_scalar"] for event in run.events("primary")])
    asked = what_if(run, scalarizer=scalarizer, agent="random", budget=40)
    changed = [bool(spectrum.quality & Quality.TIP_CHANGED) for spectrum in run.spectra]
    np.testing.assert_allclose(asked.recorded * in_si, np.where(changed, np.nan, stored), rtol=1e-6)
    assert len(asked.decisions) == 40 and asked.on_policy == 1, "its only candidates are the places that were measured"
    chosen = asked.chosen[np.isfinite(asked.chosen)]
    assert np.isin(chosen, asked.recorded).all()


def test_a_file_that_could_not_be_written_whole_is_not_there(catalog, recorder, tmp_path, monkeypatch):
    """Whatever the format, and whatever went wrong half way: the next attempt finds the place free."""
    recorder(catalog).run(2)
    out = tmp_path / "out"
    out.mkdir()

    def half(path, *_):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr(files, "write", half)
        full.setitem(WRITERS, ".jsonl", half)
        for name in ("run.nxs", "run.hf5", "run.sxm", "run.jsonl"):
            with pytest.raises(CatalogError, match=r"No space left on device. Nothing has been written"):
                export(catalog[-1], out / name)
    assert not list(out.iterdir())
    assert export(catalog[-1], out / "run.nxs").exists() and len(list(out.iterdir())) == 1
    with pytest.raises(CatalogError, match="cannot be written"):
        export(catalog[-1], tmp_path / "nowhere" / "run.nxs")


def test_a_full_disk_refuses_an_export_of_each_format_in_words_and_leaves_nothing(catalog, recorder, tmp_path):
    """The limit of a file's size stands for a full disk; the library of HDF5 would end the process there."""
    recorder(catalog).run(3)
    out = tmp_path / "out"
    out.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        for suffix in (".nc", ".nxs", ".hf5", ".csv", ".parquet", ".msgpack", ".jsonl", ".sxm", ".dat"):
            with pytest.raises(CatalogError, match=r"cannot be written: .* Nothing has been written"):
                export(catalog[-1], out / f"run{suffix}", spectrum=0)
            assert not list(out.iterdir()), suffix
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_two_runs_in_one_stream_are_not_taken_for_one(catalog, recorder, tmp_path):
    recorder(catalog).run(1)
    both = [*catalog[-1].documents(), *catalog[-1].documents()]
    with open_catalog(tmp_path / "other") as other:
        with pytest.raises(FileFormatError, match="not one run"):
            import_run(other, both)
        assert len(other) == 0


def test_several_runs_are_written_to_a_file_each_by_uid(catalog, recorder, toy_agent, tmp_path):
    for seed in (1, 2):
        recorder(catalog, toy_agent(seed=seed)).run(2)
    uids = [catalog[-2].uid, catalog[-1].uid]
    assert export(uids[0][:10], tmp_path / "{uid}.msgpack", catalog=catalog) == tmp_path / f"{uids[0]}.msgpack"
    paths = export([catalog[-2], uids[1]], tmp_path / "{uid}.jsonl", catalog=catalog)
    assert paths == [tmp_path / f"{uid}.jsonl" for uid in uids]
    assert [Run(path).uid for path in paths] == uids
    with pytest.raises(CatalogError, match=r"2 runs do not fit into one file .*night\.nxs.*\{uid\}\.nxs"):
        export(uids, tmp_path / "night.nxs", catalog=catalog)
    assert not (tmp_path / "night.nxs").exists()
