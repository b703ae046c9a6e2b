#!/usr/bin/env bash
# Expected: AFMReader gives the image of a Gwyddion file with its rows and columns, and the size of a pixel as width over columns.
# Seen (AFMReader 0.0.7): an image that has another number of rows than columns comes back with the shape (columns, rows). The values stand in the
#   order of the file, so that each row of the array is pieced together from two rows of the image: it is no transpose. The size of a
#   pixel is width over rows. Nothing is said; square images are right.
# Hurts: frames of 512 x 256 and scans that were stopped, which Gwyddion stores cut: heights stand at wrong places, lengths are wrong by the ratio.
# Do: image = image.reshape(image.shape[::-1]), and take the size of a pixel from the file (xreal / xres, as gwyfile gives them).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "AFMReader==0.0.7" "gwyfile==0.3.0" "numpy==2.4.6"
cd "$work" && MPLBACKEND=Agg "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from AFMReader import gwy
from gwyfile import load, util
from gwyfile.objects import GwyContainer, GwyDataField
from loguru import logger

logger.remove()
print("AFMReader", version("AFMReader"), "gwyfile", version("gwyfile"))


def written(rows, columns, name):
    """An image whose pixels are 2 x 2 nm, and whose heights in nm are 1 for each row and 0.01 for each column."""
    heights = 1.0 * np.arange(rows)[:, None] + 0.01 * np.arange(columns)
    field = GwyDataField(heights * 1e-9, xreal=2e-9 * columns, yreal=2e-9 * rows, si_unit_xy="m", si_unit_z="m")
    container = GwyContainer({"/0/data": field, "/0/data/title": "Z"}, typecodes={"/0/data/title": "s"})
    container.tofile(name)
    assert np.allclose(util.get_datafields(load(name))["Z"].data, heights * 1e-9)  # gwyfile itself reads it right
    return heights


for rows, columns in ((4, 4), (3, 5)):
    heights = written(rows, columns, "image.gwy")
    found, pixel = gwy.load_gwy("image.gwy", "Z")
    print(f"{rows} rows, {columns} columns: shape {found.shape}, pixel {pixel:.3g} nm, first row {np.round(found[0], 2)}")
    if rows == columns:
        assert np.allclose(found, heights) and np.isclose(pixel, 2.0)
    else:
        assert found.shape == (columns, rows) and not np.allclose(found, heights.T), "the shape is right now"
        assert np.allclose(found.reshape(rows, columns), heights)
        assert np.isclose(pixel, 2.0 * columns / rows), "the size of a pixel is right now"
print("as ever: an image that is not square is scrambled, and its pixels have the wrong size")
PY
