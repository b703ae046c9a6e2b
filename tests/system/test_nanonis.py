"""The same exploration over TCP, and what becomes of a run when the microscope fails in the middle of it."""

import random
import re
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from bluesky.utils import FailedStatus
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.plans import explore, explore_multiscale
from bluesky_stm.protocols import TipState
from bluesky_stm.session import SCALES, Session, nanonis
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import open_catalog

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed: pip install 'bluesky-stm[nanonis]'")
from bluesky_stm.controllers.nanonis import NanonisController, _passage
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.controllers.nanonis_wire._si import ours, si

pytestmark = pytest.mark.system

SMALL = [scale.changed(pixels=64, budget=8, seeds=5) for scale in SCALES]

CLIPS = ["Safe Tip threshold"]
"""Many sweeps drive the preamplifier to its end: a Safe Tip that acts below it would end the run."""


def wire(value, unit="nm"):
    """What float32 in SI makes of a value."""
    return ours(float(np.float32(si(value, unit))), unit)


def wired(values, unit="nm"):
    return np.array([wire(value, unit) for value in np.ravel(values)]).reshape(np.shape(values))


class Rounded:
    """The simulated microscope seen through float32, in what it is asked and in what it answers."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def get_bias(self):
        return wire(self.inner.get_bias(), "V")

    def get_setpoint(self):
        setpoint = self.inner.get_setpoint()
        return Setpoint(wire(setpoint.bias, "V"), wire(setpoint.current, "nA"))

    def get_lockin(self):
        lockin = self.inner.get_lockin()
        return replace(lockin, amplitude=wire(lockin.amplitude, "V"), phase=float(np.float32(lockin.phase)))

    def move_tip(self, point, speed=None):
        return place(self.inner.move_tip(place(point), speed))

    def get_tip(self):
        tip = self.inner.get_tip()
        return TipState(*place(tip.point), wire(tip.z))

    def scan(self, frame, line_time=None, progress=None):
        size, angle = tuple(map(wire, frame.size)), float(np.float32(frame.angle))
        image = self.inner.scan(Frame(Point(*map(wire, frame.center)), size, frame.pixels, angle), line_time, progress)
        return replace(image, frame=frame, height=wired(image.height), setpoint=self.get_setpoint())

    def sweep(self, settings, progress=None):
        numbers = {name: wire(getattr(settings, name), "V") for name in ("start", "stop", "settle", "integrate")}
        spectrum = self.inner.sweep(replace(settings, **numbers), progress)
        current, x, y = (wired(channel, "nA") for channel in (spectrum.current, spectrum.lockin_x, spectrum.lockin_y))
        clipped = np.abs(current).max() >= wire(self.ranges["current"][1], "nA") * (1 - 1e-6)
        values = {"current": current, "lockin_x": x, "lockin_y": y, "didv": self.get_lockin().didv(x, y)}
        quality = (spectrum.quality & ~Quality.CLIPPED) | (Quality.CLIPPED if clipped else Quality.GOOD)
        return replace(spectrum, position=place(spectrum.position), bias=settings.bias, quality=quality, **values)


def place(point):
    """Positions of the tip are float64 in SI."""
    return Point(*(ours(si(value, "nm"), "nm") for value in point))


def decisions(catalog):
    return [[(d.candidate, d.why, d.point) for d in run.decisions] for run in catalog]


def explored(session, scales):
    with session:
        session.RE(explore_multiscale(session.stm, scales, session.agent, md={"sample": session.sample}))
        return decisions(session.catalog), [run.spectra for run in session.catalog]


def explored_both_ways(scales, folder):
    """The same three scales, directly and over TCP."""
    stm = STM(controller=Rounded(SimulatedController(seed=7)), name="stm")
    named = {scale.name: scale for scale in scales}
    here = explored(Session(stm, open_catalog(folder / "direct"), named, "EuZn2As2", 7), scales)
    behind = SimulatedController(seed=7)
    lockin = behind.get_lockin()
    with NanonisServer(behind, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        calibration = {f"lockin_{name}": getattr(lockin, name) for name in ("response", "offset", "reference")}
        options = {**calibration, "preamplifier": lockin.preamplifier, "sample": "EuZn2As2", "despite": CLIPS}
        there = explored(nanonis("127.0.0.1", 7, folder / "tcp", ports=server.ports, **options), scales)
    return here, there


@pytest.fixture(scope="module", name="both")
def _both(tmp_path_factory):
    return explored_both_ways(SMALL, tmp_path_factory.mktemp("both"))


def test_the_same_seed_makes_the_same_decisions_over_tcp(both):
    """At all three scales, in the same places, for the same reasons."""
    (here, _), (there, _) = both
    assert len(here) == 3
    assert all(len(run) >= 8 for run in here)
    assert there == here


def test_the_same_values_are_learned_over_tcp(both):
    """Bit by bit, once the direct ones are rounded to float32."""
    (_, here), (_, there) = both
    for direct, over_tcp in zip(here, there, strict=True):
        for one, other in zip(direct, over_tcp, strict=True):
            np.testing.assert_array_equal(one.current, other.current)
            np.testing.assert_array_equal(one.didv, other.didv)
            assert one.quality == other.quality


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_demo_makes_the_same_decisions_over_tcp(tmp_path):
    """Three scales of sixty spectra."""
    (here, _), (there, _) = explored_both_ways(SCALES, tmp_path)
    assert sum(map(len, here)) > 180
    assert there == here


# ---- what goes wrong in a run ----

TINY = LengthScale(name="tiny", frame=16, pixels=16, patch=4, step=2, budget=4, seeds=4, agent="random")
COMMANDS = ["FolMe.XYPosSet", "FolMe.XYPosGet", "BiasSpectr.Start", "BiasSpectr.LimitsGet", "ZCtrl.StatusGet", "Bias.Get"]
COMMANDS += ["Scan.Action", "Scan.WaitEndOfScan", "Scan.FrameDataGrab", "ZCtrl.OnOffGet", "ZCtrl.SetpntGet", "*"]


class Witness(SimulatedController):
    """Keeps all that it measured."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.swept = []

    def sweep(self, settings, progress=None):
        self.swept.append(super().sweep(settings, progress))
        return self.swept[-1]


