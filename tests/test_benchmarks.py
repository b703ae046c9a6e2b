"""Every benchmark is run by the one command, and every result is on the page that lists them."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def script(name):
    """A script of the folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


run_all = script("run_all")


def test_every_benchmark_is_run_by_the_one_command():
    scripts = {part for result in run_all.MADE for part in result.command if part.endswith(".py")}
    assert scripts >= {path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert all((ROOT / script).is_file() for script in scripts)


def test_every_result_is_listed_and_nothing_else():
    stored = {path.stem for path in run_all.RESULTS.iterdir()} - {"README"}
    assert stored == {result.name for result in run_all.MADE}
    page = (run_all.RESULTS / "README.md").read_text()
    assert [
        f"[{path.name}]" for path in run_all.RESULTS.iterdir() if path.stem != "README" and f"[{path.name}]" not in page
    ] == []


@pytest.mark.parametrize(
    ("text", "commit"),
    [
        ("All rows were made by bluesky_stm 0.1.0, commit 896d087d70, weights 5aa4.", "896d087"),
        ("made by commit 896d087d70+, weights", "896d087+"),
        ("| | commit 2037f2f | commit 2dfa152 |", "2dfa152"),
        ("no commit is named", None),
    ],
)
def test_the_commit_of_a_page_is_the_one_that_it_names_last(text, commit):
    assert run_all._commit_in(text) == commit


def test_a_part_of_the_table_of_costs_that_is_measured_anew_leaves_the_others_as_they_are():
    table = script("bench_speed")
    found = {"new": {"demo": 8.0, "memory of the demo": 0.3, "replay of the demo": 2.0}}
    found["old"] = {name: 10.0 for name in found["new"]}
    rows = [table.written(row, found) for row in table.ROWS if row.part == "demo"]
    assert rows[0] == "| demo | demo | 8 s | 10 s | 0.80 **missed** | 0.4 |"
    both, other = (
        "Rows of start, demo: beside commit 2037f2f, median of 1, by commit a.",
        "| start | ls | 1 s | 1 s | 1.00 | 3 |",
    )
    before = table.merged("", ["start", "demo"], ["| demo | demo | 9 s | 9 s | 1.00 | 0.4 |", other], both)
    after = table.merged(before, ["demo"], rows, "Rows of demo: beside commit 2037f2f, median of 5, by commit b.")
    lines = after.splitlines()
    assert [line for line in lines if line.startswith(("| demo", "| start"))] == [*sorted(rows), other]
    assert lines[-2:] == [
        "Rows of demo: beside commit 2037f2f, median of 5, by commit b.",
        "Rows of start: beside commit 2037f2f, median of 1, by commit a.",
    ]
    assert table.merged(after, ["demo"], rows, lines[-2]) == after
