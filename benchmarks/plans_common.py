"""What the experiments on plans share: a simulated microscope, agents, documents by stream, results on disk."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from bluesky import RunEngine

from bluesky_stm.agents import make_agent
from bluesky_stm.devices import STM, AgentDevice

RESULTS = Path(__file__).parent / "results"


def agents(seed):
    """Makes the agent of a scale."""

    def make(scale):
        return AgentDevice(make_agent(scale.agent, seed, **scale.layout), scale, name="agent")

    return make


def carry_out(controller, plan_of):
    """Run ``plan_of(stm)``; data of the Events by stream, in runs, and the true place of the tip less the one asked at each."""
    runs, names = [], {}

    def keep(name, doc):
        if name == "start":
            runs.append({"start": doc, "events": defaultdict(list), "off": defaultdict(list)})
        elif name == "descriptor":
            names[doc["uid"]] = doc["name"]
        elif name == "event":
            runs[-1]["events"][names[doc["descriptor"]]].append(doc["data"])
            off = controller._junction.piezo.displacement(controller.now())  # noqa: SLF001 - the truth
            runs[-1]["off"][names[doc["descriptor"]]].append(off)
        elif name == "stop":
            runs[-1]["stop"] = doc

    stm = STM(controller=controller, name="stm")
    try:
        RunEngine(context_managers=[])(plan_of(stm), keep)
    finally:
        stm.worker.close()
    return runs


def write(name, lines, rows):
    """A table for people and the rows it was made from."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=1, default=float) + "\n")
    print("\n".join(lines))


def frame_of(event):
    """Centre and side of an image in an Event."""
    return np.array([event["stm_scanner_center_x"], event["stm_scanner_center_y"]]), event["stm_scanner_width"]
