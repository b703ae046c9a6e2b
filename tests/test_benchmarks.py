"""Every benchmark is run by the one command, and every result is on the page that lists them."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("run_all", ROOT / "benchmarks" / "run_all.py")
run_all = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(run_all)


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
