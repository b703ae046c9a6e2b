"""What is chosen by name: how it is named, refused, registered, brought by a package, and explained."""

import configparser
import json
import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, ClassVar

import pytest

from bluesky_stm import parts
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.parts import KINDS, Part, Parts, Settings, register, scalarizers, setting, stop_rules

GROUPS = [kind.group for kind in KINDS.values()]


class Colour(Part):
    """Something with a hue."""

    kind: ClassVar[str] = "colour"
    leading: ClassVar[str] = "hue"
    units: ClassVar[str] = "nm"

    name: str = "colour"
    hue: float = setting(500.0, "nm", "Wavelength.", gt=0)
    ends: tuple[float, float] = setting((0.0, 1.0), "", "Two ends.")
    word: str = setting("plain", "", "A word.")


@pytest.fixture
def colours():
    kind = Parts("colour", "bluesky_stm.tests_of_colours")
    kind.register(Colour)
    return kind


def brought(monkeypatch, kind, *points):
    """Let ``kind`` find these entry points."""
    monkeypatch.setitem(vars(kind), "_brought", {})
    for name, value in points:
        vars(kind)["_brought"].setdefault(name, []).append(EntryPoint(name, value, kind.group))


@pytest.mark.parametrize(
    ("choice", "hue", "ends", "word"),
    [
        ("colour", 500, (0, 1), "plain"),
        ("colour:hue=620", 620, (0, 1), "plain"),
        ("colour:ends=[2,3],word=loud", 500, (2, 3), "loud"),
        ('colour:word="a, b",hue=4e2', 400, (0, 1), "a, b"),
        ("colour:word=a=b", 500, (0, 1), "a=b"),
        ("colour:450", 450, (0, 1), "plain"),
        ({"name": "colour", "hue": 450}, 450, (0, 1), "plain"),
        (Colour(hue=450), 450, (0, 1), "plain"),
    ],
)
def test_one_part_is_named_in_many_ways(colours, choice, hue, ends, word):
    made = colours.make(choice)
    assert (made.hue, made.ends, made.word) == (hue, ends, word)
    assert colours.make(json.loads(json.dumps(made.describe()))) == made


@pytest.mark.parametrize(
    ("choice", "error", "said"),
    [
        ("color", UnknownNameError, "Did you mean 'colour'"),
        ("colour:hue=-1", SettingsError, "hue: it has to be greater than 0"),
        (
            "colour:hues=1,word=x",
            SettingsError,
            r"hues: there is no such setting. Did you mean .hue.\? Known: ends, hue, name, word",
        ),
        ("colour:ends=[1,2],loud", SettingsError, "'loud' in 'colour:ends=.*SETTING=VALUE"),
        ("colour:hue=NaN", SettingsError, "hue: it has to be a finite number"),
        ("colour:hue=1e400", SettingsError, "hue: it has to be a finite number"),
        ("colour:ends=[0,-Infinity]", SettingsError, "ends.1: it has to be a finite number"),
        ("colour:hue=4,hue=5", SettingsError, "sets hue twice"),
        ("colour:name=other", SettingsError, "sets name twice"),
        ('colour:word={"a":1,"a":2}', SettingsError, "a is set twice"),
        ({"hue": 3}, SettingsError, "chosen by its name"),
        (7, SettingsError, "A colour was expected, not 7"),
    ],
)
def test_what_is_wrong_is_said_when_a_part_is_named(colours, choice, error, said):
    with pytest.raises(error, match=said) as caught:
        colours.make(choice)
    assert "pydantic" not in str(caught.value)


def test_a_field_takes_whatever_names_a_part_and_stores_it_in_full(colours):
    class Palette(Settings):
        first: Annotated[Part, colours]

    palette = Palette(first="colour:hue=410")
    assert palette.first == Colour(hue=410)
    assert palette.model_dump(mode="json")["first"] == {"name": "colour", "hue": 410.0, "ends": [0.0, 1.0], "word": "plain"}
    assert Palette.parse(palette.model_dump(mode="json")) == palette
    with pytest.raises(SettingsError, match="first: There is no colour named 'coulor'"):
        Palette(first="coulor")


def test_settings_that_a_constructor_refuses_are_said_in_words_of_our_own():
    with pytest.raises(SettingsError, match=r"The colour 'colour' cannot be used: hue: .*\(got 'red'\). Nothing has"):
        Colour(hue="red")


