"""Runs of a campaign as an RO-Crate: their files, and who made them when, of which sample, with what, as linked data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage._export import export
from bluesky_stm.storage._provenance import provenance
from bluesky_stm.storage._run import Run

if TYPE_CHECKING:
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

FORMATS: Final = {".msgpack": "application/x-msgpack", ".nxs": "application/x-hdf5"}
"""Files of a run, and their media types. A run without a topograph has no NeXus file."""

SAID: Final = (
    "proposal",
    "campaign",
    "agent",
    "scalarizer",
    "length_scale",
    "temperature",
    "lockin_amplitude",
    "lockin_frequency",
)
"""Lines about a run that linked data have no word for: they are property values of the action."""

STATUS: Final = {True: "http://schema.org/CompletedActionStatus", False: "http://schema.org/FailedActionStatus"}


def write_crate(path: Path, runs: Sequence[Run], license: str = "") -> Path:
    """Write runs into an RO-Crate: documents and NeXus of each, and an action for each that names sample, person, instrument.

    Parameters
    ----------
    path : Path
        Folder to make, or a file that ends in ``.zip``.
    runs : sequence of Run
        Stored runs, as those of one campaign.
    license : str
        Address of the licence under which the data are given away; empty where that is not decided.

    Returns
    -------
    Path
        The folder or file.

    Raises
    ------
    CatalogError
        When there is something at ``path``, there are no runs, or the package ``rocrate`` is not installed.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise CatalogError(
            f"An RO-Crate needs the package rocrate ({error}). Nothing has been written. Install bluesky-stm[crate]."
        ) from error
    if path.exists() or not runs:
        raise CatalogError(
            f"{path} exists already. Nothing has been written; choose another name or remove it."
            if runs
            else "There is no run to write into an RO-Crate. Nothing has been written."
        )
    crate = ROCrate()
    lines = [provenance(run) for run in runs]
    crate.name = next((line["campaign"] for line in lines if "campaign" in line), path.stem)
    crate.description = f"{len(runs)} runs of a scanning tunneling microscope, by bluesky_stm"
    if license:
        crate.license = license
    with TemporaryDirectory(dir=path.parent, prefix=".crate") as folder:
        for run, about in zip(runs, lines, strict=True):
            _add(crate, run, about, Path(folder))
        whole = Path(folder) / path.name
        (crate.write_zip if path.suffix == ".zip" else crate.write)(whole)
        whole.rename(path)
    return path


def _add(crate: ROCrate, run: Run, about: dict[str, str], folder: Path) -> None:
    """Add the files of a run, and the action that made them."""
    made = []
    for suffix, media in FORMATS.items():
        if suffix == ".nxs" and next(run.topographs, None) is None:
            continue
        file = export(run, folder / f"{run.uid}{suffix}")
        said = {"name": f"{about['plan']} {run.uid[:8]}", "encodingFormat": media, "contentSize": str(file.stat().st_size)}
        made.append(crate.add_file(file, f"runs/{file.name}", properties=said))
    used = [_entity(crate, "SoftwareApplication", "bluesky_stm", softwareVersion=about.get("software", ""))]
    if "instrument" in about:
        used.append(_entity(crate, "IndividualProduct", about["instrument"], category="scanning tunneling microscope"))
    action = {
        "@type": "CreateAction",
        "name": about["plan"],
        "identifier": run.uid,
        "startTime": about["started"],
        "endTime": about.get("ended"),
        "description": about.get("reason"),
        "actionStatus": STATUS[run.complete],
        "additionalProperty": [
            _entity(crate, "PropertyValue", line, f"{line}-{about[line]}", value=about[line]) for line in SAID if line in about
        ],
        "object": _entity(crate, "Thing", about["sample"]) if "sample" in about else None,
        "agent": _entity(crate, "Person", about["operator"]) if "operator" in about else None,
        "instrument": used,
        "result": made,
    }
    crate.root_dataset.append_to("mentions", crate.add_jsonld({"@id": f"#run-{run.uid}"} | _there(action)))


def _entity(crate: ROCrate, kind: str, name: str, identity: str = "", **properties: str) -> ContextEntity:
    """Return the entity of that name, which is added where it is not there yet."""
    identifier = f"#{kind.lower()}-{quote(identity or name, safe='')}"
    there = crate.get(identifier)
    return there or crate.add_jsonld({"@id": identifier, "@type": kind, "name": name, **_there(properties)})


def _there(properties: dict[str, object] | dict[str, str]) -> dict[str, object]:
    """Leave out what is not known; entities are named by their identifiers."""
    return {key: _named(value) for key, value in properties.items() if value not in (None, "", [])}


def _named(value: object) -> object:
    if isinstance(value, list):
        return [_named(one) for one in value]
    return {"@id": value.id} if hasattr(value, "id") else value
