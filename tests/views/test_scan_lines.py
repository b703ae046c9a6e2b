"""Jumps between the lines of a topograph are told by line and height; what the surface does is not taken for one."""

import numpy as np
import pytest

from bluesky_stm.views._scan_lines import line_jumps


def image(seed, rows=64, columns=64, noise=0.003):
    """A tilted, wavy surface with an atomic step across the lines, in nm."""
    rng = np.random.default_rng(seed)
    up, along = np.mgrid[:rows, :columns]
    surface = 0.002 * up + 0.004 * along + 0.01 * np.sin(along / 5) * np.cos(up / 7)
    step = 0.25 * (along + 0.4 * up > columns * 0.7)
    return surface + step + noise * rng.standard_normal((rows, columns))


@pytest.mark.parametrize("seed", range(5))
def test_a_line_after_which_all_lies_higher_is_named_with_its_height(seed):
    height = image(seed)
    height[20:] += 0.05
    height[41] -= 0.03
    found = line_jumps(height)
    assert [jump.line for jump in found] == [19, 40, 41]
    assert [jump.height for jump in found] == pytest.approx([0.05, -0.03, 0.03], abs=0.003)


def test_no_jump_is_found_where_there_is_none():
    assert [seed for seed in range(200) if line_jumps(image(seed))] == []


def test_a_streak_in_a_part_of_a_line_and_lines_not_measured_are_no_jumps():
    height = image(3)
    height[30, 10:40] += 0.1
    height[50:] = np.nan
    assert line_jumps(height) == []
    assert line_jumps(np.full((8, 8), np.nan)) == [] == line_jumps(image(1)[:2])