def test_a_registered_class_is_known_and_no_other_may_take_its_name(colours):
    colours.register(Colour)  # the same once more, as a notebook's cell that is run again does

    class Other(Part):
        kind: ClassVar[str] = "colour"
        name: str = "colour"

    with pytest.raises(SettingsError, match="already"):
        colours.register(Other)


@pytest.mark.parametrize("thing", [3, "gap", None, object, type("Loose", (), {"name": "loose"})])
def test_what_is_no_part_is_not_registered(thing):
    with pytest.raises(SettingsError, match="cannot be registered"):
        register(thing)


def test_an_object_without_our_base_class_is_taken_as_it_is(monkeypatch):
    monkeypatch.setattr(scalarizers, "_registered", dict(scalarizers._registered))

    class Duck:
        name, units = "duck", "nS"

        def __call__(self, spectrum):
            return 1.0

        def describe(self):
            return {"name": self.name}

    duck = Duck()
    assert scalarizers.make(duck) is duck
    register(duck)
    assert scalarizers.make({"name": "duck"}) is duck
    with pytest.raises(SettingsError, match="takes no settings"):
        scalarizers.make({"name": "duck", "depth": 3})


def test_a_preset_has_a_name_and_a_text_of_its_own_and_is_changed_like_a_class(colours):
    red = Colour(word="warm").preset("red", "The colour of a cherry.", hue=620)
    colours.register(red)
    assert colours.make("red") == red and red.word == "warm"
    assert colours.make("red:ends=[2,3]") == Colour(name="red", hue=620, ends=(2, 3), word="warm")
    assert colours.make(json.loads(json.dumps(red.describe()))) == red
    said = colours.describe("red")
    assert said["about"] == "The colour of a cherry." and said["settings"][0]["default"] == 620
    with pytest.raises(SettingsError, match="hue: it has to be greater than 0"):
        colours.make("red:hue=-1")


def test_a_package_that_cannot_be_loaded_is_listed_and_refused_only_when_it_is_asked_for(colours, monkeypatch):
    brought(monkeypatch, colours, ("broken", "no_such_package:Thing"))
    assert colours.names == ["broken", "colour"]
    with pytest.raises(SettingsError, match="cannot be loaded: ModuleNotFoundError"):
        colours.make("broken")


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "import no_such_package", "Thing = 3", "def Thing(): ..."])
def test_a_package_that_is_a_script_or_brings_no_part_is_refused_by_its_name(colours, monkeypatch, tmp_path, body):
    (tmp_path / "broken_colours.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_colours", raising=False)
    brought(monkeypatch, colours, ("broken", "broken_colours:Thing"))
    with pytest.raises(SettingsError, match="'broken' of an unknown package"):
        colours.make("broken")
    assert colours.make("colour").hue == 500


def test_a_package_that_is_installed_only_in_part_is_told_by_its_module(colours, monkeypatch, tmp_path):
    """Its folder of metadata is there, with the entry points and without name and version."""
    folder = tmp_path / "half_colours-1.0.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_text(f"[{colours.group}]\nhalf = half_colours:Thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    vars(colours).pop("_brought", None)
    with pytest.raises(SettingsError, match="'half' of an unknown package with the module 'half_colours', which may be inst"):
        colours.make("half")
    assert "None" not in colours.package("half")


def test_a_class_may_register_itself_and_be_brought_by_an_entry_point_too(colours, monkeypatch, tmp_path):
    """A person puts the class of a notebook into a package as it is, its decorator included."""
    monkeypatch.setattr(scalarizers, "_registered", dict(scalarizers._registered))
    (tmp_path / "own_values.py").write_text(
        "from bluesky_stm.parts import scalarizers\nfrom bluesky_stm.scalarizers import ScalarizerPart\n\n\n"
        "@scalarizers.register\nclass Own(ScalarizerPart):\n    name: str = 'own'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_values", raising=False)
    point = EntryPoint("own", "own_values:Own", scalarizers.group)
    monkeypatch.setitem(vars(scalarizers), "_brought", {**scalarizers._brought, "own": [point]})
    assert scalarizers["own"].__name__ == "Own"


