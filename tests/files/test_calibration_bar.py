"""Five hundred point spectra drawn at random: the calibrated dI/dV is right, or it is said that there is none.

What is usable is decided without the code: a lock-in is usable where the current, with its noise, tells its gain. The draws
below leave a margin on both sides: noise of a usable lock-in is at most 3 % of its range, that of the current at most 0.1 %.
"""

import made
import numpy as np
import pytest

from bluesky_stm import files
from bluesky_stm.measurements import Quality

COUNT = 500
NAMES = [
    ("X% LockIn", "Y% LockIn"), ("LockIn", ""), ("LI Demod 1 X", "LI Demod 1 Y"), ("LIX 1 omega", "LIY 1 omega"),
    ("SR830 X1", "SR830 Y1"), ("dI/dV", ""), ("Lock-in X", "Lock-in Y"), ("Input 3", ""), ("LI Demod 2 X", "LI Demod 2 Y"),
    ("LI X 1 omega", "LI Y 1 omega"),
]  # fmt: skip
UNITS = {"V": 1.0, "mV": 1e3, "A": 1.0, "nA": 1e9, "pA": 1e12}


def conductance(rng, u):
    """A shape over -1 to 1: a metal, a gap with edges, a superconductor, a peak, standing waves, or a dip; at most 1."""
    kind = rng.integers(6)
    if kind == 0:
        g = 1 + rng.uniform(0.5, 3) * u**2 + rng.uniform(-0.5, 0.5) * u
    elif kind == 1:
        g = 0.02 + 1 / (1 + np.exp(-(u - rng.uniform(0.2, 0.5)) / 0.06)) + 1 / (1 + np.exp((u + rng.uniform(0.2, 0.5)) / 0.06))
    elif kind == 2:
        energy, gap = np.abs(u) - 0.06j, rng.uniform(0.25, 0.5)
        g = np.abs(np.real(energy / np.sqrt(energy**2 - gap**2)))
    elif kind == 3:
        g = 1 + rng.uniform(0.4, 1) * np.exp(-((u - rng.uniform(-0.4, 0.4)) ** 2) / 0.04)
    elif kind == 4:
        g = 1 + 0.5 * np.sin(rng.uniform(2, 6) * u + rng.uniform(0, 6))
    else:
        g = 1 - rng.uniform(0.4, 0.8) / (1 + (u / 0.15) ** 2)
    return g / g.max()


