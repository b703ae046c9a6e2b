"""Tests of everything that a controller must do: run them on your own.

.. code-block:: python

    from bluesky_stm.controllers.conformance import ControllerConformance

    class TestMyController(ControllerConformance):
        @pytest.fixture
        def controller(self):
            return MyController(...)

Where acts take time that a test can't wait for, ``controller`` should run in simulated time; ``unhurried`` is one whose acts
take some tenths of a second, so that they can be interrupted. What a controller does not declare among its ``capabilities`` is
tested to be refused, and otherwise left out.
"""

from bluesky_stm.controllers.conformance._endurance import Endurance
from bluesky_stm.controllers.conformance._heeds import Heeds
from bluesky_stm.controllers.conformance._limits import Refusals
from bluesky_stm.controllers.conformance._motion import Motion
from bluesky_stm.controllers.conformance._safety import Safety
from bluesky_stm.controllers.conformance._scans import Scans
from bluesky_stm.controllers.conformance._spectra import Spectra
from bluesky_stm.controllers.conformance._words import Words
from bluesky_stm.controllers.conformance._z_sweeps import ZSweeps

__all__ = ["ControllerConformance"]


class ControllerConformance(Words, Refusals, Motion, Heeds, Spectra, ZSweeps, Scans, Safety, Endurance):
    """Subclass it with a fixture ``controller``, and ``unhurried`` where acts can be made to take time."""
