"""A run as a table or as netCDF, by way of `load_run`: what pandas, R, a spreadsheet or xarray read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from bluesky_stm.errors import CatalogError, FileFormatError
from bluesky_stm.measurements import Quality
from bluesky_stm.storage._provenance import provenance
from bluesky_stm.storage._run import Run
from bluesky_stm.storage._xarray import load_run

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def write_netcdf(path: Path, run: Run) -> None:
    """Write all that `load_run` returns as a netCDF file with a group for each of its Datasets.

    Parameters
    ----------
    path : Path
        File to write.
    run : Run
        A stored run.
    """
    load_run(run).to_netcdf(path, engine="h5netcdf")


def write_csv(path: Path, run: Run) -> None:
    """Write the samples of all spectra, a row for each bias of each spectrum, with place, time, quality and value repeated.

    Parameters
    ----------
    path : Path
        File to write. Its first line names the columns, with their units in parentheses.
    run : Run
        A stored run with spectra.
    """
    spectra = _spectra(run)
    table = spectra.to_dataframe().reset_index()
    table["quality"] = _words(table["quality"])
    table = table[["spectrum", *_order(spectra)]].rename(columns=_labels(spectra))
    table.insert(0, "run", run.uid)
    table.to_csv(path, index=False)


def write_parquet(path: Path, run: Run) -> None:
    """Write a row for each spectrum, whose samples are lists; the metadata ``bluesky_stm`` holds who measured what, when.

    Parameters
    ----------
    path : Path
        File to write.
    run : Run
        A stored run with spectra.

    Raises
    ------
    CatalogError
        When pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise CatalogError(
            f"Parquet files need pyarrow ({error}). Nothing has been written. Install it, or choose .csv."
        ) from error
    spectra = _spectra(run)
    labels, count = _labels(spectra), spectra.sizes["spectrum"]
    columns = {"run": [run.uid] * count, "spectrum": np.arange(count)}
    for name in _order(spectra):
        values = spectra[name].values if "spectrum" in spectra[name].dims else np.tile(spectra[name].values, (count, 1))
        columns[labels.get(name, name)] = _words(values) if name == "quality" else values if values.ndim == 1 else list(values)
    table = pa.table(columns).replace_schema_metadata({"bluesky_stm": json.dumps(provenance(run))})
    pyarrow.parquet.write_table(table, path)


TABLES: Final[Mapping[str, Callable[[Path, Run], None]]] = {
    ".nc": write_netcdf,
    ".csv": write_csv,
    ".parquet": write_parquet,
}
"""Writers of a whole run, by the end of the name of their files."""


def _spectra(run: Run) -> xr.Dataset:
    tree = load_run(run, without=["topograph", "decisions", "maps"])
    if "spectra" not in tree:
        raise FileFormatError(f"{run!r} holds no spectrum, of which a table is made. Nothing was written. Choose .nc.")
    return tree["spectra"].to_dataset()


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
