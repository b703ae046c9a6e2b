"""``do``, ``submit``, ``steer``: any plan as plain JSON, here or through a queue, and requests to the one that runs."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import Folder, Queue, out
from bluesky_stm.data import JSON
from bluesky_stm.errors import SettingsError, STMError
from bluesky_stm.submission import CONTROL

PlanOrFile = Annotated[str, typer.Argument(help="Name of a plan, or a YAML file: {plan: NAME, PARAMETER: VALUE ...}.")]
Parameters = Annotated[
    list[str] | None,
    typer.Argument(help='Its parameters, each with its value as JSON: scale=mesa budget=40 drift={"every":5}.'),
]


@app.command()
def do(plan: PlanOrFile, parameters: Parameters = None, *, catalog: Folder) -> None:
    """Carry out any plan at the microscope of the settings file; bluesky-stm plans says which there are, and their parameters.

    A plan that was broken off, asked for again in the same way, goes on where it stopped; anew=true begins anew.
    """
    from bluesky_stm.cli._interrupts import execute, state_of
    from bluesky_stm.engine import run_engine
    from bluesky_stm.facility import carry_out, open_session, operator, plain_plan, read_settings

    name, given = item(plan, parameters or [])
    known = plain_plan(name)
    with open_session(read_settings().changed(catalog=catalog), run_engine({})) as session:
        session.RE.subscribe(lambda _, doc: out.print(f"Run {doc['uid']}"), "start")
        said = {"sample": session.sample, "operator": operator(getpass.getuser())}
        finished = execute(session.RE, carry_out(session, known, given, said), session.stm)
        if finished:
            out.print(f"{known.name} is done at the microscope {session.stm.controller.name}: {state_of(session.stm)}.")
    raise typer.Exit(0 if finished else 130)


@app.command()
def plans(name: Annotated[str | None, typer.Argument(help="One plan; else all.")] = None) -> None:
    """Say which plans there are as plain JSON, for do, submit and any client of the queue, and what each can be told."""
    from bluesky_stm.facility import plain_plan, plain_plans

    for one in [plain_plan(name)] if name else plain_plans().values():
        out.print(f"[bold]{one.name}[/]({', '.join(one.defaults)})", highlight=False)
        out.print(one.about if name else one.about.partition("\n")[0], markup=False)


@app.command()
def submit(
    plan: PlanOrFile,
    parameters: Parameters = None,
    queue: Queue = CONTROL,
    group: Annotated[str, typer.Option(help="Group of users on whose behalf.")] = "primary",
    user: Annotated[str, typer.Option(help="Who operates; your login name if not given.")] = "",
) -> None:
    """Put a plan into the queue of a server, if it makes sense; what does not is refused in the words of the plan."""
    from bluesky_stm.facility import check
    from bluesky_stm.submission import RefusedError, when_ready

    name, given = item(plan, parameters or [])
    try:
        check(name, given)
    except RefusedError as error:
        raise SettingsError(str(error)) from None
    with manager(queue) as server:
        from bluesky_queueserver_api import BPlan

        plan_item = BPlan(name, **given)
        added = when_ready(lambda: server.item_add(plan_item, user=user or getpass.getuser(), user_group=group))
    out.print(f"In the queue as {added['item']['item_uid']}, after {added['qsize'] - 1} others.")


@app.command()
def steer(
    request: Annotated[
        str,
        typer.Argument(
            help="mask, unmask, measure, scalarize, tune, budget, approve_each, accept, reject, pause, resume, stop, withdraw."
        ),
    ],
    parameters: Parameters = None,
    queue: Queue = CONTROL,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Ask something of the exploration that runs in a queue server; who, when and from where stands in its documents."""
    from bluesky_stm.cli._measure import changed_settings

    settings = changed_settings({}, parameters or [])
    with manager(queue) as server:
        out.print(
            str(call(server, "steer", request, getpass.getuser(), f"a shell at {socket.gethostname()}", settings, reason))
        )


def item(plan: str, parameters: list[str]) -> tuple[str, JSON]:
    """Return the name of a plan and its parameters.

    Parameters
    ----------
    plan : str
        The name, or a YAML file that says it and holds parameters.
    parameters : list of str
        Parameters, ``NAME=VALUE``, which hold in place of those in the file.

    Raises
    ------
    SettingsError
        When the file says no plan, or a text sets nothing.
    """
    from bluesky_stm.cli._measure import changed_settings

    told: JSON = {}
    if Path(plan).suffix in {".yaml", ".yml"}:
        from bluesky_stm.validated import read_yaml

        read = read_yaml(Path(plan))
        if not isinstance(read, Mapping) or not isinstance(read.get("plan"), str):
            raise SettingsError(f"{plan} should say plan: NAME, and the parameters of that plan. Nothing has been started.")
        told = {str(key): value for key, value in read.items() if key != "plan"}
        plan = read["plan"]
    return plan, changed_settings(told, parameters)


@contextmanager
def manager(queue: str) -> Iterator[Any]:
    """Give a client of a queue server; what it refuses is said as an error of this package."""
    from bluesky_stm.facility import manager as connection

    with connection(queue) as server:
        try:
            yield server
        except server.RequestFailedError as error:
            raise STMError(f"The queue server at {queue} has refused: {error}") from None
        except server.RequestTimeoutError:
            raise STMError(f"No queue server answers at {queue}. Is it running?") from None


def call(server: Any, function: str, *arguments: object) -> object:
    """Return what a function of the worker returns, called while a plan runs.

    Parameters
    ----------
    server : REManagerAPI
        Client of the queue server.
    function : str
        Name of the function.
    *arguments
        Its arguments, plain JSON.

    Raises
    ------
    STMError
        When it fails there, with its message.
    """
    from bluesky_queueserver_api import BFunc

    task = server.function_execute(BFunc(function, *arguments), run_in_background=True)["task_uid"]
    server.wait_for_completed_task(task, timeout=20)
    result = server.task_result(task)["result"]
    if not result["success"]:
        raise STMError(str(result["msg"]))
    return result["return_value"]
