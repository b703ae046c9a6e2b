"""Operations on images: levelling, filling of holes, resampling, filtering and registration.

All functions take arrays with row 0 at the lowest y and return new arrays. Pixels that were not measured are NaN; they stay
NaN unless a function says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Topograph
from bluesky_stm.robust import normal_deviation
from bluesky_stm.smoothing import Smoothing
from bluesky_stm.standing_lines import without_standing_lines
from bluesky_stm.streaks import with_lines_aligned, without_streaks

LEAST_CORRELATION: Final = 0.5
"""Correlation that images of one place exceed unless noise outweighs it; those of two places with many features stay below."""

LEAST_OVERLAP: Final = 0.3
"""Share of the image that both images have to show; an agreement of a mere corner may be chance."""

COARSEST_FEATURE: Final = 0.08
"""Size of the coarsest features by which small frames are compared, as a share of the frame."""

SMALL: Final = 5
"""Size of the coarsest of `small_features`, relative to that of the finest."""

SATURATION: Final = 3.0
"""Height, in robust standard deviations, at which the features that are compared saturate."""

RIVAL: Final = 2 / 3
"""Largest likeness of another place that is accepted, as a share of that of the match; above it the match is ambiguous."""

APART: Final = 0.1
"""Least distance of that other place, as a share of the image."""

ONE_FEATURE: Final = 2.5
"""Radius of what counts as one feature, relative to the coarsest size that is compared: the band-pass leaves a halo."""

_UPSAMPLING: Final = 20


def level(image: ArrayLike) -> Floats:
    """Subtract the plane that fits the image best, by least squares.

    The plane is the tilt of the sample together with a slow drift of z.

    Parameters
    ----------
    image : array_like of shape (rows, columns)
        Heights; NaN do not count for the fit and stay NaN.

    Returns
    -------
    ndarray of shape (rows, columns)
    """
    image = np.asarray(image, dtype=float)
    rows, columns = np.indices(image.shape)
    terms = np.stack([rows, columns, np.ones_like(rows)], axis=-1).astype(float)
    seen = np.isfinite(image)
    plane, *_ = np.linalg.lstsq(terms[seen], image[seen])
    return image - terms @ plane


def remove_tilt(image: Floats) -> Floats:
    """Subtract the slopes along rows and columns, by least squares, and keep the mean.

    Unlike `level` this needs an image without holes. It is fast, since for a full image the fits of both slopes are
    independent.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        Heights, all of them finite.

    Returns
    -------
    ndarray of shape (rows, columns)
    """
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in image.shape)
    up, along = rows @ image.mean(axis=1) / (rows @ rows), columns @ image.mean(axis=0) / (columns @ columns)
    return image - up * rows[:, None] - along * columns


def fill_holes(image: ArrayLike) -> Floats:
    """Replace pixels that were not measured by the nearest measured pixel.

    Parameters
    ----------
    image : array_like of shape (rows, columns)
        Values; whatever is not finite is a hole.

    Returns
    -------
    ndarray of shape (rows, columns)
        All zeros if nothing was measured.
    """
    from scipy.ndimage import distance_transform_edt

    image = np.array(image)
    holes = ~np.isfinite(image)
    if holes.all():
        return np.zeros_like(image)
    if not holes.any():
        return image
    nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
    return image[tuple(nearest)]


class Shift(NamedTuple):
    """Displacement of the surface, in nm, along x and y."""

    x: float
    y: float


@dataclass(frozen=True)
class Registration:
    """The position of one image in another.

    Attributes
    ----------
    shift : Shift
        The feature at a point of the reference is at that point plus this shift in the image.
    correlation : float
        Correlation of both images where they overlap, from -1 to 1; 0 where they do not overlap enough.
    method : str
        ``"phase correlation"``, ``"masked correlation"`` where that had failed, or ``"features"`` (`register_features`).
    rival : float
        Likeness of the images at the next best place elsewhere, as a share of that of the match; 1 where the match lies at the
        end of the searched range, or is no peak of the correlation. Only `register_features` computes it; `register` leaves it
        at 0.
    rest : float
        Correlation of both images without the feature on which they agree best; 1 where it was not computed, since no other
        place was searched.
    """

    shift: Shift
    correlation: float
    method: str
    rival: float = 0.0
    rest: float = 1.0

    @property
    def trusted(self) -> bool:
        """True when the images agree well enough, and at no other place nearly as well, for the shift to be used.

        They have to agree in more than one feature where it could have been another one: a spot fits onto any other spot.
        """
        return min(self.correlation, self.rest) >= LEAST_CORRELATION and self.rival <= RIVAL


def register(reference: Topograph, image: Topograph) -> Registration:
    """Measure how far the surface has moved between two images of the same place.

    Both are compared in the frame of ``image``. Phase correlation [1]_ comes first; where its result does not correlate, a
    masked normalised correlation [2]_ follows. The result is refined to a twentieth of a pixel in the overlap.

    Parameters
    ----------
    reference : Topograph
        Earlier image; it may be larger, coarser or rotated.
    image : Topograph
        Later image.

    Returns
    -------
    Registration
        Its shift is in nm, in the axes of the sample.

    Raises
    ------
    SettingsError
        When either image covers too little of the frame of ``image``.

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
    """Measure how far the surface has moved between two small images, by their features alone, to a tenth of a pixel.

    Lines of the scan converters stand still while the surface drifts below, and a background without features fits anywhere:
    either would hold a registration at no shift. Both are filtered out, and so are streaks and creep of z. A high feature
    counts hardly more than a low one, as an adsorbate that was dragged along is no drift. The rest is compared by a masked
    normalised correlation, times the square root of the overlap, since one of few features is high by chance.

    Parameters
    ----------
    reference : Topograph
        Earlier image.
    image : Topograph
        Later image, whose frame is used for the comparison.
    expected : (float, float)
        Shift that is expected, along x and y, in nm.
    within : float
        Largest distance from the expected shift along either axis, in nm. Few features fit in many places; where they fit in
        more than one, the result has a rival.

    Returns
    -------
    Registration

    Raises
    ------
    SettingsError
        When either image covers too little of the frame of ``image``.
    """
    finest, coarsest = max(image.frame.pixel_size), COARSEST_FEATURE * min(image.frame.size)
    reference, image = (_features(one, finest, coarsest) for one in (reference, image))
    before, after = resample(reference, image.frame), np.asarray(image.height, dtype=float)
    _check_coverage(before, after)
    pixels = image.frame.to_pixel(np.asarray(image.frame.center) + expected) - image.frame.to_pixel(image.frame.center)
    whole, rival = _best_match(_likeness(before, after), pixels, within / np.array(image.frame.pixel_size))
    beside = _peak(before, after, whole)
    if (beyond := np.trunc(2 * beside)).any():  # half-way to the next pixel; the likeness, by its overlap, may prefer the other
        whole, beside = whole + beyond, _peak(before, after, whole + beyond)
    moved = whole + beside
    if np.abs(beside).max() >= 0.5:  # no peak: the images fit as well farther on, as along a step
        rival = 1.0
    there, here = image.frame.to_sample(moved), image.frame.to_sample((0.0, 0.0))
    # Within a shorter distance there is no place for another feature; a single one may be followed there.
    elsewhere = within > APART * min(image.frame.size)
    rest = _rest(before, after, whole, ONE_FEATURE * coarsest / finest) if elsewhere else 1.0
    shift = Shift(*(float(v) for v in there - here))
    return Registration(shift, _correlation(before, after, moved), "features", rival, rest)


