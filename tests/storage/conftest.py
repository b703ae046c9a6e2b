"""A finished run in a journal of its own, and what somebody could make of its file."""

import pytest

from bluesky_stm.storage import open_catalog


@pytest.fixture
def journal(tmp_path, recorder):
    """The file of a finished run of 50 spectra: more than a hundred documents, so that there is a mark among them."""
    with open_catalog(tmp_path / "catalog") as catalog:
        recorder(catalog, schema_version=2).run(50)
        return catalog[-1].path


@pytest.fixture
def altered():
    """A function that writes a copy of a journal with another content, beside it."""

    def write(journal, content):
        other = journal.with_name(f"altered{journal.suffix}")
        other.write_bytes(content)
        return other

    return write
