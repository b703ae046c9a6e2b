"""Metadata that outlive a session."""

import json

import pytest
from bluesky import RunEngine
from bluesky.plans import count
from hypothesis import given, settings
from hypothesis import strategies as st
from ophyd.sim import det

from bluesky_stm.errors import SettingsError
from bluesky_stm.facility import PersistentMetadata

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


def test_the_scan_number_goes_on_in_the_next_session(tmp_path):
    numbers = []
    for _ in range(2):
        engine = RunEngine(PersistentMetadata(tmp_path / "md.json"))
        for _ in range(2):
            engine(count([det]), lambda name, doc: numbers.append(doc["scan_id"]) if name == "start" else None)
    assert numbers == [1, 2, 3, 4]


@settings(max_examples=30)
@given(st.dictionaries(st.text(), plain, max_size=4))
def test_it_reads_back_what_was_written(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("md") / "md.json"
    kept = PersistentMetadata(path)
    kept.update(values)
    assert dict(PersistentMetadata(path)) == values
    kept.clear()
    assert not PersistentMetadata(path)


def test_what_is_not_json_is_refused_and_the_rest_stays(tmp_path):
    kept = PersistentMetadata(tmp_path / "md.json")
    kept["sample"] = "Au(111)"
    with pytest.raises(SettingsError, match="JSON"):
        kept["sample"] = {1, 2}
    assert json.loads((tmp_path / "md.json").read_text()) == {"sample": "Au(111)"}
    assert kept["sample"] == "Au(111)"
    with pytest.raises(KeyError):
        del kept["operator"]
