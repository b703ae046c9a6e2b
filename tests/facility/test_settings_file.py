"""One settings file for everything; what is wrong in it is said before anything starts."""

import numpy as np
import pytest
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.devices import AgentDevice
from bluesky_stm.errors import SettingsError
from bluesky_stm.facility import Facility, open_session, read_settings, rehearsal
from bluesky_stm.facility._plain import plain_plan
from bluesky_stm.files import RecordedRun
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Grid, Setpoint
from bluesky_stm.night import Night
from bluesky_stm.scales import scales_named
from bluesky_stm.settings import LengthScale

TEXT = """
microscope: {name: simulated, seed: 7, profile: ideal}
limits: {bias: [-1.5, 1.5]}
sample: EuZn2As2, cleaved on Monday
operator: Ada
scales:
  - {name: terrace, frame: 50, pixels: 32, patch: 8, step: 4, budget: 3, seeds: 3, agent: random}
"""


@pytest.fixture(name="file")
def _file(tmp_path):
    path = tmp_path / "bluesky_stm.yaml"
    path.write_text(f"{TEXT}\ncatalog: {tmp_path / 'catalog'}\n")
    return path


def test_a_session_is_as_the_file_says(file):
    settings = read_settings({"BLUESKY_STM_SETTINGS": str(file)})
    with open_session(settings) as session:
        assert session.stm.limits.bias == (-1.5, 1.5)
        assert list(session.scales) == ["terrace"]
        assert session.stm.controller.describe()["seed"] == 7
        assert session.RE.md["operator"] == "Ada"
        assert session.catalog.path == settings.catalog


def test_without_a_file_all_is_as_the_package_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_settings({}) == Facility()


def test_the_environment_chooses_another_microscope(file):
    settings = read_settings({"BLUESKY_STM_SETTINGS": str(file), "BLUESKY_STM": "nanonis:stm-pc"})
    assert (settings.microscope.name, settings.microscope.host) == ("nanonis", "stm-pc")
    assert settings.operator == "Ada"


def test_a_path_may_follow_the_name_of_the_microscope():
    assert str(read_settings({"BLUESKY_STM": "recorded:C:/data/grid.3ds"}).microscope.path) == "C:/data/grid.3ds"


@pytest.mark.parametrize(
    "chosen",
    [
        '{name: simulated, sample: "EuZn2As2:figure 4", profile: bad_day}',
        '"simulated:sample=EuZn2As2:figure 4,profile=bad_day"',
        "{name: simulated, sample: {name: EuZn2As2, area: figure 4}, profile: bad_day}",
    ],
)
def test_a_microscope_with_its_settings_is_a_text_or_a_mapping(tmp_path, chosen):
    (tmp_path / "one.yaml").write_text(f"microscope: {chosen}")
    microscope = Facility.read(tmp_path / "one.yaml").microscope
    assert (microscope.sample.area, microscope.profile.name) == ("figure 4", "bad_day")


def test_a_microscope_that_the_environment_replaces_need_not_be_installed(tmp_path):
    path = tmp_path / "elsewhere.yaml"
    path.write_text("microscope: wobbly\noperator: Ada")
    with pytest.raises(SettingsError, match="no controller named 'wobbly'"):
        read_settings({"BLUESKY_STM_SETTINGS": str(path)})
    assert read_settings({"BLUESKY_STM_SETTINGS": str(path), "BLUESKY_STM": "simulated"}).operator == "Ada"


@pytest.mark.parametrize("microscope", ["nanonis:stm-pc", "simulated"])
def test_where_plans_are_only_listed_no_real_microscope_is_opened(microscope):
    assert not rehearsal(Facility.parse({"microscope": microscope})).microscope.real


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("catalogue: here", "catalogue"),
        ("limits: {bias: [2, -2]}", "must lie below"),
        ("limits: {temperature: [0, 300]}", "temperature"),
        ("microscope: simulatd", "Did you mean 'simulated'"),
        ("scales: [{name: a, frame: -5}]", "greater than 0"),
        ("alerts: {level: PANIC}", "PANIC"),
        ("publish: somewhere", "publish"),
        ("a: [", "is no YAML"),
        ("- a list", "settings by name"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_file(tmp_path, text, said):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said) as caught:
        Facility.read(path)
    assert str(path) in str(caught.value)


def test_limits_wider_than_the_hardware_are_refused_and_the_catalog_stays_free(tmp_path):
    wide = Facility.parse({"limits": {"bias": [-50, 50]}, "catalog": tmp_path})
    with pytest.raises(SettingsError, match="beyond what the hardware can do"):
        open_session(wide)
    with open_session(Facility.parse({"catalog": tmp_path})):
        pass


def test_a_microscope_that_does_not_take_a_setting_says_so(tmp_path):
    with pytest.raises(SettingsError, match="The controller 'simulated' cannot be used: colour: there is no such setting"):
        Facility.parse({"microscope": {"name": "simulated", "colour": "blue"}, "catalog": tmp_path})


def test_the_doctor_shows_what_holds(file, monkeypatch):
    monkeypatch.setenv("BLUESKY_STM_SETTINGS", str(file))
    shown = CliRunner().invoke(app, ["doctor"], catch_exceptions=False).output
    assert {"GPU", "torch", "microscope", "catalog", "limits", "scales"} <= set(shown.split())
    unwrapped = "".join(shown.split())
    for word in ("bluesky_stm.yaml", "cleavedonMonday", "Ada", "-1.5,1.5", "terrace"):
        assert word in unwrapped
    assert not any(line.endswith(" ") for line in shown.splitlines()), "no terminal shows these blanks"


def test_a_scale_that_names_no_scalarizer_seeks_the_smallest_gap_through_every_door(file):
    """By itself, in a set, the settings file, a night, the queue, and on recorded spectra."""
    plain = {"name": "s", "frame": 20, "pixels": 32, "patch": 8, "step": 4, "budget": 3, "seeds": 3, "agent": "random"}
    settings = read_settings({"BLUESKY_STM_SETTINGS": str(file)})
    bias = np.linspace(-1.5, 1.5, 201)
    didv = np.broadcast_to(np.clip(np.abs(bias) - 0.5, 0, None), (8, 8, 201))
    current, none = np.sign(bias) * didv**2 / 2, np.full((8, 8, 201), np.nan)
    grid = Grid(
        frame=Frame.square((0, 0), 10, 8), bias=bias, current=current, lockin_x=none, lockin_y=none, didv=didv,
        height=np.zeros((8, 8)), setpoint=Setpoint(1.5, 0.5),
    )  # fmt: skip
    recorded = LengthScale.parse({"name": "recorded", **RecordedRun.of_grid(grid).suggested_scale()})
    with open_session(settings) as session:
        queued = plain_plan("explore")(session, {"scale": plain, "agent": "random"})
        agent = next(msg.obj for msg in queued if isinstance(msg.obj, AgentDevice))
        found = {
            "scale": LengthScale.parse(plain).scalarizer,
            **{scale.name: scale.scalarizer for scale in scales_named("default")},
            "settings file": session.scale("terrace").scalarizer,
            "night": Night.parse({"scales": [plain]}).scales[0].scalarizer,
            "queue": agent.scalarizer,
            "recorded": recorded.scalarizer,
        }
    assert {door: (one.name, one.prefer) for door, one in found.items()} == dict.fromkeys(found, ("gap", "small"))
    assert LengthScale.parse({**plain, "scalarizer": "gap"}).scalarizer.prefer == "large", "what is named is as it says"
