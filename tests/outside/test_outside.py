"""A package that is not ours brings one part of each kind, and each goes through every door.

It is installed into a fresh environment by itself; what else is installed is looked up where it is. What is done there is done
in processes of their own, as a person does it: nothing of this test run is known to them.
"""

import json
import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from bluesky_stm.errors import UnknownNameError
from bluesky_stm.facility import reopened
from bluesky_stm.runs import replay
from bluesky_stm.storage import open_catalog

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky_queueserver"),
]

HERE = Path(__file__).parent
PARTS = {
    "scalarizer": "zero_bias",
    "agent": "cautious",
    "acquisition function": "pi",
    "stop rule": "spent",
    "child rule": "middle",
    "step-back rule": "share-of-parent",
    "sample": "Ag(111)",
    "instrument profile": "shaky",
    "controller": "cabin",
    "file format": "heights",
}
CHOSEN = {
    "scalarizer": "zero_bias:window=0.2",
    "agent": {"name": "cautious", "weighing": "pi:margin=0.05"},
    "stop": "spent:decisions=4",
    "child": "middle",
}
CABIN = "cabin:door=back,sample=Ag(111):onset=-0.08,profile=shaky:z_white=0.001,seed=3"
SAID = {"sample": {"name": "Ag(111)", "onset": -0.08}, "door": "back", "seed": 3}
LAID_OUT = {"pixels": 32, "budget": 5, "seeds": 3}
SCALES = [
    {"name": "wide", "frame": 40, "patch": 5, "step": 2.5, **LAID_OUT, **CHOSEN},
    {"name": "narrow", "frame": 12, "patch": 2, "step": 1, **LAID_OUT, **CHOSEN},
]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a fresh environment in which the package is installed, and nothing else."""
    pytest.importorskip("pip", reason="the package is installed by pip")
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False)
    fresh = folder / "venv" / "bin" / "python"
    library = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")}))
    here = dict.fromkeys([sysconfig.get_path("purelib"), *site.getsitepackages()])
    # Also the path files in them are read: an editable installation is one.
    (library / "present.pth").write_text("".join(f"import site; site.addsitedir({one!r})\n" for one in here))
    shutil.copytree(HERE, folder / "source", ignore=shutil.ignore_patterns("test_*", "__pycache__"))
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "--python", str(fresh), "install", *options, str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return fresh


@pytest.fixture(scope="module")
def call(python):
    """What a process of that environment prints: Python, or a command line."""

    def run(folder, *words, code=None, fails=False):
        command = [str(python), "-c", code] if code else [str(python), "-m", "bluesky_stm.cli", *map(str, words)]
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("BLUESKY_STM", "PYTHON"))}
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**ours, "COLUMNS": "400"})
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + (done.stderr if fails else "")

    return run


LINES = """
import json, sys
from bluesky_stm.cli import main
for words in json.loads({words!r}):
    sys.argv[1:] = words
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    print(f"\\n{mark}{{code}}", flush=True)
"""
MARK = "---- ended with "


@pytest.fixture(scope="module")
def lines(python):
    """What each of several command lines prints, one after the other in one process of that environment, and how it ended."""

    def run(folder, *lines):
        code = LINES.format(words=json.dumps([[str(word) for word in line] for line in lines]), mark=MARK)
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("BLUESKY_STM", "PYTHON"))}
        told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run([str(python), "-u", "-c", code], cwd=folder, env={**ours, "COLUMNS": "400"}, **told)
        assert done.returncode == 0 and done.stdout.count(MARK) == len(lines), done.stdout
        said = re.findall(rf"(.*?)^{MARK}(\d+)$", done.stdout, re.DOTALL | re.MULTILINE)
        return [(text, int(ended)) for text, ended in said]

    return run


@pytest.fixture(scope="module")
def explored(call, tmp_path_factory):
    """A folder with a catalog: two scales of the command line, every part of them from outside."""
    folder = tmp_path_factory.mktemp("explored")
    (folder / "scales.yaml").write_text(yaml.safe_dump(SCALES))
    descent = ["--children", "2", "--step-back", "share-of-parent:share=2,spectra=1"]
    words = ["--controller", CABIN, "--scales", "scales.yaml", *descent]
    call(folder, "run", *words, "--catalog", "catalog", "--report", "first.html")
    return folder


@pytest.fixture(scope="module")
def runs(explored):
    with open_catalog(explored / "catalog", write=False) as catalog:
        yield list(catalog)


def test_each_part_is_listed_with_its_package_and_its_settings(lines, tmp_path):
    (listed, _), (shaky, _) = lines(tmp_path, ["parts", "--json"], ["parts", "instrument profile", "shaky"])
    listed = json.loads(listed)
    found = {one["kind"]: one for one in listed if one["package"] == "stm-outside 0.1"}
    assert {kind: one["name"] for kind, one in found.items()} == PARTS
    assert found["scalarizer"]["settings"][-1]["units"] == "V" and found["sample"]["settings"][0]["default"] == -0.065
    assert "floor that shakes" in shaky


def test_the_command_line_explores_with_all_of_them_and_the_documents_say_so(runs):
    first = runs[0].start
    assert first["controller"]["firmware"] == "4.2" and first["controller"]["part"].items() >= SAID.items()
    assert first["controller"]["part"]["profile"]["name"] == "shaky"
    assert first["controller"]["part"]["profile"]["z_white"] == 0.001
    assert first["scalarizer"]["name"] == "zero_bias" and first["scalarizer"]["window"] == 0.2
    assert (first["agent"]["name"], first["agent"]["settings"]["weighing"]) == ("cautious", {"name": "pi", "margin": 0.05})
    assert {run.start["length_scale"]["stop"]["name"] for run in runs} == {"spent"}
    kinds = ("scalarizer", "agent", "stop rule", "child rule", "controller", "sample", "instrument profile")
    assert first["packages"] == dict.fromkeys(kinds, "stm-outside 0.1")


def test_its_rules_have_decided(runs):
    wide, narrow, *after = runs
    assert wide.stop["reason"] == "4 decisions are enough" and len(wide.spectra) < 5
    middle = narrow.start["frame"]["center"]
    assert max(abs(middle[0]), abs(middle[1])) < 3, "the child lies in the middle of its parent"
    again = [run.start["resumes"] for run in after if "resumes" in run.start]
    assert again and again[0] == wide.uid, "no child reaches twice the value of its parent: the parent is explored further"
    assert {decision.why for run in runs for decision in run.decisions} >= {"pi"}


def test_a_new_process_replays_reports_and_answers_what_if(lines, explored, runs):
    said = lines(
        explored,
        ["replay", runs[0].uid, "--catalog", "catalog"],  # it ends with an error where a decision is not reached again
        ["what-if", runs[0].uid, "--scalarizer", "zero_bias:window=0.4", "--catalog", "catalog"],
        ["report", runs[0].uid, "-o", "again.html", "--catalog", "catalog"],
    )
    assert [ended for _, ended in said] == [0, 0, 0], said
    assert said[1][0]
    assert "zero_bias" in (explored / "again.html").read_text() and (explored / "first.html").exists()


def test_a_run_goes_on_in_a_new_process_at_the_same_microscope(call, explored, runs):
    uid = runs[0].uid
    code = f"""
