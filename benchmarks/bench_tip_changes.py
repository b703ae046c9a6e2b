"""How many jumps of the current within a spectrum are found, and how often one is reported where there was none.

``python benchmarks/bench_tip_changes.py results/tip_changes.md [SPECTRA]`` asks `tip_changes.largest_step` about simulated
spectra, whose jumps are known, and about the published ones, which were labelled by hand:
``tests/physics/published_jumps.json`` lists those with a jump of at least a tenth and those that a person could not tell. The
published files are not part of the package; their folder is ``BLUESKY_STM_DATA``, or ``../shared/data`` beside the repository.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from made_by import made_by

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.files import read
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.tip_changes import SMALLEST_SHARE, largest_step

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("BLUESKY_STM_DATA", ROOT.parent / "shared" / "data"))
LABELS = json.loads((ROOT / "tests" / "physics" / "published_jumps.json").read_text())


def found(spectrum):
    step = largest_step(spectrum)
    return step is not None and step.significance >= 1


def simulated(profile, stop, count):
    """Spectra of places all over the sample, taken with tips that change in about half of them."""
    stm = SimulatedController(seed=5, profile=f"{profile}:wear_field=0.3,wear_current=0,jump=[0.05,0.36]")
    settings = SweepSettings(-1.5, stop, 121)
    reading = stm.spectra(np.random.default_rng(1).uniform(-100, 100, (count, 2)), settings)
    row = {"of": f"simulated {profile}, to {stop:+.1f} V", "jumped": 0, "found": 0, "quiet": 0, "false": 0, "hidden": 0}
    for n in range(count):
        channels = {name: getattr(reading, name)[n] for name in ("current", "lockin_x", "lockin_y")}
        spectrum = Spectrum(
            position=Point(0, 0),
            bias=settings.bias,
            **channels,
            didv=stm.get_lockin().didv(channels["lockin_x"]),
            setpoint=stm.get_setpoint(),
            quality=reading.quality,
        )
        steps, size = np.abs(np.diff(reading.jumped[n])) / reading.jumped[n][:-1], np.abs(spectrum.current)
        seen = (np.minimum(size[1:], size[:-1]) > SMALLEST_SHARE * 0.2) & (np.maximum(size[1:], size[:-1]) < 10.0)
        if not steps.any():
            row["quiet"] += 1
            row["false"] += found(spectrum)
        elif (steps[seen] > 0.1).any():
            row["jumped"] += 1
            row["found"] += found(spectrum)
        elif (steps > 0.1).any():
            row["hidden"] += 1
    return row


def published(name):
    labels = LABELS[name]
    spectra = read(DATA / name).spectra
    flags = np.array([found(spectrum) for spectrum in spectra])
    quiet = sorted(set(range(len(spectra))) - set(labels["jumped"]) - set(labels["doubtful"]))
    return {
        "of": f"published, {name.partition('_')[0]}",
        "jumped": len(labels["jumped"]),
        "found": int(flags[labels["jumped"]].sum()),
        "quiet": len(quiet),
        "false": int(flags[quiet].sum()),
        "hidden": len(labels["doubtful"]),
    }


def total(of, rows):
    return {"of": of} | {key: sum(row[key] for row in rows) for key in ("jumped", "found", "quiet", "false", "hidden")}


def main():
    page, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 800
    rows = [simulated(profile, stop, count) for profile in ("good_day", "bad_day") for stop in (1.5, 2.4)]
    rows.append(total("**simulated, all**", rows))
    files = [published(name) for name in LABELS if (DATA / name).is_file()]
    rows += [*files, total("**published, all**", files)] if files else []
    lines = [
        "# Jumps of the current within a spectrum",
        "",
        "Jumps above 10 % of the current. Simulated ones are known: of 5 to 43 %, up or down, more often the higher the field.",
        "Those in the gap or above the range of the preamplifier are *hidden*: nobody sees them. The",
        "published spectra were labelled by hand from pictures of ln(I[k+1]/I[k]) beside what X says of it; *hidden* are those",
        "that a person could not tell (vibrations of the gap of 10 %, currents near the noise). The thresholds were chosen on",
        "these labels. The bar: 80 % found at under 2 % false.",
        "",
        "| spectra | with a jump | found | without | reported all the same | hidden |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        shares = f"{row['found']} ({row['found'] / row['jumped']:.0%})", f"{row['false']} ({row['false'] / row['quiet']:.1%})"
        lines.append(f"| {row['of']} | {row['jumped']} | {shares[0]} | {row['quiet']} | {shares[1]} | {row['hidden']} |")
    page.write_text("\n".join([*lines, "", f"All rows were made by {made_by()}.", ""]))
    print("\n".join(lines[lines.index("") + 8 :]))


if __name__ == "__main__":
    main()
