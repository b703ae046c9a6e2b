"""The base of all parts of a Nanonis controller.

It has two connections, does one act at a time, and reads the state instead of assuming it.
"""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from bluesky_stm import units
from bluesky_stm.controllers.base._clock import Clock, RealClock
from bluesky_stm.controllers.nanonis._channels import ChannelNames, Channels
from bluesky_stm.controllers.nanonis._link import Announce, Link
from bluesky_stm.controllers.nanonis_wire._commands import OLDEST_RELEASE, ZStatus
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.errors import LimitError, SettingsError, STMError
from bluesky_stm.settings import Limits

POLL: Final = 0.01
"""Pause between two questions whether something is over, in s."""

ARRIVED: Final = 0.05
"""How far the tip may end from the place or below the height that was asked for, in nm."""

SMALLEST_SETPOINT: Final = 0.001
"""In nA; the protocol does not say what the preamplifier can still hold."""

FASTEST: Final = 10_000.0
"""Speed of the tip, in nm/s; the protocol does not say what the scanner can do."""


@dataclass(frozen=True)
class Versions:
    """Names and releases that the software states."""

    product: str
    version: str
    host_release: int
    rt_release: int


@dataclass
class Act:
    """An act under way.

    Attributes
    ----------
    checked : bool
        True when the act has read the state of the tip as its last request: it is not read once more.
    """

    checked: bool = False


