"""Made ``run_schema2.msgpack``: six spectra of a simulated microscope, as schema version 2 was first stored.

    python tests/data/make_run_schema2.py FILE

The file that stands here is never made anew: it shows that what was stored once is read later. Another ``FILE`` shows what the
present version would store.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bluesky_stm.plans import explore
from bluesky_stm.session import simulated
from bluesky_stm.storage import export


def main(path):
    """Measure, and write the run to a new file."""
    with TemporaryDirectory() as folder, simulated(seed=7, catalog=folder) as session:
        scale = session.scales["terrace"].changed(frame=50, pixels=32, patch=6, step=5, budget=6, seeds=3, agent="gp-xy")
        session.RE(explore(session.stm, session.agent(scale), maps_every=6))
        export(session.catalog[-1], path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
