"""A session is put together around a RunEngine and leaves it as it was."""

import pytest
from bluesky import RunEngine
from bluesky.plans import count

from bluesky_stm import session as sessions
from bluesky_stm.errors import SettingsError
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay, resume
from bluesky_stm.session import simulated
from bluesky_stm.settings import LengthScale


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