class Connected(ABC):
    """Two connections to a controller: one works, and may be blocked by what it does; the other one watches, and stops it.

    Each takes the first of its ports that answers, work the 1st, 3rd ... and watch the 2nd, 4th ...

    Raises
    ------
    LostConnectionError
        When nobody answers.
    NanonisError
        When the release is too old or a channel is missing.
    """

    def __init__(
        self,
        host: str,
        ports: Sequence[int],
        *,
        timeout: float,
        read_only: bool,
        announce: Announce | None,
        channels: ChannelNames,
        clock: Clock | None,
    ) -> None:
        if len(ports) < 2:
            raise SettingsError(f"Two ports are needed, one to work and one to watch and stop, not {list(ports)}.")
        self.host, self._ports, self._timeout, self.read_only = host, tuple(ports), timeout, read_only
        self.channel_names, self._announce = channels, announce
        self._clock = clock or RealClock()
        self._acting, self._stopped = threading.RLock(), threading.Event()
        self._deciding = threading.Lock()
        """Held while it is decided whether the feedback is closed, so that a tip on its way back stays on it.

        Who holds it asks over the watching connection only: the working one takes it when it connects again.
        """
        self._work = Link(host, ports[0::2], timeout, read_only=read_only, announce=announce, on_connect=self._meet)
        self._watch = Link(host, ports[1::2], timeout, read_only=read_only, announce=announce)
        try:
            self.versions = self._read_versions()
            self._find_channels(self._work)
            self.ranges = self._read_ranges()
            self.status()
        except BaseException:
            self._hang_up()
            raise
        self._limits = Limits.within(self.ranges)
        self._met = True

    _met = False
    """Whether it was connected before: a tip found without feedback is then one that was lost on the way."""

    def _meet(self, link: Link) -> None:
        """Meet the controller after (re)connecting, before anything else is sent over ``link``.

        It may have been started anew meanwhile.
        """
        self._end_what_was_left(link)
        if self._met:
            self._find_channels(link)
            self._arm(link)

    @abstractmethod
    def _end_what_was_left(self, link: Link) -> None:
        """Stop what runs, and bring a tip without feedback to safety."""

    @abstractmethod
    def _arm(self, link: Link) -> None:
        """Set the interlocks that were asked for, and read them back."""

    def _find_channels(self, link: Link) -> None:
        self.channels = Channels.find(self.channel_names, link.ask("Signals.NamesGet")[0])

    def status(self) -> ZStatus:
        """State of the z controller."""
        (code,) = self._watch.ask("ZCtrl.StatusGet")
        try:
            return ZStatus(code)
        except ValueError:
            raise NanonisError(f"The z controller is in state {code}, which is not known. Look at the microscope.") from None

    # ---- acts ----

    @contextmanager
    def _act(self) -> Iterator[Act]:
        """Do one act at a time; a `stop` ends this one and not the next. A Safe Tip event within it is its fault.

        A lost connection comes back before it begins, for then the state is read.
        """
        with self._acting:
            self._stopped.clear()
            self._work.connect()
            act = Act()
            try:
                yield act
            except NanonisError as refusal:
                self._check_tip(refusal)
                raise
            if not act.checked:
                self._check_tip()

    def _check(self, **asked: float) -> None:
        for quantity, value in asked.items():
            self._limits.check(quantity, value)

    @abstractmethod
    def _check_tip(self, refusal: NanonisError | None = None) -> object:
        """Raise when the tip is not where the act should have left it: Safe Tip withdrew it, or nothing holds it."""

    def _until(
        self,
        done: Callable[[], bool],
        what: str,
        patience: float,
        going_on: Callable[[], bool] = lambda: False,
        longest: float = math.inf,
    ) -> None:
        """Ask again and again; an error when for ``patience`` s nothing has been going on, or after ``longest``."""
        begun = last = time.monotonic()
        while not done():
            now = time.monotonic()
            if going_on():
                last = now
            if now - last > patience or now - begun > longest:
                raise NanonisError(f"{what} did not happen within {now - begun:.3g} s. Look at the microscope before going on.")
            time.sleep(POLL)

    def _confirm(self, what: str, asked: float, read: float, unit: str, tolerance: float) -> None:
        """Refuse to go on unless what was set is what is read back."""
        if not math.isclose(asked, read, rel_tol=1e-5, abs_tol=tolerance):
            raise NanonisError(
                f"{what} was set to {asked:g} {unit} and reads back {read:g} {unit}. Nothing else was done. "
                "Look at the limits and the ranges in the Nanonis software."
            )

    # ---- what it is connected to ----

    def _read_versions(self) -> Versions:
        versions = Versions(*self._work.ask("Util.VersionGet"))
        if versions.host_release < OLDEST_RELEASE:
            raise NanonisError(
                f"Release {versions.host_release} of {versions.product} speaks another protocol: {OLDEST_RELEASE} or later is "
                "needed. Nothing has moved. Update the Nanonis software."
            )
        return versions

    def _read_ranges(self) -> Mapping[str, tuple[float, float]]:
        x, y, _ = (ours(span, units.LENGTH) / 2 for span in self._work.ask("Piezo.RangeGet"))
        high, low = (ours(end, units.LENGTH) for end in self._work.ask("ZCtrl.LimitsGet"))
        current = self._full_scale()
        most, least = self._work.ask("Signals.RangeGet", self.channels.bias)
        ranges = {
            "bias": (least, most),
            "current": (0.0, current),
            "setpoint": (SMALLEST_SETPOINT, current),
            "x": (-x, x),
            "y": (-y, y),
            "z": (low, high),
            "speed": (0.0, FASTEST),
        }
        if wrong := {name: pair for name, pair in ranges.items() if not pair[0] < pair[1]}:
            raise NanonisError(f"The Nanonis software gives ranges that make no sense: {wrong}. Nothing has moved.")
        return ranges

    def _full_scale(self) -> float:
        """End of the preamplifier's range, in nA, at the gain that it has now."""
        return ours(max(map(abs, self._watch.ask("Signals.RangeGet", self.channels.current))), units.CURRENT)

    def _hang_up(self) -> None:
        self._work.close()
        self._watch.close()


HARMLESS = (LimitError, SettingsError)
"""Refusals before anything happened."""


@contextmanager
def rescued(rescue: Callable[[], None]) -> Iterator[None]:
    """Call ``rescue`` when what is inside fails; what fails in it does not hide why."""
    try:
        yield
    except HARMLESS:
        raise
    except BaseException:
        with suppress(STMError):
            rescue()
        raise
