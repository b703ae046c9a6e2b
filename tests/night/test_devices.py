"""The facility's own devices, by the names that happi knows: beside each spectrum, at both ends, and at each change."""

import json

import numpy as np
import pytest

from bluesky_stm.errors import SettingsError
from bluesky_stm.night import find_devices
from bluesky_stm.runs import replay, resume
from bluesky_stm.storage import export, load_run

pytest.importorskip("happi", reason="pip install 'bluesky-stm[happi]'")
pytest.importorskip("ophyd_async", reason="pip install ophyd-async")

MODULE = """
from ophyd import Component, Device, Signal
from ophyd_async.core import StandardReadable, soft_signal_rw


class Cryostat(Device):
    temperature = Component(Signal, value=4.2)


class Field(StandardReadable):
    def __init__(self, name=""):
        with self.add_children_as_readables():
            self.b = soft_signal_rw(float, 0.5, units="T")
        super().__init__(name=name)
"""


@pytest.fixture(name="facility")
def _facility(tmp_path, monkeypatch):
    (tmp_path / "our_devices.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    items = {
        name: {
            "_id": name, "type": "HappiItem", "name": name, "device_class": f"our_devices.{kind}", "active": True,
            "args": [], "kwargs": {"name": "{{name}}"}, "documentation": None,
        }
        for name, kind in (("cryostat", "Cryostat"), ("magnet", "Field"))
    }  # fmt: skip
    (tmp_path / "happi.json").write_text(json.dumps(items))
    (tmp_path / "happi.cfg").write_text(f"[DEFAULT]\nbackend=json\npath={tmp_path / 'happi.json'}\n")
    monkeypatch.setenv("HAPPI_CFG", str(tmp_path / "happi.cfg"))


def test_they_are_read_loaded_exported_and_replayed(session, docs, small, facility, tmp_path):
    quiet = {"tip": False, "drift": False, "suspend": False, "end": "stay"}
    night = {**small, **quiet, "scales": small["scales"][:1], "beside": ["magnet", "cryostat"], "baseline": ["cryostat"]}
    session.RE(session.night(night))
    assert session.devices.keys() == {"magnet", "cryostat"}, "each was made once"
    run = session.catalog[-1]
    spectra = load_run(run)["spectra"]
    np.testing.assert_array_equal(spectra["magnet-b"], np.full(6, 0.5))
    assert spectra["magnet-b"].attrs["units"] == "T"
    np.testing.assert_array_equal(spectra["cryostat_temperature"], np.full(6, 4.2))
    assert [event["cryostat_temperature"] for event in docs.events("baseline")] == [4.2, 4.2]
    assert replay(run).exact
    path = export(run, tmp_path / "run.nxs")
    assert path.stat().st_size > 0
    more = resume(run, budget=8)
    with pytest.raises(SettingsError, match="cryostat, magnet"):
        more.plan(session.stm)
    session.RE(more.plan(session.stm, beside=list(find_devices(more.beside, session.devices).values())))
    np.testing.assert_array_equal(load_run(session.catalog[-1])["spectra"]["magnet-b"][-2:], np.full(2, 0.5))


def test_each_change_of_a_signal_is_kept(session, docs, small, facility):
    cryostat = find_devices(["cryostat"], session.devices)["cryostat"]
    session.devices["temperature"] = cryostat.temperature
    session.RE.subscribe(
        lambda name, doc: cryostat.temperature.put(5.0) if doc.get("name") == "primary" else None, "descriptor"
    )
    night = {
        **small,
        "scales": small["scales"][:1],
        "tip": False,
        "drift": False,
        "suspend": False,
        "monitors": ["temperature"],
    }
    session.RE(session.night(night))
    assert [event["cryostat_temperature"] for event in docs.events("cryostat_temperature_monitor")][-1] == 5.0
