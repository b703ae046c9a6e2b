"""Devices of a facility whose fields a catalog could not keep are refused before a run begins."""

import bluesky.plans as bp
import pytest
from bluesky.preprocessors import SupplementalData
from ophyd import Signal

from bluesky_stm.documents import fault_of_fields
from bluesky_stm.errors import SettingsError, STMError
from bluesky_stm.plans import spectrum_at, with_fields_checked
from bluesky_stm.session import simulated


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