def band_passed(image: Topograph, finest: float, coarsest: float) -> Topograph:
    """Return the image with only the features between two sizes: without thin scan lines and without slow background.

    Parameters
    ----------
    image : Topograph
        Heights, in nm; they are levelled first.
    finest, coarsest : float
        Standard deviations of the two Gaussians whose difference is the filter, in nm.

    Returns
    -------
    Topograph
        Filtered heights, NaN where nothing was measured.
    """
    height = level(image.height)
    seen = np.isfinite(height)
    smoothing = Smoothing(np.where(seen, height, 0.0))
    fine, coarse = (smoothing(np.divide(size, image.frame.pixel_size)) for size in (finest, coarsest))
    return replace(image, height=np.where(seen, fine - coarse, np.nan))


def small_features(image: Topograph, finest: float) -> Topograph:
    """Return the image with only small features, a high one counting hardly more than a low one.

    A step fits anywhere along itself. As high as it is, it would outweigh all the spots that fix the position along it.

    Parameters
    ----------
    image : Topograph
        Heights, in nm.
    finest : float
        Size of the finest features, in nm; the coarsest are `SMALL` times as large.

    Returns
    -------
    Topograph
        Heights between -1 and 1.
    """
    return _features(image, finest, SMALL * finest)


def _features(image: Topograph, finest: float, coarsest: float) -> Topograph:
    """Return what is compared of an image: features between two sizes, in nm, as heights between -1 and 1."""
    features = band_passed(without_standing_lines(with_lines_aligned(without_streaks(image))), finest, coarsest)
    usual = normal_deviation(features.height) or 1.0
    return replace(features, height=np.tanh(features.height / (SATURATION * usual)))


