"""A night with everything wrong: where the spectra were taken, what was used of a changed tip, and where it ended.

Each night explores a fresh simulated EuZn2As2 surface on a bad day, with drift of 1 nm/h and creep, through
`facility.carry_out` as a queue does. In it the tip changes three times, the preamplifier clips, the contact is lost, the
connection fails once, the item is halted once and started again, and a person moves the tip once. The truth is that of the
simulated piezo and of the controller.
"""

import logging
import tempfile
import time as clock
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import combinations, count

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.controllers import BAD_DAY, GOOD_DAY, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.devices import STM
from bluesky_stm.documents import StreamRouter
from bluesky_stm.errors import LostConnectionError
from bluesky_stm.facility import carry_out, plain_plan
from bluesky_stm.measurements import Quality
from bluesky_stm.plans import approach
from bluesky_stm.protocols import Failed
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.session import Session
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import open_catalog
from bluesky_stm.teaching import spectrum_from

HOUR = 1 / 3600
BEYOND = 1e6
"""A current, in nA, beyond every preamplifier."""
KEPT = ("within", "error", "drift", "creep", "hysteresis")
PROFILE = BAD_DAY.changed(drift=(0.8 * HOUR, -0.6 * HOUR), creep=0.01, tip_changes=0.0)
FOUND = {"scalarizer": {"name": "gap", "prefer": "small"}, "child": "confident"}
# A frame wider than the range of the hysteresis needs a run-up at each place; a smaller one has to be entered the same way.
# Spots 1 nm wide are told from streaks, which are a line high, by four lines or more.
SMALL = (
    {"name": "large", "frame": 50, "pixels": 192, "patch": 3, "step": 1, "seeds": 20, "budget": 60, "entry": 80},
    {"name": "defect", "frame": 10, "pixels": 96, "patch": 1.2, "step": 0.4, "seeds": 10, "budget": 30, "entry": 80},
)
SCALES = (
    {"name": "mesa", "frame": 200, "pixels": 512, "patch": 8, "step": 4, "seeds": 60, "budget": 80, "run_up": 80},
    {"name": "terrace", "frame": 50, "patch": 3, "step": 1, "seeds": 40, "budget": 60, "entry": 80},
    {"name": "defect", "frame": 10, "patch": 1.2, "step": 0.2, "seeds": 20, "budget": 40, "entry": 80},
)
CARE = {
    True: {
        "tip": {"every": 8, "pulse": [4, 0.1], "attempts": 6, "then": "renew"},
        "drift": {"every": 20, "pixels": 128},
        "suspend": {"sleep": 0},
    },
    False: {"tip": False, "drift": False, "suspend": False},
}


def vacancies(surface, center, side):
    """Number of vacancies in a square of the surface."""
    corner = np.full(2, side / 2)
    return sum("triangle" in defect.species for defect in surface.defects(center - corner, center + corner))


def within_reach(first, scales):
    """Seeds from ``first`` on, without end, with a vacancy where the first frame has candidates: nobody finds another one."""
    side = scales[0]["frame"] - scales[0]["patch"]
    return (seed for seed in count(first) if vacancies(SimulatedController(seed=seed).surface, np.zeros(2), side))


