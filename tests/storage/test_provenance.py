"""Files that are made of a run say whose it is, when it was measured and what was decided, and bring it back."""

import hashlib
import json
import sys
from datetime import UTC, datetime

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from bluesky.plans import count

import bluesky_stm
from bluesky_stm import files, load_run
from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.runs import replay
from bluesky_stm.storage import export, import_run, open_catalog

ABOUT = {"sample": "Au(111) on mica, no. 7", "operator": 'A = B, "C"', "proposal": "P;12", "campaign": "night 3"}


@pytest.fixture
def run(tmp_path, recorder, toy_agent):
    with open_catalog(tmp_path / "catalog") as catalog:
        recorder(catalog, toy_agent(seed=6), **ABOUT).run(7)
        yield catalog[-1]


@pytest.fixture
def empty(tmp_path):
    with open_catalog(tmp_path / "empty") as catalog:
        yield catalog


def day_of(seconds):
    return datetime.fromtimestamp(seconds, UTC).date()


@pytest.mark.parametrize("suffix", [".nxs", ".hf5"])
def test_a_file_of_hdf5_brings_back_the_run_with_its_uid_its_documents_and_its_decisions(
    run, empty, tmp_path, toy_agent, suffix
):
    back = import_run(empty, export(run, tmp_path / f"run{suffix}"))
    for (name, doc), (kind, original) in zip(back.documents(), run.documents(), strict=True):
        assert name == kind
        np.testing.assert_equal({**doc, "chain": None}, {**original, "chain": None})
    assert replay(back, toy_agent(seed=6)).exact


def test_a_nexus_file_says_whose_run_it_is_and_when_it_was(run, tmp_path):
    with h5py.File(export(run, tmp_path / "run.nxs")) as file:
        entry = file["entry"]
        said = {name: entry[name].asstr()[()] for name in ("definition", "start_time", "end_time", "identifier_entry")}
        assert entry["sample/name"].asstr()[()] == ABOUT["sample"] and entry["user/name"].asstr()[()] == ABOUT["operator"]
        assert entry["identifier_experiment"].asstr()[()] == ABOUT["proposal"]
        assert entry["provenance/scalarizer"].asstr()[()] == run.start["scalarizer"]["name"]
    assert said["definition"] == "NXsts" and said["identifier_entry"] == run.uid
    for said_time, document in (("start_time", run.start), ("end_time", run.stop)):
        assert datetime.fromisoformat(said[said_time]).timestamp() == pytest.approx(document["time"], abs=1e-5)


def test_a_nexus_file_holds_values_and_decisions_as_load_run_gives_them(run, tmp_path):
    tree = load_run(run)
    with h5py.File(export(run, tmp_path / "run.nxs")) as file:
        entry = file["entry"]
        np.testing.assert_array_equal(entry["spectra/scalar"], tree["spectra/value"])
        assert entry["spectra/scalar"].attrs.get("units", "") == tree["spectra/value"].attrs["units"]
        assert list(entry["decisions_words/why"].asstr()) == list(tree["decisions/why"].values)
        np.testing.assert_array_equal(entry["decisions/x"], tree["decisions/x"])
        assert entry["decisions"].attrs["NX_class"] == "NXdata" and list(entry["decisions"].attrs["axes"]) == ["ingested"]


@pytest.mark.parametrize("suffix", [".sxm", ".dat", ".nxs", ".hf5"])
def test_a_measurement_in_a_file_was_made_on_the_day_of_its_event_not_in_1970(run, tmp_path, suffix):
    held = files.read(export(run, tmp_path / f"run{suffix}", spectrum=3))
    measured = held.topograph if isinstance(held, files.RecordedRun) else held
    assert day_of(measured.time) == day_of(run.start["time"])


@pytest.mark.parametrize("suffix", [".sxm", ".dat"])
def test_the_sample_stands_in_a_file_of_nanonis_and_comes_back(run, empty, tmp_path, suffix):
    back = import_run(empty, export(run, tmp_path / f"run{suffix}", spectrum=3))
    assert {key: back.start[key] for key in ABOUT} == ABOUT
    assert back.start["exported_from"] == run.uid and back.uid != run.uid


def test_a_grid_of_nanonis_keeps_the_sample_too(tmp_path, recorder, empty):
    with open_catalog(tmp_path / "catalog") as catalog:
        live = recorder(catalog, **ABOUT)
        for x, y in live.frame.points().reshape(-1, 2)[:40]:
            live.measure(type(live.frame.center)(float(x), float(y)))
        path = export(catalog[-1], tmp_path / "grid.3ds")
    assert {key: import_run(empty, path).start[key] for key in ABOUT} == ABOUT


