"""A session is put together around a RunEngine and leaves it as it was."""

from bluesky import RunEngine
from bluesky.plans import count

from bluesky_stm.session import simulated


def test_a_runengine_that_is_there_already_goes_on_without_the_session(tmp_path):
    """Its later runs are not this catalog's, and must not end because that is closed."""
    RE = RunEngine()
    with simulated(catalog=tmp_path, RE=RE) as session:
        RE(count([]))
        session.show_progress()
    RE(count([]))
    with simulated(catalog=tmp_path, RE=RE) as later:
        assert len(later.catalog) == 1 and later.catalog[-1].complete
