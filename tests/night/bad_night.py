"""A night with everything wrong: where the spectra were taken, what was used of a changed tip, and where it ended.

Each night explores a fresh simulated EuZn2As2 surface on a bad day, with drift of 1 nm/h and creep, through
`facility.carry_out` as a queue does. In it the tip changes three times, the preamplifier clips, the contact is lost, the
connection fails once, the item is halted once and started again, and a person moves the tip once. The truth is that of the
simulated piezo and of the controller.
"""

import logging
import tempfile
from dataclasses import replace
from itertools import combinations

import numpy as np
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.controllers import BAD_DAY, SimulatedController
from bluesky_stm.devices import STM
from bluesky_stm.documents import StreamRouter
from bluesky_stm.errors import LostConnectionError
from bluesky_stm.facility import carry_out, plain_plan
from bluesky_stm.measurements import Quality
from bluesky_stm.plans import approach
from bluesky_stm.session import Session
from bluesky_stm.settings import LengthScale
from bluesky_stm.storage import open_catalog

HOUR = 1 / 3600
PROFILE = BAD_DAY.changed(drift=(0.8 * HOUR, -0.6 * HOUR), creep=0.01, tip_changes=0.0)
FOUND = {"scalarizer": {"name": "gap", "prefer": "small"}, "child": "confident"}
# Each run-up is longer than its frame: a longer one only adds creep, and without one hysteresis costs up to 2 nm.
SCALES = (
    {"name": "mesa", "frame": 200, "pixels": 512, "patch": 8, "step": 4, "seeds": 60, "budget": 80, "run_up": 80},
    {"name": "terrace", "frame": 50, "patch": 3, "step": 1, "seeds": 40, "budget": 60, "run_up": 75},
    {"name": "defect", "frame": 10, "patch": 1.2, "step": 0.2, "seeds": 20, "budget": 40, "run_up": 15},
)
CARE = {
    True: {
        "tip": {"every": 8, "pulse": [4, 0.1], "then": "renew"},
        "drift": {"every": 20, "pixels": 128},
        "suspend": {"sleep": 0},
    },
    False: {"tip": False, "drift": False, "suspend": False},
}


class BadNight(SimulatedController):
    """A microscope at which everything goes wrong once or more, at sweeps that the seed draws.

    A change of the tip shows by current in the gap; the second pulse brings the old tip back.
    """

    def __init__(self, seed, spectra):
        super().__init__(seed=seed, profile=PROFILE)
        draw = np.random.default_rng([seed, 4])
        numbers = [int(n) for n in draw.choice(np.arange(8, spectra), 11, replace=False)]
        self.changes, self.clipped, self.lost = set(numbers[:3]), set(numbers[3:6]), set(numbers[6:8])
        self.dead, self.killed, self.moved = numbers[8:]
        self.sweeps, self.spoilt, self.pulses = 0, False, 0
        self.poisoned = set()

    def scan(self, frame, *args, **kwargs):
        image = super().scan(frame, *args, **kwargs)
        off, last = self._scanning._scan.off, frame.pixels[0] - 1
        # A place of the image was seen when its line was scanned: the tip creeps and drifts while an image is taken.
        self.shown = lambda place: off[int(np.clip(np.round(frame.to_pixel(place)[0]), 0, last))]
        return image

    def pulse(self, bias, width):
        self.pulses += 1
        self.spoilt &= self.pulses < 2

    def sweep(self, settings, progress=None):
        self.sweeps += 1
        if self.sweeps in self.changes:
            self.spoilt, self.pulses = True, 0
        if self.sweeps == self.dead:
            raise LostConnectionError("The controller does not answer: the socket is dead.")
        if self.sweeps == self.moved:
            here = self.get_tip()
            self.move_tip((here.x + 7.0, here.y))
        taken = super().sweep(settings, progress)
        if self.sweeps in self.clipped:
            taken = replace(taken, quality=taken.quality | Quality.CLIPPED)
        if self.sweeps in self.lost:
            taken = replace(taken, quality=taken.quality | Quality.LOST_CONTACT)
        if self.spoilt:
            self.poisoned.add(taken.time)
            extra = 0.05 * taken.bias
            taken = replace(taken, current=taken.current + extra, didv=taken.didv + 0.05, lockin_x=taken.lockin_x + 8e-4)
        return taken


class Truth(StreamRouter):
    """Where the tip really was less where it was asked to be: at each spectrum, and at each place of an image."""

    def __init__(self, controller):
        super().__init__()
        self.controller, self.off = controller, {}

    def give(self, stream, event):
        now = self.controller._junction.piezo.displacement(self.controller.now())
        self.off[event["uid"]] = self.controller.shown if stream == "topograph" else now


