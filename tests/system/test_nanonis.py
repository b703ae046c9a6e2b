"""The same exploration over TCP, and what becomes of a run when the microscope fails in the middle of it."""

import random
import re
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from typer.testing import CliRunner

from bluesky_stm.agents import make_agent
from bluesky_stm.cli import app
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.plans import explore, explore_multiscale
from bluesky_stm.protocols import TipState
from bluesky_stm.session import SCALES, Session, nanonis
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import open_catalog

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed: pip install 'bluesky-stm[nanonis]'")
from bluesky_stm.controllers.nanonis import Fault, FaultKind, NanonisServer, _spectroscopy
from bluesky_stm.controllers.nanonis._si import ours, si

pytestmark = pytest.mark.system

SMALL = [scale.changed(pixels=64, budget=8, seeds=5) for scale in SCALES]


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

    def move_tip(self, point, speed=None):
        self.inner.move_tip(place(point), speed)

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
        values = {"current": current, "lockin_x": x, "lockin_y": y, "didv": self.get_lockin().didv(x)}
        quality = Quality.CLIPPED if clipped else Quality.GOOD
        return replace(spectrum, position=place(spectrum.position), bias=settings.bias, quality=quality, **values)


def place(point):
    """Positions of the tip are float64 in SI."""
    return Point(*(ours(si(value, "nm"), "nm") for value in point))


def decisions(catalog):
    return [[(d.candidate, d.why, d.point) for d in run.decisions] for run in catalog]


def explored(session):
    with session:
        session.RE(explore_multiscale(session.stm, SMALL, session.agent, md={"sample": session.sample}))
        return decisions(session.catalog), [run.spectra for run in session.catalog]


@pytest.fixture(scope="module", name="both")
def _both(tmp_path_factory):
    """The same three scales, directly and over TCP."""
    direct = Rounded(SimulatedController(seed=7))
    scales = {scale.name: scale for scale in SMALL}
    stm = STM(controller=direct, name="stm")
    here = explored(Session(stm, open_catalog(tmp_path_factory.mktemp("direct")), scales, "EuZn2As2", 7))
    behind = SimulatedController(seed=7)
    lockin = behind.get_lockin()
    with NanonisServer(behind, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        options = {"lockin": (lockin.gain, lockin.offset), "sample": "EuZn2As2"}
        there = explored(nanonis("127.0.0.1", server.ports, 7, tmp_path_factory.mktemp("tcp"), **options))
    return here, there


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
