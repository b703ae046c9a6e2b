"""The command line itself: which commands there are, and the application that loads the one that is asked for.

What a command needs takes a second to load, a list of all commands nothing: so the list has their first lines here, and a test
compares them with the docstrings.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info, get_command_name

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "_measure": {
        "demo": "Explore the simulated EuZn2As2 surface at three length scales, replay what was stored, write a report.",
        "run": "Explore with any microscope: simulated, or a recorded file that answers, or Nanonis over TCP, or one "
        "of another package.",
    },
    "_night": {
        "plan": "Say what a night will do, how long it takes and what it risks, and rehearse it on the simulated "
        "twin. Nothing moves.",
        "schema": "Print the JSON schema of night.yaml or of the settings file, which editors understand.",
    },
    "_items": {
        "do": "Carry out any plan at the microscope of the settings file; bluesky-stm plans says which there are, "
        "and their parameters.",
        "plans": "Say which plans there are as plain JSON, for do, submit and any client of the queue, and what each "
        "can be told.",
        "submit": "Put a plan into the queue of a server, if it makes sense; what does not is refused in the words of "
        "the plan.",
        "steer": "Ask something of the exploration that runs in a queue server; who, when and from where stands in its "
        "documents.",
    },
    "_live": {
        "live": "Show runs of another process as they go on, until the window is closed or Ctrl-C.",
    },
    "_resume": {
        "resume": "Go on with a run that was aborted or killed, or give a finished one a larger --budget; nothing is "
        "measured again.",
    },
    "_stored": {
        "ls": "List the stored runs, the newest last, with as many columns as the terminal is wide; all of them into a pipe.",
        "show": "Show what is known of one run: what, when, on what, where, by whom, what was found, how it ended.",
        "replay": "Teach a fresh agent the stored documents and check that it reaches every recorded decision again.",
        "what-if": "Say what another scalarizer or agent would have made of the same spectra.",
        "report": "Write one self-contained page about stored runs; several seeds or runs stand side by side on it.",
        "figure": "Draw one run for print: vector graphics with scale bars, colour bars, letters, set point, date and uid.",
        "export": "Write one run as a file that other programs read; the ending of its name says the format.",
        "verify": "Check that stored runs are what was written, byte for byte, by the chain of digests that each of "
        "them carries.",
        "crate": "Pack runs, or else the newest campaign, as an RO-Crate: documents and NeXus of each, who made them "
        "when, with what.",
        "import": "Take files of others, or exported runs, into the catalog: then they replay like our own.",
    },
    "_inspect": {
        "inspect": "Say what files hold: channels, ranges, set point, which channel becomes dI/dV, and what is missing "
        "to explore them.",
    },
    "_doctor": {
        "doctor": "Say what is installed, what can be chosen by name, and what the settings file says.",
    },
    "_parts": {
        "parts": "Show what can be chosen by name, from this package and others: settings, units, defaults, and what "
        "each is for.",
    },
    "_facility": {
        "ipython": "Open IPython with RE, stm, catalog, agents and plans by name.",
        "queue-files": "Write what a queue server needs to know, the list of plans and devices and the permissions, and say "
        "how to start it.",
        "deploy-files": "Write systemd units and a Dockerfile for the processes of a microscope, and say how to install them.",
        "agent": "Be the agent of one exploration from another machine: it learns from the stream and drives through "
        "the queue server.",
        "heartbeat": "Say whether the process that measures lives; status 1 if it has died or is silent.",
        "pvs": "Serve state, place, set point, current, progress and best value of the run that goes on as EPICS "
        "process variables.",
    },
    "_nanonis": {
        "nanonis-sim": "Be a Nanonis controller: its TCP protocol, with the simulated EuZn2As2 surface behind it, until "
        "Ctrl-C.",
        "nanonis-check": "Look at a Nanonis controller and say what an autonomous run would still need. Writes nothing.",
        "nanonis-phase": "Turn the demodulator of a Nanonis to where X holds all of dI/dV, calibrate the lock-in, and say its "
        "settings for run.",
    },
    "_desk": {
        "desk": "Serve a page that shows the run that goes on, and from which people who may steer it; until Ctrl-C.",
        "desk-token": "Make a token for a person who may watch, propose, steer or operate; it is shown once, and only its "
        "digest is kept.",
    },
    "_agents": {
        "mcp": "Let a language-model agent read runs, ask what-ifs and propose; it moves nothing, a person accepts "
        "or declines.",
        "proposals": "Show what programs propose; accept or decline it with your token, from BLUESKY_STM_TOKEN or asked for.",
    },
}
"""Modules of this package, and of each command in them the first paragraph of its help text."""


class Commands(Mapping[str, Any]):
    """The commands by name: the module of one is loaded when it is taken out, and no other.

    Parameters
    ----------
    application : typer.Typer
        What the modules enter their commands into.
    """

    def __init__(self, application: typer.Typer) -> None:
        self._application = application
        self._homes = {name: module for module, inside in COMMANDS.items() for name in inside}
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            importlib.import_module(f"bluesky_stm.cli.{self._homes[name]}")
            entered = {
                one.name or get_command_name(one.callback.__name__): one
                for one in self._application.registered_commands
                if one.callback
            }
            self._made[name] = get_command_from_info(entered[name], pretty_exceptions_short=False, rich_markup_mode=None)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)

    def __contains__(self, name: object) -> bool:
        return name in self._homes


class LoadedWhenUsed(TyperGroup):
    """All commands of the command line; the help text that lists them loads none."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told | {"commands": Commands(app)})

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the whole first paragraph of its help text."""
        with formatter.section("Commands"):
            formatter.write_dl([row for inside in COMMANDS.values() for row in inside.items()])


app = typer.Typer(
    cls=LoadedWhenUsed,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _whole() -> None:
    """A scanning tunneling microscope that explores a surface by itself."""
