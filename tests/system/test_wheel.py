"""What is installed is what is in the repository, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", name="wheel")
def _wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):  # build from a copy: a build leaves folders behind
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(wheel):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    mapped = {
        name if name.startswith("bluesky_stm/") else f"bluesky_stm/{name}"
        for name in tracked
        if name.split("/")[0] in {"bluesky_stm", "devices", "plans"}
    }
    assert packed == mapped


def test_the_wheel_runs_where_there_is_no_source(wheel, tmp_path):
    """Unpacked, ahead of the editable install: what it needs must be in it."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site'); import bluesky_stm.devices, bluesky_stm.plans, bluesky_stm.views;"
        "import bluesky_stm.agents, bluesky_stm.cli; print(bluesky_stm.devices.__file__)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", _with_site(code)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout


def _with_site(code):
    """The site-packages of this environment without the hooks of editable installs."""
    folders = [path for path in sys.path if path.endswith("site-packages")]
    return f"import sys; sys.path += {folders!r}; {code}"
