#!/usr/bin/env bash
# Expected: trackpy finds the atoms of a topograph wherever the heights are counted from and in whatever unit they are given: positions
#   do not depend on either, as the filter in it takes the background away.
# Seen (trackpy 0.7): of an image of floats everything that stands out by less than 1/255, in the unit of the image, is set to zero before
#   atoms are looked for. Of atoms 20 pm and 5 pm high all are found when the heights are in pm, only the high ones when they are in nm,
#   without a word, and none when they are in m, as files of microscopes have them ("Image is completely black"). The same image with
#   5 nm subtracted has none either ("All local maxima were in the margins").
# Hurts: whoever counts adatoms or vacancies in topographs, whose z is absolute, often negative, and in m: low atoms are missing from the
#   count, and it looks like a result.
# Do: subtract the minimum, divide by the range and multiply by 255, or give threshold= in the unit of the image.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "trackpy==0.7"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import trackpy

generator = np.random.default_rng(0)
y, x = np.mgrid[:96, :96]
surface = generator.normal(0, 2e-5, (96, 96))  # heights in nm, with noise of 0.02 pm
places = [(18 + 20 * row, 18 + 20 * column) for row in range(4) for column in range(4)]
for number, (row, column) in enumerate(places):
    height = 0.020 if number % 2 else 0.005
    surface += height * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18)


def found(image, **settings):
    atoms = trackpy.locate(image, 11, **settings)
    return sum(len(atoms) and np.hypot(atoms.y - row, atoms.x - column).min() < 0.5 for row, column in places)


images = {"in pm": 1000 * surface, "in nm": surface, "in m": 1e-9 * surface, "in nm, 5 nm lower": surface - 5}
seen = {name: found(image) for name, image in images.items()}
print("trackpy", version("trackpy"))
for name, count in seen.items():
    print(f"heights {name}: {count} of {len(places)} atoms")
scaled = 255 * (surface - surface.min()) / np.ptp(surface)
print("scaled to 0 ... 255:", found(scaled), "of", len(places))
assert seen == {"in pm": 16, "in nm": 8, "in m": 0, "in nm, 5 nm lower": 0} and found(scaled) == 16
print("as ever: which atoms there are depends on the unit and on the zero of the heights")
PY
