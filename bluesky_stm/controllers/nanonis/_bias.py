"""The sample bias of a Nanonis controller."""

from __future__ import annotations

import math
from typing import Final

from typing_extensions import override

from bluesky_stm.controllers.base import SLEW
from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.errors import LimitError, MotionStoppedError
from bluesky_stm.protocols import BiasControl

# Bias.Set jumps where the module has no slew rate, so the ramp is made of steps here.
STEP: Final = 0.05
"""Steps of a bias ramp, in V."""

BIAS_TOLERANCE: Final = 1e-3
"""How far the bias may be from what was asked for, in V."""


class NanonisBias(NanonisPart, BiasControl):
    """Fulfils `protocols.BiasControl`."""

    @override
    def get_bias(self) -> float:
        return self._watch.ask("Bias.Get")[0]

    @override
    def ramp_bias(self, bias: float) -> None:
        """Ramp the sample bias in steps of `STEP` at `SLEW`, and return when ``Bias.Get`` reads it back.

        Parameters
        ----------
        bias : float
            In V.

        Raises
        ------
        LimitError
            When the feedback is closed, and could not hold the tip at that bias or on the way there. Nothing has moved.
        MotionStoppedError
            When `stop` ended the ramp; the bias stays at the step that was sent last.
        NanonisError
            When the bias does not read back within `BIAS_TOLERANCE`.
        """
        with self._guard.act():
            if self._guard.is_closed():
                self._guard.check_bias("A closed feedback", bias)
                if (here := self.get_bias()) * bias <= 0:
                    raise LimitError(
                        f"{bias:g} V lies beyond 0 V from {here:g} V, and the feedback is closed: it would run the tip into "
                        "the surface on the way. Nothing has moved. Open the feedback, or withdraw the tip before."
                    )
            self.ramp(bias, self._work)

    def ramp(self, bias: float, link: Link, *, stoppable: bool = True) -> None:
        """Ramp within an act.

        Parameters
        ----------
        bias : float
            Bias to reach, in V.
        link : Link
            Connection over which the steps are sent.
        stoppable : bool
            False for a ramp that a stop does not end.

        Raises
        ------
        MotionStoppedError
            When a stop ended it.
        """
        start, stopped = self.get_bias(), self._links.stopped
        steps = max(1, math.ceil(abs(bias - start) / STEP))
        for step in range(1, steps + 1):
            if stoppable and stopped.is_set():
                raise MotionStoppedError(f"The ramp was stopped at {self.get_bias():g} V, before {bias:g} V. Ask again.")
            link.ask("Bias.Set", start + (bias - start) * step / steps)
            if step < steps:
                self._links.clock.sleep(STEP / SLEW, stopped if stoppable else None)
        self._links.until(lambda: abs(self.get_bias() - bias) < BIAS_TOLERANCE, f"A bias of {bias:g} V")
