"""A run as xarray Datasets: named dimensions, coordinates, units."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.barrier import barrier_height
from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Document, Stream, StreamRouter
from bluesky_stm.errors import CatalogError, SettingsError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import CHANNELS, Field, Quality, Spectrum, Topograph, ZSpectrum, declared
from bluesky_stm.parts import register
from bluesky_stm.protocols import Decision, Observation, Scalarizer
from bluesky_stm.scalarizers import make_scalarizer, scalarizer_of
from bluesky_stm.spots import described
from bluesky_stm.storage._chain import ALTERED
from bluesky_stm.storage._documents import documents
from bluesky_stm.storage._provenance import provenance
from bluesky_stm.storage._run import Run
from bluesky_stm.storage._verify import making_sense, proof_of
from bluesky_stm.teaching import (
    MeasuredDrift,
    Recorded,
    decision_from,
    drift_from,
    intervention_from,
    spectrum_from,
    topograph_from,
    z_spectrum_from,
)

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

_STREAMS: Final = {
    "topograph": Stream.TOPOGRAPH,
    "spectra": Stream.PRIMARY,
    "decisions": Stream.AGENT,
    "maps": Stream.MAPS,
    "drift": Stream.DRIFT,
    "sweeps": Stream.SWEEPS,
}
"""Groups of a loaded run, and the streams whose data they hold."""


def load_run(
    run: Any, parts: Iterable[Any] = (), *, spectra: slice = slice(None), without: Collection[str] = ()
) -> xr.DataTree:
    """Return everything that a run measured and decided, as a tree of Datasets; what it does not hold is not there.

    Parameters
    ----------
    run : Run, or anything that `documents` takes
        The stored run.
    parts : iterable
        Parts of one's own that the run names: classes or objects, which are registered in this process.
    spectra : slice
        Which of the spectra are loaded, by their numbers from 0, as ``slice(-100, None)`` for the last hundred.
    without : collection of str
        Names of groups that are left out: of a long run the maps take most of the memory.

    Returns
    -------
    DataTree
        Its attributes say who measured what, when and with what (`provenance`), and in ``altered`` what is not as the run
        closed it; that is logged, too, and left out where nothing was altered.
        ``topograph``: ``height`` (y, x), nm. The coordinates run along the axes of the frame and are places on the sample
        where the frame is not rotated; ``sample_x`` and ``sample_y`` are places on the sample in any case.
        ``spectra``: the channels of `Swept` (spectrum, bias) with the place and quality of each and its ``value``, NaN where
        there is none, and ``event_time``, when its Event was made (UTC). What other devices read beside it has
        their names and units. Sweeps over different biases have a dimension ``point`` and ``bias`` as data.
        ``decisions``: what the agent said, one number a decision. ``maps``: ``mean``, ``std`` and,
        where it is on record, ``acquisition`` (map, candidate).
        ``drift``: what each measurement of drift found: ``shift_x`` ... (measurement), without its image.
        ``sweeps``: of what swept something else than the bias, what was ``swept`` and what was recorded; of I(z) also
        ``barrier_height``. I(z) beside a spectrum is ``z_current`` over ``distance`` (spectrum, z_point) in ``spectra``.
        Every variable has its unit in ``attrs["units"]``. ``value`` and ``mean`` are the quantity itself: a gap is above zero
        also where the smallest is sought (``attrs["sought"]``) and the agent is given its negative. Where a person changed the
        scalarizer during the run, ``value`` is by the last one, and decisions and maps are by the one that held at the time:
        then they have no common unit, and ``attrs["scalarizer"]`` names them in their order.

    Raises
    ------
    SettingsError
        When ``spectra`` is no slice, or ``without`` names what is no group.
    CatalogError
        When the run holds nothing that a device of this package has measured, or its documents make no sense, and nothing
        proves that they are those that were measured.
    """
    _check_part(spectra, without)
    register(*parts)
    run = run if isinstance(run, Run) else Run(list(documents(run)))
    proof = proof_of(run)
    with making_sense(run, "loaded", [proof]):
        tree = _tree(run, spectra, without)
    if proof and proof.faults:
        tree.attrs[ALTERED] = "; ".join(proof.faults)
        log.warning("%s It was loaded as it is now, and its attribute %r says so.", proof, ALTERED)
    return tree


def _tree(run: Run, spectra: slice, without: Collection[str]) -> xr.DataTree:
    import xarray as xr

    streams = {_STREAMS[name] for name in _STREAMS if name not in without}
    chosen = None if spectra == slice(None) else range(*spectra.indices(_count(run)))
    found = _EventData(streams, chosen).read(run.documents())
    image = topograph_from(found.values[Stream.TOPOGRAPH][0]) if found.values[Stream.TOPOGRAPH] else None
    groups = {
        "topograph": _topograph(image) if image else None,
        "spectra": _spectra(found.spectra, found),
        "decisions": _decisions([decision_from(data) for data in found.values[Stream.AGENT]], found.judges[Stream.AGENT]),
        "maps": _maps(found.values[Stream.MAPS], run.start, image, found.judges[Stream.MAPS]),
        "drift": _drift(found.drifts),
        "sweeps": _sweeps(found.values[Stream.SWEEPS], run.documents()),
    }
    if not any(part is not None for part in groups.values()) and not without:
        raise CatalogError(
            f"{run!r} holds no image, spectrum or decision: no device of this package has measured one. "
            "What other devices read is in run.events(stream)."
        )
    tree = xr.DataTree.from_dict({name: part for name, part in groups.items() if part is not None}, name=run.uid)
    tree.attrs.update(provenance(run))
    return tree


def _check_part(spectra: Any, without: Collection[str]) -> None:
    """Refuse what is no choice of spectra and groups: a name that is misspelt would leave nothing out."""
    ends = (spectra.start, spectra.stop, spectra.step) if isinstance(spectra, slice) else (spectra,) * 3
    whole = all(one is None or (isinstance(one, int) and not isinstance(one, bool)) for one in ends)
    if not isinstance(spectra, slice) or not whole or spectra.step == 0:
        raise SettingsError(
            f"spectra should be a slice of whole numbers, not {spectra!r}. Nothing was loaded. The last hundred are "
            "slice(-100, None)."
        )
    known = set(_STREAMS)
    if isinstance(without, str) or (unknown := sorted({*without} - known, key=str)):
        given = repr(without) if isinstance(without, str) else ", ".join(map(repr, unknown))
        raise SettingsError(
            f"without should hold names of groups, not {given}. Nothing was loaded. Known: {', '.join(sorted(known))}."
        )


def _count(run: Run) -> int:
    """Return the number of spectra, as the stop document says; of a run that goes on they are counted."""
    said = (run.stop or {}).get("num_events")
    return said.get(Stream.PRIMARY, 0) if isinstance(said, Mapping) else sum(1 for _ in run.events(Stream.PRIMARY))


class _EventData(StreamRouter):
    """The data of the Events of a run, by stream, and the scalarizer that held at each of them; none where none is named.

    ``given`` holds the values that the agent was given of spectra by the last of them, by their numbers among those that are
    kept, where a decision says so; ``beside`` the units of what other devices than our own read beside a spectrum, by key.

    Parameters
    ----------
    streams : set of str
        Streams whose data are kept.
    spectra : range or None
        Numbers, from 0, of the spectra that are kept; None for all.
    """

    def __init__(self, streams: set[str], spectra: range | None) -> None:
        super().__init__()
        self._streams_kept, self._spectra = streams, spectra
        self.values: defaultdict[str, list[Data]] = defaultdict(list)
        self.judges: defaultdict[str, list[Scalarizer]] = defaultdict(list)
        self.judge: list[Scalarizer] = []
        self.times: list[float] = []
        self.beside: dict[str, str] = {}
        self.given: dict[int, float] = {}
        self.drifts: list[MeasuredDrift] = []
        self._tip: set[str] = set()
        self._number = 0
        self._recorded = Recorded()
        self._last: Spectrum | None = None
        self.spectra: list[Spectrum] = []

    @override
    def begin(self, start: Data) -> None:
        self.judge = [scalarizer_of(start)] if start.get("scalarizer") else []
        self._tip = set(start.get("motors", ()))

    @override
    def descriptor(self, doc: Data) -> None:
        super().descriptor(doc)
        if doc["name"] == Stream.PRIMARY:
            for device, keys in doc.get("object_keys", {}).items():
                ours = f"{device}_{CHANNELS[0].name}" in keys
                if device not in self._tip and not ours:
                    self.beside |= {key: doc["data_keys"][key].get("units") or "" for key in keys}

    @override
    def give(self, stream: str, event: Data) -> None:
        kept = stream in self._streams_kept
        last, self._last = self._last, self._last if stream == Stream.MAPS else None
        if stream == Stream.AGENT:
            known = self._recorded.observation(last, self.data(event))
            if known is not None:
                self.given[len(self.spectra) - 1] = known.number
        if stream == Stream.PRIMARY:
            kept &= self._spectra is None or self._number in self._spectra
            self._number += 1
        if stream in (Stream.DRIFT, Stream.DRIFT_FINE):
            if Stream.DRIFT in self._streams_kept:
                self.drifts.append(drift_from(event["data"]))  # its image stays where it is
            return
        if kept:
            self.values[stream].append(self.data(event))
            self.judges[stream] += self.judge
        if kept and stream == Stream.PRIMARY:
            self.times.append(event["time"])
            self._last = spectrum_from(self.values[stream][-1])
            self.spectra.append(self._last)
        asked = intervention_from(self.data(event)) if stream == Stream.INTERVENTION else None
        if self.judge and asked and asked.kind == "scalarizer":
            self.judge, self.given = [make_scalarizer(asked.settings)], {}


def _topograph(image: Topograph) -> xr.Dataset:
    import xarray as xr

    frame = image.frame
    height, width = frame.pixel_size
    x = frame.center.x + (np.arange(frame.pixels[1]) + 0.5) * width - frame.size[0] / 2
    y = frame.center.y + (np.arange(frame.pixels[0]) + 0.5) * height - frame.size[1] / 2
    places = frame.points()
    nm = {"units": units.LENGTH}
    return xr.Dataset(
        {"height": (("y", "x"), image.height, nm)},
        {
            "x": ("x", x, nm),
            "y": ("y", y, nm),
            "sample_x": (("y", "x"), places[..., 0], nm),
            "sample_y": (("y", "x"), places[..., 1], nm),
        },
        {"angle": frame.angle, "setpoint_bias": image.setpoint.bias, "setpoint_current": image.setpoint.current},
    )


def _spectra(spectra: Sequence[Spectrum], found: _EventData) -> xr.Dataset | None:
    import xarray as xr

    if not spectra:
        return None
    bias = _common([spectrum.bias for spectrum in spectra])
    along = "bias" if bias.ndim == 1 else "point"
    rows, fields = [spectrum.as_fields() for spectrum in spectra], declared(Spectrum)
    data: JSON = {c.name: (("spectrum", along), np.stack([row[c.name] for row in rows]), {"units": c.units}) for c in CHANNELS}
    data["quality"] = ("spectrum", [row["quality"] for row in rows])
    for judge in found.judge:
        given = found.given
        values = [given[i] if i in given else Observation.of(one, judge).number for i, one in enumerate(spectra)]
        data["value"] = ("spectrum", *_quantity(values, found.judge))
    data |= _of_distance([spectrum.z_sweep for spectrum in spectra])
    for key, unit in found.beside.items():
        read = np.stack([np.asarray(event.get(key, np.nan)) for event in found.values[Stream.PRIMARY]])
        data[key] = (("spectrum", *(f"{key}_{i}" for i in range(read.ndim - 1))), read, {"units": unit} if unit else {})
    coordinates: JSON = {
        name: ("spectrum", [row[name] for row in rows], {"units": field.units})
        for name, field in fields.items()
        if field.form == "number"
    }
    coordinates["event_time"] = ("spectrum", np.rint(1e6 * np.array(found.times)).astype("datetime64[us]"))
    coordinates["bias"] = ("bias" if bias.ndim == 1 else ("spectrum", "point"), bias, {"units": units.BIAS})
    return xr.Dataset(data, coordinates)


def _of_distance(taken: Sequence[ZSpectrum | None]) -> JSON:
    """Return I(z) that was taken beside spectra: ``distance`` and ``z_current`` (spectrum, z_point), and its quality."""
    first = next((one for one in taken if one), None)
    if first is None:
        return {}
    fields, nothing = declared(ZSpectrum), np.full(len(first.distance), np.nan)
    rows = {name: np.stack([getattr(one, name) if one else nothing for one in taken]) for name in ("distance", "current")}
    names = {"distance": "distance", "current": "z_current"}
    found: JSON = {names[name]: (("spectrum", "z_point"), row, {"units": fields[name].units}) for name, row in rows.items()}
    found["z_quality"] = ("spectrum", [int(one.quality if one else Quality.INCOMPLETE) for one in taken])
    return found


def _sweeps(events: Sequence[Data], stream: Iterable[Document]) -> xr.Dataset | None:
    """Return sweeps of something else than the bias: ``swept`` and ``channel_...`` (sweep, point), the others (sweep)."""
    import xarray as xr

    if not events:
        return None
    if own := [one for event in events if (one := z_spectrum_from(event))]:
        return _own_sweeps(own)
    keys = next(doc["data_keys"] for name, doc in stream if name == "descriptor" and doc["name"] == Stream.SWEEPS)
    variables = {}
    for key, declared_key in keys.items():
        axes = ("sweep", "point") if declared_key["shape"] else ("sweep",)
        values = np.stack([np.asarray(event[key], dtype=float) for event in events])
        variables[key.removeprefix("stm_sweeps_")] = (axes, values, {"units": declared_key["units"]})
    return xr.Dataset(variables)


def _drift(drifts: Sequence[MeasuredDrift]) -> xr.Dataset | None:
    """Return measurements of drift, one number each."""
    import xarray as xr

    if not drifts:
        return None
    data: JSON = {
        f"{name}_{axis}": ([getattr(one, name)[at] for one in drifts], unit)
        for name, unit in (("shift", units.LENGTH), ("used", units.LENGTH), ("velocity", f"{units.LENGTH}/{units.TIME}"))
        for at, axis in enumerate("xy")
    }
    data["registration"] = [one.registration for one in drifts], units.LENGTH
    data["reference_time"] = [one.reference_time for one in drifts], units.TIME
    data |= {name: ([int(getattr(one, name)) for one in drifts], "") for name in ("trusted", "begins")}
    columns = {name: ("measurement", values, {"units": unit} if unit else {}) for name, (values, unit) in data.items()}
    return xr.Dataset(columns, {"time": ("measurement", [one.time for one in drifts], {"units": units.TIME})})


def _own_sweeps(taken: Sequence[ZSpectrum]) -> xr.Dataset:
    """Return I(z) of ours, under the names that those of files have."""
    import xarray as xr

    heights = [barrier_height(one.distance, one.current) for one in taken]
    single = {
        "x": ([one.position.x for one in taken], units.LENGTH),
        "y": ([one.position.y for one in taken], units.LENGTH),
        "parameter_z": ([one.z for one in taken], units.LENGTH),
        "setpoint_bias": ([one.setpoint.bias for one in taken], units.BIAS),
        "setpoint_current": ([one.setpoint.current for one in taken], units.CURRENT),
        "quality": ([int(one.quality) for one in taken], ""),
        "barrier_height": ([height.value for height in heights], units.ENERGY),
        "barrier_height_std": ([height.std for height in heights], units.ENERGY),
    }
    variables: JSON = {name: ("sweep", values, {"units": unit}) for name, (values, unit) in single.items()}
    variables["swept"] = (("sweep", "point"), np.stack([one.distance for one in taken]), {"units": units.LENGTH})
    variables["channel_current"] = (("sweep", "point"), np.stack([one.current for one in taken]), {"units": units.CURRENT})
    return xr.Dataset(variables)


def _quantity(values: ArrayLike, judges: Sequence[Scalarizer]) -> tuple[Floats, dict[str, str]]:
    """Return what an agent was given or predicts as the quantity itself, and its attributes.

    There is one row of ``values`` for each judge, or all are by one.
    """
    rows = np.asarray(values, dtype=float)
    if not judges:
        return rows, {}
    signs = np.array([getattr(judge, "sign", 1) for judge in judges])  # scalarizers of others need none
    return (signs * rows.T).T, _about(judges)


def _about(judges: Sequence[Scalarizer]) -> dict[str, str]:
    """Unit and name of a quantity; the names alone where it is not one."""
    first, *others = judges
    if any(other.describe() != first.describe() for other in others):
        return {"scalarizer": ", then ".join(dict.fromkeys(judge.name for judge in judges))}
    sought = "smallest" if getattr(first, "sign", 1) < 0 else "largest"
    return {"units": first.units, "scalarizer": first.name, "sought": sought}


def _units(judges: Sequence[Scalarizer]) -> dict[str, str]:
    about = _about(judges) if judges else {}
    return {"units": about["units"]} if "units" in about else {}


def _common(sweeps: Sequence[Floats]) -> Floats:
    """The one bias axis of all sweeps (a sweep that ended early may lack its end), or all of them."""
    stacked = np.stack(sweeps)
    longest = stacked[np.isfinite(stacked).sum(axis=1).argmax()]
    return longest if ((stacked == longest) | np.isnan(stacked)).all() else stacked


def _decisions(decisions: Sequence[Decision], judges: Sequence[Scalarizer]) -> xr.Dataset | None:
    import xarray as xr

    if not decisions:
        return None
    rows, fields = [decision.as_fields() for decision in decisions], declared(Decision)
    columns: JSON = {name: ("decision", [row[name] for row in rows], _attrs(fields[name])) for name in fields}
    columns["mean"] = ("decision", *_quantity([d.mean for d in decisions], judges))
    for name in ("std", "health_noise"):
        columns[name] = (*columns[name][:2], _units(judges))
    along = {name: columns.pop(name) for name in ("x", "y", "ingested")}
    return xr.Dataset(columns, along)


def _attrs(field: Field) -> dict[str, str]:
    return {"units": field.units} if field.units else {}


def _maps(maps: Sequence[Data], start: Data, image: Topograph | None, judges: Sequence[Scalarizer]) -> xr.Dataset | None:
    import xarray as xr

    if not maps:
        return None
    prefix = next(key.removesuffix("_mean") for key in maps[0] if key.endswith("_mean"))
    names = [name for name in ("mean", "std", "acquisition") if f"{prefix}_{name}" in maps[0]]
    data = {name: np.array([event[f"{prefix}_{name}"] for event in maps], dtype=float) for name in names}
    coordinates: JSON = {"ingested": ("map", [event[f"{prefix}_ingested"] for event in maps])}
    places = described(start.get("agent", {}).get("settings", {}), image.frame if image else None, image)
    if places is not None and len(places) == data["mean"].shape[1]:
        coordinates |= {axis: ("candidate", places[:, i], {"units": units.LENGTH}) for i, axis in enumerate("xy")}
    over = ("map", "candidate")
    said = {name: (data[name], _units(judges) if name == "std" else {}) for name in names}
    said["mean"] = _quantity(data["mean"], judges)
    return xr.Dataset({name: (over, *values) for name, values in said.items()}, coordinates)
