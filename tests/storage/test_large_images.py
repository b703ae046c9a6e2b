"""An image that stands in a file of its own is read, replayed and packed along like one inside its document."""

import hashlib

import numpy as np
import pytest
from bluesky import RunEngine

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice, ImageStore
from bluesky_stm.errors import FileFormatError
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay
from bluesky_stm.session import simulated
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import export, import_run, load_run, open_catalog
from bluesky_stm.views import LiveView, RunRecord, report


@pytest.fixture
def catalog(tmp_path):
    """One exploration, its topograph in HDF5."""
    with open_catalog(tmp_path / "catalog") as catalog:
        images = ImageStore(catalog.path / "images", inline=0)
        stm = STM(controller=SimulatedController(seed=1), name="stm", images=images)
        scale = LengthScale(name="small", frame=20, pixels=32, patch=4, step=2, budget=3, seeds=3, agent="random")
        RE = RunEngine()
        RE.subscribe(catalog)
        RE(explore(stm, AgentDevice(make_agent("random", seed=1, patch=4, step=2, seeds=3), scale, name="agent")))
        yield catalog


def test_an_image_in_a_file_is_read_and_replayed_like_another(catalog):
    names = [name for name, _ in catalog[-1].documents()]
    assert "resource" in names and "datum" in names
    assert catalog[-1].topograph.height.shape == (32, 32) and "height" in load_run(catalog[-1])["topograph"]
    assert replay(catalog[-1]).exact


def test_an_image_in_a_file_is_shown_like_another(catalog, tmp_path):
    from matplotlib.figure import Figure

    assert RunRecord.of(catalog[-1].documents()).topograph.height.shape == (32, 32)
    assert report(catalog[-1], tmp_path / "report.html").exists()
    live = LiveView(Figure())
    for name, doc in [*catalog[-1].documents()] * 2:  # stored so far, and from the stream
        live(name, doc)
    assert live._record.topograph is not None and len(live._record.observations) == 3


@pytest.mark.parametrize("closed", [True, False])
def test_an_image_whose_file_is_cut_or_damaged_is_refused_and_never_waited_for(catalog, closed, monkeypatch):
    """The library waits for ever that somebody completes a file which it reads while that is written."""
    monkeypatch.setattr("bluesky_stm.documents._external.PATIENCE", 3.0)
    (image,) = (catalog.path / "images").iterdir()
    data, before = image.read_bytes(), catalog[-1].topograph.height
    flags = data[11:12] if closed else b"\5"  # of a writer that was killed
    image.write_bytes(data[:11] + flags + data[12:])
    if not closed:  # the checksum of the flags is that of a closed file
        with pytest.raises(FileFormatError, match="Bring the file back"):
            assert catalog[-1].topograph
    for damaged in (data[:1000], data[:-8], data[:600] + bytes(200) + data[800:]):
        image.write_bytes(damaged[:11] + flags + damaged[12:])
        with pytest.raises(FileFormatError, match="Bring the file back"):
            assert catalog[-1].topograph
    image.write_bytes(data)
    assert np.array_equal(catalog[-1].topograph.height, before)


@pytest.mark.parametrize("suffix", [".msgpack", ".jsonl"])
def test_an_image_in_a_file_is_packed_along_by_export(catalog, tmp_path, suffix):
    before = catalog[-1].topograph.height
    path = export(catalog[-1], tmp_path / f"run{suffix}")
    for image in (catalog.path / "images").iterdir():
        image.unlink()
    with pytest.raises(FileFormatError, match="Bring the file back"):
        assert catalog[-1].topograph
    with pytest.raises(FileFormatError, match=r"h5 is not there. Nothing was written"):
        export(catalog[-1], tmp_path / f"again{suffix}")
    assert not list(tmp_path.glob("again*")), "a file that could not be written whole is not there"
    with open_catalog(tmp_path / "other") as other:
        run = import_run(other, path)
        assert run.uid == catalog[-1].uid and np.array_equal(run.topograph.height, before)
        assert replay(run).agrees


def test_a_catalog_that_was_moved_takes_its_images_along(catalog, tmp_path):
    before = catalog[-1].topograph.height
    catalog.close()
    catalog.path.rename(tmp_path / "copied")
    with open_catalog(tmp_path / "copied", write=False) as moved:
        assert np.array_equal(moved[-1].topograph.height, before) and replay(moved[-1]).exact


@pytest.mark.slow
def test_a_session_keeps_eight_megabytes_in_hdf5_and_every_reader_finds_them(tmp_path):
    """1024 x 1024 heights: the journal stays small, the image goes with the run wherever it goes."""
    with simulated(seed=3, catalog=tmp_path / "night") as session:
        scale = session.scales["terrace"].changed(frame=20, pixels=1024, patch=4, step=2, budget=2, seeds=2, agent="random")
        (uid,) = session.RE(explore(session.stm, session.agent(scale)))
        run = session.catalog[uid]
        image = run.topograph.height
        (file,) = (session.catalog.path / "images").iterdir()
        assert image.shape == (1024, 1024) and file.stat().st_size >= image.nbytes > 8 * run.path.stat().st_size
        data = next(doc["data"] for name, doc in run.documents() if name == "event")
        assert data["stm_scanner_topograph_sha256"] == hashlib.sha256(image.astype("<f8").tobytes()).hexdigest()
        assert replay(run).exact
        indexed = session.catalog.client[uid]["topograph/stm_scanner_topograph"].read()
        np.testing.assert_array_equal(np.squeeze(indexed), image)
        path = export(run, tmp_path / "run.msgpack")
    file.unlink()
    with open_catalog(tmp_path / "other") as other:
        packed = import_run(other, path)
        np.testing.assert_array_equal(packed.topograph.height, image)
        assert replay(packed).agrees
