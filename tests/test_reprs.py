"""What a person sees who types the name of a thing: short, and what it is."""

import re

import pytest

import bluesky_stm
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay, resume, what_if
from bluesky_stm.settings import LengthScale
from bluesky_stm.views import RunRecord


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    with bluesky_stm.simulated(seed=7, catalog=tmp_path_factory.mktemp("shown")) as session:
        scale = LengthScale(name="first", frame=20, pixels=48, patch=3, step=1, budget=5, seeds=5, agent="gp-xy")
        device = session.agent(scale)
        fresh = session.agent(scale)
        session.RE(explore(session.stm, device))
        run = session.catalog[-1]
        yield {
            "session": session,
            "stm": session.stm,
            "scale": scale,
            "agent device": device,
            "agent": device.agent,
            "fresh agent": fresh.agent,
            "run": run,
            "catalog": session.catalog,
            "replay": replay(run),
            "what if": what_if(run, scalarizer="conductance"),
            "resumption": resume(run, budget=9),
            "record": RunRecord.of(run.documents()),
            "empty record": RunRecord(),
            "spectrum": run.spectra[0],
            "topograph": run.topograph,
        }


EXPECTED = {
    "session": r"<Session: <STM 'stm': SimulatedController>, sample 'EuZn2As2.*', scales .*terrace \(50 nm\).*, seed 7>",
    "stm": r"<STM 'stm': SimulatedController>",
    "scale": r"<LengthScale 'first': 20 nm, 48 pixels, 5 spectra, gap, gp-xy, confident, budget>",
    "agent device": r"<AgentDevice 'agent': gp-xy at first \(20 nm\), gap, 5 spectra learned>",
    "agent": r"<PositionAgent 'gp-xy': 5 spectra, \d+ candidates, seed 7>",
    "fresh agent": r"<PositionAgent 'gp-xy': no topograph yet, seed 7>",
    "run": r"<Run [0-9a-f]{8}: 2.*, explore, EuZn2As2.*, first, 5 spectra, success>",
    "catalog": r"<Catalog .*: 1 run>",
    "replay": r"<Replay: Run [0-9a-f]{8} \(first, gp-xy\): \d of \d decisions reproduced, bit for bit.>",
    "what if": r"<WhatIf: Run [0-9a-f]{8} with gp-xy on conductance: .*>",
    "resumption": r"<Resumption of [0-9a-f]{8}: 5 spectra there, 4 to take>",
    "record": r"<RunRecord [0-9a-f]{8}: 5 spectra, \d decisions>",
    "spectrum": r"<Spectrum at \(-?[\d.]+, -?[\d.]+\) nm: \d+ points, -1.5 to 1.5 V, set point -1.5 V, 0.2 nA, [a-z, ]+>",
    "topograph": r"<Topograph of 20 x 20 nm at \(0.00, 0.00\) nm, 48 x 48 pixels, set point -1.5 V, 0.2 nA, good>",
    "empty record": r"<RunRecord without.*: no topograph>",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_thing_says_what_it_is_in_a_line(things, name):
    shown = repr(things[name])
    assert re.fullmatch(EXPECTED[name], shown) and len(shown) < 350


def test_a_microscope_with_a_fault_says_so(things):
    things["stm"].latch(RuntimeError("the tip touched"))
    assert repr(things["stm"]) == "<STM 'stm': SimulatedController, fault: RuntimeError>"
    things["stm"].clear_fault()
    assert "fault" not in repr(things["stm"])


def test_a_notebook_shows_a_run_with_its_topograph(things):
    html = things["run"]._repr_html_()
    assert things["run"].uid in html and "<td>20 nm</td>" in html and "<td>gp-xy</td>" in html
    assert html.count("<img ") == 1 and len(html) < 200_000


def test_a_notebook_shows_a_topograph_and_a_spectrum(things):
    topograph, spectrum = (things[name]._repr_html_() for name in ("topograph", "spectrum"))
    assert topograph.count("<img ") == 1 and "48 x 48 pixels" in topograph
    assert spectrum.count("<svg ") == 2 and "current (nA) against bias (V)" in spectrum and "dI/dV (nS)" in spectrum
