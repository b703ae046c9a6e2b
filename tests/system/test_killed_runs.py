"""An exploration whose process is killed at any moment goes on in another one as if nothing had been."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from bluesky_stm.errors import SettingsError
from bluesky_stm.runs import rebuild_agent, replay, resume
from bluesky_stm.session import simulated
from bluesky_stm.teaching import teach

pytestmark = pytest.mark.system

BUDGET = 12
CHILD = f"""
import sys
from bluesky_stm.plans import explore
from bluesky_stm.session import simulated
session = simulated(seed=int(sys.argv[2]), catalog=sys.argv[1])
scale = session.scales["terrace"].changed(pixels=32, budget={BUDGET}, seeds=4, agent=sys.argv[3], patch=6, step=2)
session.RE(explore(session.stm, session.agent(scale)), lambda name, doc: print(name, flush=True))
"""


def kill(folder, seed, agent, documents, delay):
    """Explore in a child; kill it ``delay`` s after it emitted so many documents, or let it finish before."""
    with subprocess.Popen([sys.executable, "-c", CHILD, folder, str(seed), agent], stdout=subprocess.PIPE, text=True) as child:
        for _ in range(documents):
            child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        return documents + sum(line.strip() != "" for line in child.stdout)


def check(folder, seed, kept):
    """The catalog opens, lost nothing that was emitted, and another session completes its run; False if that had ended."""
    with simulated(seed=seed, catalog=folder) as session:
        killed = session.catalog[-1]
        if killed.complete:
            return False
        (recovered,) = session.catalog.recovered
        stored = sum(1 for _ in recovered.documents()) - 1
        assert recovered.uid == killed.uid and kept <= stored <= kept + 1
        if len(killed.spectra) == BUDGET:  # killed with all measured, before the last map
            with pytest.raises(SettingsError, match="nothing is left"):
                resume(killed)
            return True
        resumption = resume(killed)
        assert resumption.measured + resumption.budget == BUDGET
        session.RE(resumption.plan(session.stm))
        last = session.catalog[-1]
        assert last.complete and last.start["resumes"] == killed.uid
        assert len(killed.spectra) + len(last.spectra) == BUDGET
        places = Counter(tuple(np.round(spectrum.position, 1)) for run in (killed, last) for spectrum in run.spectra)
        assert max(places.values()) == 1, "no place is measured twice"
        assert replay(last).exact
        assert_same_state(resumption.agent.agent, killed, last)
        return True


def assert_same_state(agent, killed, last):
    """As an agent that learned the same values in one run that was never interrupted."""
    uninterrupted = rebuild_agent(killed.start)
    begun = [document for document in killed.documents() if document[0] != "stop"]
    teach(uninterrupted, [*begun, *((name, doc) for name, doc in last.documents() if name != "start")])
    assert uninterrupted.suggest(1) == agent.suggest(1)
    np.testing.assert_array_equal(uninterrupted.posterior().mean, agent.posterior().mean)


@pytest.mark.parametrize(("agent", "documents"), [("gp-xy", 1), pytest.param("gp-xy", 14, marks=pytest.mark.slow), ("dkl", 19)])
def test_a_killed_exploration_is_completed_by_another_session(tmp_path, agent, documents):
    assert check(tmp_path, 3, kill(tmp_path, 3, agent, documents, delay=0.01))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_explorations_killed_at_random_are_completed(tmp_path):
    """A run that came to its end before the signal did is no killed run, and another one is drawn."""
    draw, died, seed = random.Random(11), 0, 0
    while died < 30:
        seed += 1
        assert seed <= 60, f"only {died} of {seed - 1} runs died before their end"
        folder = tmp_path / str(seed)
        died += check(folder, seed, kill(folder, seed, "gp-xy", draw.randrange(1, 30), draw.uniform(0, 0.2)))