def sweep(rng, dense):
    """Indices of the samples of a sweep: in equal steps, in segments with a dense middle, or up and down."""
    plain, (low, high) = np.arange(0, dense, 20), (dense // 4 // 40 * 40, 3 * dense // 4 // 40 * 40)
    segments = [np.arange(0, low + 1, 40), np.arange(low, high + 1, 10), np.arange(high, dense, 40)]
    kind = rng.choice(["plain", "plain", "segments", "up and down"])
    return {"plain": plain, "segments": np.concatenate(segments), "up and down": np.concatenate([plain, plain[::-1]])}[kind]


def drawn(path, seed):
    """Write a spectrum; bias, true dI/dV in nS, and whether the lock-in is usable."""
    rng = np.random.default_rng(seed)
    count, limit = int(rng.choice([101, 128, 201, 256, 401])), 10 ** rng.uniform(-2.5, 0.2)
    dense = np.linspace(-1, 1, 20 * (count - 1) + 1)
    shape, size = conductance(rng, dense), 10 ** rng.uniform(-11, -8.5)  # in S
    current = size * limit * np.concatenate([[0], np.cumsum((shape[1:] + shape[:-1]) / 2 * np.diff(dense))])
    swept = sweep(rng, len(dense))
    bias, current, true = limit * dense[swept], (current - np.interp(0, dense, current))[swept], size * shape[swept]
    count = len(bias)
    kind = rng.choice(["usable"] * 7 + ["noise", "constant", "another signal"])
    gain, offset = 10 ** rng.uniform(-3, 1) * rng.choice([-1, 1]), rng.uniform(-0.5, 0.5)
    signal = {
        "usable": true / size,
        "noise": np.zeros(count),
        "constant": np.zeros(count),
        "another signal": 0.5 + 0.5 * np.cos(rng.uniform(9, 14) * bias / limit + rng.uniform(0, 6)),
    }[kind]
    x_name, y_name = NAMES[rng.integers(len(NAMES))]
    turn = np.radians(rng.uniform(-180, 180)) if y_name and rng.random() < 0.6 else 0.0
    noise = 0.0 if kind == "constant" else rng.uniform(0.001, 0.03) * np.ptp(true / size if kind != "noise" else shape)
    vector = gain * (signal + offset + 1j * rng.uniform(-3, 3)) * np.exp(1j * turn)
    vector += gain * noise * (rng.standard_normal(count) + 1j * rng.standard_normal(count))
    unit, bias_unit, current_unit = rng.choice(list(UNITS)), rng.choice(["V", "mV"]), rng.choice(["A", "nA", "pA"])
    # three of four files: as it is, on average, or one by one
    kept = rng.choice(["plain", "AVG", "single"])
    suffix = {"plain": "", "AVG": " [AVG]", "single": " [00001]"}[kept]
    raw = current + rng.uniform(1e-5, 1e-3) * np.ptp(current) * rng.standard_normal(count)
    order = slice(None, None, int(rng.choice([-1, 1])))
    forth = count // 2 if bias[0] == bias[-1] else count  # the other half is the way back
    scale = UNITS[unit] * (1e-10 if unit.endswith("A") else 1.0)
    columns = {
        f"Bias calc ({bias_unit})": bias[order] * (1e3 if bias_unit == "mV" else 1),
        f"Current{suffix} ({current_unit})": raw[order] * UNITS[current_unit],
        f"{x_name}{suffix} ({unit})": vector.real[order] * scale,
    }
    if y_name and (turn or rng.random() < 0.5):
        columns[f"{y_name}{suffix} ({unit})"] = vector.imag[order] * scale
    made.dat(path, columns, form="{:.8E}")
    return bias[order][:forth], true[order][:forth] * 1e9, kind == "usable"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    path, found = tmp_path_factory.mktemp("drawn") / "one.dat", []
    for seed in range(COUNT):
        bias, true, usable = drawn(path, seed)
        read = files.read(path)
        assert read.bias == pytest.approx(bias, rel=1e-6)
        good = read.quality & Quality.OF_LOCKIN == 0
        # over a tenth of the sweep the noise of the lock-in, which no calibration takes away, is averaged out
        width = len(bias) // 10
        smooth = [np.convolve(values, np.full(width, 1 / width), "valid") for values in (read.didv, true)]
        error = float(np.sqrt(np.mean((smooth[0] - smooth[1]) ** 2)) / np.sqrt(np.mean(true**2)))
        found.append((seed, usable, good, error, str(read.about.calibration)))
    return found


def test_no_spectrum_is_called_good_with_a_dI_dV_that_is_wrong(outcomes):
    wrong = [one for one in outcomes if one[2] and one[3] > 0.05]
    assert not wrong, f"{len(wrong)} of {COUNT}: {wrong[:3]}"


def test_dI_dV_is_within_5_percent_in_each_usable_spectrum(outcomes):
    missed = [one for one in outcomes if one[1] and not (one[2] and one[3] <= 0.05)]
    assert not missed, f"{len(missed)} of {COUNT}: {missed[:3]}"


def test_of_each_unusable_lock_in_it_is_said_that_it_is_absent(outcomes):
    unusable = [one for one in outcomes if not one[1]]
    assert len(unusable) > 100
    silent = [one for one in unusable if one[2] or "does not give dI/dV" not in one[4]]
    assert not silent, f"{len(silent)} of {len(unusable)}: {silent[:3]}"