from bluesky_stm import runs
from bluesky_stm.facility import reopened
from bluesky_stm.storage import open_catalog
with open_catalog("catalog", write=False) as catalog:
    start = catalog[{uid!r}].start
with reopened(start, "catalog") as session:
    resumption = runs.resume(session.catalog[{uid!r}], budget=9)
    session.RE(resumption.plan(session.stm))
    last = session.catalog[-1]
    assert last.start["resumes"] == {uid!r} and last.start["controller"] == start["controller"]
    assert runs.replay(last).exact
    print(type(session.stm.controller).__name__, last.start["sample"])
"""
    assert call(explored, code=code).split()[-2:] == ["CabinController", "Ag(111)"]
    assert "spectra" in call(explored, "resume", uid, "--budget", "9", "--catalog", "catalog")


def test_settings_file_and_queue_item_name_them(call, tmp_path):
    """The queue server's own check takes the item, and its plan is carried out by the worker's start-up."""
    pytest.importorskip("bluesky_queueserver", reason="pip install 'bluesky-stm[queueserver]'")
    settings = {"microscope": {"name": "cabin", "sample": "Ag(111)"}, "scales": SCALES, "catalog": "night"}
    (tmp_path / "bluesky_stm.yaml").write_text(yaml.safe_dump({**settings, "child_frames": 2, "step_back": "share-of-parent"}))
    choices = {**CHOSEN, "scalarizer": "zero_bias:window=0.3", "step_back": "share-of-parent:share=0.1", "children": 1}
    code = f"""
import runpy
from importlib.resources import files
from bluesky_queueserver.manager.profile_ops import existing_plans_and_devices_from_nspace, validate_plan
names = runpy.run_path(str(files("bluesky_stm.facility") / "queue_startup.py"))
plans, devices, *_ = existing_plans_and_devices_from_nspace(nspace=names)
def item(**more):
    return {{"item_type": "plan", "name": "explore_multiscale", "kwargs": {{**{choices!r}, **more}}}}
