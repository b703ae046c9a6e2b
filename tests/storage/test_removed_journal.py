"""A journal that is removed while its run goes on is written again with all that it held, or the run ends with a reason."""

import shutil

import pytest

from bluesky_stm.errors import CatalogError
from bluesky_stm.storage import open_catalog, verify


def rename(catalog):
    catalog.path.joinpath("journal").rename(catalog.path / "journal.old")


def remove(catalog):
    shutil.rmtree(catalog.path / "journal")


def delete(catalog):
    next(catalog.path.joinpath("journal").glob("*.part")).unlink()


def remove_all(catalog):
    shutil.rmtree(catalog.path)


@pytest.mark.parametrize("act", [rename, remove, delete, remove_all])
@pytest.mark.parametrize("after", [1, 5, 30])
def test_all_acknowledged_documents_are_there_after_the_journal_was_removed(tmp_path, recorder, caplog, act, after):
    kept = []
    with open_catalog(tmp_path / "catalog") as catalog:

        def keep(name, doc):
            catalog(name, doc)
            kept.append(name)
            if len(kept) == after:
                act(catalog)

        recorder(keep).run(20)
        run = catalog[-1]
        assert [name for name, _ in run.documents()] == kept and len(run.spectra) == 20 and run.complete
        assert verify(run).whole and "written again" in caplog.text


def test_a_run_whose_journal_cannot_be_written_again_ends_with_what_to_do(tmp_path, recorder):
    with open_catalog(tmp_path / "catalog") as catalog:
        live = recorder(catalog)
        remove_all(catalog)
        (tmp_path / "catalog").write_text("a file where the folder was")
        with pytest.raises(CatalogError, match=r"was removed while its run goes on.*The run ends"):
            live.measure(live.decide().point)
        (tmp_path / "catalog").unlink()
        live.measure(live.decide().point)
        assert len(catalog[-1].spectra) == 1