def test_no_two_channels_of_a_grid_have_the_same_first_and_last_word(tmp_path, recorder):
    """A reader that goes by these two would keep one of them."""
    with open_catalog(tmp_path / "catalog") as catalog:
        live = recorder(catalog)
        for x, y in live.frame.points().reshape(-1, 2)[:40]:
            live.measure(type(live.frame.center)(float(x), float(y)))
        path = export(catalog[-1], tmp_path / "grid.3ds")
        np.testing.assert_allclose(files.read_3ds(path).lockin_y[0, 3], catalog[-1].spectra[3].lockin_y, rtol=1e-6)
    (line,) = [line for line in path.read_bytes().split(b"\r\n") if line.startswith(b"Channels=")]
    names = [
        label.rpartition(" ")[0].split() for label in line.decode("latin-1").removeprefix('Channels="').rstrip('"').split(";")
    ]
    assert len({(name[0], name[-1]) for name in names}) == len(names) and all(len(name) == 1 for name in names)


def test_one_spectrum_of_many_is_written_by_its_number(run, tmp_path):
    np.testing.assert_allclose(
        files.read_dat(export(run, tmp_path / "one.dat", spectrum=4)).didv, run.spectra[4].didv, rtol=1e-8
    )
    with pytest.raises(FileFormatError, match="has 7, and which one is not said"):
        export(run, tmp_path / "other.dat")
    with pytest.raises(FileFormatError, match="there is no number 7"):
        export(run, tmp_path / "other.dat", spectrum=7)
    assert not (tmp_path / "other.dat").exists()


def test_netcdf_holds_what_load_run_returns(run, tmp_path):
    with xr.open_datatree(export(run, tmp_path / "run.nc"), engine="h5netcdf", decode_timedelta=False) as back:
        for name, group in load_run(run).children.items():
            xr.testing.assert_identical(back[name].to_dataset(), group.to_dataset())
        assert back.attrs["sample"] == ABOUT["sample"] and back.attrs["uid"] == run.uid


def test_a_table_of_samples_and_one_of_spectra_hold_the_same_numbers(run, tmp_path):
    rows, spectra = pd.read_csv(export(run, tmp_path / "run.csv")), pd.read_parquet(export(run, tmp_path / "run.parquet"))
    assert len(spectra) == 7 and len(rows) == 7 * 61 and set(rows["run"]) == {run.uid}
    for number, spectrum in enumerate(run.spectra):
        samples = rows[rows["spectrum"] == number]
        np.testing.assert_array_equal(samples["didv (nS)"], spectrum.didv)
        np.testing.assert_array_equal(spectra["didv (nS)"][number], spectrum.didv)
        np.testing.assert_array_equal(samples["bias (V)"], spectrum.bias)
        assert spectra["x (nm)"][number] == spectrum.position.x
    value = load_run(run)["spectra/value"]
    np.testing.assert_array_equal(spectra[f"value ({value.units})" if value.units else "value"], value)


def test_a_table_of_samples_has_its_provenance_beside_it_and_never_takes_the_place_of_another(run, tmp_path):
    table = export(run, tmp_path / "run.csv")
    said = json.loads((tmp_path / "run.csv-metadata.json").read_text())
    assert said["notes"][0]["operator"] == ABOUT["operator"] and said["notes"][0]["proposal"] == ABOUT["proposal"]
    (one,) = said["tables"]
    assert one["notes"][0]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest() and one["url"] == "run.csv"
    assert [column["titles"] for column in one["tableSchema"]["columns"]] == list(pd.read_csv(table).columns)
    table.unlink()
    with pytest.raises(CatalogError, match=r"run\.csv-metadata\.json exists already"):
        export(run, table)