taken, why = validate_plan(item(), allowed_plans=plans, allowed_devices=devices)
assert taken, why
assert not validate_plan(item(child="midle"), allowed_plans=plans, allowed_devices=devices)[0]
session = names["_session"]
session.RE(names["explore_multiscale"](**item()["kwargs"]))
run = session.catalog[0]
print(len(session.catalog), run.start["scalarizer"]["window"], run.start["controller"]["part"]["name"], sep=",")
session.close()
"""
    assert call(tmp_path, code=code).split()[-1] == "2,0.3,cabin"


@pytest.mark.slow  # the short form, above, sends the item through the server's own check and start-up in one process
def test_the_queue_server_measures_what_an_item_names(python, tmp_path):
    pytest.importorskip("bluesky_queueserver_api", reason="pip install 'bluesky-stm[queueserver]'")
    from bench import Bench

    with ExitStack() as stack:
        bench = Bench(tmp_path, stack, {"microscope": {"name": "cabin", "sample": "Ag(111)"}, "scales": SCALES}, python)
        bench.add(
            "explore_multiscale", **{**CHOSEN, "scalarizer": "zero_bias:window=0.3"}, step_back="share-of-parent", children=1
        )
        result = bench.result()
        assert result["exit_status"] == "completed", result["traceback"]
    starts = [run.start for run in bench.runs(result["run_uids"])]
    assert [start["controller"]["part"]["name"] for start in starts] == ["cabin", "cabin"]
    assert {start["scalarizer"]["window"] for start in starts} == {0.3}


def test_a_file_of_its_format_is_explored_and_written(call, lines, tmp_path):
    code = """
from bluesky_stm import files
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import SweepSettings
grid = SimulatedController(seed=2, profile="shaky").truth_grid(Frame.square((0, 0), 10, 16), SweepSettings(-1.5, 1.5, 31))
files.write("small.heights", grid)
assert (files.read("small.heights").current == grid.current).all()
"""
    call(tmp_path, code=code)
    words = ["--agent", "cautious", "--budget", "4", "--catalog", "catalog", "--report", "r.html"]
    call(tmp_path, "run", "--controller", "recorded:small.heights", *words)
    settings = {"microscope": {"name": "recorded", "path": "small.heights"}, "catalog": "night"}
    said = lines(
        tmp_path,
        ["replay", "--catalog", "catalog"],
        ["what-if", "--agent", "random", "--catalog", "catalog"],
        ["report", "-o", "again.html", "--catalog", "catalog"],
        ["resume", "--budget", "6", "--catalog", "catalog"],
    )
    assert [ended for _, ended in said] == [0, 0, 0, 0], said
    for (text, _), words in zip(said, ("5 of 5 decisions reproduced", "random", "", "2 more are to be taken"), strict=True):
        assert words in text
    (tmp_path / "bluesky_stm.yaml").write_text(yaml.safe_dump(settings))
    export = ["export", "image.heights", "--catalog", "night"]
    *done, (refusal, refused) = lines(tmp_path, ["run", "--agent", "cautious", "--budget", "4"], export, export)
    assert [ended for _, ended in done] == [0, 0], done
    with open_catalog(tmp_path / "night", write=False) as catalog:
        assert [run.start["controller"]["part"]["name"] for run in catalog] == ["recorded"]
    assert json.loads((tmp_path / "image.heights").read_text())["stm-outside"]["height"]
    assert refused == 2 and "already" in refusal


WRONG = [
    (["--controller", "cabin:door="], "The controller 'cabin' cannot be used: door"),
    (["--controller", "cabin:sample=Ag(11)"], "There is no sample named 'Ag(11)'. Did you mean 'Ag(111)'"),
    (["--controller", "cabin:profile=shaky:drft=1"], "drft: there is no such setting"),
    (["--step-back", "share-of-parent:share=0"], "The step-back rule 'share-of-parent' cannot be used: share"),
]


def test_what_is_wrong_is_said_in_the_same_words_as_for_our_own_and_nothing_is_started(lines, tmp_path):
    answers = lines(tmp_path, *(["run", *words, "--catalog", "catalog"] for words, _ in WRONG))
    for (answer, ended), (words, said) in zip(answers, WRONG, strict=True):
        assert ended == 2 and said in answer, words
    assert not (tmp_path / "catalog").exists()


def test_where_the_package_is_not_installed_its_runs_say_what_to_install(runs, tmp_path):
    with pytest.raises(UnknownNameError, match=r"controller 'cabin', which is not known here. It came with stm-outside 0\.1"):
        reopened(runs[0].start, tmp_path)
    with pytest.raises(UnknownNameError, match=r"agent 'cautious', .* stm-outside 0\.1: install that"):
        replay(runs[0])
    part = {"name": "simulated", "sample": {"name": "Ag(111)"}}
    with pytest.raises(UnknownNameError, match=r"sample 'Ag\(111\)', .* stm-outside 0\.1"):
        reopened({**runs[0].start, "controller": {"name": "simulated", "part": part}}, tmp_path)
