"""What documents cost on their way: measures of `bench_speed`, run in an environment of either build."""

from tempfile import TemporaryDirectory

from bench_speed import measured, report
from event_model import DocumentNames, schema_validators

import bluesky_stm
from bluesky_stm.geometry import Point
from bluesky_stm.plans import spectrum_at


def validation():
    """Processor time of the validation of one Event with a spectrum, in s, as a RunEngine does it."""
    with TemporaryDirectory() as folder:
        session = bluesky_stm.simulated(seed=1, catalog=folder)
        events = []
        session.RE.subscribe(lambda name, doc: events.append(doc) if name == "event" else None)
        session.RE(spectrum_at(session.stm, Point(3.0, 4.0)))
        session.close()
    doc = max(events, key=lambda event: len(event["data"]))
    doc = {**doc, "data": dict(doc["data"]), "timestamps": dict(doc["timestamps"]), "filled": dict(doc["filled"])}
    return {"validation of an Event": measured(lambda: schema_validators[DocumentNames.event].validate(doc), 50)}


if __name__ == "__main__":
    report(validation)
