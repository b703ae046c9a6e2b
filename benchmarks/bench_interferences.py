"""How often a program at a Nanonis is misled by people, faults, restarts and other programs in runs over TCP.

python benchmarks/bench_interferences.py benchmarks/results/interferences.md             170 seeds of 12 interferences, resumed
python benchmarks/bench_interferences.py FILE --seeds 10
"""

import argparse
import importlib.util
import json
from collections import Counter
from pathlib import Path

from made_by import made_by, rows_made_by

TEST = Path(__file__).parents[1] / "tests" / "controllers" / "nanonis" / "unkind" / "test_interferences.py"
FIRST = 100

PAGE = """# A program at a Nanonis under random interferences

    python benchmarks/bench_interferences.py benchmarks/results/interferences.md

{made_by}

Runs of one spectrum each over TCP at the simulated software, 12 interferences for each seed: 15 things that people do at the
instrument, before, during or after a sweep, {kinds} kinds of faults of single answers or beside them, cables pulled, the
software started anew, a second program. After each it is looked at what the microscope did and what the documents say
(`{test}`).

| | |
|---|---|
| interferences | {interferences} |
| wrong spectra that counted as good, or interferences that no document says | {wrong} |
| seeds after which nothing held the tip off the surface | {unsafe} of {seeds} |
| runs refused or failed, with the reason in the stop document or a pause for a person | {refused_or_failed} |
| spectra marked | {marked} |
| spectra good, equal to what the microscope did | {good} |
| interferences by people and other programs that the Event of the spectrum says | {said_in_the_Event} |
| without effect on that spectrum, and noticed at the next act | {noticed_at_the_next_act} |
| before the first sweep of a program, where gate and start document say it | {before_the_first_sweep} |
"""


def interferences():
    """The module of the test."""
    spec = importlib.util.spec_from_file_location("test_interferences", TEST)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(rows, module):
    """The figures of all rows."""
    sums = Counter()
    for row in rows:
        counted = {name.replace(" ", "_"): value for name, value in row.items() if isinstance(value, int) and name != "seed"}
        sums.update(counted)
    wrong = [row["wrong"] for row in rows if "wrong" in row]
    figures = {
        **{name: 0 for name in ("marked", "good", "said_in_the_Event", "noticed_at_the_next_act", "before_the_first_sweep")},
        **sums,
        "wrong": len(wrong),
        "unsafe": sum("held by nothing" in text for text in wrong),
        "seeds": len(rows),
        "kinds": len(module.WIRE),
        "test": TEST.relative_to(TEST.parents[4]).as_posix(),
        "made_by": rows_made_by(rows),
    }
    return PAGE.format_map(figures) + "".join(f"\n- {text}" for text in wrong)


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("file", type=Path)
    asked.add_argument("--seeds", type=int, default=170)
    given = asked.parse_args()
    kept = given.file.with_suffix(".json")
    rows = json.loads(kept.read_text()) if kept.exists() else []
    module = interferences()
    for seed in sorted(set(range(FIRST, FIRST + given.seeds)) - {row["seed"] for row in rows}):
        try:
            row = {**module.a_seed(seed), "seed": seed, "made_by": made_by()}
        except AssertionError as wrong:
            row = {"interferences": module.A_SEED, "seed": seed, "wrong": str(wrong).splitlines()[0], "made_by": made_by()}
        rows.append(row)
        kept.write_text(json.dumps(rows, indent=0) + "\n")
        print(row, flush=True)
    given.file.write_text(page(rows, module))


if __name__ == "__main__":
    main()