def night(seed, care, scales=SCALES, folder=None):
    """Spend a night, and say what became of it."""
    controller = BadNight(seed, sum(scale["budget"] for scale in scales))
    named = {scale["name"]: LengthScale(**scale, **FOUND) for scale in scales}
    engine = RunEngine({}, context_managers=[])
    item = {"night": {"scales": [scale.model_dump(mode="json") for scale in named.values()], **CARE[care]}}
    with open_catalog(folder or tempfile.mkdtemp()) as catalog:
        stm = STM(controller=controller, name="stm")
        session = Session(stm, catalog, named, "bad", seed, RE=engine)
        truth = Truth(controller)
        engine.subscribe(truth)

        def kill(name, doc):
            if controller.sweeps >= controller.killed > 0 and name == "event":
                controller.killed = 0
                engine.loop.create_task(engine._request_pause_coro(False))

        engine.subscribe(kill)
        logging.getLogger("bluesky").setLevel(logging.CRITICAL)
        for _ in range(5):
            try:
                engine(carry_out(session, plain_plan("night"), item, {}))
                break
            except RunEngineInterrupted:
                engine.halt()
            except Exception:  # a person comes, looks at the tip, and starts the item again
                stm.clear_fault()
            if stm.withdrawn:
                engine(approach(stm))
        row = {"seed": seed, "care": care, "ended": catalog[-1].stop["exit_status"], "unsafe": int(not stm.withdrawn)}
        row |= judged(list(catalog), truth.off, controller)
        session.close()
    return row


def frame_of(event):
    """Centre and side of an image in an Event."""
    return np.array([event["stm_scanner_center_x"], event["stm_scanner_center_y"]]), event["stm_scanner_width"]


def judged(runs, off, controller):
    """Compare what is in the documents with the truth.

    A run that goes on with another one is counted with it. A spectrum was measured twice where the same candidate was asked
    for again and the tip stood, less than half a step away, on the same place of the surface.
    """
    known, errors, last = {}, [], None
    for run in runs:
        step, router, point = run.start["length_scale"]["step"], StreamRouter(), None
        origin, taken = known.get(run.start.get("resumes"), (None, []))
        for stream, event in router.events(run.documents()):
            data = router.data(event)
            if stream == "topograph":
                origin, last = off[event["uid"]], (frame_of(data), off[event["uid"]], run.start["length_scale"]["name"])
            elif stream == "agent":
                point = np.array([data["agent_x"], data["agent_y"]]), data["agent_candidate"]
            elif stream == "primary":
                reached = np.array([data["stm_sweep_x"], data["stm_sweep_y"]]) + off[event["uid"]]
                errors.append(np.hypot(*(reached - origin(point[0]) - point[0])) / step)
                bad = bool(data["stm_sweep_quality"])
                taken.append([point[1], data["stm_sweep_time"] in controller.poisoned, bad, reached / step])
            elif stream == "tip_check" and data["tip_check_revoked"]:
                for one in taken[-data["tip_check_revoked"] :]:
                    one[2] = True
        known[run.uid] = origin, taken
    chains = {id(taken): [one for one in taken if not one[2]] for _, taken in known.values()}.values()
    poisoned = sum(one[1] for used in chains for one in used)
    twice = sum(a[0] == b[0] and np.hypot(*(a[3] - b[3])) < 0.5 for used in chains for a, b in combinations(used, 2))
    (center, side), shown, name = last
    there = shown(center)
    found = controller.surface.defects(center + there - side / 2, center + there + side / 2)
    holds = name == "defect" and any("triangle" in defect.species for defect in found)
    within = float(np.mean(np.array(errors) <= 1))
    said = {"spectra": len(errors), "runs": len(runs), "within": within, "used": poisoned}
    return said | {"twice": int(twice), "vacancy": bool(holds)}


def table(rows):
    lines = ["| care | nights | within one step | values of a changed tip used | at a vacancy | unsafe tips | measured twice |"]
    lines.append("|---|---|---|---|---|---|---|")
    for care in (True, False):
        of = [row for row in rows if row["care"] is care]
        if not of:
            continue
        within = np.average([row["within"] for row in of], weights=[row["spectra"] for row in of])
        found, unsafe, used, twice = (sum(row[key] for row in of) for key in ("vacancy", "unsafe", "used", "twice"))
        count = len(of)
        lines.append(
            f"| {'on' if care else 'off'} | {count} | {100 * within:.1f} % | {used} | {found} of {count} | {unsafe} | {twice} |"
        )
    return lines
