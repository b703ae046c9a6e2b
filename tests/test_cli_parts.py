"""``bluesky-stm parts``: what can be chosen by name, for a person and for a program."""

import json
import re
import sys
from importlib.metadata import EntryPoint

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.cli._parts import registry_of
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.parts import KINDS


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """A terminal of 80 columns, whatever standard output is here."""
    monkeypatch.setattr("bluesky_stm.cli._parts.out", Console(highlight=False, width=80))


def said(*arguments):
    done = CliRunner().invoke(app, ["parts", *arguments], env={"COLUMNS": "80"}, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_every_part_of_every_kind_is_listed_within_the_width_of_a_terminal():
    text = said()
    for kind, registry in KINDS.items():
        assert f"{kind} (entry points: {registry.group})" in re.sub(r"\s+", " ", text)
        for name in registry.names:
            assert re.search(rf"^{re.escape(name)}\b|^{re.escape(name)} ", text, re.MULTILINE), name
    assert max(map(len, text.splitlines())) <= 80


def test_one_part_is_shown_with_its_settings_their_units_and_defaults():
    text = said("acquisition-functions", "near")
    assert re.search(r"share +0\.8 +Share of the largest", text)
    assert re.search(r"of +ei ", text)
    assert "to be given" in said("stop rule", "target")
    assert "takes no settings" in said("stop_rule", "budget")


def test_a_program_reads_the_same_as_json():
    one = json.loads(said("stop-rule", "time", "--json"))
    about = {"about": "Time that the run may take.", "required": True}
    assert one["settings"][0] == {"name": "seconds", "type": "number", "default": None, "units": "s", **about}
    assert {part["name"] for part in json.loads(said("agents", "--json"))} >= {"dkl", "gp-xy"}


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'stop rule'"):
        said("stop rul")


@pytest.mark.parametrize(
    ("option", "text", "refused"),
    [
        ("--scalarizer", "gap:sigmas=many", r"sigmas: .*\(got 'many'\)"),
        ("--agent", "dkl:steps=3", "steps: there is no such setting"),
        ("--stop", "target:-0.7x", r"value: .*\(got '-0.7x'\)"),
        ("--scalarizer", "", "There is no scalarizer named ''"),
        ("--agent", "", "There is no agent named ''"),
        ("--controller", "recorded:", "Nothing stands behind the colon"),
        ("--child", "most-point", "Did you mean 'most-points'"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused_before_a_microscope_is_opened(option, text, refused, tmp_path):
    with pytest.raises(SettingsError, match=refused):
        CliRunner().invoke(app, ["run", option, text, "--catalog", str(tmp_path / "none")], catch_exceptions=False)
    assert not (tmp_path / "none").exists()


def options():
    """Every option of the command line whose help says how a part is chosen: command, option, text."""
    for command, made in typer.main.get_command(app).commands.items():
        for option in made.params:
            if " with settings as in " in (getattr(option, "help", None) or ""):
                yield pytest.param(option.help, id=f"{command} {option.opts[0]}")


@pytest.mark.parametrize("text", list(options()))
def test_the_example_in_the_help_of_an_option_can_be_typed_in_and_is_of_its_kind(text):
    example, kind = re.search(r"as in (\S+); see: bluesky-stm parts (\S+)\.", text).groups()
    assert registry_of(kind).make(example).describe() != registry_of(kind).make(example.partition(":")[0]).describe()


@pytest.mark.parametrize(
    ("word", "kind"), [("profile", "instrument profile"), ("profiles", "instrument profile"), ("Format", "file format")]
)
def test_a_word_that_only_one_kind_has_names_it(word, kind):
    assert registry_of(word) is KINDS[kind]


def test_a_word_that_several_kinds_have_names_none():
    with pytest.raises(UnknownNameError, match="Known: child rule, step-back rule, stop rule"):
        registry_of("rule")


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "import no_such_package", "Thing = 3"])
def test_one_broken_package_hides_no_other_part_and_is_named_itself(monkeypatch, tmp_path, body):
    (tmp_path / "broken_part.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_part", raising=False)
    samples = KINDS["sample"]
    point = EntryPoint("mud", "broken_part:Thing", samples.group)
    monkeypatch.setitem(vars(samples), "_brought", {**samples._brought, "mud": [point]})
    text = said("sample")
    assert "EuZn2As2" in text and re.search(r"^mud +Cannot be used", text, re.MULTILINE)
    listed = {one["name"]: one for one in json.loads(said("sample", "--json"))}
    assert "'mud' of an unknown package" in listed["mud"]["error"] and "error" not in listed["Au(111)"]
    with pytest.raises(SettingsError, match="'mud' of an unknown package"):
        said("sample", "mud")
