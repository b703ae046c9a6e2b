"""Devices of a facility whose fields a catalog could not keep are refused before a run begins."""

import re

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.preprocessors import SupplementalData
from ophyd import Signal

from bluesky_stm.documents import fault_of_fields
from bluesky_stm.errors import SettingsError, STMError
from bluesky_stm.plans import scan_topograph, spectrum_at, with_fields_checked
from bluesky_stm.session import simulated
from bluesky_stm.storage import export, import_run, open_catalog, verify


class Detector(Signal):
    """A device of a facility, which has to be staged."""

    def stage(self):
        return [self]

    def unstage(self):
        return [self]


def test_names_that_differ_by_case_and_names_of_time_stamps_are_found():
    assert fault_of_fields(["lockin_X", "tip_x", "bias"]) == "" == fault_of_fields(["x", "x"])
    assert "'X' and 'x'" in fault_of_fields(["X", "bias", "x"])
    assert "'ts_lift'" in fault_of_fields(["bias", "ts_lift"])


@pytest.fixture
def session(tmp_path):
    with simulated(catalog=tmp_path, seed=1) as session:
        yield session


def supplement(session, **devices):
    session.RE.preprocessors.append(SupplementalData(**devices))


@pytest.mark.parametrize("name", ["ts_cryostat", "CRYOSTAT"])
@pytest.mark.parametrize("where", ["baseline", "monitors", "staged"])
def test_a_run_with_such_a_device_does_not_begin_wherever_it_is_handed_over(session, where, name):
    devices = [Detector(name=name, value=4.2), Detector(name="cryostat", value=4.2)]
    if where == "monitors" and name == "CRYOSTAT":
        pytest.skip("each device that is monitored has a stream of its own")
    if where != "staged":
        supplement(session, **{where: devices})
    asked = bp.count(devices) if where == "staged" else spectrum_at(session.stm, (1.0, 2.0))
    documents = []
    before = session.stm.tip.position
    with pytest.raises(SettingsError, match=f"{name}.*No run has begun"):
        session.RE(asked, lambda kind, doc: documents.append(kind))
    assert documents == [] and len(session.catalog) == 0 and session.RE.state == "idle"
    assert session.stm.tip.position == before


def test_devices_with_other_names_are_measured_along(session):
    supplement(session, baseline=[Signal(name="cryostat", value=4.2)], monitors=[Signal(name="CRYOSTAT", value=4.2)])
    session.RE(spectrum_at(session.stm, (1.0, 2.0)))
    assert {"baseline", "CRYOSTAT_monitor", "primary"} <= set(session.catalog[-1].stop["num_events"])


def test_a_device_that_knows_its_fields_only_later_is_no_reason_to_refuse(session):
    class Late(Detector):
        def describe(self):
            raise RuntimeError("triggered first")

    class Elsewhere(Detector):
        async def describe(self):
            return {}

    plan = with_fields_checked(bp.count([Late(name="late"), Elsewhere(name="elsewhere")]))
    assert "open_run" in [plan.send(None).command for _ in range(4)]
    plan.close()


def test_the_plan_is_told_of_the_refusal_and_undoes_what_it_has_done():
    done = []

    def plan():
        try:
            yield from bp.count([Detector(name="ts_cryostat", value=4.2)])
        except STMError:
            done.append("undone")
            raise

    with pytest.raises(SettingsError):
        list(with_fields_checked(plan()))
    assert done == ["undone"]


def test_after_the_session_the_engine_is_as_it_was(tmp_path, RE):
    before = list(RE.preprocessors)
    with simulated(catalog=tmp_path, RE=RE):
        assert len(RE.preprocessors) == len(before) + 1
    assert RE.preprocessors == before


ODD_METADATA = {
    "an empty name": ({"": 1}, "the name ''"),
    "a dot, deep inside": ({"a": [{"b.c": 1}]}, "the name 'b.c' in 'a'"),
    "what the RunEngine makes": ({"uid": "x"}, "'uid', which a run says of itself"),
    "limits of one's own": ({"limits": {}}, "'limits', which a run says of itself"),
    "another microscope": ({"controller": {"host": "elsewhere"}}, "'controller', which a run says of itself"),
    "an operator of two lines": ({"operator": "a\nb"}, "operator, which is text in one line"),
    "an operator that is a number": ({"operator": 7}, "operator, which is text in one line"),
    "a number of the scan that is a word": ({"scan_id": "x"}, "scan_id, which is a whole number"),
    "bytes": ({"a": b"x"}, "bytes is no data"),
    "a set": ({"a": {1, 2}}, "set is no data"),
    "an object": ({"a": object()}, "object is no data"),
    "half of a letter": ({"a": "\ud800"}, "no text that can be written"),
    "a number that is too large": ({"a": 2**64}, "too large a number"),
}


@pytest.mark.parametrize("odd", ODD_METADATA)
@pytest.mark.parametrize("way", ["the plan", "the RunEngine"])
def test_metadata_that_no_run_could_hold_or_that_it_says_of_itself_are_refused_in_a_sentence(tmp_path, odd, way):
    given, said = ODD_METADATA[odd]
    with simulated(seed=1, catalog=tmp_path, profile="ideal") as session:
        plan = scan_topograph(session.stm, md=given if way == "the plan" else None)
        with pytest.raises(SettingsError, match=f"{re.escape(said)}.* (Nothing has moved|has not begun)"):
            session.RE(plan, **({} if way == "the plan" else given))
        assert len(session.catalog) == 0


def test_a_run_with_metadata_of_every_kind_that_is_taken_is_imported_again(tmp_path):
    given = {"a": [1, 2.5, None, True, {"b": "c\nd", "e": np.arange(3)}], "sample": {"name": "no. 8"}, "proposal": "P 1/2"}
    with simulated(seed=1, catalog=tmp_path / "here", profile="ideal") as session, open_catalog(tmp_path / "there") as there:
        session.RE(scan_topograph(session.stm, md=given))
        path = export(session.catalog[-1], tmp_path / "run.msgpack")
        assert verify(import_run(there, path)).whole
