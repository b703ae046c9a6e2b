"""Start-up of a session at a prompt: IPython, a notebook, a script.

``from bluesky_stm.facility.startup import *``; or copy this file, edit the copy, and ``bluesky-stm ipython --startup copy.py``.
Microscope, limits, scales and catalog are in the settings file, which ``bluesky-stm doctor`` shows.
"""
# ruff: noqa: F401, F403 - the names are for whoever sits at the prompt

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
from bluesky.callbacks.best_effort import BestEffortCallback

from bluesky_stm.facility import Agents, estimate, open_session, read_settings
from bluesky_stm.plans import *

session = open_session(read_settings(), RE=globals().get("RE"))  # a RunEngine that is there is used, never a second one
RE, stm, catalog, scales = session.RE, session.stm, session.catalog, list(session.scales.values())
sweep, scanner, grid = stm.sweep, stm.scanner, stm.grid
agents, steer = Agents(session), session.steer

bec = BestEffortCallback()
bec.disable_plots()  # a table and what peaks there are; for pictures: RE.subscribe(bluesky_stm.views.LiveView())
RE.subscribe(bec)
