"""Images that are too large for a document stand in HDF5, and everybody finds them there."""

import hashlib
import json
import os
import subprocess

import bluesky.plans as bp
import h5py
import numpy as np
import pytest

from bluesky_stm.devices import STM, ImageStore
from bluesky_stm.errors import FileFormatError, SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import explore, scan_topograph
from bluesky_stm.storage import open_catalog
from bluesky_stm.teaching import Teaching

FRAME = Frame.square((0, 0), 20, 16)


@pytest.fixture
def stm(fake, tmp_path):
    """Every image goes to a file."""
    stm = STM(controller=fake, images=ImageStore(tmp_path / "images", inline=0))
    stm.scanner.set(FRAME)
    yield stm
    stm.worker.close()


def lessons(docs):
    teaching = Teaching(lambda spectrum: 1.0)
    for name, doc in docs:
        teaching(name, doc)
    return teaching.take()


def test_up_to_the_limit_an_image_is_inline(tmp_path):
    store = ImageStore(tmp_path)
    assert not store.takes((512, 1024))  # 4 MiB
    assert store.takes((513, 1024))
    assert not ImageStore().takes((10_000, 10_000))  # no folder, no files
    with pytest.raises(SettingsError):
        ImageStore(tmp_path, inline=-1)


def test_the_image_comes_back_from_its_file(RE, stm, fake, docs):
    RE(scan_topograph(stm, FRAME))
    (event,) = docs.events("topograph")
    assert isinstance(event["stm_scanner_topograph"], str)
    order = [name for name, _ in docs]
    assert order.index("resource") < order.index("datum") < order.index("event")
    (image,) = lessons(docs)
    assert np.array_equal(image.height, fake.scan(FRAME).height)
    assert image.frame == FRAME


def test_several_images_of_a_run_share_a_file_and_runs_do_not(RE, stm, docs, tmp_path):
    RE(bp.count([stm.scanner], 3))
    RE(bp.count([stm.scanner], 2))
    sizes = [len(h5py.File(path, "r")["/entry/data/data"]) for path in (tmp_path / "images").iterdir()]
    assert sorted(sizes) == [2, 3]
    assert len(docs.of("resource")) == 2
    assert len(docs.of("datum")) == 5


def test_an_image_is_whole_while_the_run_goes_on(stm):
    stm.scanner.stage()
    stm.scanner.trigger().wait(5)
    reading = stm.scanner.read()
    event = {"data": {key: value["value"] for key, value in reading.items()}, "filled": {"stm_scanner_topograph": False}}
    teaching = Teaching(lambda spectrum: 1.0)
    teaching("start", {"uid": "a", "time": 0.0})
    teaching("descriptor", {"uid": "b", "name": "topograph", "run_start": "a"})
    for name, doc in stm.scanner.collect_asset_docs():
        teaching(name, doc)
    teaching("event", {**event, "descriptor": "b", "seq_num": 1})
    (image,) = teaching.take()
    assert np.array_equal(image.height, stm.scanner.topograph.get())
    stm.scanner.unstage()


def test_a_file_that_was_changed_is_not_believed(RE, stm, docs, tmp_path):
    RE(scan_topograph(stm, FRAME))
    (path,) = (tmp_path / "images").iterdir()
    with h5py.File(path, "r+") as file:
        file["/entry/data/data"][0, 3, 4] += 1e-6
    with pytest.raises(FileFormatError, match="no longer holds"):
        lessons(docs)


def test_a_file_that_is_gone_is_missed_by_name(RE, stm, docs, tmp_path):
    RE(scan_topograph(stm, FRAME))
    (path,) = (tmp_path / "images").iterdir()
    path.unlink()
    with pytest.raises(FileFormatError, match=path.name):
        lessons(docs)


def test_an_agent_learns_from_a_large_image_too(RE, stm, fake, agent, toy):
    RE(explore(stm, agent, frame=FRAME, budget=2))
    assert np.array_equal(toy.observed[0].height, fake.scan(FRAME).height)


@pytest.mark.system
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tiled_reads_it_with_no_set_up(RE, fake, tmp_path):
    catalog = open_catalog(tmp_path / "catalog")
    stm = STM(controller=fake, images=ImageStore(tmp_path / "catalog" / "images", inline=0))
    RE.subscribe(catalog)
    (uid,) = RE(scan_topograph(stm, FRAME))
    image = catalog.client.v3[uid]["topograph"]["stm_scanner_topograph"].read()
    assert np.array_equal(np.squeeze(image), fake.scan(FRAME).height)
    catalog.close()


def test_the_channels_of_an_image_stand_in_files_of_their_own(RE, stm, fake, docs, tmp_path):
    for name in ("backward", "current"):
        getattr(stm.scanner, name).kind = "normal"
    RE(bp.count([stm.scanner], 2))
    path_of = {doc["uid"]: tmp_path / "images" / doc["resource_path"] for doc in docs.of("resource")}
    place_of = {doc["datum_id"]: (path_of[doc["resource"]], doc["datum_kwargs"]["point_number"]) for doc in docs.of("datum")}
    for point, event in enumerate(docs.events()):
        for name, channel in (("topograph", "height"), ("backward", "height_backward"), ("current", "current")):
            path, index = place_of[event[f"stm_scanner_{name}"]]
            stored = h5py.File(path, "r")["/entry/data/data"][index]
            assert index == point
            assert np.array_equal(stored, fake.image(channel))
            assert event[f"stm_scanner_{name}_sha256"] == hashlib.sha256(stored.tobytes()).hexdigest()


PYTHON = os.environ.get("BLUESKY_STM_DATABROKER1", "")
READ_WITH_DATABROKER_1 = """
import json, sys
from databroker._drivers.msgpack import BlueskyMsgpackCatalog
run = BlueskyMsgpackCatalog(sys.argv[1] + "/journal/*.msgpack")[sys.argv[2]]
read = run.primary.read()
print(json.dumps({name: read[f"stm_scanner_{name}"].values.tolist() for name in ("topograph", "backward")}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="BLUESKY_STM_DATABROKER1 names no Python with databroker 1.2: make experiments")
def test_databroker_1_reads_it_with_no_set_up(RE, fake, tmp_path):
    """It cannot live beside databroker 2: an environment of its own, with the area-detector-handlers that facilities have."""
    with open_catalog(tmp_path) as catalog:
        stm = STM(controller=fake, images=ImageStore(tmp_path / "images", inline=0))
        stm.scanner.backward.kind = "normal"
        stm.scanner.set(FRAME)
        RE.subscribe(catalog)
        (uid,) = RE(bp.count([stm.scanner], 2))
    script = [PYTHON, "-c", READ_WITH_DATABROKER_1, str(tmp_path), uid]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    for name, channel in (("topograph", "height"), ("backward", "height_backward")):
        assert np.array_equal(np.squeeze(read[name]), [fake.image(channel)] * 2)
