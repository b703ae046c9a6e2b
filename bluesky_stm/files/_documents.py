"""A measurement of others as a Bluesky run: the documents that our own plans would have emitted (``docs/documents.md``).

What the instrument of others did not record is NaN; who chose the places is not known, so there is no stream ``agent``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from event_model import ComposeRunBundle, compose_run

from bluesky_stm import units
from bluesky_stm.documents import IMPORT, SCHEMA_VERSION, Document, Stream
from bluesky_stm.files._3ds import Sweeps
from bluesky_stm.files._format import FileContents
from bluesky_stm.files._provenance import provenance_of
from bluesky_stm.files._read import fingerprint, read, read_together
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.files._sxm import read_scan
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import About, Grid, Spectrum, Topograph, declared
from bluesky_stm.settings import SOUGHT, LengthScale
from bluesky_stm.tip_changes import marked
from bluesky_stm.validated import JSON

Reading = dict[str, tuple[Any, str]]
"""Value and unit by key."""

_KEPT: Final = {
    "uid": "exported_from",
    "sample": "sample",
    "operator": "operator",
    "proposal": "proposal",
    "campaign": "campaign",
}
"""Lines that a file of ours has about its run, and the keys of the start document that take them in."""

FEWEST_PIXELS: Final = 8
"""Pixels along a side below which a grid, as a line cut, is no length scale to explore."""


def documents(source: str | Path | list[Path] | FileContents, *, didv: str = "", **metadata: Any) -> Iterator[Document]:
    """The documents of a measurement, in their order, valid by event-model; uids are new each time.

    Parameters
    ----------
    source : path, list of Path, or what `read` gives
        Several files are an image and the point spectra in it, which make one run.
        Of a grid that ended early only what was measured becomes Events, and each pass of a multipass scan is a topograph.
    didv : str
        Name of the channel of the file that becomes dI/dV; empty to look for one.
    **metadata
        For the start document: ``sample``, ``operator``, ``campaign`` ... Named ``length_scale`` or ``scalarizer``, they
        replace what the measurement suggests.

    Yields
    ------
    (str, dict)
        Stream ``topograph`` with the image, stream ``primary`` with an Event a spectrum, as far as there are any; a value
        that was stored with a spectrum is kept beside it, as ``stored_scalar``. A grid that swept something else than the
        bias has no spectra: its sweeps are Events of a stream ``sweeps``.
    """
    recording: FileContents | Images
    origin: dict[str, str] = {}
    if isinstance(source, list):
        recording, origin = read_together(source, didv=didv), fingerprint(source)
    elif isinstance(source, (str, Path)):
        recording, origin = _contents(Path(source), didv), fingerprint(source)
    else:
        recording = source
    if isinstance(recording, Grid) and np.isfinite(recording.height).any():
        recording = RecordedRun.of_grid(recording)
    if isinstance(recording, Topograph):
        recording = (recording,)
    known: dict[str, str] = {}
    for path in source if isinstance(source, list) else [source]:
        known |= known_of(Path(path)) if isinstance(path, (str, Path)) and Path(path).is_file() else {}
    run = compose_run(metadata={**_start(recording, origin), **stated(_about(recording)), **known, **metadata})
    yield "start", run.start_doc
    for name, readings in _streams(recording).items():
        if readings:
            yield from _stream(run, name, readings)
    yield "stop", run.compose_stop()


def stated(about: About | None) -> dict[str, str]:
    """Return sample and operator as a file names them, for a start document; what it does not say is left out."""
    named = {"sample": about.sample, "operator": about.operator} if about else {}
    return {key: text for key, text in named.items() if text}


def known_of(path: Path) -> dict[str, str]:
    """Return what a file of this package says of its run: the uid as ``exported_from``, and what is no part with settings."""
    lines = provenance_of(path)
    return {key: lines[line] for line, key in _KEPT.items() if line in lines}


Images = tuple[Topograph, ...]
"""The images of a scan, one for each of its passes."""


def _contents(path: Path, didv: str) -> FileContents | Images:
    """Return what a file holds; of a scan the image of each pass."""
    held = read(path, didv=didv)
    passes = held.about.further.get("passes", 1) if isinstance(held, Topograph) and held.about else 1
    if passes > 1:
        scan = read_scan(path)
        return tuple(scan.topograph(of_pass=number) for number in range(1, passes + 1))
    return held


def _start(recording: FileContents | Images, origin: dict[str, str]) -> JSON:
    one, about = recording[0] if isinstance(recording, tuple) else recording, _about(recording)
    taken = one.topograph if isinstance(one, RecordedRun) else one
    start: JSON = {
        "plan_name": IMPORT,
        "plan_args": dict(origin),
        "schema_version": SCHEMA_VERSION,
        "detectors": ["stm_sweep"],
        "motors": ["stm_tip"],
        "controller": {"name": "recorded", "answers": "once", **origin},
        "scalarizer": dict(SOUGHT),
        **({"recorded": {**about.as_dict(), "time": taken.time}} if about else {}),
    }
    if isinstance(one, Sweeps | Grid):
        start["frame"] = one.frame.as_dict()
    if isinstance(recording, RecordedRun):
        start |= _scale(recording)
    elif isinstance(one, Topograph):
        start |= _scale(RecordedRun(one, ()))
    return start


def _about(recording: FileContents | Images) -> About | None:
    return (recording[0] if isinstance(recording, tuple) else recording).about


def _scale(run: RecordedRun) -> JSON:
    """Frame, length scale and scalarizer that the measurement suggests, and its places where they are not all pixels."""
    frame = run.topograph.frame
    found: JSON = {"frame": frame.as_dict()}
    if min(frame.pixels) >= FEWEST_PIXELS:
        scale = LengthScale.parse({"name": "recorded", **run.suggested_scale()})
        found |= {"length_scale": scale.model_dump(), "scalarizer": scale.scalarizer.describe()}
    if run.spectra and not run.complete:
        found["candidates"] = [list(spectrum.position) for spectrum in run.spectra]
    return found


def _streams(recording: FileContents | Images) -> dict[str, list[Reading]]:
    """Readings by stream, in the order measured."""
    match recording:
        case RecordedRun(topograph=image, spectra=spectra, scalars=scalars):
            return {
                Stream.TOPOGRAPH: [_reading("stm_scanner", image)],
                Stream.PRIMARY: _with_scalars(map(_spectrum_reading, spectra), scalars),
            }
        case tuple():
            return {Stream.TOPOGRAPH: [_reading("stm_scanner", image) for image in recording]}
        case Grid():
            measured = np.argwhere(np.isfinite(recording.current).any(axis=-1))
            return {Stream.PRIMARY: [_spectrum_reading(recording.spectrum(*pixel)) for pixel in measured.tolist()]}
        case Spectrum():
            return {Stream.PRIMARY: [_spectrum_reading(recording)]}
        case Sweeps():
            return {Stream.SWEEPS: _sweep_readings(recording)}
        case _:
            return {Stream.TOPOGRAPH: [_reading("stm_scanner", recording)]}


def _stream(run: ComposeRunBundle, name: str, readings: list[Reading]) -> Iterator[Document]:
    """Descriptor and Events of one stream; their wall time is that of the import."""
    keys = {key: _data_key(f"{IMPORT}:{name}", *value) for key, value in readings[0].items()}
    stream = run.compose_descriptor(name=name, data_keys=keys, hints={}, configuration={})
    yield "descriptor", stream.descriptor_doc
    for reading in readings:
        now = time.time()
        data = {key: value for key, (value, _) in reading.items()}
        yield "event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, now), time=now, validate=False)


def _data_key(source: str, value: Any, unit: str) -> JSON:
    shape = list(np.shape(value))
    dtype = "array" if shape else "integer" if isinstance(value, int) else "number"
    return {
        "source": source,
        "dtype": dtype,
        "dtype_numpy": "<i8" if dtype == "integer" else "<f8",
        "shape": shape,
        "units": unit,
    }


def _reading(device: str, measured: Topograph | Spectrum) -> Reading:
    fields = declared(type(measured))
    plain = measured.as_fields().items()
    return {f"{device}_{name}": (value, fields[name].units) for name, value in plain if fields[name].dtype != "string"}


def _with_scalars(readings: Iterable[Reading], scalars: Floats | None) -> list[Reading]:
    if scalars is None:
        return list(readings)
    return [{**reading, "stored_scalar": (float(scalar), "")} for reading, scalar in zip(readings, scalars, strict=True)]


def _spectrum_reading(spectrum: Spectrum) -> Reading:
    place = {"x": spectrum.position.x, "y": spectrum.position.y, "z": spectrum.z}
    tip: Reading = {f"stm_tip_{axis}": (value, units.LENGTH) for axis, value in place.items()}
    asked: Reading = {f"stm_tip_{axis}_setpoint": (place[axis], units.LENGTH) for axis in "xy"}
    # As a controller does with each sweep: an import claims of a spectrum what a run that answers from the file would claim.
    return {**_reading("stm_sweep", marked(spectrum)), **tip, **asked}


def _sweep_readings(sweeps: Sweeps) -> list[Reading]:
    """One for each pixel of which anything was measured."""
    return [_pixel_reading(sweeps, pixel) for pixel in sweeps.measured]


def _pixel_reading(sweeps: Sweeps, pixel: tuple[int, int]) -> Reading:
    x, y = sweeps.frame.to_sample(pixel)
    height: Reading = {}
    if sweeps.of_distance:
        barrier = sweeps.barrier(pixel)
        height = {"barrier_height": (barrier.value, units.ENERGY), "barrier_height_std": (barrier.std, units.ENERGY)}
    reading: Reading = {
        "x": (float(x), units.LENGTH),
        "y": (float(y), units.LENGTH),
        "swept": (sweeps.values, sweeps.units[sweeps.swept]),
        **height,
        **{f"channel_{name}": (values[pixel], sweeps.units[name]) for name, values in sweeps.channels.items()},
        **{f"parameter_{name}": (float(values[pixel]), sweeps.units[name]) for name, values in sweeps.parameters.items()},
    }
    return {f"stm_sweeps_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')}": value for name, value in reading.items()}
