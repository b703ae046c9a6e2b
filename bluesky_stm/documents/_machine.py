"""What a result depends on beside the documents: versions of packages, the processor, BLAS, and the number of threads."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from bluesky_stm.data import JSON

PACKAGES: Final = ("bluesky-stm", "bluesky", "ophyd", "event-model", "numpy", "scipy", "scikit-image", "torch", "gpytorch")
"""Packages whose version stands in the documents of a run."""


def version_of(package: str) -> str:
    """Return the installed version of a package, of Python itself for ``"python"``; empty where it is not installed.

    Parameters
    ----------
    package : str
        Name under which it is installed.
    """
    try:
        return platform.python_version() if package == "python" else version(package)
    except PackageNotFoundError:  # torch and gpytorch are not needed on the host of an instrument
        return ""


def versions() -> dict[str, str]:
    """Return the versions of those of `PACKAGES` that are installed here, and of Python."""
    return {package: found for package in (*PACKAGES, "python") if (found := version_of(package))}


def machine() -> JSON:
    """Return the processor, the libraries of linear algebra that are loaded, and how many threads each of them takes.

    Returns
    -------
    dict
        ``host``, ``processor``, ``blas`` (name, version and kernel of each) and ``threads`` (number by library).
    """
    from threadpoolctl import threadpool_info

    pools = threadpool_info()
    blas = [
        f"{one['internal_api']} {one['version']} {one.get('architecture', '')}" for one in pools if one["user_api"] == "blas"
    ]
    threads = {one["internal_api"]: int(one["num_threads"]) for one in pools}
    return {
        "host": platform.node(),
        "processor": _processor(),
        "blas": sorted(name.strip() for name in set(blas)),
        "threads": threads,
    }


def _processor() -> str:
    """Return the name of the processor, as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # only Linux has that file
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
