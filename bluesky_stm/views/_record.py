"""The documents of one run, gathered into what a picture shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from event_model import DocumentRouter

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame, patch_centers
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.protocols import Decision, Failed
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.teaching import Document, decision_from, spectrum_from, topograph_from


@dataclass(frozen=True, eq=False)
class PredictedMap:
    """What the agent predicted at its n candidates after ``ingested`` spectra: mean and standard deviation, each (n,)."""

    ingested: int
    mean: Floats
    std: Floats


@dataclass(frozen=True)
class Best:
    """The highest value so far and the number, from 0, of the spectrum that has it."""

    number: int
    value: float


class RunRecord(DocumentRouter):
    """What one run measured and decided. Feed it documents live, or use `of` on stored ones.

    A value is what the run's own scalarizer says of the spectrum. Where that scalarizer is not installed here, it is what the
    agent recorded as ingested.

    Attributes
    ----------
    start_document, stop_document : mapping
        Empty before they come.
    topograph : Topograph or None
        The last one.
    spectra : list of Spectrum
    values : list of float
        One for each spectrum, in ``units``; NaN where there is none.
    reasons : list of str
        One for each spectrum: why there is no value, else empty.
    decisions : list of Decision
        The first chose the place of the first spectrum, and so on; the last says where one would go on.
    maps : list of PredictedMap
    units : str
        Of the values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start_document: Mapping[str, Any] = {}
        self.stop_document: Mapping[str, Any] = {}
        self.topograph: Topograph | None = None
        self.spectra: list[Spectrum] = []
        self.values: list[float] = []
        self.reasons: list[str] = []
        self.decisions: list[Decision] = []
        self.maps: list[PredictedMap] = []
        self.units = ""
        self._streams: dict[str, str] = {}
        self._scalarizer: Any = None

    @classmethod
    def of(cls, documents: Iterable[Document]) -> RunRecord:
        """Record of a whole run."""
        record = cls()
        for name, doc in documents:
            record(name, dict(doc))
        return record

    # ---- documents ---------------------------------------------------------------------------------------------------

    def start(self, doc: Mapping[str, Any]) -> None:
        """A run begins."""
        self.start_document = doc
        try:
            self._scalarizer = make_scalarizer(doc["scalarizer"])
            self.units = self._scalarizer.units
        except SettingsError:
            self._scalarizer = None

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """A stream is declared."""
        self._streams[doc["uid"]] = doc["name"]
        if doc["name"] == "agent" and not self.units:
            self.units = next((key.get("units") or "" for name, key in doc["data_keys"].items() if name.endswith("_best")), "")

    def event(self, doc: Mapping[str, Any]) -> Any:
        """An image, a spectrum, a decision or a map."""
        take = {"topograph": self._image, "primary": self._spectrum, "agent": self._decision, "maps": self._map}
        stream = self._streams.get(doc["descriptor"])
        if stream in take:
            take[stream](doc["data"])
        return doc

    def stop(self, doc: Mapping[str, Any]) -> None:
        """The run is over."""
        self.stop_document = doc

    # ---- what they say -----------------------------------------------------------------------------------------------

    @property
    def uid(self) -> str:
        """Of the run."""
        return self.start_document["uid"]

    @property
    def parent(self) -> str | None:
        """The uid of the run whose frame holds this one's."""
        return self.start_document.get("parent_run")

    @property
    def name(self) -> str:
        """Of the length scale."""
        return str(self.start_document["length_scale"]["name"])

    @property
    def title(self) -> str:
        """Name and size: ``"mesa, 50 nm"``."""
        width, height = self.frame.size
        return f"{self.name}, {width:g} nm" if width == height else f"{self.name}, {width:g} x {height:g} nm"

    @property
    def budget(self) -> int:
        """Spectra that the run may take."""
        return int(self.start_document["length_scale"]["budget"])

    @property
    def quantity(self) -> str:
        """Name of the scalarizer: what the values are."""
        return str(self.start_document["scalarizer"]["name"])

    @property
    def frame(self) -> Frame:
        """Where the run looked: as the topograph says, else as was planned."""
        return self.topograph.frame if self.topograph else Frame.from_dict(self.start_document["frame"])

    @property
    def places(self) -> Floats:
        """Where the spectra were taken, (n, 2) as (x, y) in nm."""
        return np.array([spectrum.position for spectrum in self.spectra], dtype=float).reshape(-1, 2)

    @property
    def candidates(self) -> Floats:
        """Where a spectrum might be taken, (n, 2) in nm: what the values of a map belong to; empty if not on record."""
        settings = {**self.start_document["length_scale"], **self.start_document["agent"].get("settings", {})}
        if settings.get("candidates") is not None:
            return np.asarray(settings["candidates"], dtype=float).reshape(-1, 2)
        return patch_centers(self.frame, settings["patch"], settings["step"]) if "step" in settings else np.empty((0, 2))

    @property
    def best(self) -> Best | None:
        """The highest value so far, None while there is none."""
        if not np.isfinite(self.values).any():
            return None
        number = int(np.nanargmax(self.values))
        return Best(number, self.values[number])

    @property
    def learning_curve(self) -> Floats:
        """Highest value after each spectrum, (n,); NaN before the first value."""
        return np.fmax.accumulate(np.asarray(self.values, dtype=float)) if self.values else np.empty(0)

    # ---- one for each stream -----------------------------------------------------------------------------------------

    def _image(self, data: Mapping[str, Any]) -> None:
        self.topograph = topograph_from(data)

    def _spectrum(self, data: Mapping[str, Any]) -> None:
        spectrum = spectrum_from(data)
        value = self._scalarizer(spectrum) if self._scalarizer else Failed("not ingested yet")
        self.spectra.append(spectrum)
        self._set_value(value)

    def _set_value(self, value: float | Failed) -> None:
        self.values.append(float("nan") if isinstance(value, Failed) else float(value))
        self.reasons.append(value.reason if isinstance(value, Failed) else "")

    def _decision(self, data: Mapping[str, Any]) -> None:
        self.decisions.append(decision_from(data))
        if self._scalarizer is None and self.values:
            self._recorded_value(next(value for key, value in data.items() if key.endswith("_value")))

    def _recorded_value(self, value: float | None) -> None:
        known = value is not None and np.isfinite(value)
        self.values[-1] = float(value) if known else float("nan")  # type: ignore[arg-type]
        self.reasons[-1] = "" if known else "no value on record"

    def _map(self, data: Mapping[str, Any]) -> None:
        field = {key.rpartition("_")[2]: value for key, value in data.items()}
        mean, std = (np.asarray(field[name], dtype=float) for name in ("mean", "std"))
        self.maps.append(PredictedMap(int(field["ingested"]), mean, std))


def record_all(runs: Iterable[Iterable[Document] | RunRecord]) -> list[RunRecord]:
    """Records of runs, each given as its documents or already as a record."""
    return [run if isinstance(run, RunRecord) else RunRecord.of(run) for run in runs]
