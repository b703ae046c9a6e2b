"""The agent, its decisions, and what it shows of its model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm import units
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import OF_VALUE, Declared, Topograph, nested, number, place, text, whole
from bluesky_stm.protocols._observation import NAN, Experience, Observation
from bluesky_stm.validated import JSON, Data


@dataclass(frozen=True)
class Health(Declared):
    """Measures of how far the model behind a decision can be trusted.

    Attributes
    ----------
    model : str
        What made the decision: ``"deep kernel"``, ``"kernel, net off"``, ``"kernel on xy"``, ``"space filling"`` ...
    error : float
        Leave-one-out root mean square error, in standard deviations of the values; NaN before there is a fit.
    coverage : float
        Share of the values inside their leave-one-out 90 % interval; NaN before there is a fit.
    noise : float
        Standard deviation of the observation noise, in units of the value; NaN before there is a fit.
    length : float
        Length scale of the position kernel, in nm; NaN where there is none.
    depth : float
        Share of the prior variance that the learned features carry: 0 with the net off.
    warning : str
        What a person should look at; empty when all is well.
    device : str
        Where it was computed: ``"cpu"``; earlier versions may name a GPU, whose last digits may differ; empty where it does not
        say.
    ahead : float
        Share of the values at the last 20 chosen places inside the 90 % interval that the values before them predict: how far
        the map is right where it was tested; NaN before there are as many.
    off : float
        Mean of measured less predicted there, in predicted standard deviations: negative where the map promised too much.
    left : float
        By how much more than the best measured place those that are left may give: with 90 %, at most one in a hundred of them
        gives even more. NaN where large values are not what is sought, before there is a fit, and where nothing that is
        seen says anything of the values.
    """

    model: str = text("What made the decision.")
    error: float = number("", "Leave-one-out error, in standard deviations of the values.", NAN)
    coverage: float = number("", "Share of the values inside their leave-one-out 90 % interval.", NAN)
    noise: float = number(OF_VALUE, "Standard deviation of the observation noise.", NAN)
    length: float = number(units.LENGTH, "Length scale of the position kernel.", NAN)
    depth: float = number("", "Share of the prior variance that the learned features carry.", 0.0)
    warning: str = text("What a person should look at.", "")
    device: str = text("Where it was computed.", "", optional=True)  # runs of the first days do not say
    ahead: float = number("", "Share of values at chosen places in the 90 % interval before.", NAN, optional=True)
    off: float = number("", "Mean of measured less predicted there, in standard deviations.", NAN, optional=True)
    left: float = number(OF_VALUE, "How much more than the best the places left may give, with 90 %.", NAN, optional=True)

    @property
    def warnings(self) -> dict[str, str]:
        """The warnings one by one, by their kind: the words without the numbers, which change from decision to decision."""
        return {re.sub(r"[\d.,%]+", "#", one): one for one in self.warning.split("; ") if one}


@dataclass(frozen=True)
class Decision(Declared):
    """A place to measure next, and why.

    Attributes
    ----------
    point : Point
        Place of the next spectrum, in nm.
    candidate : int
        Its row in ``Agent.candidates``.
    why : str
        ``"seed"``, or the acquisition function that chose it, or the fall-back that had to.
    mean, std : float
        Predicted there before measuring, in the units of the scalarizer; NaN when nothing has been learned yet.
    acquisition : float
        Value of the acquisition function there; NaN for a seed point.
    ingested : int
        Observations (failed ones included) that the agent had learned from.
    health : Health
    """

    point: Point = place()
    candidate: int = whole(int, "Row of the place in the candidates of the agent.")
    why: str = text("Seed, or what chose the place.")
    mean: float = number(OF_VALUE, "Predicted there before measuring.", NAN)
    std: float = number(OF_VALUE, "Standard deviation of the prediction.", NAN)
    acquisition: float = number("", "Value of the acquisition function there.", NAN)
    ingested: int = whole(int, "Observations that the agent had learned from.", 0)
    health: Health = nested(Health, "health_", default_factory=lambda: Health("space filling"))


@dataclass(frozen=True, eq=False)
class Posterior:
    """Prediction of the value, noise left out.

    Attributes
    ----------
    mean, std : ndarray of shape (n,)
        In the unit of the scalarizer.
    """

    mean: Floats
    std: Floats


@dataclass(frozen=True, eq=False)
class Insight:
    """Acquisition value and feature space of the n candidates, for display; NaN where the agent does not give them.

    Attributes
    ----------
    acquisition : ndarray of shape (n,)
        Acquisition value now and with nothing pending; NaN also where the agent has measured.
    features : ndarray of shape (n, 2)
        Feature space of the agent in two dimensions, without unit: candidates that look alike to the agent are close.
    """

    acquisition: Floats
    features: Floats

    @classmethod
    def unknown(cls, count: int) -> Self:
        """Return the insight of an agent that does not give any, for ``count`` candidates."""
        return cls(np.full(count, np.nan), np.full((count, 2), np.nan))


@runtime_checkable
class Insightful(Protocol):
    """An agent that shows its acquisition values and its feature space."""

    def insight(self) -> Insight:
        """Return both as they are after the last observation."""


@runtime_checkable
class Agent(Protocol):
    """An agent, which decides where to measure next.

    It learns from what it is given, in that order, and from nothing else. Its state follows from its settings, its seed, the
    topograph and the ordered observations, never from wall time: the same observations lead to the same decisions, bit for bit
    on the same machine.
    """

    @property
    def candidates(self) -> Floats:
        """Places that it may suggest; shape (n, 2), as (x, y) in nm.

        They are known after `observe`, and stay in this order: `Decision.candidate` is a row of them.
        """

    def observe(self, topograph: Topograph, prior: Sequence[Experience] = ()) -> None:
        """Take in the topograph and lay out the candidates; everything learned before is forgotten.

        Parameters
        ----------
        topograph : Topograph
            Image of the frame in which spectra may be suggested.
        prior : sequence of Experience
            Earlier runs, from which it may learn.
        """

    def ingest(self, observations: Sequence[Observation]) -> None:
        """Learn from spectra.

        Parameters
        ----------
        observations : sequence of Observation
            In the order in which they were taken. Failed ones count as measured but carry no value.
        """

    def suggest(self, n: int = 1, pending: Sequence[Point] = (), mask: NDArray[np.bool_] | None = None) -> list[Decision]:
        """Return the next places. Asking twice gives the same answer.

        Parameters
        ----------
        n : int
            Number of places.
        pending : sequence of Point
            Places that are being measured, in nm; they will not be suggested.
        mask : ndarray of bool of shape (candidates,), optional
            True where the agent may look.

        Returns
        -------
        list of Decision

        Raises
        ------
        SettingsError
            When fewer than ``n`` candidates are left.
        """

    def posterior(self, points: ArrayLike | None = None) -> Posterior:
        """Return the prediction of the value.

        Parameters
        ----------
        points : array_like of shape (m, 2), optional
            Places, as (x, y) in nm; the candidates if not given.

        Returns
        -------
        Posterior
            Mean and standard deviation, in the unit of the scalarizer, the observation noise left out.
        """

    def checkpoint(self) -> JSON:
        """Return its whole state, as plain values and arrays.

        What a person may change while it runs is found under ``"settings"``.
        """

    def restore(self, state: Data) -> None:
        """Go back to the state of a `checkpoint`, after which the next decisions are those that followed it.

        Parameters
        ----------
        state : mapping
            What `checkpoint` has returned.
        """

    def describe(self) -> JSON:
        """Return the JSON-able ``{"name", "settings", "seed", "weights"}`` from which it can be made again.

        ``"weights"`` is the hash of the pretrained net, or None for an agent that has none.
        """
