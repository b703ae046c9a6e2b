"""Events are validated in microseconds, and whatever is wrong is refused as event-model refuses it."""

import jsonschema
import numpy as np
import pytest
from event_model import DocumentNames, schema_validators

from bluesky_stm.documents import QuickValidator, validate_quickly
from bluesky_stm.documents._validation import _known


class Printed(dict):
    """Data of an Event that count how often they are printed."""

    times = 0

    def __repr__(self):
        Printed.times += 1
        return "printed"


@pytest.fixture
def thorough():
    validator = schema_validators[DocumentNames.event]
    return getattr(validator, "_thorough", validator)


def event(**changed):
    doc = {"uid": "a", "descriptor": "b", "seq_num": 1, "time": 1.0, "data": {"x": np.ones(3)}, "timestamps": {"x": 1.0}}
    return {key: value for key, value in {**doc, "filled": {}, **changed}.items() if value is not None}


RIGHT = [event(), event(filled=None), event(time=3), event(filled={"x": False}), event(filled={"x": "id"}), event(data={})]
WRONG = [
    *(event(**{key: None}) for key in ("uid", "descriptor", "seq_num", "time", "data", "timestamps")),
    event(uid=3),
    event(descriptor=b"b"),
    event(seq_num="1"),
    event(seq_num=1.5),
    event(seq_num=True),
    event(time="now"),
    event(time=True),
    event(data=[1.0]),
    event(timestamps=None, data=None),
    event(filled={"x": 1}),
    event(filled=[]),
    event(more=1),
]


@pytest.mark.parametrize("doc", RIGHT)
def test_what_event_model_lets_through_is_let_through(doc, thorough):
    thorough.validate(doc)
    QuickValidator(thorough).validate(doc)


@pytest.mark.parametrize("doc", WRONG)
def test_what_event_model_refuses_is_refused_in_its_words(doc, thorough):
    with pytest.raises(jsonschema.ValidationError) as theirs:
        thorough.validate(doc)
    with pytest.raises(jsonschema.ValidationError) as ours:
        QuickValidator(thorough).validate(doc)
    assert str(ours.value) == str(theirs.value)


def test_an_event_is_let_through_without_printing_its_data(thorough):
    Printed.times = 0
    QuickValidator(thorough).validate(event(data=Printed()))
    assert Printed.times == 0


def test_jsonschema_still_prints_what_it_validates(thorough):
    """When this fails, jsonschema is mended: `documents._validation` and the call of `validate_quickly` can go."""
    Printed.times = 0
    thorough.validate(event(data=Printed()))
    assert Printed.times > 0


def test_every_runengine_validates_quickly_once_it_is_asked_for(monkeypatch, thorough):
    monkeypatch.setitem(schema_validators, DocumentNames.event, thorough)
    validate_quickly()
    validate_quickly()
    quick = schema_validators[DocumentNames.event]
    assert isinstance(quick, QuickValidator)
    assert quick._thorough is thorough
    assert quick.schema == thorough.schema


def test_another_schema_of_events_is_left_to_event_model(thorough):
    assert _known(thorough.schema)
    assert not _known({**thorough.schema, "required": ["uid"]})
    assert not _known({**thorough.schema, "properties": {**thorough.schema["properties"], "new": {}}})
