"""Exploration at one length scale: a topograph, then decisions and spectra until the budget or a stop rule ends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import bluesky.preprocessors as bpp
import numpy as np
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, patch_centers
from bluesky_stm.plans._drift import DriftCheck
from bluesky_stm.plans._exploration import Exploration, Options
from bluesky_stm.plans._metadata import describe_run, packages_of
from bluesky_stm.plans._overview import Parent
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._runs import run_with_reason
from bluesky_stm.plans._safety import safely
from bluesky_stm.plans._scalarizer import beside_of, check_scalarizer
from bluesky_stm.plans._stubs import as_frame
from bluesky_stm.plans._tip_check import TipCheck
from bluesky_stm.steer import Steer

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.settings import LengthScale


@queueable
def explore(
    stm: STM,
    agent: AgentDevice,
    *,
    budget: int | None = None,
    frame: Frame | Mapping[str, object] | None = None,
    maps_every: int = 10,
    look: bool = True,
    ahead: bool = False,
    drift: DriftCheck | Mapping[str, object] | None = None,
    tip: TipCheck | Mapping[str, object] | None = None,
    steer: Steer | None = None,
    parent: Parent | None = None,
    hours: float | None = None,
    beside: Sequence[Readable] = (),
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[str]:
    """Explore one frame at the length scale of the agent, as one run.

    The frame is scanned once. Then the agent decides, the tip moves, a spectrum is taken and the agent learns it, again and
    again. Bias, set point and feedback are as before when the plan ends, however it ends.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    agent : AgentDevice
        Chooses the places; its scale gives the size of the frame, the budget and the stop rule. The agent maximises.
    budget : int, optional
        Number of spectra; that of the scale if not given.
    frame : Frame or mapping, optional
        Region to be explored. By default a square of the scale's size around the centre of the scanner's present frame, at its
        angle; of a recording, its frame.
    maps_every : int
        Number of spectra between two Events of the stream ``maps``.
    look : bool
        True to take a topograph; an agent that goes on with an earlier run (``resumes`` in ``md``) has seen one.
    ahead : bool
        True to let the agent decide while the tip measures, so that the microscope does not wait. The agent then decides
        without the spectrum that is being taken.
    drift : DriftCheck or mapping, optional
        Settings with which drift is measured and followed during the exploration; None for not at all.
    tip : TipCheck or mapping, optional
        Settings with which the tip is checked during the exploration, and spectra of a changed tip are revoked; None for not at
        all.
    steer : Steer, optional
        Through which a person can intervene.
    parent : Parent, optional
        Image in which ``frame`` was chosen: an overview finds the place again before the topograph is taken.
    hours : float, optional
        Time on the clock of the microscope, in h, after which no further spectrum is begun.
    beside : sequence of Readable
        Devices of the facility that are read with each spectrum, into the same Event.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run; why it ended is the ``reason`` in its stop document.

    Raises
    ------
    SettingsError, LimitError
        Before anything moves: for a budget larger than the number of candidates, or a frame outside the scan range.
    """
    scale = _scale(agent, budget)
    place = as_frame(frame) or _around(stm, scale)
    options = Options(
        maps_every,
        look,
        ahead,
        None if drift is None else DriftCheck.parse(drift),
        None if tip is None else TipCheck.parse(tip),
        hours,
        beside,
    )
    stm.scanner.check_value(place)
    stm.sweep.check_value(stm.sweep.settings)
    if options.drift and options.drift.share > 1:
        stm.scanner.check_value(replace(place, size=(options.drift.share * place.size[0], options.drift.share * place.size[1])))
    check_budget(scale, place, agent)
    check_scalarizer(stm, agent.scalarizer)
    _check_inside(place, agent)
    exploration = Exploration(stm, agent, scale, place, options, steer, parent)
    arguments = {"stm": stm.name, "agent": agent.name, "budget": scale.budget, "frame": place.as_dict(), **options.as_dict()}
    common = describe_run("explore", arguments, stm, place)
    metadata = {**common, **agent.metadata, "length_scale": scale.model_dump()}
    metadata |= {"packages": packages_of(agent.metadata, scale, stm), **(md or {})}

    @bpp.subs_decorator(agent.documents)
    @bpp.stage_decorator([stm.scanner, stm.sweep, agent, *beside_of(stm, agent.scalarizer), *beside])
    def run() -> MsgGenerator[str]:
        return (yield from run_with_reason(exploration.run(), metadata))

    return (yield from safely(stm, run()))


def _scale(agent: AgentDevice, budget: int | None) -> LengthScale:
    if agent.scale is None:
        raise SettingsError(f"The agent {agent.name!r} knows no length scale. Nothing has moved; make it with scale=.")
    return agent.scale if budget is None else agent.scale.changed(budget=budget)


def _around(stm: STM, scale: LengthScale) -> Frame:
    if (only := stm.controller.only_frame()) is not None:
        return only
    stands = stm.scanner.frame
    return Frame.square(stands.center, scale.frame, scale.pixels, stands.angle)


def check_budget(scale: LengthScale, frame: Frame, agent: AgentDevice) -> None:
    """Refuse a budget larger than the number of candidates.

    Parameters
    ----------
    scale : LengthScale
        Holds the budget.
    frame : Frame
        Region to be explored, from which the candidates of a raster follow.
    agent : AgentDevice
        Its settings give the candidates, or patch and step of the raster.

    Raises
    ------
    SettingsError
        With both numbers; nothing has moved then.
    """
    settings = agent.metadata["agent"]["settings"]
    places, way_out = settings.get("candidates"), "give the agent more candidates"
    if places is None and "patch" in settings:
        places, way_out = patch_centers(frame, settings["patch"], settings["step"]), f"lower the step of scale {scale.name!r}"
    if places is not None and scale.budget > len(places):
        raise SettingsError(
            f"A budget of {scale.budget} spectra is larger than the {len(places)} candidates in this frame, by "
            f"{scale.budget - len(places)}. Nothing has moved. Lower the budget, or {way_out}."
        )


def _check_inside(frame: Frame, agent: AgentDevice) -> None:
    """Refuse listed candidates that lie outside of the frame."""
    candidates = np.array(agent.metadata["agent"]["settings"].get("candidates") or [], dtype=float).reshape(-1, 2)
    outside = candidates[~frame.contains(candidates)]
    if len(outside):
        (x, y), (width, height) = outside[0], frame.size
        raise SettingsError(
            f"{len(outside)} of {len(candidates)} candidates lie outside of the frame, the first at ({x:g}, {y:g}) nm: the "
            f"frame, {width:g} x {height:g} nm, has its centre at ({frame.center.x:g}, {frame.center.y:g}) nm. "
            "Nothing has moved. Leave them out, or take a wider frame."
        )
