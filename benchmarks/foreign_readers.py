"""What foreign programs make of exported files; `bench_exports.py` runs it in their environment, without this package.

    python foreign_readers.py FOLDER > results.json

``FOLDER`` holds ``run.nxs``, ``run.hf5``, ``run.nc``, ``run.csv``, ``run.parquet``, ``run.sxm``, ``grid.3ds``, ``one.dat`` and
``truth.npz``, what they are made of in nm, V, nA and nS, row 0 at the lowest y.
"""

import itertools
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
FOLDER = Path(sys.argv[1])
TRUTH = dict(np.load(FOLDER / "truth.npz"))
SCALES = {1.0: "nm, nA, nS", 1e9: "SI"}


def found(name, array):
    """How an array of another program lies against ours: as it is, turned, or not found."""
    array, truth = np.asarray(array), TRUTH[name]
    if array.dtype.kind not in "iuf":
        return None
    array = array.astype(float)
    for axes in itertools.permutations(range(array.ndim)):
        turned = array.transpose(axes)
        if turned.shape != truth.shape:
            continue
        for signs in itertools.product((1, -1), repeat=array.ndim):
            flipped = turned[tuple(slice(None, None, sign) for sign in signs)]
            for scale, units in SCALES.items():
                if np.allclose(flipped * scale, truth, rtol=1e-4, atol=1e-6 * np.nanmax(np.abs(truth)), equal_nan=True):
                    how = [] if axes == tuple(sorted(axes)) else ["axes exchanged"]
                    how += [f"axis {axis} reversed" for axis, sign in enumerate(signs) if sign < 0]
                    return f"{name}: {', '.join(how) or 'as it is'} ({units})"
    return None


def looked(arrays):
    """Which of our arrays are among those of another program, and which of them are missing."""
    hits = {name: [hit for array in arrays if (hit := found(name, array))] for name in wanted}
    return "; ".join(hit[0] for hit in hits.values() if hit), ", ".join(name for name, hit in hits.items() if not hit)


def scifireaders(file):
    import SciFiReaders

    reader = {".sxm": "NanonisSXMReader", ".3ds": "Nanonis3dsReader", ".dat": "NanonisDatReader", ".hf5": "NSIDReader"}
    read = getattr(SciFiReaders, reader[file.suffix])(str(file)).read()
    return [np.asarray(one) for one in (read.values() if isinstance(read, dict) else read)]


def nanonispy2(file):
    import nanonispy2

    reader = {".sxm": "Scan", ".3ds": "Grid", ".dat": "Spec"}[file.suffix]
    signals = getattr(nanonispy2.read, reader)(str(file)).signals
    return [array for one in signals.values() for array in (one.values() if isinstance(one, dict) else [one])]


def xarray_nanonis(file):
    import xarray

    return [array.values[i] for array in xarray.open_dataset(file, engine="nanonis").values() for i in _each(array)]


def _each(array):
    return range(2) if "dir" in array.dims else (Ellipsis,)


def rosettasciio(file):
    from rsciio.nexus import file_reader

    return [one["data"] for one in file_reader(str(file))]


def silx(file):
    import silx.io
    from silx.io.nxdata import NXdata

    with silx.io.open(str(file)) as root:
        shown = [NXdata(root["entry"][name]) for name in ("topograph", "spectra")]
        return [np.array(each) for one in shown for each in (one.signal, *one.auxiliary_signals)]


def nexusformat(file):
    from nexusformat.nexus import nxload

    root = nxload(str(file))
    return [field.nxvalue for name in ("topograph", "spectra") for field in root.entry[name].NXfield]


def netCDF4(file):  # noqa: N802 - its name
    from netCDF4 import Dataset

    with Dataset(file) as root:
        return [
            np.ma.filled(each[:].astype(float), np.nan)
            for name in ("topograph", "spectra")
            for each in root[name].variables.values()
        ]


def polars(file):
    import polars

    if file.suffix == ".parquet":
        table = polars.read_parquet(file)
        return [np.stack(table[name].to_list()) for name in table.columns if table[name].dtype == polars.List(polars.Float64)]
    table = polars.read_csv(file)
    return [table[name].to_numpy().reshape(TRUTH["didv"].shape) for name in table.columns if "(n" in name]


CASES = [
    (polars, "polars", "run.parquet"),
    (polars, "polars", "run.csv"),
    (netCDF4, "netCDF4", "run.nc"),
    (silx, "silx", "run.nxs"),
    (nexusformat, "nexusformat", "run.nxs"),
    (rosettasciio, "rosettasciio", "run.nxs"),
    (scifireaders, "SciFiReaders", "run.hf5"),
    (scifireaders, "SciFiReaders", "run.sxm"),
    (nanonispy2, "nanonispy2", "run.sxm"),
    (xarray_nanonis, "xarray-nanonis", "run.sxm"),
    (scifireaders, "SciFiReaders", "grid.3ds"),
    (nanonispy2, "nanonispy2", "grid.3ds"),
    (xarray_nanonis, "xarray-nanonis", "grid.3ds"),
    (scifireaders, "SciFiReaders", "one.dat"),
    (nanonispy2, "nanonispy2", "one.dat"),
    (xarray_nanonis, "xarray-nanonis", "one.dat"),
]
SPECTRA = ["current", "lockin_x", "lockin_y", "didv"]
WANTED = {"run.sxm": ["height"], "run.csv": SPECTRA, "run.parquet": SPECTRA, "grid.3ds": [f"grid_{n}" for n in SPECTRA]}
WANTED |= {"one.dat": [f"one_{n}" for n in SPECTRA]}

rows = []
for reader, package, file in CASES:
    wanted = WANTED.get(file, ["height", *SPECTRA])
    try:
        there, lost = looked(reader(FOLDER / file))
    except Exception as error:
        there, lost = f"stops with {type(error).__name__}: {str(error)[:80]}", "all"
    rows.append([f"{package} {version(package)}", file, there, lost])
json.dump(rows, sys.stdout)
