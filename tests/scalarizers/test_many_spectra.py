"""What scalarizers see on many spectra at once is what they see on one after the other."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import BAD_DAY, SimulatedController
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.scalarizers import make_scalarizer, marks_of_all, normalized_conductance, normalized_curves


def gridded(stm, frame, sweep):
    """Spectra of a grid, one by one."""
    grid = stm.grid(frame, sweep)
    return [grid.spectrum(row, column) for row in range(frame.pixels[0]) for column in range(frame.pixels[1])]


@pytest.fixture(scope="module")
def spectra():
    """Spectra of terraces and defects on a bad day, and beside them such as have no gap, are clipped, cut or turned round."""
    stm = SimulatedController(seed=3, profile=BAD_DAY)
    whole = gridded(stm, Frame.square((10, 5), 60, 8), SweepSettings(-1.5, 1.5, 121))
    long = gridded(stm, Frame.square((0, 0), 20, 3), SweepSettings(2.0, -1.0, 151))
    one, another = whole[0], whole[1]
    ohmic = replace(one, current=one.bias * 0.1, didv=np.full(121, 0.1))
    cut = replace(another, current=np.where(np.arange(121) < 70, another.current, np.nan), quality=Quality.INCOMPLETE)
    short = replace(one, current=np.where(np.arange(121) < 1, one.current, np.nan))
    marked = replace(one, quality=Quality.TIP_CHANGED)
    unknown = replace(another, setpoint=Setpoint(0.0, 0.2))
    dead = replace(one, current=np.zeros(121), didv=np.zeros(121))
    twice = replace(one, bias=np.repeat(one.bias[::2], 2)[:121])
    few = replace(one, current=np.where(np.arange(121) < 9, one.current, np.nan))
    return [ohmic, *whole, cut, short, *long, marked, unknown, dead, twice, few]


@pytest.mark.parametrize(
    "chosen",
    [
        "gap",
        "valence_edge",
        {"name": "conduction_edge", "level": 1.0},
        {"name": "gap", "window": 0.2, "sigmas": 1},
        "onsets_above_noise",
    ],
)
def test_marks_of_many_spectra_are_those_of_each(spectra, chosen):
    scalarizer = make_scalarizer(chosen)
    together, each = marks_of_all(scalarizer, spectra), [scalarizer.marks(spectrum) for spectrum in spectra]
    kinds = [[(mark.kind, mark.label, mark.channel, mark.bias[:0]) for mark in marks] for marks in each]
    assert [[(mark.kind, mark.label, mark.channel, mark.bias[:0]) for mark in marks] for marks in together] == kinds
    for marks, known in zip(together, each, strict=True):
        for mark, true in zip(marks, known, strict=True):
            for found, right in ((mark.bias, true.bias), (mark.values, true.values), (mark.std, true.std)):
                np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-10)


def test_edges_are_marked_on_most_of_these_spectra_and_on_none_without_a_gap(spectra):
    marks = marks_of_all(make_scalarizer("gap"), spectra)
    assert not marks[0]
    assert sum(map(bool, marks)) > len(marks) / 2
    assert sum(not each for each in marks) > 5


def test_normalized_curves_of_many_spectra_are_those_of_each(spectra):
    known = 0
    for spectrum, curve in zip(spectra, normalized_curves(spectra), strict=True):
        assert curve.shape == spectrum.bias.shape
        try:
            bias, right = normalized_conductance(spectrum)
        except Exception as why:
            assert type(why).__name__ == "NoValueError"
            assert np.isnan(curve).all()
            continue
        order = np.argsort(spectrum.bias, kind="stable")
        there = order[np.isfinite(curve[order])]
        np.testing.assert_array_equal(spectrum.bias[there], bias)
        np.testing.assert_allclose(curve[there], right, rtol=1e-9, atol=1e-10)
        known += 1
    assert known > len(spectra) / 2
