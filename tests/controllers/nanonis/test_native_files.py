"""What the software of the instrument saves beside is named in the Events, and found again by them."""

import numpy as np
import pytest

from bluesky_stm.errors import SettingsError
from bluesky_stm.files import read
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.plans import scan_topograph, spectra_at
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.session import nanonis
from bluesky_stm.storage import import_files

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


@pytest.fixture
def night(server, tmp_path):
    """A session in which the software saves everything, and that has measured two spectra."""
    server.software.registers.set("SafeTip.Props", [0, 1, 10e-9])
    session = nanonis("127.0.0.1", 1, tmp_path / "runs", ports=server.ports, timeout=10.0, save_as="night")
    session.stm.sweep.set(SHORT)
    with session:
        session.RE(spectra_at(session.stm, [Point(1.0, 0.0), Point(2.0, 0.0)]))
        yield session


def test_each_event_names_the_one_file_of_its_spectrum(night, server):
    (run,) = night.catalog
    for spectrum in run.spectra:
        folder, _, name = spectrum.native.rpartition("/")
        assert folder == str(server.folder)
        (file,) = server.folder.glob(f"{name}*.dat")
        np.testing.assert_allclose(read(file).current, spectrum.current, rtol=1e-5, atol=1e-6)
    assert len({spectrum.native for spectrum in run.spectra}) == 2


def test_import_finds_the_spectrum_and_takes_the_file_not_in_again(night, server):
    (run,) = night.catalog
    files = sorted(server.folder.glob("night-*.dat"))
    found = list(import_files(night.catalog, files, separate=True))
    assert [one.known for one in found] == [True, True]
    assert [one.run.uid for one in found] == [run.uid] * 2
    assert [one.words for one in found] == [f"the microscope's own file of spectrum {n} of run {run.uid[:8]}" for n in (1, 2)]


def test_a_file_of_another_name_is_imported(night, server):
    (file, *_) = sorted(server.folder.glob("night-*.dat"))
    other = file.rename(file.with_name("another.dat"))
    (one,) = import_files(night.catalog, [other])
    assert not one.known


def test_an_image_is_found_by_its_path(night, server):
    night.RE(scan_topograph(night.stm, Frame.square((0.0, 0.0), 8.0, 16)))
    image = next(topograph for run in night.catalog for topograph in run.topographs)
    (one,) = import_files(night.catalog, [image.native])
    assert one.known
    assert "image 1" in one.words


def test_nothing_is_saved_where_nobody_asks(controller, server):
    server.software.registers.set("BiasSpectr.Props", (0, 0, 0, 0, 0.0, 2, 0))
    assert not controller.sweep(SHORT).native
    assert not list(server.folder.glob("*.dat"))


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a b", "c:"])
def test_a_name_that_would_leave_the_session_path_is_refused(connect, name):
    with pytest.raises(SettingsError, match="save_as"):
        connect(save_as=name)