class BadNight(SimulatedController):
    """A microscope at which everything goes wrong once or more, at sweeps that the seed draws.

    A change of the tip shows by current in the gap; the second pulse brings the old tip back. On a good day nothing goes wrong.
    Its log says, for each sweep and each image, when it ended and where the tip really was less where it was asked to be.
    """

    def __init__(self, seed, spectra, good=False):
        super().__init__(seed=seed, profile=GOOD_DAY if good else PROFILE)
        draw = np.random.default_rng([seed, 4])
        numbers = [int(n) for n in draw.choice(np.arange(8, spectra), 11, replace=False)]
        self.changes, self.clipped, self.lost = set(numbers[:3]), set(numbers[3:6]), set(numbers[6:8])
        self.dead, self.killed, self.moved = numbers[8:]
        if good:
            self.changes, self.clipped, self.lost = set(), set(), set()
            self.dead = self.killed = self.moved = 0
        self.sweeps, self.spoilt, self.pulses = 0, False, 0
        self.log = []
        self.server = None

    @contextmanager
    def served(self):
        """Give a server of Nanonis before this microscope."""
        with NanonisServer(self, (0,) * 4) as self.server:
            self.server.software.registers.set("Util.AcqPeriod", [0.001])
            yield self.server

    @contextmanager
    def over_tcp(self):
        """Give a controller of a Nanonis, behind whose server this microscope is."""
        with self.served():
            # Time passes for a driver as for its microscope, or the drift of an hour would be that of a minute for it.
            clock, despite = self._acts.clock, ["Safe Tip threshold"]
            controller = NanonisController(ports=self.server.ports, timeout=10.0, despite=despite, clock=clock)
            try:
                yield controller
            finally:
                self.server.faults.clear()
                controller.close()

    def break_line(self):
        """Let the line to the microscope break in the middle of a sweep."""
        if self.server is None:
            raise LostConnectionError("The controller does not answer: the socket is dead.")
        self.server.faults.add(Fault(FaultKind.DROP))

    def marked(self, taken):
        """Return a spectrum that was clipped or taken in the air, where its number says so."""
        if self.sweeps in self.clipped and self.server is None:
            taken = replace(taken, quality=taken.quality | Quality.CLIPPED)
        elif self.sweeps in self.clipped:
            taken = replace(taken, current=np.where(taken.bias > taken.bias.max() - 0.2, BEYOND, taken.current))
        if self.sweeps in self.lost and self.server is None:
            taken = replace(taken, quality=taken.quality | Quality.LOST_CONTACT)
        elif self.sweeps + 1 in self.lost and self.server is not None:
            self.server.faults.add(Fault(FaultKind.WITHDRAW, "BiasSpectr.Start"))
        return taken

    def scan(self, frame, *args, **kwargs):
        piezo, lines = self._junction.piezo, []
        traced = type(piezo).traced

        def kept(rows, columns):
            scan = piezo._scans
            middles = sources(piezo, scan.time + 2 * scan.line_time * np.arange(rows.start, rows.stop))
            within = piezo._creep.to_and_fro(np.linspace(0, 1, columns), scan.end - scan.corner, scan.line_time).sum(axis=-2)
            lines.extend(middles[:, None] + np.stack([np.zeros_like(within), within], axis=-2))
            return traced(piezo, rows, columns)

        piezo.traced = kept
        image = super().scan(frame, *args, **kwargs)
        off, last = self._scanning._scan.off, np.subtract(frame.pixels, 1)

        def shown(place):
            """A place of the image was seen when its line was scanned: the tip creeps and drifts while an image is taken."""
            row, column = np.clip(np.round(frame.to_pixel(place)), 0, last).astype(int)
            return shares(lines[row][column], off[row, column])

        self.log.append((clock.time(), "topograph", shown))
        return image

    def pulse(self, bias, width):
        self.pulses += 1
        self.spoilt &= self.pulses < 2

    def sweep(self, settings, progress=None):
        self.sweeps += 1
        if self.sweeps in self.changes:
            self.spoilt, self.pulses = True, 0
        if self.sweeps == self.dead:
            self.break_line()
        if self.sweeps == self.moved:
            here = self.get_tip()
            self.move_tip((here.x + 7.0, here.y))
        taken = self.marked(super().sweep(settings, progress))
        piezo, middle = self._junction.piezo, (taken.time + self.now()) / 2
        off = shares(sources(piezo, middle), piezo.displacement(middle))
        self.log.append((clock.time(), "primary", (off, self.spoilt)))
        if self.spoilt:
            extra = 0.05 * taken.bias
            taken = replace(taken, current=taken.current + extra, didv=taken.didv + 0.05, lockin_x=taken.lockin_x + 8e-4)
        return taken


