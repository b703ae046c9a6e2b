"""An image and the point spectra that were taken in it, which some instruments keep in a file each: one run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._3ds import Sweeps
from bluesky_stm.files._recorded import RecordedRun
from bluesky_stm.measurements import About, Spectrum, Topograph, ZSpectrum


def together(topograph: Topograph, spectra: Iterable[Spectrum], about: About | None = None) -> RecordedRun:
    """Return the run of an image and spectra taken in it, in the order of their times.

    Parameters
    ----------
    topograph : Topograph
        The image.
    spectra : iterable of Spectrum
        Those that lie outside of the image, or have another sweep than most of them, are left out; `About.kept` says how many.
    about : About, optional
        What is known of all of them; by default what the first spectrum says.

    Raises
    ------
    FileFormatError
        When no spectrum lies in the image.
    """
    offered = list(spectra)
    inside = [one for one in offered if topograph.frame.contains(one.position)]
    same = max((_like(one, inside) for one in inside), key=len, default=[])
    if not same:
        raise FileFormatError(f"None of {len(offered)} spectra lies in the image: they make no run together. Nothing was read.")
    left_out = {"outside of the image": len(offered) - len(inside), "of another sweep": len(inside) - len(same)}
    words = ", ".join(f"{count} spectra {why} are left out" for why, count in left_out.items() if count)
    known = about or same[0].about or About()
    ordered = sorted(same, key=lambda one: one.time)
    return RecordedRun(topograph, tuple(ordered), about=replace(known, kept=", ".join(filter(None, (known.kept, words)))))


def of_files(contents: Sequence[object], name: str) -> RecordedRun:
    """Return the run that the contents of several files make: the image that holds most of the spectra, and these.

    I(z) that was taken within half a pixel of a spectrum stands beside it.

    Parameters
    ----------
    contents : sequence
        Whatever `read` has returned for each file.
    name : str
        What to call the files in a message.

    Raises
    ------
    FileFormatError
        When there is no image, or no spectrum in any.
    """
    images = [one for one in contents if isinstance(one, Topograph)]
    spectra = [one for one in contents if isinstance(one, Spectrum)]
    if not (images and spectra):
        raise FileFormatError(
            f"{name} holds {len(images)} images and {len(spectra)} spectra, and a run needs one of each at least."
        )
    held = [int(image.frame.contains([one.position for one in spectra]).sum()) for image in images]
    image = images[int(np.argmax(held))]
    heights = [one.z_spectrum() for one in contents if isinstance(one, Sweeps) and _is_one_of_z(one)]
    return together(image, [_with_height(one, heights, max(image.frame.pixel_size) / 2) for one in spectra])


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder, by name; hidden ones and folders in it are left out."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def digest(paths: Sequence[Path]) -> str:
    """Return one digest, in hexadecimal digits, of the contents of several files, whatever they are called."""
    each = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


def _is_one_of_z(swept: Sweeps) -> bool:
    return swept.frame.pixels == (1, 1) and swept.of_distance and "Current" in swept.channels


def _with_height(one: Spectrum, heights: Sequence[ZSpectrum], reach: float) -> Spectrum:
    """Return a spectrum with the nearest I(z) of ``heights`` beside it, where that lies within ``reach`` nm.

    Nothing is taken from a neighbouring place.
    """
    near = min(heights, key=lambda other: math.dist(other.position, one.position), default=None)
    return replace(one, z_sweep=near) if near and math.dist(near.position, one.position) <= reach else one


def _like(one: Spectrum, spectra: Sequence[Spectrum]) -> list[Spectrum]:
    """Return the spectra that have the sweep of this one."""
    step = np.ptp(one.bias) / max(1, len(one.bias) - 1)
    return [
        other
        for other in spectra
        if len(other.bias) == len(one.bias) > 1 and np.allclose(other.bias, one.bias, rtol=0, atol=step / 2)
    ]