def resample(image: Topograph, frame: Frame) -> Floats:
    """Interpolate the heights of an image at the pixels of another frame.

    Parameters
    ----------
    image : Topograph
        Heights to interpolate, linearly.
    frame : Frame
        Its pixels are the places that are asked for.

    Returns
    -------
    ndarray of shape ``frame.pixels``
        In nm; NaN outside of the image.
    """
    from scipy.ndimage import map_coordinates

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


def _peak(before: Floats, after: Floats, whole: Floats) -> Floats:
    """Return the distance of the peak of the correlation from the shift ``whole`` along both axes, in pixels, -0.5 to 0.5.

    It is the vertex of the parabola through the correlations at the shift and its two neighbours.
    """
    middle = _correlation(before, after, whole)
    sides = np.array([[_correlation(before, after, whole + step * axis) for axis in np.eye(2)] for step in (-1, 1)])
    bend = sides.sum(axis=0) - 2 * middle
    return np.clip(np.divide(sides[0] - sides[1], 2 * bend, out=np.zeros(2), where=bend < 0), -0.5, 0.5)


def _likeness(before: Floats, after: Floats) -> Floats:
    """Return the correlation times the square root of the overlap for all shifts; (2 * rows - 1, 2 * columns - 1).

    No shift is in the middle. The value is -1 where the overlap is too small.
    """
    over = _products(before, after)
    overlap = np.maximum(over(0, 0), 1e-6)
    sums, others = over(1, 0), over(0, 1)
    spread = (over(2, 0) - sums**2 / overlap) * (over(0, 2) - others**2 / overlap)
    common = over(1, 1) - sums * others / overlap
    enough = (overlap >= LEAST_OVERLAP**2 * before.size) & (spread > 1e-12 * spread.max())
    share = np.sqrt(overlap / before.size)
    return np.where(enough, common / np.sqrt(np.where(enough, spread, 1.0)) * share, -1.0)


