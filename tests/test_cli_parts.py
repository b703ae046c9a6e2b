"""``bluesky-stm parts``: what can be chosen by name, for a person and for a program."""

import json
import re

import pytest
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.parts import KINDS


def said(*arguments):
    done = CliRunner().invoke(app, ["parts", *arguments], env={"COLUMNS": "80"}, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_every_part_of_every_kind_is_listed_within_the_width_of_a_terminal():
    text = said()
    for kind, registry in KINDS.items():
        assert kind in text
        for name in registry.names:
            assert re.search(rf"^{re.escape(name)}\b|^{re.escape(name)} ", text, re.MULTILINE), name
    assert max(map(len, text.splitlines())) <= 80


def test_one_part_is_shown_with_its_settings_their_units_and_defaults():
    text = said("acquisition-functions", "per-time")
    assert re.search(r"speed +50\.0 +nm/s +Speed of the tip", text)
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
        ("--child", "most-point", "Did you mean 'most-points'"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused_before_a_microscope_is_opened(option, text, refused, tmp_path):
    with pytest.raises(SettingsError, match=refused):
        CliRunner().invoke(app, ["run", option, text, "--catalog", str(tmp_path / "none")], catch_exceptions=False)
    assert not (tmp_path / "none").exists()