@pytest.mark.parametrize(("suffix", "library"), [(".nc", "h5netcdf"), (".parquet", "pyarrow")])
def test_a_table_whose_library_is_missing_is_refused_with_what_to_install(run, tmp_path, monkeypatch, suffix, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(CatalogError, match=rf"Nothing has been written. Install it \(pip install {library}\), or choose"):
        export(run, tmp_path / f"run{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["catalog"]


def test_a_parquet_file_says_whose_run_it_is(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    said = parquet.read_schema(export(run, tmp_path / "run.parquet")).metadata[b"bluesky_stm"]
    assert json.loads(said)["operator"] == ABOUT["operator"]


def test_what_another_device_read_beside_a_spectrum_stays_beside_it(tmp_path):
    from ophyd import Signal

    with bluesky_stm.simulated(seed=3, catalog=tmp_path / "catalog") as s:
        cold = Signal(name="cryostat", value=4.25)
        s.RE(count([s.stm.sweep, cold], 3))
        tree = load_run(s.catalog[-1])
        table = pd.read_parquet(export(s.catalog[-1], tmp_path / "run.parquet"))
    np.testing.assert_array_equal(tree["spectra/cryostat"], [4.25] * 3)
    assert list(table["cryostat"]) == [4.25] * 3


def test_a_part_of_a_run_is_the_same_part_of_the_whole(run):
    whole, part = load_run(run), load_run(run, spectra=slice(-3, None), without=["maps", "decisions"])
    xr.testing.assert_identical(part["spectra"].to_dataset(), whole["spectra"].to_dataset().isel(spectrum=slice(-3, None)))
    assert list(part.children) == ["topograph", "spectra"]


def test_a_part_of_a_run_that_has_not_ended_is_counted_from_its_end_too(run):
    so_far = [pair for pair in run.documents() if pair[0] != "stop"]
    part = load_run(so_far, spectra=slice(-2, None))
    np.testing.assert_array_equal(part["spectra/didv"], [spectrum.didv for spectrum in run.spectra[-2:]])


@pytest.fixture(scope="module")
def modulated(tmp_path_factory):
    """A run at a simulated microscope, whose sample has 77 K and whose lock-in modulates by 16.4 mV at 977.1 Hz."""
    with bluesky_stm.simulated(seed=7, catalog=tmp_path_factory.mktemp("catalog")) as session:
        session.RE.md["operator"] = "Ada"
        scale = session.scales["terrace"].changed(agent="random", pixels=64, budget=3, seeds=3)
        session.RE(bluesky_stm.plans.explore(session.stm, session.agent(scale)))
        yield session.catalog[-1]


@pytest.mark.parametrize("suffix", [".nxs", ".hf5", ".dat", ".sxm"])
def test_a_file_says_temperature_and_modulation_in_its_own_words_and_no_comment_of_ours_is_taken_for_a_persons(
    modulated, tmp_path, suffix
):
    path = export(modulated, tmp_path / f"run{suffix}", spectrum=1 if suffix == ".dat" else None)
    about = files.read(path).about
    assert (about.temperature, about.amplitude, about.frequency) == (77.0, 0.0164, 977.1)
    assert (about.sample, about.operator, about.comment) == ("EuZn2As2 (simulated)", "Ada", "")
    assert "bluesky_stm" not in str(files.inspect_file(path).get("comment"))


def test_a_nexus_file_has_a_lockin_and_a_temperature_where_the_definitions_put_them(modulated, tmp_path):
    with h5py.File(export(modulated, tmp_path / "run.nxs")) as file:
        lockin, sample = file["entry/instrument/lockin_amplifier"], file["entry/sample"]
        assert lockin.attrs["NX_class"] == "NXlockin" and lockin["modulation_signal"].asstr()[()] == "bias"
        assert (lockin["reference_amplitude"][()], lockin["reference_amplitude"].attrs["units"]) == (0.0164, "V")
        assert (lockin["modulation_frequency"][()], lockin["modulation_frequency"].attrs["units"]) == (977.1, "Hz")
        assert (sample["temperature"][()], sample["temperature"].attrs["units"]) == (77.0, "K")
        assert set(lockin) <= {"modulation_status", "modulation_signal", "modulation_frequency", "reference_amplitude"}, (
            "names of NXlockin in the definitions of pynxtools 0.16, which calls a file with any other one invalid"
        )


def test_a_recorded_run_takes_sample_and_operator_from_its_file_unless_it_is_told_others(modulated, tmp_path):
    path = export(modulated, tmp_path / "run.nxs")
    with bluesky_stm.recorded(path, catalog=tmp_path / "as it says") as session:
        assert (session.sample, session.RE.md["operator"]) == ("EuZn2As2 (simulated)", "Ada")
        assert session.stm.lockin.amplitude.get() == 0.0164
    with bluesky_stm.recorded(path, catalog=tmp_path / "told", sample="no. 8") as session:
        assert (session.sample, session.RE.md["sample"]) == ("no. 8", "no. 8")