def sources(piezo, time):
    """Displacement of the tip by drift and by creep alone, in nm; shape (..., 2, 2)."""
    later = np.asarray(time, dtype=float)[..., None] - piezo._time
    drifted = piezo._drifted - (piezo._drift - piezo._compensated) * later
    return np.stack([drifted, piezo._creep.behind(time)], axis=-2)


def shares(known, whole):
    """Displacement by drift, by creep, and by hysteresis, which is the rest of the whole, in nm; shape (3, 2)."""
    return np.vstack([known, whole - known.sum(axis=0)])


def night(seed, care, scales=SCALES, folder=None, good=False, tcp=False):
    """Spend a night, on a good day or over TCP if asked, and say what became of it."""
    controller = BadNight(seed, sum(scale["budget"] for scale in scales), good)
    named = {scale["name"]: LengthScale(**scale, **FOUND) for scale in scales}
    engine = RunEngine({}, context_managers=[])
    item = {"night": {"scales": [scale.model_dump(mode="json") for scale in named.values()], **CARE[care]}}
    with ExitStack() as stack:
        catalog = stack.enter_context(open_catalog(folder or tempfile.mkdtemp()))
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        stm = STM(controller=stack.enter_context(controller.over_tcp()) if tcp else controller, name="stm")
        session = Session(stm, catalog, named, "bad", seed, RE=engine)

        def kill(name, doc):
            if controller.sweeps >= controller.killed > 0 and name == "event":
                controller.killed = 0
                engine.loop.create_task(engine._request_pause_coro(False))

        engine.subscribe(kill)
        monkeypatch.setattr(logging.getLogger("bluesky"), "disabled", True)  # every fault is wanted here
        for _ in range(12):
            try:
                engine(carry_out(session, plain_plan("night"), item, {}))
                break
            except RunEngineInterrupted:
                engine.halt()
            except Exception:  # a person comes, looks at the tip, and starts the item again
                stm.clear_fault()
            if stm.withdrawn:
                engine(approach(stm))
        row = {
            "seed": seed,
            "care": care,
            "good": good,
            "tcp": tcp,
            "ended": catalog[-1].stop["exit_status"],
            "unsafe": int(not stm.withdrawn),
        }
        row |= judged(list(catalog), controller)
        session.close()
    return row


def frame_of(event):
    """Centre and side of an image in an Event."""
    return np.array([event["stm_scanner_center_x"], event["stm_scanner_center_y"]]), event["stm_scanner_width"]


def night_in_the_queue(bench, controller, scales=SCALES):
    """Spend a night as an item of a real queue server, whose worker is killed once, at a simulated Nanonis over TCP.

    After each fault the worker's environment is opened again where it is gone, the tip approached, and the queue started.
    """
    from bluesky_queueserver_api import BFunc, BPlan

    item = {"scales": [LengthScale(**scale, **FOUND).model_dump(mode="json") for scale in scales], **CARE[True]}
    bench.queue_up(BPlan("night", night=item))
    client, left = bench.client, 1
    for _ in range(12):
        client.queue_start()
        while client.status(reload=True)["manager_state"] not in {"idle", "paused"}:
            if controller.sweeps >= controller.killed > 0:
                controller.killed = 0
                client.environment_destroy()
            clock.sleep(0.2)
        if client.status(reload=True)["manager_state"] == "paused":
            client.re_abort()
        client.wait_for_idle(timeout=120)
        left = client.status(reload=True)["items_in_queue"]
        if not left:
            break
        if not client.status(reload=True)["worker_environment_exists"]:
            client.environment_open()
            client.wait_for_idle(timeout=120)
        done = client.function_execute(BFunc("clear_fault"))  # by a person who has looked at the tip
        client.wait_for_completed_task(done["task_uid"])
        client.item_add(BPlan("approach"), pos="front")
    runs = bench.stored()
    return {"left": left, "ended": runs[-1].stop["exit_status"]} | judged(runs, controller)


