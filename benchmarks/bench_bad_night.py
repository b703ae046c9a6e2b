"""A night with everything wrong, with care on and off: where the spectra were taken, and what was used of a changed tip.

``python benchmarks/bench_bad_night.py --seeds 20`` spends short nights of two scales (50 and 10 nm), ``--full`` whole ones of
three (200, 50 and 10 nm), ``--nights tcp --seeds 10 --keep`` adds some at a simulated Nanonis; ``results/bad_night*`` are
written. What happens in such a night says ``tests/night/bad_night.py``. Seeds are those whose first frame holds a vacancy where
it has candidates; the same nights on a good day, at which nothing goes wrong, say how many the budget can find at all.
"""

import argparse
import importlib.util
import json
import logging
from itertools import islice
from pathlib import Path

from plans_common import write

HERE = Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("bad_night", HERE.parent / "tests" / "night" / "bad_night.py")
bad_night = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bad_night)


NIGHTS = {
    "on": {"care": True},
    "off": {"care": False},
    "good": {"care": True, "good": True},
    "tcp": {"care": True, "tcp": True},
}
"""Care on, care off, a good day, and care on at a simulated Nanonis over TCP."""


def _kept(name, asked):
    """Rows that were measured before, of nights of other kinds than those asked for."""
    old = json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))
    kinds = [(one["care"], one.get("good", False), one.get("tcp", False)) for one in asked]
    return [row for row in old if (row["care"], row["good"], row.get("tcp", False)) not in kinds]


def tell(name, scales, rows):
    """Write the table of all nights so far, and the rows it was made from."""
    frames = ", ".join(f"{scale['frame']:g} nm ({scale.get('pixels', 256)} pixels)" for scale in scales)
    seeds = ", ".join(map(str, sorted({row["seed"] for row in rows})))
    lines = [
        f"Frames of {frames}, seeds {seeds}, each of which has a vacancy in its first frame. Bad_day with a drift "
        "of 1 nm/h, creep of 1 % a decade and hysteresis of 2.5 %; in each night three tip changes, three clipped "
        "spectra, two lost contacts, one dead socket, one killed item and one person who moves the tip by 7 nm during "
        "a sweep. On a good day nothing goes wrong. Over TCP Safe Tip withdraws the tip where contact is lost, and the "
        "line breaks within a sweep; a person approaches and starts the item again.",
        "",
        *bad_night.table(rows),
    ]
    write(name, lines, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--nights", nargs="+", choices=list(NIGHTS), default=list(NIGHTS))
    parser.add_argument("--keep", action="store_true", help="keep the nights of other kinds that were measured before")
    asked = parser.parse_args()
    scales, name = (bad_night.SCALES, "bad_night_full") if asked.full else (bad_night.SMALL, "bad_night")
    logging.disable(logging.ERROR)
    rows = _kept(name, [NIGHTS[which] for which in asked.nights]) if asked.keep else []
    for seed in islice(bad_night.within_reach(asked.first, scales), asked.seeds):
        for which in asked.nights:
            rows.append(bad_night.night(seed, scales=scales, **NIGHTS[which]))
            tell(name, scales, rows)


if __name__ == "__main__":
    main()
