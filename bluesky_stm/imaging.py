"""Images put right: levelled, cleaned of what the scan did to them, and laid over one another.

All functions take arrays with row 0 at the lowest y, keep NaN where nothing was measured, and return new arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.signal import fftconvolve
from skimage.filters import window
from skimage.registration import phase_cross_correlation

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Topograph

LEAST_CORRELATION: Final = 0.5
"""Two images of one place correlate better than this unless noise outweighs the surface; strangers stay below it
if they show more than a handful of features."""

LEAST_OVERLAP: Final = 0.3
"""Share of the image that has to be in both; what two images agree on in a mere corner is chance."""

COARSEST_FEATURE: Final = 0.08
"""Size of the coarsest features by which small frames are compared, as a share of the frame."""

SMALL: Final = 5
"""Size of the coarsest of `small_features`, relative to that of the finest."""

SATURATION: Final = 3.0
"""Height, in usual deviations, up to which one of `small_features` counts for more the higher it is."""

RIVAL: Final = 2 / 3
"""Likeness that another place may have at most, as a share of that of the match: a wrong match is one of many as good."""

APART: Final = 0.1
"""Shares of the image by which that other place lies away at least."""

_UPSAMPLING: Final = 20


def level(image: ArrayLike) -> Floats:
    """The image less the plane that fits it best: tilt of the sample, slow drift in z."""
    image = np.asarray(image, dtype=float)
    rows, columns = np.indices(image.shape)
    terms = np.stack([rows, columns, np.ones_like(rows)], axis=-1).astype(float)
    seen = np.isfinite(image)
    plane, *_ = np.linalg.lstsq(terms[seen], image[seen])
    return image - terms @ plane


def align_rows(image: ArrayLike) -> Floats:
    """The image with the jumps between lines taken out: the median step from a line to the next becomes zero.

    A slope along the slow direction goes with them; steps of the surface that cross the lines stay.
    """
    image = np.asarray(image, dtype=float)
    steps = np.diff(image, axis=0)
    jumps = np.array([np.median(step[seen]) if (seen := np.isfinite(step)).any() else 0.0 for step in steps])
    offsets = np.concatenate([[0.0], np.cumsum(jumps)])
    return image - (offsets - offsets.mean())[:, None]


def remove_streaks(image: ArrayLike, sigmas: float = 5.0, longest: int = 3) -> Floats:
    """The image with streaks along the lines taken out: a few lines that stand out above or below both neighbours.

    Parameters
    ----------
    image : array_like of shape (rows, columns)
    sigmas : float
        How far out, in standard deviations of the steps between lines (from their median, so that streaks don't count).
    longest : int
        Lines that a streak is thick at most; something thicker belongs to the surface.

    Returns
    -------
    ndarray
        Samples of streaks replaced by the mean of the lines below and above them.
    """
    image = np.array(image, dtype=float)
    threshold = sigmas * _deviation(np.diff(image, axis=0))
    for thickness in range(1, min(longest, len(image) - 2) + 1):
        below, above = image[: -thickness - 1], image[thickness + 1 :]
        between = np.stack([image[1 + k : len(image) - thickness + k] for k in range(thickness)])
        bright, dark = between.min(axis=0) - np.maximum(below, above), np.minimum(below, above) - between.max(axis=0)
        out = np.maximum(bright, dark) > threshold
        for k in range(thickness):
            part = image[1 + k : len(image) - thickness + k]
            part[out] = ((below + above) / 2)[out]
    return image


class Shift(NamedTuple):
    """How far the surface has moved, in nm, along x and y."""

    x: float
    y: float


@dataclass(frozen=True)
class Registration:
    """Where one image lies in another.

    Attributes
    ----------
    shift : Shift
        What was at a point of the reference is at that point plus this in the image.
    correlation : float
        Of both images where they overlap, -1 to 1; 0 where they could not be laid over one another.
    method : str
        ``"phase correlation"``, or ``"masked correlation"`` where that had failed; ``"features"`` of `register_features`.
    rival : float
        How alike the images are at the next best place elsewhere, as a share of this; 1 where the match lies at the end of what
        was looked at. Of `register_features`; 0 of `register`.
    """

    shift: Shift
    correlation: float
    method: str
    rival: float = 0.0

    @property
    def trusted(self) -> bool:
        """Whether the images agree well enough here, and nowhere else, for the shift to be used."""
        return self.correlation >= LEAST_CORRELATION and self.rival <= RIVAL


def register(reference: Topograph, image: Topograph) -> Registration:
    """How far the surface has moved between two images that show the same place.

    Both are compared in the frame of ``image``; ``reference`` may be larger, coarser or turned. Phase correlation [1]_ comes
    first; where what it finds does not correlate, a normalised correlation that knows no edges [2]_. The result is refined to
    a twentieth of a pixel in the overlap.

    Raises
    ------
    SettingsError
        When ``reference`` covers too little of the frame of ``image``.

    References
    ----------
    .. [1] C. D. Kuglin and D. C. Hines, Proc. IEEE Int. Conf. Cybernetics and Society (1975), 163
    .. [2] D. Padfield, IEEE Trans. Image Process. 21, 2706 (2012), doi:10.1109/TIP.2011.2181402
    """
    before, after = resample(reference, image.frame), np.asarray(image.height, dtype=float)
    _check_coverage(before, after)
    before, after = level(before), level(after)
    method, moved = "phase correlation", _by_phase(before, after)
    if _correlation(before, after, moved) < LEAST_CORRELATION:
        method, moved = "masked correlation", _by_mask(before, after)
    moved = _refined(before, after, moved)
    there, here = image.frame.to_sample(moved), image.frame.to_sample((0.0, 0.0))
    return Registration(Shift(*(float(v) for v in there - here)), _correlation(before, after, moved), method)


def register_features(
    reference: Topograph, image: Topograph, expected: tuple[float, float] = (0.0, 0.0), within: float = math.inf
) -> Registration:
    """As `register`, for small frames: by features of the surface alone, to a tenth of a pixel.

    Lines that the scan converters leave stand still in the frame while the surface drifts below, and a background without
    features fits anywhere: both are filtered out, as either would hold a registration at no shift. The rest is laid over one
    another by a normalised correlation that knows no edges [1]_, times the square root of the overlap: a correlation of few
    features is high by chance. The peak is interpolated by parabolas. Only shifts ``within`` so many nm of the one ``expected``
    along either axis are looked at: few features fit in many places. Where they fit in more than one, the match has a rival.

    Raises
    ------
    SettingsError
        When ``reference`` covers too little of the frame of ``image``.

    References
    ----------
    .. [1] D. Padfield, IEEE Trans. Image Process. 21, 2706 (2012), doi:10.1109/TIP.2011.2181402
    """
    finest, coarsest = max(image.frame.pixel_size), COARSEST_FEATURE * min(image.frame.size)
    reference, image = (band_passed(one, finest, coarsest) for one in (reference, image))
    before, after = resample(reference, image.frame), np.asarray(image.height, dtype=float)
    _check_coverage(before, after)
    pixels = image.frame.to_pixel(np.asarray(image.frame.center) + expected) - image.frame.to_pixel(image.frame.center)
    whole, rival = _best_match(_likeness(before, after), pixels, within / np.array(image.frame.pixel_size))
    moved = whole + [_peak(before, after, whole, axis) for axis in np.eye(2)]
    there, here = image.frame.to_sample(moved), image.frame.to_sample((0.0, 0.0))
    return Registration(Shift(*(float(v) for v in there - here)), _correlation(before, after, moved), "features", rival)


def band_passed(image: Topograph, finest: float, coarsest: float) -> Topograph:
    """The image with nothing but features between two sizes, in nm: without thin lines of the scan, without slow background."""
    height = level(image.height)
    seen = np.isfinite(height)
    filled = np.where(seen, height, 0.0)
    fine, coarse = (gaussian_filter(filled, np.divide(size, image.frame.pixel_size)) for size in (finest, coarsest))
    return replace(image, height=np.where(seen, fine - coarse, np.nan))


def small_features(image: Topograph, finest: float) -> Topograph:
    """The image with nothing but features of up to some times ``finest``, in nm, a high one hardly more than a low one.

    A step fits anywhere along itself: as high as it is, it would outweigh all spots that say where along it one is.
    """
    features = band_passed(image, finest, SMALL * finest)
    usual = _deviation(features.height) or 1.0
    return replace(features, height=np.tanh(features.height / (SATURATION * usual)))


def resample(image: Topograph, frame: Frame) -> Floats:
    """Heights of ``image`` at the pixels of ``frame``, interpolated; NaN outside of it. Shape ``frame.pixels``, in nm."""
    if frame == image.frame:
        return np.array(image.height, dtype=float)
    places = np.moveaxis(image.frame.to_pixel(frame.points()), -1, 0)
    return map_coordinates(np.asarray(image.height, dtype=float), places, order=1, mode="constant", cval=np.nan)


def _check_coverage(before: Floats, after: Floats) -> None:
    for name, picture in (("reference", before), ("image", after)):
        covered = np.isfinite(picture).mean()
        if covered < LEAST_OVERLAP:
            raise SettingsError(
                f"The {name} covers {covered:.0%} of the frame to be compared, less than {LEAST_OVERLAP:.0%}. "
                "Nothing was registered. Take an image of the same place."
            )


def _peak(before: Floats, after: Floats, whole: Floats, axis: Floats) -> float:
    """How far the correlation peaks from the shift ``whole`` along an axis, in pixels: of a parabola through three values."""
    left, middle, right = (_correlation(before, after, whole + step * axis) for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _likeness(before: Floats, after: Floats) -> Floats:
    """Correlation times the square root of the overlap, of all shifts; (2 * rows - 1, 2 * columns - 1), no shift in the middle.

    -1 where the overlap is too small.
    """
    one, two = (np.isfinite(image).astype(float) for image in (before, after))
    first, second = (np.nan_to_num(image) for image in (before, after))
    overlap = np.maximum(_over(one, two), 1e-6)
    sums, others = _over(first, two), _over(one, second)
    spread = (_over(first**2, two) - sums**2 / overlap) * (_over(one, second**2) - others**2 / overlap)
    common = _over(first, second) - sums * others / overlap
    enough = (overlap >= LEAST_OVERLAP**2 * before.size) & (spread > 1e-12 * spread.max())
    share = np.sqrt(overlap / before.size)
    return np.where(enough, common / np.sqrt(np.where(enough, spread, 1.0)) * share, -1.0)


def _over(first: Floats, second: Floats) -> Floats:
    """Sum of the products, for each shift of the second image against the first."""
    return fftconvolve(second, first[::-1, ::-1])


def _best_match(likeness: Floats, expected: Floats, within: Floats) -> tuple[Floats, float]:
    """The shift in pixels that is likest, of those ``within`` so many of the one expected, and how near its rival comes."""
    middle = (np.array(likeness.shape) - 1) // 2
    first = np.clip(np.floor(middle + expected - within), 0, 2 * middle).astype(int)
    last = np.clip(np.ceil(middle + expected + within), 0, 2 * middle).astype(int)
    looked = likeness[first[0] : last[0] + 1, first[1] : last[1] + 1]
    best = np.array(np.unravel_index(int(np.argmax(looked)), looked.shape))
    ends = (best + first == first) & (first > 0) | (best + first == last) & (last < 2 * middle)
    apart = np.abs(np.indices(looked.shape) - best[:, None, None]) > APART * (middle[:, None, None] + 1)
    rival = looked.max(where=apart.any(axis=0), initial=0.0) / max(float(looked[*best]), 1e-9)
    return (best + first - middle).astype(float), 1.0 if ends.any() else min(float(rival), 1.0)


def _by_phase(before: Floats, after: Floats) -> Floats:
    """Pixels, as (row, column), by which the surface moved; images faded out towards the edges."""
    faded = [_filled(image) * window("hann", image.shape) for image in (before, after)]
    return -phase_cross_correlation(*faded, normalization="phase")[0]


def _by_mask(before: Floats, after: Floats) -> Floats:
    masks = {"reference_mask": np.isfinite(before), "moving_mask": np.isfinite(after)}
    return -phase_cross_correlation(_filled(before), _filled(after), **masks, overlap_ratio=LEAST_OVERLAP)[0]


def _refined(before: Floats, after: Floats, moved: Floats) -> Floats:
    """Moved by fractions of a pixel, from the overlap alone."""
    whole = np.rint(moved).astype(int)
    pair = [_filled(level(part)) for part in _overlap(before, after, whole)]
    faded = [part * window("hann", part.shape) for part in pair]
    rest = -phase_cross_correlation(*faded, normalization=None, upsample_factor=_UPSAMPLING)[0]
    return whole + (rest if np.abs(rest).max() < 2 else 0.0)


def _correlation(before: Floats, after: Floats, moved: Floats) -> float:
    """Of the overlap; 0 where it is too small."""
    first, second = _overlap(before, after, np.rint(moved).astype(int))
    seen = np.isfinite(first) & np.isfinite(second)
    if seen.sum() < LEAST_OVERLAP**2 * before.size or not (np.ptp(first[seen]) and np.ptp(second[seen])):
        return 0.0
    return float(np.corrcoef(first[seen], second[seen])[0, 1])


def _overlap(before: Floats, after: Floats, moved: Floats) -> tuple[Floats, Floats]:
    """The parts of both images that show the same place."""
    kept = [slice(max(-int(m), 0), n - max(int(m), 0)) for m, n in zip(moved, before.shape, strict=True)]
    seen = [slice(max(int(m), 0), n - max(-int(m), 0)) for m, n in zip(moved, before.shape, strict=True)]
    return before[*kept], after[*seen]


def _filled(image: Floats) -> Floats:
    return np.where(np.isfinite(image), image, np.nanmean(image))


def _deviation(values: Floats) -> float:
    """Standard deviation of a normal distribution with the same median deviation."""
    return float(np.nanmedian(np.abs(values - np.nanmedian(values))) * 1.4826)