def judged(runs, controller):
    """Compare what is in the documents with what the microscope did last before each of them was written.

    A run that goes on with another one is counted with it. A spectrum was measured twice where the same candidate was asked
    for again and the tip stood, less than half a step away, on the same place of the surface.
    """
    known, errors, last = {}, [], None

    def truth(stream, event):
        return max((one for one in controller.log if one[1] == stream and one[0] <= event["time"]), key=lambda one: one[0])[2]

    for run in runs:
        step, router, point = run.start["length_scale"]["step"], StreamRouter(), None
        scalarizer = make_scalarizer(run.start["scalarizer"])
        origin, taken = known.get(run.start.get("resumes"), (None, []))
        for stream, event in router.events(run.documents()):
            data = router.data(event)
            if stream == "topograph":
                origin = truth(stream, event)
                last = frame_of(data), origin, run.start["length_scale"]["name"]
            elif stream == "agent":
                point = np.array([data["agent_x"], data["agent_y"]]), data["agent_candidate"]
            elif stream == "primary":
                went = np.array([data["stm_sweep_x"], data["stm_sweep_y"]])
                off, spoilt = truth(stream, event)
                reached = went + off.sum(axis=0)
                apart = off - origin(point[0])
                apart[0] += went - point[0]  # what the plan took the drift for
                errors.append([np.hypot(*apart.sum(axis=0)) / step, *np.hypot(*apart.T) / step])
                bad = isinstance(scalarizer(spectrum_from(data)), Failed)  # what has no value is not used
                taken.append([point[1], spoilt, bad, reached / step])
            elif stream == "tip_check" and data["tip_check_revoked"]:
                for one in taken[-data["tip_check_revoked"] :]:
                    one[2] = True
        known[run.uid] = origin, taken
    chains = {id(taken): [one for one in taken if not one[2]] for _, taken in known.values()}.values()
    poisoned = sum(one[1] for used in chains for one in used)
    twice = sum(a[0] == b[0] and np.hypot(*(a[3] - b[3])) < 0.5 for used in chains for a, b in combinations(used, 2))
    (center, side), shown, name = last
    there = shown(center).sum(axis=0)
    holds = name == "defect" and vacancies(controller.surface, center + there, side) > 0
    errors = np.array(errors)
    within, sizes = float(np.mean(errors[:, 0] <= 1)), np.quantile(errors, 0.9, axis=0).round(2).tolist()
    said = {"spectra": len(errors), "runs": len(runs), "within": within, "used": poisoned}
    said |= dict(zip(("error", "drift", "creep", "hysteresis"), sizes, strict=True))
    return said | {"twice": int(twice), "vacancy": bool(holds)}


def table(rows):
    """Lines of a table in Markdown; errors are those that nine spectra of ten stay below, in steps of the candidates."""
    head = (
        "| care | nights | spectra | within one step | 90 % of the errors below | of drift | of creep | of hysteresis "
        "| values of a changed tip used | at a vacancy | unsafe tips | measured twice |"
    )
    lines = [head, "|" + "---|" * 12]
    nights = {
        "on": (False, True, False),
        "off": (False, False, False),
        "on, a good day": (True, True, False),
        "on, over TCP": (False, True, True),
    }
    for what, which in nights.items():
        of = [row for row in rows if (row["good"], row["care"], row.get("tcp", False)) == which]
        if not of:
            continue
        spectra = [row["spectra"] for row in of]
        mean = {key: np.average([row[key] for row in of], weights=spectra) for key in KEPT}
        found, unsafe, used, twice = (sum(row[key] for row in of) for key in ("vacancy", "unsafe", "used", "twice"))
        sizes = " | ".join(f"{mean[key]:.2f}" for key in KEPT[1:])
        lines.append(
            f"| {what} | {len(of)} | {sum(spectra)} | {100 * mean['within']:.1f} % | {sizes} | {used} "
            f"| {found} of {len(of)} | {unsafe} | {twice} |"
        )
    return lines