def _products(before: Floats, after: Floats) -> Callable[[int, int], Floats]:
    """Sums (2 * rows - 1, 2 * columns - 1) of the products of a power of each image, for each shift of the second; holes are 0.

    They are those of ``scipy.signal.fftconvolve``, bit for bit, but each power is transformed once, and scipy.signal is not
    loaded, which brings all of scipy.stats.
    """
    from scipy.fft import irfftn, next_fast_len, rfftn

    rows, columns = (b + a - 1 for b, a in zip(before.shape, after.shape, strict=True))
    fast = [next_fast_len(length, real=True) for length in (rows, columns)]
    powers = [(np.isfinite(one).astype(float), np.nan_to_num(one), np.nan_to_num(one) ** 2) for one in (before, after)]
    turned = [rfftn(image[::-1, ::-1], fast) for image in powers[0]]
    straight = [rfftn(image, fast) for image in powers[1]]
    return lambda first, second: irfftn(straight[second] * turned[first], fast)[:rows, :columns]


def _best_match(likeness: Floats, expected: Floats, within: Floats) -> tuple[Floats, float]:
    """Return the best shift, in pixels, ``within`` a distance of the expected one, and the relative likeness of its rival."""
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
    """Return the (row, column), in pixels, by which the surface moved."""
    return _phase_correlation(*(_faded(image) for image in (before, after)), normalization="phase")


def _by_mask(before: Floats, after: Floats) -> Floats:
    masks = {"reference_mask": np.isfinite(before), "moving_mask": np.isfinite(after)}
    return _phase_correlation(_mean_filled(before), _mean_filled(after), **masks, overlap_ratio=LEAST_OVERLAP)


def _refined(before: Floats, after: Floats, moved: Floats) -> Floats:
    """Return the shift improved by fractions of a pixel, from the overlap alone."""
    whole = np.rint(moved).astype(int)
    pair = (_faded(level(part)) for part in _overlap(before, after, whole))
    rest = _phase_correlation(*pair, normalization=None, upsample_factor=_UPSAMPLING)
    return whole + (rest if np.abs(rest).max() < 2 else 0.0)


def _phase_correlation(before: Floats, after: Floats, **settings: object) -> Floats:
    """Return the (row, column), in pixels, by which the surface moved, by scikit-image; ``settings`` are those of its function.

    Its result is the correction of the second image, the opposite of the movement.
    """
    from skimage.registration import phase_cross_correlation

    return -phase_cross_correlation(before, after, **settings)[0]


def _faded(image: Floats) -> Floats:
    """Return the image without holes, faded out towards its edges by a Hann window."""
    from skimage.filters import window

    return _mean_filled(image) * window("hann", image.shape)


def _correlation(before: Floats, after: Floats, moved: Floats) -> float:
    """Return the correlation of the overlap; 0 where the overlap is too small."""
    first, second = _overlap(before, after, np.rint(moved).astype(int))
    seen = np.isfinite(first) & np.isfinite(second)
    if seen.sum() < LEAST_OVERLAP**2 * before.size or not (np.ptp(first[seen]) and np.ptp(second[seen])):
        return 0.0
    return float(np.corrcoef(first[seen], second[seen])[0, 1])


def _rest(before: Floats, after: Floats, moved: Floats, radius: float) -> float:
    """Return the correlation of the overlap without the pixels, within a radius, around where both images agree best."""
    first, second = _overlap(before, after, moved.astype(int))
    agreement = np.nan_to_num(first * second)  # a band-passed image has a mean of about zero
    best = np.array(np.unravel_index(int(np.argmax(agreement)), agreement.shape)) + np.maximum(-moved, 0)
    apart = np.hypot(*(np.indices(before.shape) - best[:, None, None]))
    return _correlation(np.where(apart < radius, np.nan, before), after, moved)


def _overlap(before: Floats, after: Floats, moved: Floats) -> tuple[Floats, Floats]:
    """Return the parts of both images that show the same place."""
    kept = [slice(max(-int(m), 0), n - max(int(m), 0)) for m, n in zip(moved, before.shape, strict=True)]
    seen = [slice(max(int(m), 0), n - max(-int(m), 0)) for m, n in zip(moved, before.shape, strict=True)]
    return before[*kept], after[*seen]


def _mean_filled(image: Floats) -> Floats:
    return np.where(np.isfinite(image), image, np.nanmean(image))
