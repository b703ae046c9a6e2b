"""A session is put together around a RunEngine and leaves it as it was."""

import pytest
from bluesky import RunEngine
from bluesky.plans import count

from bluesky_stm import session as sessions
from bluesky_stm.controllers import FakeController
from bluesky_stm.errors import CatalogError, SettingsError
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay, resume
from bluesky_stm.session import simulated
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import Catalog


def test_a_runengine_that_is_there_already_goes_on_without_the_session(tmp_path):
    """Its later runs are not this catalog's, and must not end because that is closed."""
    RE = RunEngine()
    with simulated(catalog=tmp_path, RE=RE) as session:
        RE(count([]))
        session.show_progress()
    RE(count([]))
    with simulated(catalog=tmp_path, RE=RE) as later:
        assert len(later.catalog) == 1 and later.catalog[-1].complete


def test_an_agent_of_a_session_can_be_told_of_earlier_runs_of_its_catalog(tmp_path):
    scale = LengthScale(name="s", frame=20, pixels=48, patch=3, step=1, budget=6, seeds=3, agent="gp-xy")
    with simulated(seed=4, catalog=tmp_path) as session:
        session.RE(explore(session.stm, session.agent(scale)))
        earlier = session.catalog[-1]
        heir = session.agent(scale, prior=[earlier.uid[:8]])
        session.RE(explore(session.stm, heir))
        run = session.catalog[-1]
        assert run.start["agent"]["prior"] == [earlier.uid]
        assert len(heir.agent.checkpoint()["inherited"]) == len(earlier.spectra)
        assert replay(run).exact


def test_a_run_is_not_resumed_at_another_microscope_or_another_surface(tmp_path):
    """The new spectra would stand beside those of another sample, under its name."""
    scale = LengthScale(name="s", frame=20, pixels=32, patch=4, step=2, budget=3, seeds=3, agent="random")
    with simulated(seed=1, catalog=tmp_path / "first", sample="Au(111)") as session:
        session.RE(explore(session.stm, session.agent(scale)))
        run = session.catalog[-1]
        resumption = resume(run, budget=4)
        for other, said in (
            ({"controller": "simulated", "seed": 99}, "the surface that answered then"),
            (
                {"controller": "simulated", "seed": 1, "sample": "Au(111)", "profile": "bad_day"},
                "the profile that answered then",
            ),
            ({"controller": "fake"}, "the microscope that answered then"),
        ):
            with sessions.open(**other, catalog=tmp_path / "other") as elsewhere:
                with pytest.raises(SettingsError, match=said):
                    resumption.plan(elsewhere.stm)
                assert elsewhere.stm.controller.now() == 0
        session.RE(resumption.plan(session.stm))
        assert len(session.catalog[-1].spectra) == 1


@pytest.fixture
def opened(monkeypatch):
    """Microscopes and catalogs that were opened and have not been closed."""
    still = []

    def kept(cls, method):
        real = getattr(cls, method)

        def watched(self, *arguments, **settings):
            if method == "close":
                still[:] = [one for one in still if one is not self]
            else:
                still.append(self)
            return real(self, *arguments, **settings)

        monkeypatch.setattr(cls, method, watched)

    for cls in (FakeController, Catalog):
        kept(cls, "__init__")
        kept(cls, "close")
    return still


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seed": "x"}, "The seed should be a whole number"),
        ({"seed": -1}, "The seed should be a whole number"),
        ({"seed": 2**70}, "The seed should be a whole number"),
        ({"seed": True}, "The seed should be a whole number"),
        ({"seed": 1.5}, "The seed should be a whole number"),
        ({"sample": {"nam": "x"}}, "A sample is given by its name"),
        ({"sample": 3}, "A sample is given by its name"),
        ({"sample": ""}, "A sample is given by its name"),
        ({"limits": [1]}, "The limits cannot be used"),
        ({"limits": {"bias": (float("nan"), 1)}}, "bias.0: Input should be a finite number"),
        ({"limits": {"bias": (-1000, 1000)}}, "beyond what the hardware can do"),
        ({"RE": 3}, "RE should be a RunEngine"),
        ({"steps": True}, "not a switch"),
        ({"controller": "fake:steps=5", "steps": 6}, "steps = 5 and steps = 6"),
        ({"name": "recorded"}, "name = 'fake' and name = 'recorded'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_stays_open(tmp_path, opened, asked, said):
    with pytest.raises(SettingsError, match=said):
        sessions.open(**{"controller": "fake", "catalog": tmp_path / "runs", **asked})
    assert not opened
    with sessions.open("fake", catalog=tmp_path / "runs") as session:
        assert opened and session.sample == "unnamed"
    assert not opened


@pytest.mark.parametrize("catalog", [3, "", None])
def test_what_is_no_catalog_is_refused_and_nothing_stays_open(opened, catalog):
    with pytest.raises(CatalogError, match="A catalog is a folder"):
        sessions.open("fake", catalog=catalog)
    assert not opened


def test_two_samples_are_refused_with_both_names(tmp_path):
    with pytest.raises(SettingsError, match=r"'Au\(111\)' and 'EuZn2As2'"):
        sessions.open("simulated:sample=Au(111)", sample="EuZn2As2", catalog=tmp_path / "none")
    with pytest.raises(SettingsError, match="profile = 'ideal' and profile = 'bad_day'"):
        sessions.open("simulated:profile=ideal", profile="bad_day", catalog=tmp_path / "none")
    assert not (tmp_path / "none").exists()
