"""Finding a place again: an overview around it, matched to the image in which it was chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.errors import LimitError
from bluesky_stm.geometry import Drift, Frame, Point
from bluesky_stm.imaging import small_features
from bluesky_stm.measurements import Topograph
from bluesky_stm.plans._matching import follow, locate, zip_xy
from bluesky_stm.plans._readable import BOOLEAN, STRING, PlanReadable, record
from bluesky_stm.plans._stubs import image_of, scan

if TYPE_CHECKING:
    from bluesky_stm.devices import STM

OVERVIEW_FIELDS = {
    "x": units.LENGTH,
    "y": units.LENGTH,
    "correlation": "",
    "method": STRING,
    "trusted": BOOLEAN,
    "expected_x": units.LENGTH,
    "expected_y": units.LENGTH,
    "used_x": units.LENGTH,
    "used_y": units.LENGTH,
}
"""Of an Event in the stream ``overview``, beside the image: shift found, expected from drift, and used for the frame."""

OVERVIEW_SIDE = 2.5
"""Side of the overview, in sides of the frame that is looked for: creep and hysteresis miss by a few per cent of a move."""

LARGEST_MISS = 0.03
"""By how much of the parent's side a place is missed at most, beside drift; a match farther off is a mistake."""

PACKET = 16
"""Scan controllers take the pixels of a line in packets of so many."""


@dataclass(frozen=True, eq=False)
class Parent:
    """The image in which a frame was chosen, and what is known of the drift since."""

    image: Topograph
    drift: Drift | None = None


def find_again(stm: STM, frame: Frame, parent: Parent) -> MsgGenerator[Frame]:
    """Where ``frame`` of the parent's image lies now; one Event in the stream ``overview``.

    Where the images do not agree, the shift that drift lets expect is used; so it is where the frame would leave the limits.
    """
    expected = follow(parent.drift, Point(0.0, 0.0), stm.controller.now())
    yield from scan(stm, _around(stm, frame, parent, expected))
    image = image_of(stm)
    if image is None:  # the plan is only simulated
        return frame
    before, after = (small_features(one, max(image.frame.pixel_size)) for one in (parent.image, image))
    found = locate(before, after, expected, LARGEST_MISS * max(parent.image.frame.size))
    used = Point(*found.shift) if found.trusted and _allowed(stm, _moved(frame, found.shift)) else expected
    readable = PlanReadable("overview", OVERVIEW_FIELDS)
    said = {"correlation": found.correlation, "method": found.method, "trusted": found.trusted}
    places = {**zip_xy("", found.shift), **zip_xy("expected_", expected), **zip_xy("used_", used)}
    yield from record("overview", readable, stm.scanner, **said, **places)
    return _moved(frame, used)


def _around(stm: STM, frame: Frame, parent: Parent, expected: Point) -> Frame:
    """A frame around ``frame``, as far as the parent's image and the limits reach, with pixels as fine as the parent's."""
    whole = parent.image.frame
    side = min(OVERVIEW_SIDE * max(frame.size), *whole.size)
    middle = np.asarray(whole.center)
    cos, sin = np.cos(np.radians(whole.angle)), np.sin(np.radians(whole.angle))
    turn = np.array([[cos, sin], [-sin, cos]])
    reach = (np.asarray(whole.size) - side) / 2
    offset = np.clip(turn @ (np.asarray(frame.center) - middle), -reach, reach)
    center = middle + turn.T @ offset
    packets = np.ceil(side / min(whole.pixel_size) / PACKET - 1e-6)
    pixels = int(np.clip(PACKET * packets, 64, 256))
    return _moved(Frame.square((float(center[0]), float(center[1])), side, pixels, whole.angle), expected)


def _moved(frame: Frame, shift: tuple[float, float]) -> Frame:
    return replace(frame, center=Point(frame.center.x + shift[0], frame.center.y + shift[1]))


def _allowed(stm: STM, frame: Frame) -> bool:
    try:
        stm.scanner.check_value(frame)
    except LimitError:
        return False
    return True
