"""Files of others become runs that everything that reads runs can read."""

import event_model
import numpy as np
import pytest

from bluesky_stm import files
from bluesky_stm.controllers import RecordedController
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Grid, Quality, Setpoint
from bluesky_stm.protocols import Observation
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import open_catalog
from bluesky_stm.teaching import Teaching, spectrum_from, topograph_from

REAL = [
    "Figure7_DKL1_200nm.hf5",
    "NanonisReader_STS_grid_lockin.3ds",
    "SpmGrids_Grid_Spectroscopy006_incomplete.3ds",
    "G80SXM_example_TOPO.sxm",
    "G80SXM_example_STS_AgRef.dat",
]


def streams(documents):
    """Data of the Events, by stream."""
    names, found = {}, {}
    for name, doc in documents:
        if name == "descriptor":
            names[doc["uid"]] = doc["name"]
            found[doc["name"]] = []
        if name == "event":
            found[names[doc["descriptor"]]].append(doc["data"])
    return found


def aborted():
    """A bias grid of 3 x 4 pixels of which 7 were measured."""
    frame = Frame(Point(5.0, -2.0), (4.0, 3.0), (3, 4), angle=10.0)
    arrays, height = np.random.default_rng(1).normal(size=(4, 3, 4, 9)), np.ones((3, 4))
    arrays.reshape(4, 12, 9)[:, 7:] = np.nan
    height.reshape(12)[7:] = np.nan
    channels = dict(zip(("current", "lockin_x", "lockin_y", "didv"), arrays, strict=True))
    return Grid(frame=frame, bias=np.linspace(-1, 1, 9), **channels, height=height, setpoint=Setpoint(-1.0, 0.1))


@pytest.mark.parametrize("name", REAL)
def test_the_documents_of_every_real_file_are_valid(data_file, name):
    documents = list(files.documents(data_file(name), sample="a sample"))
    events = [document for document in documents if document[0] == "event"]
    for kind, doc in [d for d in documents if d[0] != "event"] + events[:3] + events[-1:]:
        event_model.schema_validators[event_model.DocumentNames[kind]].validate(doc)
    (_, start), (_, stop) = documents[0], documents[-1]
    assert start["sample"] == "a sample"
    assert len(start["plan_args"]["sha256"]) == 64
    assert stop["run_start"] == start["uid"]
    assert sum(stop["num_events"].values()) == sum(kind == "event" for kind, _ in documents)


def test_a_published_run_is_taught_like_one_of_ours_with_its_scalars_beside(data_file):
    path = data_file("Figure7_DKL1_200nm.hf5")
    run, teaching, documents = files.read(path), Teaching(), list(files.documents(path))
    for name, doc in documents:
        teaching(name, doc)
    topograph, *observations = teaching.take()
    assert topograph.frame == run.topograph.frame
    assert np.array_equal(topograph.height, run.topograph.height)
    changed = [bool(data["stm_sweep_quality"] & Quality.TIP_CHANGED) for data in streams(documents)["primary"]]
    assert 0.1 < np.mean(changed) < 0.3, "published runs lose a fifth of their spectra to the tip"
    for observation, tip_changed in zip(observations, changed, strict=True):
        assert isinstance(observation, Observation) and observation.has_value is not tip_changed
        assert tip_changed or 1.4 < -observation.value < 1.8, "gaps near 1.58 V, of which the smallest is sought"
    assert [o.point for o in observations] == [s.position for s in run.spectra]
    assert [data["stored_scalar"] for data in streams(documents)["primary"]] == pytest.approx(run.scalars)


def test_nothing_is_lost_on_the_way(data_file):
    run = files.read(data_file("Figure3_large_area_250nm.hf5"))
    found = streams(files.documents(run))
    back = topograph_from(found["topograph"][0])
    assert (back.frame, back.setpoint, back.quality) == (run.topograph.frame, run.topograph.setpoint, run.topograph.quality)
    for data, spectrum in zip(found["primary"], run.spectra, strict=True):
        again = spectrum_from(data)
        assert (again.position, again.setpoint) == (spectrum.position, spectrum.setpoint)
        assert again.quality | Quality.TIP_CHANGED == spectrum.quality | Quality.TIP_CHANGED
        for name in ("bias", "current", "lockin_x", "lockin_y", "didv"):
            assert np.array_equal(getattr(again, name), getattr(spectrum, name))


def test_an_import_claims_of_each_spectrum_what_a_recorded_run_claims_of_it(data_file):
    path = data_file("Figure7_DKL1_200nm.hf5")
    controller = RecordedController(path)
    for data in streams(files.documents(path))["primary"][::7]:
        controller.move_tip(Point(data["stm_tip_x"], data["stm_tip_y"]))
        assert controller.sweep(controller.sweep_settings).quality == data["stm_sweep_quality"]
    inspected = files.inspect_file(path)["quality"]
    said = [Quality(data["stm_sweep_quality"]).words for data in streams(files.documents(path))["primary"]]
    assert inspected == {words: said.count(words) for words in said}


def test_the_start_document_names_a_length_scale_and_a_scalarizer(data_file):
    (_, start), *_ = files.documents(data_file("NanonisReader_STS_grid_lockin.3ds"))
    scale = LengthScale.parse(start["length_scale"])
    assert (scale.frame, scale.pixels) == (5.0, 30)
    assert Frame.from_dict(start["frame"]).angle == -45
    assert start["scalarizer"]["name"] == "conductance"


def test_of_an_aborted_grid_only_what_was_measured_is_an_event():
    found = streams(files.documents(aborted()))
    assert len(found["primary"]) == 7
    assert np.isnan(found["topograph"][0]["stm_scanner_topograph"]).sum() == 5


def test_a_z_sweep_is_imported_as_what_it_is(data_file):
    """88 pixels, no spectra: no agent learns from it."""
    found = streams(files.documents(data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds")))
    assert list(found) == ["sweeps"]
    assert len(found["sweeps"]) == 88
    first = found["sweeps"][0]
    assert first["stm_sweeps_swept"][[0, -1]] == pytest.approx([0.2, -0.8])
    assert first["stm_sweeps_channel_current"].shape == (256,)
    assert first["stm_sweeps_x"] == pytest.approx(first["stm_sweeps_parameter_x"], abs=1e-3)


def test_an_imported_night_is_stored_found_and_exported_again(data_file, tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        for name, doc in files.documents(data_file("Figure7_DKL1_200nm.hf5"), sample="EuZn2As2"):
            catalog(name, doc)
        stored = catalog[-1]
        assert stored.start["sample"] == "EuZn2As2"
        files.write(tmp_path / "night.nxs", files.RecordedRun(stored.topograph, tuple(stored.spectra)))
    back, run = files.read(tmp_path / "night.nxs"), files.read(data_file("Figure7_DKL1_200nm.hf5"))
    assert np.array_equal(back.topograph.height, run.topograph.height)
    assert [s.position for s in back.spectra] == [s.position for s in run.spectra]
    assert all(np.array_equal(one.didv, other.didv) for one, other in zip(back.spectra, run.spectra, strict=True))


def test_units_are_ours_and_said(data_file):
    documents = files.documents(data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds"))
    keys = next(doc for name, doc in documents if name == "descriptor")["data_keys"]
    said = {name.removeprefix("stm_sweeps_"): key["units"] for name, key in keys.items()}
    assert (said["swept"], said["channel_current"], said["channel_phase"], said["x"]) == ("nm", "nA", "deg", "nm")
