"""What a default environment of a build holds: measures of `bench_speed`, counted from what is installed where it runs.

What the build requires, with all that those packages require in turn, is found from their metadata, and its size from the files
that they list, byte code left out. So nothing is installed anew, and both builds are counted with the same versions.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

from bench_speed import report
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def required(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what a package, with some of its extras, requires here."""
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            yield canonicalize_name(wanted.name), frozenset(wanted.extras)


def environment(name: str) -> set[str]:
    """Return the names of all packages that come with one."""
    waiting, seen = [(name, frozenset[str]())], set[tuple[str, frozenset[str]]]()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        try:
            waiting += required(*one)
        except PackageNotFoundError:  # what is not installed here comes with no default environment
            continue
        seen.add(one)
    return {found for found, _ in seen}


def size(name: str) -> int:
    """Return the bytes of the files of a package."""
    files = [file.locate() for file in distribution(name).files or () if not file.name.endswith(".pyc")]
    return sum(file.stat().st_size for file in files if file.is_file())


def counted() -> dict[str, float]:
    """Packages of the default environment, and their size in GB."""
    packages = environment("bluesky-stm")
    found = {
        "packages of the default environment": len(packages),
        "size of the default environment": sum(map(size, packages)) / 1e9,
    }
    return found | {"110 packages": 110, "1.2 GB": 1.2}


if __name__ == "__main__":
    report(counted)
