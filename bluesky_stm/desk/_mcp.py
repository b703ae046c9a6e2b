"""The tools as a server of the Model Context Protocol, over stdio or HTTP: strict in what it takes, plain in its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field, StrictFloat, StrictInt, StrictStr, ValidationError

from bluesky_stm.desk._errors import Refused, refusal_of
from bluesky_stm.desk._guard import Door
from bluesky_stm.desk._people import People, Person
from bluesky_stm.desk._tools import Tools
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST = 65_536
"""Size of a message over HTTP, in bytes."""

INSTRUCTIONS = """A scanning tunneling microscope that explores a surface by itself. Lengths are in nm, bias in V, current in
nA, time in s; places are (x, y) on the sample, x to the right, y up. You may read runs, ask what-ifs, propose. A proposal
moves nothing: it is rehearsed on a simulated twin, and a person with another credential accepts or declines it. What is
refused is told as JSON with a code and words."""

Nanometres = Annotated[StrictFloat, Field(allow_inf_nan=False, ge=-1e6, le=1e6, description="nm")]
Side = Annotated[StrictFloat, Field(allow_inf_nan=False, gt=0, le=1e6, description="nm")]
Run = Annotated[StrictStr, Field(max_length=40, description="uid of a run, or its beginning; empty for the one that goes on")]
Reason = Annotated[StrictStr, Field(min_length=1, max_length=500, description="Why, for the person who decides")]
Key = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{12}$", description="id of a proposal")]
Question = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{12}$", description="id of a question")]
Name = Annotated[StrictStr, Field(max_length=200)]


def make_server(tools: Tools, who: Callable[[Any], Person]) -> Any:
    """Return the server.

    Parameters
    ----------
    tools : Tools
        What it offers.
    who : callable
        From the headers of a request, None over stdio, who asks.
    """
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    asking: ContextVar[Person] = ContextVar("asking")

    class Strict(MCPServer):
        """Refuses arguments that a tool does not have, and says each refusal as JSON with a code."""

        async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
            try:
                asking.set(who(context.headers if context is not None else None))
                tool = self._tool_manager.get_tool(name)
                if tool is None:
                    raise Refused("unknown-name", f"There is no tool {name[:100]!r}.")
                known = tool.parameters.get("properties", {})
                if surplus := sorted(set(arguments) - set(known)):
                    raise Refused(
                        "bad-request", f"{name} takes no {surplus[0][:100]!r}. Known: {', '.join(known) or 'nothing'}."
                    )
                return await super().call_tool(name, arguments, context)
            except (Refused, ToolError) as error:
                refused = _refused(error)
                raise ToolError(json.dumps({"code": refused.code, "said": refused.said})) from None

    server = Strict("bluesky_stm", instructions=INSTRUCTIONS, log_level="WARNING")

    def tool(read_only: bool) -> Any:
        from mcp_types import ToolAnnotations

        return server.tool(annotations=ToolAnnotations(read_only_hint=read_only, destructive_hint=False, open_world_hint=False))

    @tool(True)
    def state() -> JSON:
        """What goes on now: the run, its state, spectra taken, the next place and why, time left, microscope, health."""
        return tools.state()

    @tool(True)
    def runs(newest: Annotated[StrictInt, Field(ge=1, le=100)]) -> JSON:
        """The newest runs of the catalog, the newest first."""
        return tools.runs(newest)

    @tool(True)
    def summary(run: Run) -> JSON:
        """What a run was for, with which settings, what it has found, its warnings, and how it ended."""
        return tools.summary(run)

    @tool(True)
    def decisions(run: Run, last: Annotated[StrictInt, Field(ge=1, le=200)]) -> JSON:
        """The last decisions of a run: where, why, what was predicted there and found, and the health of the model."""
        return tools.decisions(run, last)

    @tool(True)
    def predicted_map(run: Run) -> JSON:
        """The last predicted map of a run at its candidates: mean, standard deviation, acquisition; null where unknown."""
        return tools.predicted_map(run)

    @tool(True)
    def spectrum(run: Run, number: Annotated[StrictInt, Field(ge=0, le=1_000_000)]) -> JSON:
        """One spectrum, counted from 0: bias (V), current (nA), dI/dV (nS), lock-in X and Y (nA); null where not measured."""
        return tools.spectrum(run, number)

    @tool(True)
    def part(kind: Name, name: Name) -> JSON:
        """Documentation of what is chosen by name (scalarizer, agent, acquisition_function ...): all names, or one in full."""
        return tools.part(kind, name)

    @tool(True)
    def what_if(run: Run, scalarizer: Name, agent: Name) -> JSON:
        """How another scalarizer or agent would have chosen among the spectra of a run; empty text keeps the run's own.

        It may take minutes: where there is no `answer` yet, ask the tool `answer` for it by the `id`.
        """
        return tools.what_if(run, scalarizer, agent)

    @tool(True)
    def rehearse_night(night: dict[str, Any]) -> JSON:
        """What would become of a night, as in night.yaml, on the simulated twin: time, dose, limits, risks. Nobody is asked.

        It takes minutes: ask the tool `answer` for it by the `id`.
        """
        return tools.rehearse_night(night)

    @tool(True)
    def answer(id: Question) -> JSON:
        """The answer to a question that takes a while: waiting, working, or answered."""
        return tools.questions.answer(id)

    @tool(True)
    def drop(id: Question) -> JSON:
        """Drop a question that waits for its turn; nobody works on it then."""
        return tools.questions.drop(id)

    @tool(False)
    def propose_point(x_nm: Nanometres, y_nm: Nanometres, reason: Reason) -> JSON:
        """Propose the place of the next spectrum. Nothing moves: it is rehearsed on the twin, and a person decides."""
        return tools.propose(asking.get(), "measure", {"point": [x_nm, y_nm]}, reason)

    @tool(False)
    def propose_mask(x_nm: Nanometres, y_nm: Nanometres, width_nm: Side, height_nm: Side, reason: Reason) -> JSON:
        """Propose to leave out an area around a place. It is rehearsed, and a person decides."""
        area = {"center": [x_nm, y_nm], "size": [width_nm, height_nm]}
        return tools.propose(asking.get(), "mask", {"area": area}, reason)

    @tool(False)
    def propose_scalarizer(name: Name, settings: dict[str, Any], reason: Reason) -> JSON:
        """Propose that another property of the spectrum counts. It is tried on the spectra so far, and a person decides."""
        if "name" in settings:
            raise Refused("bad-request", "The name of a scalarizer stands outside of its settings.")
        return tools.propose(asking.get(), "scalarize", {"choice": {**settings, "name": name}}, reason)

    @tool(False)
    def propose_night(night: dict[str, Any], reason: Reason) -> JSON:
        """Propose a night, as in night.yaml. It is rehearsed on the twin, which takes minutes: ask `proposal` then."""
        return tools.propose_night(asking.get(), night, reason)

    @tool(True)
    def proposal(id: Key) -> JSON:
        """A proposal: rehearsing, open, accepted, declined, taken back or refused, with its card and what became of it."""
        return tools.proposal(id)

    @tool(False)
    def take_back(id: Key) -> JSON:
        """Take back a proposal of your own."""
        return tools.take_back(asking.get(), id)

    return server


def _refused(error: Exception) -> Refused:
    """Return the refusal behind what a tool has raised."""
    if isinstance(cause := error.__cause__, ValidationError):
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in cause.errors()[:5])
        return Refused("bad-request", f"{faults}. Nothing was asked.")
    return refusal_of(error)


def http_app(tools: Tools, people: People, hosts: tuple[str, ...], path: str = "/mcp", door: Door | None = None) -> ASGIApp:
    """Return the server over HTTP: each request needs the token of somebody who may propose.

    Parameters
    ----------
    tools : Tools
        What it offers.
    people : People
        Everybody who is known.
    hosts : tuple of str
        Names under which it is reached.
    path : str
        Where it is.
    door : Door, optional
        Who is let in; by default those who are known, under those names.
    """
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.requests import HTTPConnection

    from bluesky_stm.desk._guard import Guard, answer_of

    door = door or Door(people, hosts)

    def who(headers: Any) -> Person:
        token = str((headers or {}).get("authorization", "")).partition(" ")[2]
        return people.by_token(token.strip())

    inner = make_server(tools, who).streamable_http_app(
        streamable_http_path=path,
        stateless_http=True,
        json_response=True,
        max_request_body_size=LARGEST,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the guard does that
    )

    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                person = door.asking(HTTPConnection(scope), "propose")
                if not person.may("propose"):
                    raise Refused("not-allowed", f"{person.name} has the role {person.role!r}, which may not propose.")
            except Refused as refused:
                await answer_of(refused)(scope, receive, send)
                return
        await inner(scope, receive, send)

    return Guard(cast("ASGIApp", known), door)
