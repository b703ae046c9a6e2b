"""A run made with parts of somebody's own is whole: it replays, loads, resumes and answers what-ifs, here and elsewhere."""

import subprocess
import sys

import numpy as np
import pytest
from bluesky import RunEngine

from bluesky_stm import load_run, parts, replay, report, resume, what_if
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.errors import UnknownNameError
from bluesky_stm.plans import explore
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import open_catalog

OWN = '''
import numpy as np

from bluesky_stm.agents import AgentPart
from bluesky_stm.parts import setting
from bluesky_stm.plans import StopRule
from bluesky_stm.protocols import Failed


class ZeroBias:
    """Has no base class of the package."""

    name, units = "zero_bias", "nS"

    def __call__(self, spectrum):
        if not np.isfinite(spectrum.didv).all():
            return Failed("the sweep is incomplete")
        return float(np.interp(0.0, spectrum.bias, spectrum.didv))

    def describe(self):
        return {"name": self.name}


class EnoughDecisions(StopRule):
    """Stop after some decisions."""

    name: str = "enough"
    decisions: int = setting(4, "", "Decisions.", ge=1)

    def __call__(self, state):
        return "enough" if len(state.decisions) > self.decisions else None


class Elsewhere(AgentPart):
    """Random places, by another name."""

    name: str = "elsewhere"

    def build(self, seed=0):
        from bluesky_stm.agents._plain import RandomAgent

        return RandomAgent(self, seed)
'''

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
import own_parts
from bluesky_stm import export, load_run, open_catalog, replay, resume, what_if
from bluesky_stm.errors import UnknownNameError
def to_nexus(run, parts=()):
    return export(run, sys.argv[2] + "/run.nxs", parts=parts)
known = [own_parts.ZeroBias(), own_parts.EnoughDecisions, own_parts.Elsewhere]
with open_catalog(sys.argv[1], write=False) as catalog:
    run = catalog[-1]
    for act in (replay, load_run, resume, what_if, to_nexus):
        try:
            act(run)
        except UnknownNameError as error:
            print(error)
    print(to_nexus(run, known).stat().st_size > 1000, replay(run, parts=known).exact)
    print(load_run(run)["spectra"]["value"].attrs["units"], resume(run, budget=9).budget, what_if(run).on_policy)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The module of somebody, whose parts this process forgets afterwards."""
    (tmp_path / "own_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    for kind in parts.KINDS.values():
        monkeypatch.setattr(kind, "_registered", dict(kind._registered))
    sys.modules.pop("own_parts", None)
    import own_parts

    return own_parts


def measured(own, catalog):
    """A run with the scalarizer as an object; stop rule and agent have to be known before a scale can name them."""
    parts.register(own.EnoughDecisions, own.Elsewhere)
    scale = LengthScale(
        name="small", frame=20, pixels=32, patch=4, step=2, budget=8, seeds=2, agent="elsewhere", stop="enough:decisions=4"
    )
    stm = STM(controller=SimulatedController(seed=1), name="stm")
    agent = AgentDevice(parts.agents.make(scale.agent, **scale.layout).build(1), scale, scalarizer=own.ZeroBias(), name="agent")
    engine = RunEngine()
    engine.subscribe(catalog)
    engine(explore(stm, agent))
    return catalog[-1]


def test_a_run_with_parts_of_ones_own_is_whole_in_this_process_and_in_another(own, tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        run = measured(own, catalog)
        assert len(run.spectra) == 4 and run.stop["reason"] == "enough"
        with pytest.raises(UnknownNameError, match=r"names the scalarizer 'zero_bias', which is not known here\. .*parts=\["):
            replay(run)
        assert replay(run, parts=[own.ZeroBias()]).exact
        assert load_run(run)["spectra"]["value"].attrs["units"] == "nS"
        assert np.isfinite(load_run(run)["spectra"]["value"]).all()
        assert resume(run, budget=6).budget == 2
        assert len(what_if(run, agent="gp-xy").decisions) == 4
        report([run.documents()], tmp_path / "page.html")
        assert "zero_bias" in (tmp_path / "page.html").read_text()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "catalog"), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *refused, exact, rest = done.stdout.splitlines()
    assert len(refused) == 5 and all("not known here" in line and "parts=[...]" in line for line in refused)
    assert exact == "True True" and rest == "nS 5 1.0"


def test_the_message_names_the_package_that_brought_the_part(recorder, tmp_path):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, packages={"agent": "my-lab-agents 0.3"}).run(3)
        with pytest.raises(UnknownNameError, match=r"names the agent 'toy'.* It came with my-lab-agents 0.3: install that"):
            replay(catalog[-1])
