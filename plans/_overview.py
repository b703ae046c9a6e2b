"""Overviews: a place chosen in an earlier image is found again, by an image of its surroundings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.errors import LimitError
from bluesky_stm.geometry import Drift, Frame, Point
from bluesky_stm.imaging import small_features
from bluesky_stm.measurements import Topograph
from bluesky_stm.plans._matching import follow, locate, zip_xy
from bluesky_stm.plans._readable import BOOLEAN, STRING, PlanReadable, record
from bluesky_stm.plans._stubs import image_of, scan
from bluesky_stm.protocols import PACKET

if TYPE_CHECKING:
    from bluesky_stm.devices import STM
    from bluesky_stm.plans._approach import Approach

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
"""Fields of an Event in the stream ``overview``, beside the image: shift found, expected from drift, and used, in nm."""

OVERVIEW_SIDE = 2.5
"""Side of the overview, in sides of the frame that is looked for; creep and hysteresis miss by a few per cent of a move."""

LARGEST_MISS = 0.03
"""Largest error of a move, as a share of the parent's side and beside drift; a match farther off counts as a mistake."""


@dataclass(frozen=True, eq=False)
class Parent:
    """Image in which a frame was chosen, and what is known of the drift since.

    Attributes
    ----------
    image : Topograph
        Topograph of the parent run.
    drift : Drift or None
        Drift since that topograph, as far as it was measured.
    """

    image: Topograph
    drift: Drift | None = None


def find_again(stm: STM, frame: Frame, parent: Parent, approach: Approach | None = None) -> MsgGenerator[Frame]:
    """Find the place that ``frame`` has in the parent's image, and return the frame as it lies now.

    An overview is scanned and matched to that image; it emits one Event in the stream ``overview``. Where the images do not
    agree, or the frame would leave the limits, the shift that drift lets expect is used.

    Parameters
    ----------
    stm : STM
        Microscope that scans.
    frame : Frame
        Region as it lay in the parent's image.
    parent : Parent
        That image, and the drift since.
    approach : Approach, optional
        The way to the beginning of the overview.

    Returns
    -------
    Frame
        The same region where it lies now.
    """
    expected = follow(parent.drift, Point(0.0, 0.0), stm.controller.now())
    yield from scan(stm, _around(stm, frame, parent, expected), approach)
    image = image_of(stm)
    if image is None:  # the plan is only simulated
        return frame
    before, after = (small_features(one, max(image.frame.pixel_size)) for one in (parent.image, image))
    found = locate(before, after, expected, LARGEST_MISS * max(parent.image.frame.size))
    used = Point(*found.shift) if found.trusted and _allowed(stm, _moved(frame, found.shift)) else expected
    readable = PlanReadable(Stream.OVERVIEW, OVERVIEW_FIELDS)
    said = {"correlation": found.correlation, "method": found.method, "trusted": found.trusted}
    places = {**zip_xy("", found.shift), **zip_xy("expected_", expected), **zip_xy("used_", used)}
    yield from record(readable, stm.scanner, **said, **places)
    return _moved(frame, used)


def _around(stm: STM, frame: Frame, parent: Parent, expected: Point) -> Frame:
    """Return a frame around ``frame``, with pixels as fine as those of the parent's image.

    It reaches as far as that image and the limits allow.
    """
    whole = parent.image.frame
    side = min(OVERVIEW_SIDE * max(frame.size), *whole.size)
    middle = np.asarray(whole.center)
    cos, sin = np.cos(np.radians(whole.angle)), np.sin(np.radians(whole.angle))
    turn = np.array([[cos, sin], [-sin, cos]])
    reach = (np.asarray(whole.size) - side) / 2
    offset = np.clip(turn @ (np.asarray(frame.center) - middle), -reach, reach)
    center = middle + turn.T @ offset
    packets = np.ceil(side / min(whole.pixel_size) / PACKET - 1e-6)
    # Enough to be matched, and never as slow as the image itself.
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
