"""Files of microscopes are taken into a catalog: together where they belong together, once, and none stops another."""

import made
import numpy as np
import pytest
from made import CURRENT, SLOPE, V
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.storage import export, import_files, import_run, load_run, open_catalog, runs
from bluesky_stm.views import figure, report

FRAME = "5.0E-9 5.0E-9"


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as opened:
        yield opened


def spectrum(path, x=1e-8, y=2e-8, time="01.02.2024 11:00:00", scale=1.0, limit=1.0):
    columns = {"Bias calc (V)": V * limit, "Current (A)": CURRENT * scale * limit, "X% LockIn (V)": SLOPE * scale * 1e8}
    return made.dat(path, columns, entries={"X (m)": repr(x), "Y (m)": repr(y), "Date": time})


def folder_of(tmp_path, count=5):
    folder = tmp_path / "night"
    folder.mkdir()
    made.sxm(folder / "image.sxm", [made.image(), made.image(1)])
    for k in range(count):
        x, y = 8.5e-9 + 0.625e-9 * k, 19e-9 + 0.625e-9 * (k % 2)
        spectrum(folder / f"spectrum{k}.dat", x, y, f"01.02.2024 11:0{k}:00", 1 + 0.1 * k)
    return folder


def test_an_image_and_the_spectra_in_it_make_one_run(tmp_path, catalog):
    folder = folder_of(tmp_path)
    spectrum(tmp_path / "outside.dat", 9e-8)
    spectrum(tmp_path / "another_sweep.dat", limit=0.1)
    paths = [*sorted(folder.iterdir()), tmp_path / "outside.dat", tmp_path / "another_sweep.dat"]
    done = list(import_files(catalog, paths))
    assert [len(one.paths) for one in done] == [6, 1, 1]
    run = done[0].run
    assert run.topograph.height.shape == (8, 8)
    places = np.array([one.position for one in run.spectra])
    assert places == pytest.approx(np.array([(8.5 + 0.625 * k, 19 + 0.625 * (k % 2)) for k in range(5)]))
    assert [one.didv[50] for one in run.spectra] == pytest.approx([0.1 * (1 + 0.1 * k) for k in range(5)], rel=0.02)
    assert "'X% LockIn'" in done[0].words
    assert len(list(import_files(catalog, [folder]))) == 1


def test_a_bad_file_stops_no_other_and_the_same_content_is_recognised(tmp_path, catalog):
    first, copy, bad = spectrum(tmp_path / "a.dat"), tmp_path / "copy.dat", tmp_path / "bad.dat"
    copy.write_bytes(first.read_bytes())
    bad.write_bytes(b"Experiment\tbias spectroscopy\t\r\nno table")
    last = made.wavy(tmp_path / "grid.3ds")
    done = list(import_files(catalog, [first, bad, copy, last]))
    assert [(one.run is not None, one.known) for one in done] == [(True, False), (False, False), (True, True), (True, False)]
    assert done[2].run.uid == done[0].run.uid
    assert len(catalog) == 2
    assert next(iter(import_files(catalog, [last]))).known


def test_at_the_command_line_a_refused_file_is_said_at_the_end(tmp_path):
    good, bad = spectrum(tmp_path / "a.dat"), tmp_path / "bad.dat"
    bad.write_bytes(b"Experiment\tbias spectroscopy\t\r\nno table")
    where = ["--catalog", str(tmp_path / "catalog")]
    done = CliRunner().invoke(app, ["import", str(bad), str(good), *where])
    assert done.exit_code == 1
    assert "dI/dV is the channel 'X% LockIn'" in done.output
    assert done.output.startswith("bad.dat: refused\n") and "a.dat: <Run " in done.output
    assert done.output.rstrip().endswith("1 refused, 1 imported.")
    again = CliRunner().invoke(app, ["import", str(good), *where])
    assert again.exit_code == 0
    assert "1 there already." in again.output


def test_the_page_of_an_import_counts_the_spectra_that_it_holds(tmp_path, data_file):
    """A published run holds 210 spectra, and an exploration of it would be suggested a budget of 60."""
    where = ["--catalog", str(tmp_path / "catalog")]
    CliRunner().invoke(app, ["import", str(data_file("Figure7_DKL1_200nm.hf5")), *where])
    (line,) = [line for line in CliRunner().invoke(app, ["show", *where]).output.splitlines() if line.startswith("spectra")]
    assert line.split()[1].strip(",") == "210" and "60" not in line


def test_the_channel_can_be_named_at_the_command_line(tmp_path):
    path = made.dat(tmp_path / "a.dat", {"Bias calc (V)": V, "Current (A)": CURRENT, "Aux 7 (V)": SLOPE * 1e8})
    where = ["--catalog", str(tmp_path / "catalog")]
    done = CliRunner().invoke(app, ["import", str(path), "--didv", "Aux 7", *where])
    assert "dI/dV is the channel 'Aux 7'" in done.output
    shown = CliRunner().invoke(app, ["show", *where])
    assert "'Aux 7'" in shown.output


def test_a_run_is_listed_with_the_time_of_its_measurement(tmp_path, catalog):
    import_run(catalog, spectrum(tmp_path / "a.dat"))
    (time,) = runs(catalog)["time"]
    assert (time.year, time.month) == (2024, 2)


def test_a_point_spectrum_is_drawn_alone_and_refused_by_a_format_that_cannot_hold_it(tmp_path, catalog):
    run = import_run(catalog, spectrum(tmp_path / "a.dat"))
    assert report(run, tmp_path / "report.html").stat().st_size > 10_000
    assert len(figure(run).subfigs) == 1
    from bluesky_stm.errors import FileFormatError

    with pytest.raises(FileFormatError, match="Nothing was written"):
        export(run, tmp_path / "a.3ds")
    assert not (tmp_path / "a.3ds").exists()


def test_a_grid_of_z_sweeps_comes_back_with_its_units(tmp_path, catalog):
    distance = np.linspace(0, 1e-9, 21)
    current = 1e-9 * np.exp(-2e10 * distance) * np.ones((3, 4, 1))
    path = made.grid(tmp_path / "z.3ds", {"Current (A)": current}, swept="Z rel (m)", limits=(0.0, 1e-9))
    run = import_run(catalog, path)
    sweeps = load_run(run)["sweeps"]
    assert sweeps["channel_current"].shape == (12, 21)
    assert sweeps["channel_current"].attrs["units"] == "nA"
    assert sweeps["swept"].attrs["units"] == "nm"
    slope = np.polyfit(sweeps["swept"][0], np.log(sweeps["channel_current"][0]), 1)[0]
    assert slope == pytest.approx(-20, rel=1e-3)
