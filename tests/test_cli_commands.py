"""The list of commands, which is written down apart from them so that it costs nothing."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest
from typer.main import get_command, get_command_name
from typer.testing import CliRunner

from bluesky_stm import cli
from bluesky_stm.cli._app import COMMANDS, app

LISTED = {name: (module, said) for module, inside in COMMANDS.items() for name, said in inside.items()}


def loaded(*arguments):
    """Modules of the command line, and rich's console, that a process has loaded at the end of a command."""
    code = (
        "import sys, json, atexit\n"
        "ours = lambda: [m for m in sys.modules if m.startswith('bluesky_stm.') or m == 'rich.console']\n"
        "atexit.register(lambda: print(json.dumps(ours()), file=sys.stderr))\n"
        "from bluesky_stm.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1])), done.stdout


def test_every_command_of_every_module_is_in_the_list_with_the_first_paragraph_of_its_help():
    for module in pkgutil.iter_modules(cli.__path__, "bluesky_stm.cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    entered = {
        one.name or get_command_name(one.callback.__name__): (
            one.callback.__module__.rpartition(".")[2],
            " ".join(inspect.getdoc(one.callback).partition("\n\n")[0].split()),
        )
        for one in app.registered_commands
    }
    assert entered == LISTED


def test_the_list_loads_no_command_and_holds_every_word_of_each_first_paragraph():
    modules, page = loaded("--help")
    assert modules == {"bluesky_stm.cli", "bluesky_stm.cli._app", "bluesky_stm.errors"}
    words = " ".join(page.split())
    for name, (_, said) in LISTED.items():
        assert f" {name} {said}" in words


def test_a_command_loads_its_own_module_and_those_that_it_names():
    modules, page = loaded("schema", "--help")
    assert {name for name in modules if name.startswith("bluesky_stm.cli._")} == {
        "bluesky_stm.cli._app",
        "bluesky_stm.cli._night",
        "bluesky_stm.cli._options",
    }
    assert "which editors" in page


@pytest.mark.parametrize("name", LISTED)
def test_a_command_shows_its_own_help(name):
    made = get_command(app).commands[name]
    assert made.name == name and made.callback.__module__ == f"bluesky_stm.cli.{LISTED[name][0]}"
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0 and f" {name} " in done.output.splitlines()[0]


def test_a_misspelt_command_is_refused_with_the_one_most_like_it():
    done = CliRunner().invoke(app, ["replai"])
    assert done.exit_code == 2 and "'replay'" in done.output
