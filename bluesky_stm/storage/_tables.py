"""A run as a table or as netCDF, by way of `load_run`: what pandas, R, a spreadsheet or xarray read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.measurements import Quality
from bluesky_stm.storage._chain import digest_of_file
from bluesky_stm.storage._run import Run
from bluesky_stm.storage._xarray import load_run

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


OF_DISTANCE: Final = ("z_quality", "distance", "z_current")
"""Names under which `load_run` gives I(z) that was taken beside spectra."""

METADATA: Final = "-metadata.json"
"""What the name of a file has behind that of the table that it is about."""


def write_netcdf(path: Path, run: Run, about: Mapping[str, str]) -> None:
    """Write all that `load_run` returns as a netCDF file with a group for each of its Datasets.

    Parameters
    ----------
    path : Path
        File to write.
    run : Run
        A stored run.
    about : mapping of str to str
        Lines about the run (`provenance`), which become the attributes of the file.

    Raises
    ------
    CatalogError
        When h5netcdf is not installed.
    """
    try:
        import h5netcdf  # noqa: F401 - xarray does not say what to do where it is missing
    except ImportError as error:
        raise _lacking("netCDF", "h5netcdf", ".nxs", error) from error
    tree = load_run(run)
    tree.attrs.update(about)
    path.write_bytes(tree.to_netcdf(engine="h5netcdf"))  # in memory first: the library ends the process where a disk is full


def write_csv(path: Path, run: Run, about: Mapping[str, str]) -> None:
    """Write the samples of all spectra, a row for each bias of each spectrum, with place, time, quality and value repeated.

    I(z) is a table of its own, a row for each distance of each sweep: in ``run-z.csv`` where it was taken beside the spectra of
    ``run.csv``, by whose numbers it is sorted; of a run of sweeps alone it is ``run.csv``.

    Who measured what, when and with what stands beside, as the W3C names it for tables (CSV on the Web): in ``run.csv`` beside
    its name with `METADATA` behind it, with the columns and the digest of each table.

    Arrays that other devices gave beside a spectrum do not fit in: .nc and .parquet hold them.

    Parameters
    ----------
    path : Path
        File to write. Its first line names the columns, with their units in parentheses.
    run : Run
        A stored run with spectra, or with sweeps of something else than the bias.
    about : mapping of str to str
        Lines about the run (`provenance`).
    """
    tables = dict(_tables(run))
    first = next(iter(tables))
    named = {name: path if name == first else path.with_stem(f"{path.stem}-{name}") for name in tables}
    said = []
    for name, table in tables.items():
        table.insert(0, "run", run.uid)
        table.to_csv(named[name], index=False)
        columns = [
            {"titles": str(column), "datatype": "number" if table[column].dtype.kind in "iuf" else "string"}
            for column in table.columns
        ]
        digest = {"sha256": digest_of_file(named[name])}
        said.append({"url": named[name].name, "tableSchema": {"columns": columns}, "notes": [digest]})
    described = {"@context": "http://www.w3.org/ns/csvw", "dc:identifier": run.uid, "tables": said, "notes": [dict(about)]}
    path.with_name(path.name + METADATA).write_text(json.dumps(described, indent=1), encoding="utf-8")


def _tables(run: Run) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables of a run by what stands behind the name of their files: of spectra, and of I(z)."""
    tree = load_run(run, without=["topograph", "decisions", "maps"])
    if "spectra" not in tree and "sweeps" not in tree:
        raise _nothing(run)
    if "spectra" in tree:
        found = tree["spectra"].to_dataset()
        spectra = found.drop_dims({*map(str, found.dims)} - {"spectrum", "bias", "point"})
        beside = [name for name in OF_DISTANCE if name in found]
        yield "spectra", _rows(spectra.drop_vars([name for name in beside if name in spectra]), "spectrum")
        if beside:
            table = _rows(found[beside].drop_vars("bias", errors="ignore"), "spectrum")
            taken = table.groupby("spectrum")[table.columns[-1]].transform(lambda column: column.notna().any())
            yield "z", table[taken].reset_index(drop=True)
    else:
        yield "z", _rows(tree["sweeps"].to_dataset(), "sweep")


def _rows(found: xr.Dataset, number: str) -> pd.DataFrame:
    """Return a row for each sample: what there is once for each spectrum or sweep first, then the samples."""
    table = found.to_dataframe().reset_index()
    for name in table.columns.intersection(["quality", "z_quality"]):
        table[name] = _words(table[name])
    return table[[number, *_order(found)]].rename(columns=_labels(found))


def write_parquet(path: Path, run: Run, about: Mapping[str, str]) -> None:
    """Write a row for each spectrum, whose samples are lists; the metadata ``bluesky_stm`` holds who measured what, when.

    Parameters
    ----------
    path : Path
        File to write.
    run : Run
        A stored run with spectra.
    about : mapping of str to str
        Lines about the run (`provenance`).

    Raises
    ------
    CatalogError
        When pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise _lacking("Parquet", "pyarrow", ".csv", error) from error
    spectra = _spectra(run)
    labels, count = _labels(spectra), spectra.sizes["spectrum"]
    columns = {"run": [run.uid] * count, "spectrum": np.arange(count)}
    for name in _order(spectra):
        values = spectra[name].values if "spectrum" in spectra[name].dims else np.tile(spectra[name].values, (count, 1))
        columns[labels.get(name, name)] = _words(values) if name == "quality" else values if values.ndim == 1 else list(values)
    table = pa.table(columns).replace_schema_metadata({"bluesky_stm": json.dumps(about)})
    pyarrow.parquet.write_table(table, path)


def _lacking(what: str, library: str, other: str, error: ImportError) -> CatalogError:
    return CatalogError(
        f"{what} files need {library} ({error}). Nothing has been written. Install it (pip install {library}), "
        f"or choose {other}."
    )


TABLES: Final[Mapping[str, Callable[[Path, Run, Mapping[str, str]], None]]] = {
    ".nc": write_netcdf,
    ".csv": write_csv,
    ".parquet": write_parquet,
}
"""Writers of a whole run, by the end of the name of their files."""


def _spectra(run: Run) -> xr.Dataset:
    tree = load_run(run, without=["topograph", "decisions", "maps"])
    if "spectra" not in tree:
        raise _nothing(run)
    return tree["spectra"].to_dataset()


def _nothing(run: Run) -> FileFormatError:
    return FileFormatError(
        f"{run!r} holds no spectrum, of which a table is made. Nothing was written. Choose .nc, or .csv for I(z)."
    )


def _order(spectra: xr.Dataset) -> list[str]:
    """Return the names of the columns: first what a spectrum has once, then its samples."""
    # a bias that all spectra have in common has one dimension, too
    return sorted(map(str, spectra.variables), key=lambda name: 1 if name == "bias" else 2 * (spectra[name].ndim > 1))


def _labels(spectra: xr.Dataset) -> dict[str, str]:
    return {
        str(name): f"{name} ({unit})" for name, variable in spectra.variables.items() if (unit := variable.attrs.get("units"))
    }


def _words(qualities: np.ndarray | pd.Series) -> list[str]:
    return [Quality(int(quality)).words for quality in qualities]
