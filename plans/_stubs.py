"""The smallest acts inside a run: scan, decide, measure, record the map.

Each ends with a checkpoint, so that what has been recorded is not repeated after a pause.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.protocols import Readable, Triggerable
from bluesky.utils import MsgGenerator

from bluesky_stm.documents import Stream
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.plans._arguments import checked

log = logging.getLogger("bluesky_stm")

IN_A_ROW: Final = 2
"""Measurements in a row that were disturbed, after which a plan pauses for a person."""

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.plans._approach import Approach
    from bluesky_stm.protocols import Decision


def scan(stm: STM, frame: Frame, approach: Approach | None = None) -> MsgGenerator[None]:
    """Take an image of ``frame``; it stays in the scanner until it is read, and no Event is emitted.

    Parameters
    ----------
    stm : STM
        Microscope that scans.
    frame : Frame
        Region of the image.
    approach : Approach, optional
        The way to its beginning; a direct one if not given.
    """
    if approach:
        yield from approach.begin(frame)
    yield from bps.mv(stm.scanner, frame)
    yield from bps.trigger(stm.scanner, wait=True)


@checked
def take_topograph(
    stm: STM, frame: Frame | Mapping[str, object] | None = None, stream: str = Stream.TOPOGRAPH
) -> MsgGenerator[None]:
    """Scan a frame and emit it as one Event of the open run.

    Parameters
    ----------
    stm : STM
        Microscope that scans.
    frame : Frame or mapping, optional
        Region of the image; the scanner's present frame if not given.
    stream : str
        Name of the stream.
    """
    yield from bps.mv(stm.scanner, as_frame(frame) or stm.scanner.frame)
    yield from bps.trigger_and_read([stm.scanner], name=stream)
    yield from bps.checkpoint()
    yield from pause_if_disturbed(stm)


@checked
def decide(agent: AgentDevice) -> MsgGenerator[Decision | None]:
    """Let the agent learn what is new and choose the next place; emit one Event in the stream ``agent``.

    The fit runs in a thread of the device, so that a pause acts at once. The decision is returned; None where the plan is only
    simulated.
    """
    yield from bps.checkpoint()
    # Between two checkpoints: after a pause only the decision is made again, not the move and the sweep before it.
    yield from bps.trigger_and_read([agent], name=Stream.AGENT)
    yield from bps.checkpoint()
    return agent.decision


def come_to(stm: STM, point: Point, run_up: tuple[float, float] = (0.0, 0.0)) -> MsgGenerator[None]:
    """Move the tip to a place, the last stretch always in the same direction.

    A piezo lags behind after it has turned round. A place that is approached in the direction in which the image was scanned
    lies where the image has it.

    Parameters
    ----------
    stm : STM
        Microscope.
    point : Point
        Place to reach, in nm.
    run_up : (float, float)
        Last stretch, along x and y in nm, as far as the limits leave room for it; zeros for a direct move.
    """
    if any(run_up):
        low, high = stm.tip.limits
        # Only the run-up is cut at the limits. The place itself is refused where it lies outside.
        before = Point(*np.clip(np.subtract(point, run_up), low, high).tolist())
        yield from bps.mv(stm.tip, before)
    yield from bps.mv(stm.tip, point)


@checked
def measure_at(
    stm: STM, place: Point, run_up: tuple[float, float] = (0.0, 0.0), beside: Sequence[Readable] = ()
) -> MsgGenerator[None]:
    """Move the tip to a place (`come_to`) and sweep the bias; emit one Event in the stream ``primary``.

    Parameters
    ----------
    stm : STM
        Microscope.
    place : Point
        Place to measure, in nm.
    run_up : (float, float)
        Last stretch of the move, along x and y in nm.
    beside : sequence of Readable
        Devices of the facility that are read with the spectrum, into the same Event.
    """
    yield from _swept(stm, place, [stm.sweep, stm.tip, *beside], Stream.PRIMARY, run_up)


@checked
def take_z_spectrum(stm: STM, place: Point, beside: Sequence[Readable] = ()) -> MsgGenerator[None]:
    """Move the tip to a place and sweep its height as ``stm.z_sweep`` is set; emit one Event in the stream ``sweeps``.

    Parameters
    ----------
    stm : STM
        Microscope.
    place : Point
        Place to measure, in nm.
    beside : sequence of Readable
        Devices of the facility that are read with it, into the same Event.
    """
    yield from _swept(stm, place, [stm.z_sweep, stm.tip, *beside], Stream.SWEEPS)


@checked
def take_grid(stm: STM, frame: Frame, done: int = 0) -> MsgGenerator[None]:
    """Let the controller take a grid of spectra by itself; emit one Event in ``primary`` for each, as `measure_at` does.

    They are emitted when it is over, however it ended: after a pause it goes on with the rest.

    Parameters
    ----------
    stm : STM
        Microscope.
    frame : Frame
        Its pixels are the places.
    done : int
        Number of spectra, the first ones, that are left out.
    """
    before = stm.grid.native.get(), stm.grid.first.get()

    def take() -> MsgGenerator[None]:
        yield from bps.mv(stm.grid, frame, stm.grid.native, True, stm.grid.first, done)
        yield from bps.checkpoint()
        yield from bps.trigger(stm.grid, wait=True)

    def emit() -> MsgGenerator[None]:
        if stm.grid.under_way():
            yield from bps.stop(stm.grid)
        while stm.grid.under_way():
            yield from bps.sleep(0.05)
        while stm.grid.hand_over():
            yield from bps.create(Stream.PRIMARY)
            yield from bps.read(stm.sweep)
            yield from bps.read(stm.grid.tip_then)
            yield from bps.save()
        yield from bps.mv(stm.grid.native, before[0], stm.grid.first, before[1])

    yield from bpp.finalize_wrapper(take(), emit())
    yield from bps.checkpoint()
    yield from pause_if_disturbed(stm)


def _swept(
    stm: STM, place: Point, devices: Sequence[Readable], stream: str, run_up: tuple[float, float] = (0.0, 0.0)
) -> MsgGenerator[None]:
    """Come to a place and measure there with several devices, the first of which sweeps, into one Event of a stream."""
    yield from bps.checkpoint()
    yield from come_to(stm, place, run_up)
    yield from bps.trigger_and_read(devices, name=stream)
    yield from bps.checkpoint()
    yield from pause_if_disturbed(stm)


@checked
def measure_and_decide(
    stm: STM,
    agent: AgentDevice,
    place: Point,
    pending: Point,
    run_up: tuple[float, float] = (0.0, 0.0),
    beside: Sequence[Readable] = (),
) -> MsgGenerator[Decision | None]:
    """Measure at a place, and let the agent decide during the sweep where to go next.

    One Event in ``agent`` and one in ``primary`` are emitted. The decision is read first, because it was made without the
    spectrum.

    Parameters
    ----------
    stm : STM
        Microscope.
    agent : AgentDevice
        Agent that decides.
    place : Point
        Place to which the tip goes, in nm.
    pending : Point
        The same place as the agent knows it, in nm, which it will not suggest again.
    run_up : (float, float)
        Last stretch of the move, along x and y in nm.
    beside : sequence of Readable
        Devices of the facility that are read with the spectrum, into the same Event.

    Returns
    -------
    Decision or None
        None where the plan is only simulated.
    """
    yield from bps.checkpoint()
    yield from come_to(stm, place, run_up)
    # Before the agent decides: else it would suggest the place that is just being measured.
    yield from bps.mv(agent.pending, (pending,))
    yield from bps.trigger(agent, group="ahead")
    for measuring in (stm.sweep, *(one for one in beside if isinstance(one, Triggerable))):
        yield from bps.trigger(measuring, group="ahead")
    yield from bps.wait("ahead")
    for stream, readables in ((Stream.AGENT, [agent]), (Stream.PRIMARY, [stm.sweep, stm.tip, *beside])):
        yield from bps.create(stream)
        for readable in readables:
            yield from bps.read(readable)
        yield from bps.save()
    yield from bps.mv(agent.pending, ())
    yield from bps.checkpoint()
    yield from pause_if_disturbed(stm)
    return agent.decision


def pause_if_disturbed(stm: STM) -> MsgGenerator[None]:
    """Pause for a person when somebody changes, during one measurement after the other, what defines them.

    One such measurement is marked and says what it was; at the second one in a row somebody is working at the microscope.
    """
    if stm.disturbances >= IN_A_ROW:
        log.warning("Somebody changed during %d measurements in a row: %s.", stm.disturbances, stm.disturbed)
        stm.disturbances = 0
        yield from bps.checkpoint()
        yield from bps.pause()


@checked
def draw_map(agent: AgentDevice) -> MsgGenerator[None]:
    """Record what the agent predicts for every candidate; emit one Event in the stream ``maps``."""
    yield from bps.checkpoint()
    yield from bps.trigger_and_read([agent.map], name=Stream.MAPS)
    yield from bps.checkpoint()


def image_of(stm: STM) -> Topograph | None:
    """Return the image that the scanner took last; None before the first."""
    return stm.scanner.taken


def spectrum_of(stm: STM) -> Spectrum | None:
    """Return the spectrum that was taken last; None before the first."""
    return stm.sweep.taken


def as_frame(frame: Frame | Mapping[str, object] | None) -> Frame | None:
    """Return a frame, also from its JSON-able form; None stays None."""
    return Frame.from_dict(frame) if isinstance(frame, Mapping) else frame
