"""Documents of a run as a file format: a stored run of ours answers in place of a microscope."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from bluesky_stm.errors import FileFormatError, STMError
from bluesky_stm.files import FileFormat, RecordedRun, about_of
from bluesky_stm.storage._documents import documents
from bluesky_stm.storage._plain import READERS
from bluesky_stm.storage._provenance import provenance
from bluesky_stm.storage._run import Run


class StoredDocuments(FileFormat):
    """Documents of a run, exported or in the journal, ``.msgpack`` or ``.jsonl``: its first topograph and all its spectra."""

    name: str = "documents"

    @override
    def recognises(self, path: Path, start: bytes) -> bool:
        return path.suffix in READERS

    @override
    def read(self, path: Path) -> RecordedRun:
        if faults := Run(path).faults:
            raise FileFormatError(
                f"{path.name} has been altered since it was closed: {'; '.join(faults)}. Bring it back from a copy, or export "
                "it again."
            )
        try:
            run = Run(list(documents(path)))
            topograph, spectra = next(iter(run.topographs), None), tuple(run.spectra)
        except (STMError, ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"{path.name} holds no whole run of this package ({error}). Export it again.") from None
        if topograph is None:
            raise FileFormatError(f"{path.name} is a run without a topograph: nothing can be explored in it. Choose another.")
        whole = len({tuple(s.position) for s in spectra}) == topograph.height.size
        return RecordedRun(topograph, spectra, complete=whole, about=about_of(provenance(run)))
