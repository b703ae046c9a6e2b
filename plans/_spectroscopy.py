"""Measurements at places that a person names: an image, some spectra, a dense grid; each is one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.plans._metadata import describe_run
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._safety import safely
from bluesky_stm.plans._stubs import as_frame, measure_at, take_grid, take_topograph, take_z_spectrum

if TYPE_CHECKING:
    from bluesky_stm.devices import STM


@queueable
def scan_topograph(
    stm: STM, frame: Frame | Mapping[str, object] | None = None, *, md: Mapping[str, object] | None = None
) -> MsgGenerator[str]:
    """Take one constant-current image, as one run with the stream ``topograph``.

    Parameters
    ----------
    stm : STM
        Microscope that scans.
    frame : Frame or mapping, optional
        Region of the image; the scanner's present frame if not given.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.
    """
    place = as_frame(frame) or stm.scanner.frame
    stm.scanner.check_value(place)

    @bpp.stage_decorator([stm.scanner])
    @bpp.run_decorator(md={**describe_run("scan_topograph", {"frame": place.as_dict()}, stm, place), **(md or {})})
    def run() -> MsgGenerator[None]:
        yield from take_topograph(stm, place)

    return (yield from safely(stm, run()))


@queueable
def spectra_at(
    stm: STM,
    points: Iterable[tuple[float, float]],
    *,
    shortest: bool = False,
    done: int = 0,
    beside: Sequence[Readable] = (),
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[str]:
    """Take one spectrum at each of several places, as one run with an Event in ``primary`` for each.

    Every place is checked against the limits before the tip moves to the first.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    points : iterable of (float, float)
        Places (x, y), in nm.
    shortest : bool
        True to visit them along a short way, False in the order given.
    done : int
        Number of places, the first ones, that an earlier run has measured: they are left out.
    beside : sequence of Readable
        Devices of the facility that are read with each spectrum, into the same Event.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.

    Raises
    ------
    SettingsError
        When there is no place.
    LimitError
        When a place lies outside the limits; nothing has moved then.
    """
    places = _checked(stm, points)
    stm.sweep.check_value(stm.sweep.settings)
    if shortest:
        order = short_way(np.array([stm.tip.position, *places]))
        places = [places[i - 1] for i in order[1:]]
    arguments = {"points": [list(p) for p in places], "done": done, "beside": [device.name for device in beside]}

    @bpp.stage_decorator([stm.sweep, *beside])
    @bpp.run_decorator(md={**describe_run("spectra_at", arguments, stm, stm.scanner.frame), **(md or {})})
    def run() -> MsgGenerator[None]:
        for place in places[done:]:
            yield from measure_at(stm, place, beside=beside)

    return (yield from safely(stm, run()))


def _checked(stm: STM, points: Iterable[tuple[float, float]]) -> list[Point]:
    """Return places that the tip may go to, all of them checked; see `spectra_at` for what is refused."""
    places = [Point(*point) for point in points]
    if not places:
        raise SettingsError("No place was given. Nothing has moved. Give at least one (x, y) in nm.")
    for place in places:
        stm.tip.check_value(place)
    return places


@queueable
def spectrum_at(
    stm: STM, point: tuple[float, float], *, beside: Sequence[Readable] = (), md: Mapping[str, object] | None = None
) -> MsgGenerator[str]:
    """Take one spectrum, as one run.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    point : (float, float)
        Place (x, y), in nm.
    beside : sequence of Readable
        Devices of the facility that are read with the spectrum, into the same Event.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.
    """
    return (yield from spectra_at(stm, [point], beside=beside, md=md))


@queueable
def z_spectra_at(
    stm: STM,
    points: Iterable[tuple[float, float]],
    *,
    beside: Sequence[Readable] = (),
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[str]:
    """Take I(z) at each of several places, as one run with an Event in ``sweeps`` for each.

    The feedback is opened as ``stm.z_sweep`` is set, the tip drawn back and brought back, and the feedback restored. Places,
    range of z, and the current at the nearest point are checked before anything moves. The barrier height that follows stands
    in ``load_run(run)["sweeps"]``.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    points : iterable of (float, float)
        Places (x, y), in nm.
    beside : sequence of Readable
        Devices of the facility that are read with each, into the same Event.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.

    Raises
    ------
    SettingsError
        When there is no place.
    LimitError
        When a place lies outside the limits, or the sweep may carry too much current; nothing has moved then.
    """
    places = _checked(stm, points)
    stm.z_sweep.check_value(stm.z_sweep.settings)
    arguments = {"points": [list(p) for p in places], "beside": [device.name for device in beside]}
    described = describe_run("z_spectra_at", arguments, stm, stm.scanner.frame)

    @bpp.stage_decorator([stm.z_sweep, *beside])
    @bpp.run_decorator(md={**described, "detectors": [stm.z_sweep.name], **(md or {})})
    def run() -> MsgGenerator[None]:
        for place in places:
            yield from take_z_spectrum(stm, place, beside)

    return (yield from safely(stm, run()))


@queueable
def cits_grid(
    stm: STM,
    shape: Sequence[int],
    frame: Frame | Mapping[str, object] | None = None,
    *,
    done: int = 0,
    look: bool = True,
    native: bool = False,
    beside: Sequence[Readable] = (),
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[str]:
    """Take a topograph and then a spectrum in each pixel of a coarser raster of the same frame, as one run.

    This is the dense reference of which an agent needs a few per cent. The spectra are taken row by row from the lowest y,
    every second row backwards; each is an Event in ``primary``.

    A ``native`` grid the controller takes by itself, with nobody in between, which saves the way of each command: all rows then
    begin at their first column, the Events come when it is over, a stop included, and name the file that the instrument wrote.
    Nothing can be read beside it. Where the controller cannot do so the plan is refused.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    shape : (int, int)
        Number of rows and columns of the grid.
    frame : Frame or mapping, optional
        Region to be measured; the scanner's present frame if not given. As a mapping ``{"center": [x, y], "size": [width,
        height], "pixels": [rows, columns], "angle": 0}``, in nm and degrees counter-clockwise; the pixels are those of the
        topograph.
    done : int
        Number of spectra, the first ones, that an earlier run has taken: they are left out.
    look : bool
        True to take the topograph; False where an earlier run has taken it.
    native : bool
        True to let the controller take the grid by itself.
    beside : sequence of Readable
        Devices of the facility that are read with each spectrum, into the same Event.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.

    Raises
    ------
    NotCapableError
        When the controller is to take the grid by itself, and cannot; nothing has moved.
    SettingsError
        When something is to be read beside such a grid.
    """
    rows, columns = shape
    place = as_frame(frame) or stm.scanner.frame
    pixels = replace(place, pixels=(rows, columns))
    stm.scanner.check_value(place)
    stm.sweep.check_value(stm.sweep.settings)
    if native:
        stm.grid.check_all(pixels, native=True)
        if beside:
            raise SettingsError("Nothing can be read beside a grid that the controller takes by itself. Nothing has moved.")
    arguments = {"shape": [rows, columns], "frame": place.as_dict(), "done": done, "look": look}
    arguments |= {"native": True} if native else {}
    arguments["beside"] = [device.name for device in beside]
    metadata = {**describe_run("cits_grid", arguments, stm, pixels), "shape": [rows, columns], **(md or {})}

    places = [Point(*xy) for number, row in enumerate(pixels.points()) for xy in row[:: -1 if number % 2 else 1].tolist()]

    @bpp.stage_decorator([stm.scanner, stm.sweep, *([stm.grid] if native else []), *beside])
    @bpp.run_decorator(md=metadata)
    def run() -> MsgGenerator[None]:
        if look:
            yield from take_topograph(stm, place)
        if native:
            yield from take_grid(stm, pixels, done)
        else:
            for point in places[done:]:
                yield from measure_at(stm, point, beside=beside)

    return (yield from safely(stm, run()))


@queueable
def move_frame(stm: STM, frame: Frame | Mapping[str, object]) -> MsgGenerator[None]:
    """Make ``frame`` the one that is scanned next, and move the tip to its centre. There is no run."""
    place = as_frame(frame)
    assert place is not None

    def move() -> MsgGenerator[None]:
        yield from bps.mv(stm.scanner, place)
        yield from bps.mv(stm.tip, place.center)

    yield from safely(stm, move())


def short_way(points: Floats) -> list[int]:
    """Return the order in which to visit ``points`` (n, 2), beginning with the first.

    Nearest neighbours come first, then crossings are undone (2-opt), in O(n**2) for each pass. The way is some per cent longer
    than the shortest one. A tip that moves less drifts less.
    """
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    left, way = set(range(1, len(points))), [0]
    while left:
        way.append(min(left, key=lambda i: distance[way[-1], i]))
        left.remove(way[-1])
    improved = True
    while improved:
        improved = False
        for i in range(1, len(way) - 1):
            for j in range(i + 1, len(way)):
                a, b, c = way[i - 1], way[i], way[j]
                d = way[j + 1] if j + 1 < len(way) else None
                now = distance[a, b] + (distance[c, d] if d is not None else 0)
                then = distance[a, c] + (distance[b, d] if d is not None else 0)
                if then < now - 1e-9:
                    way[i : j + 1] = way[i : j + 1][::-1]
                    improved = True
    return way
