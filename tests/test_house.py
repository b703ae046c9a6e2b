"""The figures of ``benchmarks/house.py`` count what they say: sources made for this, whose figures are counted by hand."""

import importlib
import importlib.util
import pkgutil
import textwrap
from pathlib import Path

import pytest

import bluesky_stm

_SPEC = importlib.util.spec_from_file_location("house", Path(__file__).parents[1] / "benchmarks" / "house.py")
house = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(house)


@pytest.fixture
def measured(tmp_path):
    """Measure a package of files that are given as text."""

    def measure(**files):
        for name, text in files.items():
            file = tmp_path / "bluesky_stm" / f"{name}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(textwrap.dedent(text).lstrip("\n"))
        return house.measure(tmp_path)

    return measure


ARGUMENTS = '''
def whole(a, b, *, c=1):
    """Add.

    Parameters
    ----------
    a, b : float
        Terms, in nA.
    c : float
        Another.
    """

def half(a, b, c):
    """Add.

    Parameters
    ----------
    a : float
        A term.
    """

class Tip:
    """A tip."""

    def move(self, x, y, speed):
        """Move."""

    def come(self, x, y):
        """Take two arguments, which need no section."""

def _hidden(a, b, c):
    """Add."""
'''


def test_a_function_is_described_when_every_argument_is_named(measured):
    found = measured(one=ARGUMENTS)
    assert found.figures["described"] == pytest.approx(100 / 3)
    assert [place.what for place in found.places["described"]] == ["half", "Tip.move"]
    assert found.figures["mismatched"] == 1


def test_an_argument_without_a_word_or_in_the_wrong_place_is_a_mismatch(measured):
    found = measured(
        one='''
        def swapped(a, b):
            """Add.

            Parameters
            ----------
            b : float
                One.
            a : float
                Two.
            """

        def silent(a, b):
            """Add.

            Parameters
            ----------
            a : float
            b : float
                Two.
            """
        '''
    )
    assert [place.what.partition(":")[0] for place in found.places["mismatched"]] == ["swapped", "silent"]


def test_an_override_without_a_docstring_has_that_of_its_base(measured):
    found = measured(
        one='''
        class Base:
            """A base."""

            def move(self, x, y, z):
                """Move.

                Parameters
                ----------
                x, y, z : float
                    Place, in nm.
                """

        class Other(Base):
            """A class that moves in another way."""

            def move(self, x, y, z): ...

        class Stranger:
            """A class without a base."""

            def move(self, x, y, z): ...
        '''
    )
    assert found.figures["described"] == 50
    assert [place.what for place in found.places["described"]] == ["Stranger.move"]


def test_openings_lines_and_any_are_counted(measured):
    found = measured(
        one='''
        """Of the fragments, this is one."""

        from typing import Any

        LEAST = 3

        # A comment.
        class Sweep:
            """A noun begins this one.

            It has two lines.
            """

            values: dict[str, Any]

        def ended(given: Any) -> bool:
            """Whether it ended."""

        def offer():
            """Offer what is there."""
        ''',
        two='''
        """The other file."""
        LEAST = 3

        class Sweep:
            """A namesake."""
        ''',
    )
    assert found.figures["fragments"] == pytest.approx(100 * 2 / 6)
    assert found.figures["one_line"] == pytest.approx(100 * 5 / 6)
    assert found.figures["any"] == pytest.approx(1000 * 2 / found.figures["lines"])
    assert found.figures["comments"] == pytest.approx(1000 / found.figures["lines"])
    assert found.figures["classes"] == found.figures["constants"] == 1
    assert found.figures["code"] == 6 + 2


@pytest.mark.parametrize(
    ("kind", "at_the_bar"), [("described", True), ("fragments", False), ("any", False), ("longest", True), ("mismatched", True)]
)
def test_a_bar_says_on_which_side_it_counts(kind, at_the_bar):
    assert house.holds(kind, house.BARS[kind], house.BARS[kind]) is at_the_bar


def test_commands_and_tests_describe_their_arguments_elsewhere(measured):
    found = measured(
        one='''
        @app.command("export")
        def export_run(path, uid, catalog):
            """Write a run."""

        class Suite:
            """Tests."""

            def test_a_tip_moves(self, controller, clock, tip):
                """Come."""

        def plain(path, uid, catalog):
            """Write a run."""
        '''
    )
    assert [place.what for place in found.places["described"]] == ["plain"]


def test_each_argument_of_a_command_has_a_help_text():
    from typer.main import get_command

    from bluesky_stm.cli import app

    silent = {
        f"{name} {parameter.name}"
        for name, command in get_command(app).commands.items()
        for parameter in command.params
        if parameter.name != "help" and not getattr(parameter, "help", None)
    }
    assert silent == set()


def _classes():
    """Every class of the package, with the name of its module."""
    for found in pkgutil.walk_packages(bluesky_stm.__path__, "bluesky_stm."):
        if found.name.rpartition(".")[2] in {"__main__", "startup", "queue_startup", "happi_items"}:  # these open a session
            continue
        for one in vars(importlib.import_module(found.name)).values():
            if isinstance(one, type) and one.__module__ == found.name:
                yield one


def test_what_overrides_without_a_docstring_has_one_in_its_base():
    """Such a method does what its base promises; where the base promises nothing, it has to say itself what it does."""
    silent, seen = [], 0
    for one in _classes():
        for name, member in list(vars(one).items()):
            function = getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
            if getattr(function, "__override__", False) and not name.startswith("_") and not function.__doc__:
                seen += 1
                if not any(getattr(vars(base).get(name), "__doc__", None) for base in one.__mro__[1:]):
                    silent.append(f"{one.__module__}.{one.__qualname__}.{name}")
    assert seen > 100
    assert not silent