def run_hit_by(faults, folder):
    """A small exploration with faults in it; the witness, what was stored, and how long it took."""
    witness = Witness(seed=3)
    with NanonisServer(witness, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        begun = time.monotonic()
        session = nanonis("127.0.0.1", 1, folder, ports=server.ports, sample="EuZn2As2", timeout=0.4, despite=CLIPS)
        plan = explore(session.stm, session.agent(TINY))
        for fault in faults:
            server.faults.add(fault)
        try:
            session.RE(plan)
        except Exception as error:  # whatever the run ended with: it must be stored, and the tip safe
            assert isinstance(error, STMError | FailedStatus), repr(error)
        safe = witness.get_feedback() or abs(witness.read_current()) < 0.01
        server.faults.clear()
        try:
            session.close()
        except STMError:
            session.catalog.close()
        return witness, safe, time.monotonic() - begun


def storm(seed, runs, folder):
    draw = random.Random(seed)
    for number in range(runs):
        faults = [
            Fault(draw.choice(list(FaultKind)), draw.choice(COMMANDS), draw.randint(1, 12), draw.choice([0.01, 1.6]))
            for _ in range(draw.randint(1, 3))
        ]
        where = folder / str(number)
        witness, safe, took = run_hit_by(faults, where)
        assert safe, f"{faults}: the tip is not safe"
        assert took < 30, f"{faults}: {took:.0f} s"
        with open_catalog(where) as catalog:
            runs = list(catalog)
            assert len(runs) == 1 or not witness.swept, f"{faults}: what was measured is not stored"
            assert all(run.stop["exit_status"] in {"success", "fail", "abort"} for run in runs)
            for stored in (spectrum for run in runs for spectrum in run.spectra):
                assert is_true(stored, witness.swept), f"{faults}: {stored.quality.words} {stored.current}"


def is_true(stored, swept):
    """As the witness has it, where it is not marked as overflown, as measured in the air, or as missing."""
    if stored.quality & (Quality.CLIPPED | Quality.LOST_CONTACT):
        return True
    known = np.isfinite([stored.current, stored.lockin_x, stored.lockin_y]).all(axis=0)
    if not (known.all() or stored.quality & Quality.INCOMPLETE):
        return False
    return any(np.allclose(stored.current[known], true.current[known], rtol=1e-5, atol=1e-8) for true in swept)


@pytest.fixture(autouse=True)
def _quick_sweeps(monkeypatch):
    monkeypatch.setattr(_passage, "OVERHEAD", 0.1)


def test_a_run_without_faults_is_whole(tmp_path):
    """So that the next ones test something."""
    witness, safe, _ = run_hit_by([], tmp_path)
    assert safe
    with open_catalog(tmp_path) as catalog:
        assert len(catalog[-1].spectra) == len(witness.swept) == 4


def test_runs_hit_by_faults_are_stored_and_leave_the_tip_safe(tmp_path):
    storm(1, 8, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_runs_hit_by_faults_are_stored_and_leave_the_tip_safe(tmp_path, seed):
    storm(seed, 40, tmp_path)


# ---- the command line ----


@pytest.fixture
def sim(request):
    """``bluesky-stm nanonis-sim`` as a process of its own; its ports, and how it is chosen."""
    arguments = ["--ports", "0,0,0,0", "--speed", "0", "--seed", "3", *getattr(request, "param", [])]
    command = [sys.executable, "-u", "-c", "from bluesky_stm.cli import main; main()", "nanonis-sim", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = "".join(islice(process.stdout, 2))
        yield re.search(r"ports ([\d,]+)", told)[1], re.search(r'--controller "(.+?)"', told)[1]
        process.kill()


THREE = "- {name: tiny, frame: 16, pixels: 16, patch: 4, step: 2, budget: 3, seeds: 3, agent: random}\n"


def test_a_person_checks_then_runs_at_the_simulated_server(sim, tmp_path):
    """Two processes, two commands; every write is printed before it is sent."""
    ports, controller = sim
    checked = CliRunner().invoke(app, ["nanonis-check", "--ports", ports], catch_exceptions=False)
    assert checked.exit_code == 1, checked.output
    assert "Not ready: see to 1 of" in checked.output  # the Safe Tip that is overridden below
    assert "Safe Tip threshold" in checked.output
    scales = tmp_path / "scales.yaml"
    scales.write_text(THREE)
    arguments = ["run", "--controller", f"{controller},announce=true", "--scales", str(scales)]
    done = CliRunner().invoke(app, [*arguments, "--catalog", str(tmp_path / "catalog")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.output.count("BiasSpectr.Start 1") >= 3  # those at the reference place of the tip among them
    with open_catalog(tmp_path / "catalog") as catalog:
        (run,) = catalog
        assert run.start["controller"]["versions"]["host_release"] == 14718
        assert len(run.spectra) == 3


def test_a_person_lets_the_demodulator_be_turned_and_gives_what_is_said_to_the_next_command(sim, tmp_path):
    """What is printed goes to another process, which knows the phase by it: the check then has nothing to recommend."""
    ports, controller = sim
    bare = f"nanonis:ports=[{ports}],despite=[Safe Tip threshold],preamplifier=7e-05"
    with closing(NanonisController(ports=[*map(int, ports.split(","))])) as turned:
        lockin = turned.get_lockin()
        turned.set_lockin(replace(lockin, phase=lockin.phase + 50.0))
    arguments = ["--controller", bare, "--stop", "1.0", "--times", "2", "--catalog", str(tmp_path)]
    done = CliRunner().invoke(app, ["nanonis-phase", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    by = float(re.search(r"degrees, ([+-][\d.]+) from before", done.output)[1])
    assert by == pytest.approx(-50.0, abs=4.0)
    told = done.output.splitlines()[-1]
    response = float(re.search(r"lockin_response=([\d.]+)", told)[1])
    assert response == pytest.approx(float(re.search(r"lockin_response=([\d.]+)", controller)[1]), rel=0.03)
    checked = CliRunner().invoke(app, ["nanonis-check", "--controller", f"{bare},{told}"])
    (line,) = [line for line in checked.output.splitlines() if " phase " in line]
    assert line.split()[0] == "ok", line
    with open_catalog(tmp_path) as catalog:
        assert len(catalog) == 2


@pytest.mark.parametrize("command", ["nanonis-check", "nanonis-phase"])
def test_another_microscope_is_refused_by_the_commands_for_nanonis(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [command, "--controller", "simulated"])
    assert done.exit_code
    assert "is no Nanonis" in f"{done.output}{done.exception}"


@pytest.mark.parametrize("sim", [["--fault", "drop:BiasSpectr.Start:5"]], indirect=True)
def test_a_fault_asked_for_on_the_command_line_ends_the_run_and_is_stored(sim, tmp_path):
    _, controller = sim
    (tmp_path / "scales.yaml").write_text(THREE)
    arguments = ["run", "--controller", controller, "--scales", str(tmp_path / "scales.yaml")]
    done = CliRunner().invoke(app, [*arguments, "--catalog", str(tmp_path / "catalog")])
    assert done.exit_code != 0
    with open_catalog(tmp_path / "catalog") as catalog:
        assert catalog[-1].stop["exit_status"] == "fail"
        assert len(catalog[-1].spectra) in {1, 2}  # the first sweeps of a run are those at the reference place of the tip
