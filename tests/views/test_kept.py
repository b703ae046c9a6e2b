"""A run that is drawn at every document is drawn as if nothing had been kept from one drawing to the next."""

import json

import pytest

from bluesky_stm.views import RunRecord, run_payload


@pytest.fixture
def documents(recorder):
    """A run with a mask, and with another scalarizer of the same name after four spectra."""
    found = []
    live = recorder(lambda name, doc: found.append((name, dict(doc))))
    said = {"reason": "", "who": "Ada", "source": "a prompt", "asked": 1.8e9, "refused": ""}
    scalarizer = {**live.bundle.start_doc["scalarizer"]}
    window = {"between": [0.1, 0.4]} if "between" in scalarizer else {"level": 0.5}
    area = {"center": [0, 0], "size": [4, 4], "pixels": [1, 1], "angle": 0.0}
    for n in range(6):
        live.measure(live.decide().point)
        if n == 3:
            for kind, settings in (("scalarizer", scalarizer | window), ("mask", {"area": area})):
                told = {**said, "kind": kind, "settings": json.dumps(settings)}
                live.emit("intervention", {f"intervention_{name}": value for name, value in told.items()})
    live.look()
    live.measure(live.decide().point)
    return found


def test_a_run_drawn_at_every_document_is_drawn_as_one_that_is_drawn_once(documents):
    live, drawn = RunRecord(), []
    for number, document in enumerate(documents, 1):
        live(*document)
        if live.topograph is not None:
            drawn.append(json.dumps(run_payload(live, [live])))
            if number % 5 == 0 or number == len(documents):
                once = RunRecord()
                for each in documents[:number]:
                    once(*each)
                assert drawn[-1] == json.dumps(run_payload(once, [once])), document[0]
    assert len(set(drawn)) > 10


def test_what_was_seen_on_a_spectrum_is_looked_for_once(documents, monkeypatch):
    live, looked = RunRecord(), []
    for document in documents[:8]:
        live(*document)
    kind = type(live.scalarizer)
    marks = kind.marks
    monkeypatch.setattr(kind, "marks", lambda self, spectrum: looked.append(spectrum) or marks(self, spectrum))
    for _ in range(3):
        run_payload(live, [live])
    for document in documents[8:12]:
        live(*document)
        run_payload(live, [live])
    assert len(looked) == len(live.spectra) > 2
