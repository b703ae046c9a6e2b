"""A session is put together around a RunEngine and leaves it as it was."""

import logging
import subprocess
import sys

import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky.plans import count
from bluesky.utils import RunEngineInterrupted

from bluesky_stm import session as sessions
from bluesky_stm.controllers import FakeController
from bluesky_stm.errors import CatalogError, LimitError, SettingsError
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


@pytest.mark.parametrize("given", [{"a.b": 1}, {"note": [{"deep": {"a/b": 1}}]}])
def test_metadata_that_no_run_could_hold_are_refused_in_a_sentence_before_the_plan_begins(tmp_path, given):
    begun = []

    def plan():
        begun.append("begun")
        yield from bps.null()

    with simulated(catalog=tmp_path) as s:
        with pytest.raises(SettingsError, match=r"without '\.' and '/'\. The plan has not begun"):
            s.RE(plan(), **given)
        assert not begun and s.RE.state == "idle"
        s.RE(plan(), sample="another")
        assert begun


def test_a_run_that_a_person_has_aborted_is_told_without_a_traceback_and_one_that_failed_with_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("bluesky"), "propagate", True)  # which bluesky's own set-up of logging ends

    def paused():
        yield from bps.open_run()
        yield from bps.pause()

    def failing():
        yield from bps.open_run()
        raise OSError("no helium")

    with simulated(catalog=tmp_path) as session:
        with simulated(catalog=tmp_path / "other"):
            pass  # its end changes nothing here
        with pytest.raises(RunEngineInterrupted):
            session.RE(paused())
        session.RE.abort()
        with pytest.raises(OSError, match="no helium"):
            session.RE(failing())
    asked, failed = [record for record in caplog.records if record.getMessage() == "Run aborted"]
    assert asked.exc_info is None and failed.exc_info[0] is OSError


def test_a_refusal_within_a_plan_is_logged_as_the_sentence_that_it_says(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("bluesky"), "propagate", True)
    with simulated(catalog=tmp_path) as session, pytest.raises(LimitError, match="is outside"):
        session.RE(bps.mv(session.stm.bias, 1000))
    (told,) = [record for record in caplog.records if record.getMessage().startswith("Run aborted")]
    assert "1000 V is outside" in told.getMessage() and told.exc_info is None


def test_an_agent_of_a_session_is_told_what_counts_in_the_place_of_the_scalarizer_of_its_scale(tmp_path):
    with simulated(catalog=tmp_path) as session:
        agent = session.agent("terrace", scalarizer="conductance:bias=0.5")
        assert agent.scalarizer.describe()["bias"] == 0.5 and agent.scale.name == "terrace"
        assert session.agent("terrace").scalarizer.name == "gap"


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
        ({"limits": {"bias": (float("nan"), 1)}}, "bias.0: it has to be a finite number"),
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


NOTED = """
import sys
from bluesky import RunEngine
from bluesky_stm.engine import run_engine
quick = run_engine({"sample": "Au"})
assert "ophyd_async" not in sys.modules
slow = RunEngine({"sample": "Au"})
assert "ophyd_async.core" in sys.modules
assert quick.md == slow.md and "ophyd_async" in quick.md["versions"]
"""


def test_an_engine_notes_the_version_of_ophyd_async_without_loading_it_while_that_of_bluesky_still_loads_it():
    """When the second assertion fails, Bluesky no longer imports a package to know its version: `run_engine` is needless."""
    done = subprocess.run([sys.executable, "-c", NOTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_whoever_asks_for_more_than_a_version_while_an_engine_is_made_gets_the_package():
    """In a process of its own, since nothing may have loaded the package before."""
    code = """
import sys
from bluesky_stm.engine import _Version
stand_in = sys.modules["ophyd_async"] = _Version("ophyd_async", "0")
import ophyd_async
assert ophyd_async is stand_in and ophyd_async.__version__ == "0"
import ophyd_async.core
from ophyd_async.core import StandardReadable
assert sys.modules["ophyd_async"] is not stand_in and ophyd_async.core.StandardReadable is StandardReadable
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_session_that_measured_nothing_computes_nothing(tmp_path):
    """What the physics needs of scipy is loaded by the first act."""
    code = "import sys, bluesky_stm; bluesky_stm.simulated(catalog=sys.argv[1]).close(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert not {"scipy.special", "torch", "matplotlib", "bluesky_queueserver", "ophyd_async"} & set(done.stdout.split())


FORGOTTEN = """
import warnings
from bluesky import plan_stubs
from bluesky_stm.engine import make_plans_quickly

def forget():
    plan_stubs.null()

def said():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        forget()
    return str(caught[0].message)

messages = []
for act in (lambda: None, make_plans_quickly):
    act()
    print(type(plan_stubs.null()._stack) is list)
    messages.append(said())
print(messages[0] == messages[1], "in forget" in messages[1], messages[1].endswith("did you mean to use `yield from`?"))
"""


def test_a_plan_that_nobody_iterates_warns_in_the_words_of_bluesky_which_writes_them_down_for_each_plan():
    """When the first word is False, Bluesky no longer writes a text for each plan: `make_plans_quickly` is needless."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORGOTTEN], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False", "True", "True", "True"], done.stderr
