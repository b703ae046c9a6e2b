"""Images of drift come in two sizes: what is stored of them has the shapes that are declared, and is read everywhere."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from bluesky import RunEngine

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice, ImageStore
from bluesky_stm.documents import StreamRouter
from bluesky_stm.errors import FileFormatError
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay, resume
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import documents, export, import_run, load_run, open_catalog

QUICK, FINE = 16, 32
BETWEEN = 8 * 20**2
"""Bytes: more than a quick image has, and less than a finer one."""


def blind(controller):
    """After its first image it shows noise, in which nothing is found again."""
    honest, draw, taken = controller.scan, np.random.default_rng(5), []

    def scan(*args):
        image = honest(*args)
        taken.append(image)
        return image if len(taken) == 1 else replace(image, height=draw.normal(size=image.height.shape))

    controller.scan = scan
    return controller


def small_agent():
    return make_agent("random", seed=1, patch=4, step=2, seeds=2)


def measure(catalog, inline):
    images = ImageStore(catalog.path / "images", inline=inline)
    stm = STM(controller=blind(SimulatedController(seed=1)), name="stm", images=images)
    scale = LengthScale(name="small", frame=20, pixels=FINE, patch=4, step=2, budget=4, seeds=2, agent="random")
    RE = RunEngine()
    RE.subscribe(catalog)
    RE(explore(stm, AgentDevice(small_agent(), scale, name="agent"), drift={"every": 2, "pixels": QUICK}))
    return catalog[-1]


@pytest.fixture(params=[2**22, BETWEEN], ids=["inline", "the finer ones in files"])
def run(request, tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield measure(catalog, request.param)


def test_each_event_has_the_shape_that_its_descriptor_declares(run, tmp_path):
    assert {"drift", "drift_fine"} <= set(run.stop["num_events"]) and replay(run).exact
    for stream, pixels in (("drift", QUICK), ("drift_fine", FINE)):
        shapes = [event["data"]["stm_scanner_topograph"].shape for event in run.events(stream)]
        assert shapes and set(shapes) == {(pixels, pixels)}
    with open_catalog(tmp_path / "other") as other:
        again = import_run(other, export(run, tmp_path / "run.msgpack"))
        assert replay(again).agrees
        for own, theirs in zip(run.events("drift_fine"), again.events("drift_fine"), strict=True):
            np.testing.assert_array_equal(own["data"]["stm_scanner_topograph"], theirs["data"]["stm_scanner_topograph"])


def test_a_loaded_run_and_its_files_hold_each_measurement_of_the_drift_without_its_image(run, tmp_path):
    drift, events = load_run(run)["drift"].to_dataset(), [*run.events("drift"), *run.events("drift_fine")]
    assert drift.sizes["measurement"] == len(events) and drift.shift_x.units == "nm" and drift.velocity_y.units == "nm/s"
    prefix = next(key.removesuffix("correlation") for key in events[0]["data"] if key.endswith("_correlation"))
    in_order = [event["data"] for event in sorted(events, key=lambda event: event["time"])]
    np.testing.assert_array_equal(drift.shift_x, [data[f"{prefix}x"] for data in in_order])
    np.testing.assert_array_equal(drift.time, [data[f"{prefix}time"] for data in in_order])
    with h5py.File(export(run, tmp_path / "run.nxs")) as file:
        np.testing.assert_array_equal(file["entry/drift/used_y"], drift.used_y)
    assert "drift" not in load_run(run, without=["drift"])


def test_a_run_that_goes_on_with_it_knows_its_measurements(run):
    assert resume(run, budget=6).budget == 2


def mixed(run, version):
    """The documents of a run as a version wrote them that knew one stream for both sizes."""
    documents = [(name, dict(doc)) for name, doc in run.documents()]
    documents[0][1]["schema_version"] = version
    quick, fine = (
        next(doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == stream)
        for stream in ("drift", "drift_fine")
    )
    kept, count = [], 0
    for name, doc in documents:
        if name == "descriptor" and doc["uid"] == fine:
            continue
        if name == "event" and doc["descriptor"] in (quick, fine):
            count += 1
            doc |= {"descriptor": quick, "seq_num": count}
        if name == "stop":
            doc.pop("chain", None)
            doc["num_events"] = {k: n for k, n in doc["num_events"].items() if k != "drift_fine"} | {"drift": count}
        kept.append((name, doc))
    return kept


@pytest.mark.parametrize("version", [1, 2])
def test_images_of_two_sizes_in_one_stream_are_read_in_runs_that_were_stored_so(tmp_path, version):
    with open_catalog(tmp_path / "catalog") as catalog, open_catalog(tmp_path / "other") as other:
        old = import_run(other, mixed(measure(catalog, 2**22), version))
        assert [event["data"]["stm_scanner_topograph"].shape[0] for event in old.events("drift")] == [QUICK, FINE] * 2
        assert replay(old).agrees


def test_images_of_two_sizes_in_one_stream_are_refused_from_a_version_that_declares_them_apart(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog, open_catalog(tmp_path / "other") as other:
        with pytest.raises(FileFormatError, match=r"not the array of shape .*16, 16.* Nothing has been imported"):
            import_run(other, mixed(measure(catalog, 2**22), 3))
        assert len(other) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Tiled's own dependencies
def test_the_index_holds_the_images_of_both_sizes(run, tmp_path):
    with open_catalog(tmp_path / "catalog", write=False) as catalog:
        router, shapes = StreamRouter(), []
        for stream, event in router.events(documents(catalog.client[run.uid])):
            if "drift" in stream:
                shapes.append((stream, np.squeeze(router.data(event)["stm_scanner_topograph"]).shape))
    assert shapes == [("drift", (QUICK, QUICK)), ("drift_fine", (FINE, FINE))] * 2
