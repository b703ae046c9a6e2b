"""What defines the measurements of a run, in words: the head of a scale in report and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from bluesky_stm import units
from bluesky_stm.measurements import Quality
from bluesky_stm.validated import Data
from bluesky_stm.views._fitting import fitting, said
from bluesky_stm.views._record import RunRecord

NOT_ON_RECORD: Final = "not on record"


def measured(record: RunRecord) -> dict[str, str]:
    """Return name and words of all that defines a measurement; `NOT_ON_RECORD` where the documents do not say it.

    Parameters
    ----------
    record : RunRecord
        The run.
    """
    start = record.start_document
    return {
        "sought": _sought(record) or NOT_ON_RECORD,
        "set point": setpoint(record) or NOT_ON_RECORD,
        "sweep": _sweep(record) or NOT_ON_RECORD,
        "sweep time": _sweep_time(record) or NOT_ON_RECORD,
        "modulation": modulation(start) or NOT_ON_RECORD,
        "temperature": temperature(start) or NOT_ON_RECORD,
        "tip": _tip(record) or NOT_ON_RECORD,
        "preamplifier": _preamplifier(record) or NOT_ON_RECORD,
        "topograph": _topograph(record) or NOT_ON_RECORD,
        "drift": _drift(record) or NOT_ON_RECORD,
        "sample": sample(start) or NOT_ON_RECORD,
        "operator": operator(start) or NOT_ON_RECORD,
        "microscope": ", ".join(filter(None, [_name(start.get("controller")), str(start.get("host", ""))])) or NOT_ON_RECORD,
        "measured": when(start),
    }


def _sought(record: RunRecord) -> str:
    """Return which value is sought, with the settings of its scalarizer; empty for a run that sought none."""
    if not record.start_document.get("scalarizer"):
        return ""
    settings = {name: value for name, value in record.scalarizer.describe().items() if name not in {"name", "prefer"}}
    told = ", ".join(f"{name} {_plain(value)}" for name, value in settings.items() if value not in (None, False))
    return f"{record.sought} {record.quantity}" + (f" ({told})" if told else "")


def _plain(setting: Any) -> str:
    if isinstance(setting, dict):
        return _name(setting)
    if isinstance(setting, list | tuple):
        return " to ".join(map(_plain, setting)) if len(setting) == 2 else ", ".join(map(_plain, setting))
    return f"{setting:.4g}" if isinstance(setting, float) else str(setting)


def setpoint(record: RunRecord) -> str:
    """Return bias and current of the set points, of topograph and spectra; empty where nothing was measured."""
    image = [] if record.topograph is None else [_held(record.topograph.setpoint)]
    swept = [text for text, _ in Counter(_held(s.setpoint) for s in record.spectra).most_common(2)]
    if not swept or swept == image:
        return "".join(image)
    told = " or ".join(swept) + " for spectra"
    return f"{image[0]} for the topograph, {told}" if image else told


def modulation(start: Data) -> str:
    """Return amplitude and frequency of the lock-in; empty where they are not on record."""
    told = start.get("lockin") or {name: start.get("recorded", {}).get(name) for name in ("amplitude", "frequency")}
    if told.get("on") is False:
        return "off"
    if not _known(told.get("amplitude")):
        return ""
    frequency = f" at {told['frequency']:.5g} Hz" if _known(told.get("frequency")) else ""
    phase = f", phase {told['phase']:.4g}°" if _known(told.get("phase")) else ""
    return f"{1e3 * told['amplitude']:.4g} mV (peak){frequency}{phase}"


def temperature(start: Data) -> str:
    """Return the temperature: that of the file, else that of the night, else that of a simulated sample; empty for none."""
    known = start.get("recorded", {}).get("temperature")
    told = _of_night(start, "sample").get("temperature")
    for value, source in ((known, ""), (told, ""), (_simulated(start), " (simulated)")):
        if _known(value):
            return f"{value:.4g} {units.TEMPERATURE}{source}"
    return ""


def sample(start: Data) -> str:
    """Return the name of the sample; empty where nobody gave one."""
    return _name(start.get("sample")) or str(start.get("recorded", {}).get("sample", ""))


def operator(start: Data) -> str:
    """Return who was responsible; empty where nobody is named."""
    return str(
        start.get("operator") or (start.get("night") or {}).get("operator") or start.get("recorded", {}).get("operator", "")
    )


def when(start: Data) -> str:
    """Return when the run began, or when its file was measured."""
    measured_at = start.get("recorded", {}).get("time")
    began = datetime.fromtimestamp(measured_at or start["time"], UTC)
    return f"{began:%Y-%m-%d %H:%M} UTC" + (", imported later" if measured_at else "")


def _sweep(record: RunRecord) -> str:
    spectra = record.spectra
    if not spectra or not len(spectra[0].bias):
        return ""
    bias, told = spectra[0].bias, record.start_document.get("sweep", {})
    step = 1e3 * float(np.ptp(bias)) / max(len(bias) - 1, 1)
    averages = f", {told['averages']} sweeps averaged" if told.get("averages", 1) > 1 else ""
    back = (
        ", way back kept"
        if any(s.backward for s in spectra)
        else ", averaged with the way back"
        if told.get("backward")
        else ", one way"
        if told.get("backward") is False
        else ""
    )
    offset = f", tip moved by {told['z_offset']:g} nm" if told.get("z_offset") else ""
    factor, unit = fitting(units.BIAS, bias)
    ends = f"{factor * bias[0]:.4g} to {factor * bias[-1]:.4g} {unit}"
    return f"{ends} in {len(bias)} points ({step:.3g} mV apart){averages}{back}{offset}"


def _sweep_time(record: RunRecord) -> str:
    told = record.start_document.get("sweep", {})
    if not {"points", "settle", "integrate"} <= told.keys():
        return ""
    each = told["settle"] + told["integrate"]
    whole = told["points"] * each * told.get("averages", 1) * (1 + bool(told.get("backward")))
    return f"{whole:.3g} s: {1e3 * told['settle']:.3g} ms settling and {1e3 * told['integrate']:.3g} ms averaging at each bias"


def _tip(record: RunRecord) -> str:
    material = _name(record.start_document.get("tip"))
    jumped = sum(bool(s.quality & Quality.TIP_CHANGED) for s in record.spectra)
    checked = Counter(record.tip_checks)
    told = [material or "material not on record"]
    if checked:
        each = ", ".join(f"{count} {verdict}" for verdict, count in checked.most_common())
        told.append(f"checked {_times(checked.total())} ({each})")
    if record.spectra:
        told.append(f"changed within {jumped} of {len(record.spectra)} spectra" if jumped else "changed within no spectrum")
    return "; ".join(told)


def _preamplifier(record: RunRecord) -> str:
    controller = record.start_document.get("controller", {})
    profile = controller.get("profile") if isinstance(controller, dict) else None
    stated = profile.get("preamp_range") if isinstance(profile, dict) else None
    clipped = [s for s in record.spectra if s.quality & Quality.CLIPPED]
    told = [f"range ±{stated:.4g} nA"] if _known(stated) else []
    if clipped:
        end = max(float(np.nanmax(np.abs(s.current))) for s in clipped)
        told.append(f"saturated at {end:.4g} nA in {len(clipped)} of {len(record.spectra)} spectra")
    elif record.spectra:
        told.append("saturated in no spectrum")
    return ", ".join(told)


def _topograph(record: RunRecord) -> str:
    if record.topograph is None:
        return ""
    rows, columns = record.topograph.height.shape
    line = record.start_document.get("line_time")
    time = f", {line:.3g} s a line" if _known(line) and line else ""
    return f"{columns} x {rows} pixels, {record.topograph.frame.size[0] / columns:.3g} nm wide{time}"


def _drift(record: RunRecord) -> str:
    if not record.drifts:
        return ""
    trusted = [drift for drift in record.drifts if drift.trusted]
    if not trusted:
        return f"measured {_times(len(record.drifts))}, never trusted"
    speed = float(np.hypot(*trusted[-1].velocity)) * 3600
    return f"measured {_times(len(record.drifts))}, {speed:.2g} nm/h left uncompensated"


def _simulated(start: Data) -> float | None:
    """Return the temperature of a simulated sample."""
    from bluesky_stm.errors import STMError
    from bluesky_stm.parts import samples

    controller = start.get("controller")
    surface = controller.get("surface") if isinstance(controller, dict) else None
    if not isinstance(surface, dict) or "sample" not in surface:
        return None
    try:
        return float(samples.make(surface["sample"]).build().temperature)
    except (STMError, AttributeError):  # a sample of a package that is not installed here
        return None


def _of_night(start: Data, key: str) -> Data:
    told = (start.get("night") or {}).get(key)
    return told if isinstance(told, dict) else {}


def _held(point: Any) -> str:
    return f"{said(point.bias, units.BIAS)}, {1e3 * point.current:.4g} pA"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _name(value: Any) -> str:
    return str(value.get("name", "")) if isinstance(value, dict) else str(value or "")


def _known(entry: Any) -> bool:
    return isinstance(entry, int | float) and bool(np.isfinite(entry))


def lines(record: RunRecord) -> Iterator[str]:
    """Yield what a caption says: what, at which set point and modulation, when, the uid, and whether it was altered."""
    start = record.start_document
    yield sample(start)
    yield record.title
    yield setpoint(record)
    yield f"modulation {told}" if (told := modulation(start)) else ""
    yield temperature(start)
    yield when(start)
    yield record.uid
    yield f"ALTERED since it was closed: {'; '.join(record.faults)}" if record.faults else ""