@pytest.mark.parametrize(
    ("choice", "beside", "values"),
    [
        ("colour:hue=450", {"hue": 700}, ("450", "700")),
        ({"name": "colour", "word": "loud"}, {"word": "soft"}, ("loud", "soft")),
        ("colour", {"name": "red"}, ("'colour'", "'red'")),
        (Colour(hue=450), {"hue": 700}, ("450", "700")),
        (Colour(), {"name": "red"}, ("'colour'", "'red'")),
    ],
)
def test_a_setting_that_is_given_twice_is_refused_with_both_values(colours, choice, beside, values):
    with pytest.raises(SettingsError) as caught:
        colours.make(choice, **beside)
    assert all(value in str(caught.value) for value in values)


def test_a_setting_beside_a_choice_that_does_not_hold_it_is_taken(colours):
    assert colours.make("colour:hue=450", word="soft") == Colour(hue=450, word="soft")
    assert colours.make(Colour(hue=450), word="soft") == Colour(hue=450, word="soft")


@pytest.mark.parametrize("settings", [{"hue": True}, {"ends": (0, False)}])
def test_a_switch_is_no_number(settings):
    with pytest.raises(SettingsError, match="not a switch"):
        Colour(**settings)


def test_a_list_of_parts_needs_no_quotation_marks():
    rule = stop_rules.make("any:of=[budget,time:3600,target:-0.7]")
    assert [one.name for one in rule.of] == ["budget", "time", "target"]
    assert rule == stop_rules.make('any:of=["budget","time:3600","target:-0.7"]')


@pytest.mark.parametrize("text", ["colour:", "recorded: "])
def test_a_colon_with_nothing_behind_it_is_refused(colours, text):
    with pytest.raises(SettingsError, match="Nothing stands behind the colon"):
        (colours if text.startswith("colour") else KINDS["controller"]).make(text)


def test_a_kind_is_said_with_its_article():
    with pytest.raises(SettingsError, match=r"^An agent was expected, not 3"):
        KINDS["agent"].make(3)
    with pytest.raises(SettingsError, match=r"^A sample is chosen by its name"):
        KINDS["sample"].make({"nam": "x"})


def test_a_name_that_two_packages_bring_is_nobodys(colours, monkeypatch):
    brought(monkeypatch, colours, ("grey", "one:Grey"), ("grey", "two:Grey"))
    with pytest.raises(SettingsError, match="uninstall one"):
        colours.make("grey")


def test_an_entry_point_in_the_wrong_group_is_refused(colours, monkeypatch):
    brought(monkeypatch, colours, ("gap", "bluesky_stm.scalarizers:Gap"))
    with pytest.raises(
        SettingsError, match=r"should lead to a colour, and bluesky_stm\.scalarizers:Gap is of the kind 'scalarizer'"
    ):
        colours.make("gap")


def test_a_part_explains_its_settings_with_units_and_defaults(colours):
    said = colours.describe("colour")
    assert said["about"] == "Something with a hue."
    assert said["units"] == "nm"
    hue = said["settings"][0]
    assert hue == {"name": "hue", "type": "number", "default": 500.0, "units": "nm", "about": "Wavelength.", "required": False}
    assert json.dumps(said)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_part_of_this_package_says_what_it_and_each_of_its_settings_is_for(kind):
    for name in kind.names:
        said = kind.describe(name)
        assert said["about"], f"{kind.kind} {name} has no docstring"
        for one in said["settings"]:
            assert one["about"], f"{kind.kind} {name}: nobody says what {one['name']} is for"
        json.dumps(said)


@pytest.mark.parametrize("group", GROUPS)
def test_the_entry_points_of_the_package_are_those_installed_and_lead_to_parts_of_that_name(group):
    """They stand in setup.cfg; an installation that is older than the checkout would miss some."""
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).resolve().parents[1] / "setup.cfg")
    listed = dict(line.split(" = ") for line in setup["options.entry_points"].get(group, "").strip().splitlines())
    installed = {p.name: p.value for p in entry_points(group=group) if p.dist and p.dist.name == "bluesky-stm"}
    assert installed == listed, "install the package again: pip install -e ."
    for name, value in listed.items():
        module, _, attribute = value.partition(":")
        part = getattr(import_module(module), attribute)
        own = part.model_fields["name"].default if isinstance(part, type) else part.name
        assert own == name


def test_every_scalarizer_of_the_package_is_brought_by_an_entry_point():
    from bluesky_stm import scalarizers as room

    classes = [c for c in vars(room).values() if isinstance(c, type) and issubclass(c, room.ScalarizerPart)]
    names = {c.model_fields["name"].default for c in classes if isinstance(c.model_fields["name"].default, str)}  # no bases
    assert names <= set(parts.scalarizers.names)
