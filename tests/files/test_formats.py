"""File formats are parts: a package brings one, and it is read, written, and listed in what is refused."""

from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest

from bluesky_stm import files
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files import FileFormat
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.parts import file_formats

IMAGE = Topograph(Frame.square((0, 0), 10, 8), np.arange(64.0).reshape(8, 8), setpoint=Setpoint(-1.0, 0.1))


class Plain(FileFormat):
    """Heights as text."""

    name: str = "plain"
    suffixes: ClassVar[tuple[str, ...]] = (".plain",)
    holds: ClassVar[tuple[type, ...]] = (Topograph,)
    mark: ClassVar[bytes] = b"# heights"

    def recognises(self, path, start):
        return start.startswith(self.mark)

    def read(self, path):
        return Topograph(IMAGE.frame, np.loadtxt(path), setpoint=IMAGE.setpoint)

    def write(self, path, recording, provenance):
        np.savetxt(path, recording.height, header="heights")


class Greedy(Plain):
    """Whatever there is."""

    name: str = "greedy"
    suffixes: ClassVar[tuple[str, ...]] = ()
    mark: ClassVar[bytes] = b""


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(file_formats, "_registered", dict(file_formats._registered))
    file_formats.register(Plain)


def test_a_format_that_was_registered_is_written_by_its_ending_and_read_by_its_first_bytes(tmp_path):
    files.write(tmp_path / "image.plain", IMAGE)
    (tmp_path / "image.plain").rename(tmp_path / "renamed.dat")
    assert np.array_equal(files.read(tmp_path / "renamed.dat").height, IMAGE.height)


def test_what_is_refused_lists_the_format(tmp_path):
    (tmp_path / "notes").write_text("nothing")
    with pytest.raises(
        FileFormatError, match="Known: 3ds, createc, dat, documents, gwy, gxsm, hf5, matrix, nxs, plain, sm4, sxm"
    ):
        files.read(tmp_path / "notes")
    with pytest.raises(FileFormatError, match=r"choose one of \.3ds, \.dat, \.hf5, \.nxs, \.plain, \.sxm"):
        files.write(tmp_path / "image.txt", IMAGE)


def test_a_file_that_two_formats_recognise_is_read_in_the_one_that_is_named(tmp_path):
    files.write(tmp_path / "image.plain", IMAGE)
    file_formats.register(Greedy)
    with pytest.raises(FileFormatError, match="several formats, greedy and plain"):
        files.read(tmp_path / "image.plain")
    assert np.array_equal(files.read(tmp_path / "image.plain", "plain").height, IMAGE.height)


def test_a_format_whose_package_is_broken_closes_no_other(tmp_path, monkeypatch):
    broken = EntryPoint("broken", "no_such_package:Format", file_formats.group)
    monkeypatch.setitem(vars(file_formats), "_brought", {**file_formats._brought, "broken": [broken]})
    files.write(tmp_path / "image.sxm", IMAGE)
    assert files.read(tmp_path / "image.sxm").height.shape == (8, 8)
    (tmp_path / "notes").write_text("nothing")
    with pytest.raises(FileFormatError, match=r"'broken' .* cannot be loaded"):
        files.read(tmp_path / "notes")


def test_a_format_that_only_reads_refuses_to_write(tmp_path):
    class ReadOnly(Plain):
        name: str = "read-only"
        write = FileFormat.write

    with pytest.raises(FileFormatError, match="only read"):
        ReadOnly().write(tmp_path / "image.plain", IMAGE, {})


def test_an_hdf5_file_of_another_kind_is_left_to_the_format_that_knows_it(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(FileFormatError, match="no format recognises it"):
        files.read(tmp_path / "other.h5")
