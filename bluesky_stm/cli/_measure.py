"""Commands that measure: ``demo``, ``run``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._heap import one_heap
from bluesky_stm.cli._interrupts import execute
from bluesky_stm.cli._live import Picture, watched
from bluesky_stm.cli._options import FOLDER, AsJSON, Folder, Page, Seed, chosen, out, telling
from bluesky_stm.cli._stored import replay_all, write_report
from bluesky_stm.errors import SettingsError

if TYPE_CHECKING:
    from bluesky_stm.controllers import ControllerPart
    from bluesky_stm.facility import Facility
    from bluesky_stm.night import SampleRecord
    from bluesky_stm.parts import JSON
    from bluesky_stm.session import Session
    from bluesky_stm.settings import LengthScale


ENDED_BY_PERSON = 130
"""Exit status after Ctrl-C, as a shell gives it."""


@app.command()
def demo(
    catalog: Annotated[str, typer.Option(help="Folder, made if missing.")] = FOLDER, seed: Seed = 1, report: Page = None
) -> None:
    """Explore the simulated EuZn2As2 surface at three length scales, replay what was stored, write a report."""
    out.print("Opening a simulated microscope over EuZn2As2: three length scales of 60 spectra each, about a minute.")
    from bluesky_stm.cli._checked import checks_of
    from bluesky_stm.session import simulated

    one_heap()
    with simulated(seed=seed, catalog=catalog) as session:
        uids, finished = _explore(session, {})
        if not finished:
            raise typer.Exit(ENDED_BY_PERSON)
        out.print("Replaying them from what was stored.")
        checks = checks_of(replay_all(session.catalog, uids))
        same = all(check.good for found in checks.values() for check in found if check.kind == "replay")
        write_report(session.catalog, uids, report or session.catalog.path / "report.html", checks)
    out.print("Every recorded decision was reached again." if same else "Some decisions were not reached again: see above.")
    raise typer.Exit(0 if same else 1)


@app.command()
def run(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A night, night.yaml; else the file of --controller recorded, or the host of --controller nanonis."
        ),
    ] = None,
    controller: Annotated[
        str | None,
        typer.Option(
            help="Microscope and its settings: simulated:sample=Au(111),profile=bad_day or recorded:FILE or "
            "nanonis:host=HOST,safe_tip=8,announce=true; else as the settings file says, else simulated."
        ),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            help="YAML file with a list of length scales, from large to small, or the name of a set of them, such as paper; "
            "else as the settings file says."
        ),
    ] = None,
    budget: Annotated[int | None, typer.Option(help="Spectra at each scale.")] = None,
    scalarizer: Annotated[str | None, typer.Option(help=f"Scalarizer: what counts. {chosen('scalarizer')}")] = None,
    agent: Annotated[str | None, typer.Option(help=f"Agent: what chooses the places. {chosen('agent')}")] = None,
    stop: Annotated[str | None, typer.Option(help=f"Stop rule of each scale. {chosen('stop rule')}")] = None,
    child: Annotated[str | None, typer.Option(help=f"Child rule of each scale. {chosen('child rule')}")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help='A setting of the night, its value as JSON: drift=false, tip={"every":5}, budget.hours=8.'),
    ] = None,
    *,
    children: Annotated[int | None, typer.Option(min=1, help="Frames of the next scale inside one frame, at most.")] = None,
    step_back: Annotated[
        str | None, typer.Option(help=f"Step-back rule, for a child that disappoints. {chosen('step-back rule')}")
    ] = None,
    catalog: Folder,
    seed: Annotated[int | None, typer.Option(help="Seed of surface, noise and agents; else as the settings file says.")] = None,
    report: Page = None,
    sample: Annotated[
        str | None, typer.Option(help="Sample under the tip: a simulated microscope builds it, others note its name.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Show the run in a window as it goes on.")] = False,
    picture: Picture = None,
    as_json: AsJSON = False,
) -> None:
    """Explore with any microscope: simulated, or a recorded file that answers, or Nanonis over TCP, or one of another package.

    What no option says is as in the night, and then as in the settings file, ./bluesky_stm.yaml where there is one. Drift is
    followed, the tip checked, and withdrawn at the end, unless a setting says otherwise; with a recorded file nothing of that
    is needed.

    Ctrl-C once pauses at a safe place; twice ends the run with the feedback restored. What was measured is in the catalog.

    With --json standard output holds one object: the rows of the runs as ls --json has them, the catalog and the report.
    """
    from bluesky_stm.engine import run_engine
    from bluesky_stm.facility import open_session, read_settings
    from bluesky_stm.night import Night
    from bluesky_stm.parts import KINDS
    from bluesky_stm.storage import listed

    one_heap()
    place = read_settings()
    night, source = (
        (Night.read(Path(source)), None) if source and Path(source).suffix in {".yaml", ".yml"} else (Night(), source)
    )
    named = {"scalarizer": scalarizer, "agent": agent, "stop rule": stop, "child rule": child, "step-back rule": step_back}
    for kind, choice in named.items():
        if choice is not None:
            KINDS[kind].make(choice)  # what is wrong is said before a microscope is opened
    changes = {"budget": budget, "scalarizer": scalarizer, "agent": agent, "stop": stop, "child": child}
    told: JSON = {"microscope": _microscope(controller, source, place), "catalog": catalog}
    told |= {} if seed is None else {"seed": seed}
    asked = changed_settings(night.told, settings or ())
    asked |= {"scales": _read_scales(scales)} if scales else {}
    asked |= {} if children is None else {"child_frames": children}
    asked |= {} if step_back is None else {"step_back": step_back}
    described = Night.taken(Night.parse(asked), place.usual).sample
    if sample is not None:
        _check_sample(sample, described)
    with ExitStack() as whole:
        tell = whole.enter_context(telling(as_json))
        follow = whole.enter_context(watched(live, picture))
        session = whole.enter_context(open_session(place.changed(**told), run_engine({}), sample=sample))
        session.RE.subscribe(follow)
        if sample is not None:
            asked["sample"] = described.changed(name=session.sample) if described else session.sample
        asked["scales"] = [scale.chosen(**changes) for scale in session.as_night(asked).scales or session.scales.values()]
        uids, finished = _explore(session, asked)
        page = report or session.catalog.path / "report.html"
        if finished:
            write_report(session.catalog, uids, page)
        stored = [dict(row) for row in listed(session.catalog, newest=len(uids))] if uids else []
        tell({"finished": finished, "catalog": session.catalog.path, "report": page if finished else None, "runs": stored})
    raise typer.Exit(0 if finished else ENDED_BY_PERSON)


def _microscope(controller: str | None, source: str | None, settings: Facility) -> JSON | ControllerPart:
    """Return the microscope that is chosen, else that of the settings.

    Parameters
    ----------
    controller : str, optional
        The choice, as at the command line.
    source : str, optional
        Leading setting of the microscope, as if it stood behind the colon.
    settings : Facility
        Settings of this place.

    Raises
    ------
    SettingsError
        When the microscope has no use for ``source``, or its choice holds another one.
    """
    from bluesky_stm.parts import UNTOUCHED, controllers

    if source is None:
        return settings.microscope if controller is None else controllers.read_choice(controller)
    choice: JSON = {"name": settings.microscope.name} if controller is None else controllers.read_choice(controller)
    leading = controllers[choice["name"]].leading
    if not leading:
        raise SettingsError(f"The controller {choice['name']!r} has no use for {source!r}. {UNTOUCHED} Leave it out.")
    if leading in choice:
        raise SettingsError(f"Both {choice[leading]!r} and {source!r} are given as {leading}: leave one out. {UNTOUCHED}")
    return {**choice, leading: source}


def changed_settings(told: JSON, changes: Sequence[str]) -> JSON:
    """Return settings with those changed that are given as texts, ``NAME=VALUE`` or ``NAME.NAME=VALUE``.

    Parameters
    ----------
    told : dict
        Settings by name.
    changes : sequence of str
        The texts; a value is JSON, or a word as it stands.

    Raises
    ------
    SettingsError
        When a text sets nothing.
    """
    from bluesky_stm.parts import Settings, read_value

    changed = dict(told)
    for text in changes:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"{text!r} sets nothing: write NAME=VALUE. Nothing has been started.")
        outer, dot, inner = name.strip().partition(".")
        if not dot:
            changed[outer] = read_value(value)
            continue
        inside = changed.get(outer) or {}
        inside = inside.model_dump(mode="json", exclude_unset=True) if isinstance(inside, Settings) else inside
        if not isinstance(inside, dict):
            inside = {}  # a switch, which is on with these settings
        changed[outer] = {**inside, inner: read_value(value)}
    return changed


def _check_sample(sample: str, described: SampleRecord | None) -> None:
    """Refuse another sample than that of which night or settings file say more than its name: its gap would not hold."""
    if described is None or described.name.casefold() == sample.casefold() or described.model_fields_set == {"name"}:
        return
    more = ", ".join(sorted(described.model_fields_set - {"name"}))
    raise SettingsError(
        f"--sample says {sample}, and the night or the settings file describe {described.name} ({more}), which holds for no "
        "other sample. Nothing has been started. Leave --sample out, or describe the sample under the tip there."
    )


def _explore(session: Session, night: JSON) -> tuple[list[str], bool]:
    """Carry out a night; return the uids of its runs, and whether no person has ended it."""
    from bluesky_stm.facility import outlook

    session.show_progress()
    started: list[str] = []
    session.RE.subscribe(lambda name, doc: started.append(doc["uid"]), "start")
    described = session.as_night(night)
    out.print(f"On a real microscope {outlook(session, described).time}.")
    began = time.monotonic()
    finished = execute(session.RE, session.night(described), session.stm)
    stored = f"{len(started)} run" if len(started) == 1 else f"{len(started)} runs"
    out.print(f"{stored} stored in {session.catalog.path} after {time.monotonic() - began:.0f} s.")
    return started, finished


def _read_scales(choice: str) -> Sequence[LengthScale]:
    """Return the length scales of a set, or else those in a file."""
    from bluesky_stm.scales import SETS, scales_named
    from bluesky_stm.settings import LengthScale
    from bluesky_stm.validated import read_yaml

    path = Path(choice)
    if choice in SETS or not (path.exists() or path.suffix):
        return scales_named(choice)
    listed = read_yaml(path)
    if not isinstance(listed, list):
        raise SettingsError(
            f"{path} should hold a list of length scales, not {type(listed).__name__}. Nothing has been started."
        )
    return [LengthScale.parse(scale) for scale in listed]
