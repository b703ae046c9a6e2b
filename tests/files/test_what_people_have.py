"""Files as instruments write them, each a situation that people have, and what is right for it."""

import made
import numpy as np
import pytest
from made import CURRENT, SLOPE, V

from bluesky_stm import files
from bluesky_stm.errors import FileFormatError
from bluesky_stm.measurements import Quality

IN_NS = SLOPE * 1e9


def spectrum(tmp_path, columns, didv="", **header):
    return files.read(made.dat(tmp_path / "one.dat", columns, **header), didv=didv)


# ---- A: the names of the lock-in


NAMES = [
    "X% LockIn (V)", "LockIn (V)", "LockIn [AVG] (V)", "LIX 1 omega (A)", "LI X 1 omega (A)", "Lock-in X (V)", "LockinX (V)",
    "SR830 X1 (V)", "LI Demod 1 X (V)", "LI Demod 1 X [AVG] (A)", "LI Demod 2 X (A)", "dI/dV (V)", "dI/dV (A)", "dIdV (V)",
    "Lockin X (A)", "LIX (A)", "X 1 (V)", "LI Demod 1 R (A)", "Input 3 (V)", "LI Demod 1 X [00001] (mV)",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_whatever_the_lock_in_is_called_it_becomes_dI_dV_in_nS(tmp_path, name):
    gain, offset = (1e8, 0.02) if "V)" in name else (0.01, 1e-13)
    noisy = CURRENT * (1 + 0 * V) + np.random.default_rng(0).normal(0, 3e-13, V.shape)
    factor = 1e3 if "mV" in name else 1.0
    read = spectrum(tmp_path, {"Bias calc (V)": V, "Current (A)": noisy, name: (gain * SLOPE + offset) * factor})
    assert read.quality is Quality.GOOD
    assert read.didv == pytest.approx(IN_NS, rel=0.03)
    calibration = read.about.calibration
    assert calibration.channel in name
    in_nA = 1.0 if "V)" in name else 1e9
    assert abs(calibration.gain - gain * in_nA * 1e-9) < 5 * calibration.gain_std
    assert abs(calibration.offset - offset * in_nA) < 5 * calibration.offset_std


def test_a_channel_in_siemens_is_taken_as_it_is(tmp_path):
    for label, factor in (("dI/dV (S)", 1.0), ("dI/dV (nS)", 1e9), ("LI Demod 1 X (S)", 1.0)):
        read = spectrum(tmp_path, {"Bias calc (V)": V, "Current (A)": CURRENT, label: SLOPE * factor})
        assert read.quality is Quality.GOOD
        assert read.didv == pytest.approx(IN_NS, rel=1e-5)


def test_a_person_can_name_any_channel_and_a_name_that_is_not_there_is_refused(tmp_path):
    columns = {"Bias calc (V)": V, "Current (A)": CURRENT, "Aux 7 (V)": SLOPE * 1e8 + 0.3}
    assert spectrum(tmp_path, columns).quality is Quality.DERIVED
    for name in ("Aux 7", "Aux 7 (V)", "aux 7"):
        named = spectrum(tmp_path, columns, didv=name)
        assert named.quality is Quality.GOOD
        assert named.didv == pytest.approx(IN_NS, rel=0.01)
    with pytest.raises(FileFormatError, match=r"no channel 'Aux 8' .* only \['Aux 7', 'Current'\]"):
        spectrum(tmp_path, columns, didv="Aux 8")


def test_a_named_channel_of_a_grid_becomes_its_dI_dV(tmp_path):
    path = made.wavy(tmp_path / "grid.3ds", lockin="Aux 7 (V)")
    assert files.read(path).quality is Quality.DERIVED
    named = files.read(path, "3ds:Aux 7")
    assert named.quality is Quality.GOOD
    row, column = np.mgrid[:12, :30]
    assert named.didv[..., 30] == pytest.approx(1 + 0.5 * np.sin(column / 3) + 0.3 * np.cos(row / 2), rel=0.01)


# ---- A3: what judges a lock-in


def test_a_good_lock_in_beside_a_noisy_current_is_kept(tmp_path):
    """The derivative of this current follows the lock-in with a correlation below 0.8; the integral explains nearly all."""
    rng = np.random.default_rng(5)
    slope = SLOPE * (1 + 0.5 * np.sin(6 * V))
    smooth = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(V))])
    current = smooth + 0.008 * np.ptp(smooth) * rng.normal(size=V.shape)
    lockin = 1e8 * slope + 0.01 + 1e-4 * rng.normal(size=V.shape)
    assert np.corrcoef(np.gradient(current, V), lockin)[0, 1] < 0.8
    read = spectrum(tmp_path, {"Bias calc (V)": V, "Current (A)": current, "X% LockIn (V)": lockin})
    assert read.quality is Quality.GOOD
    assert read.about.calibration.explained > 0.95
    assert read.didv == pytest.approx(slope * 1e9, abs=0.05 * slope.max() * 1e9)


@pytest.mark.parametrize("off", ["noise", "constant", "another signal"])
def test_a_lock_in_that_does_not_follow_is_said_to_be_absent_with_the_reason(tmp_path, off):
    signal = {
        "noise": np.random.default_rng(1).normal(0, 1e-3, V.shape),
        "constant": np.full(V.shape, 0.25),
        "another signal": np.cos(9 * V),
    }[off]
    read = spectrum(tmp_path, {"Bias calc (V)": V, "Current (A)": CURRENT, "X% LockIn (V)": signal})
    assert read.quality is Quality.DERIVED
    assert "'X% LockIn' does not give dI/dV" in str(read.about.calibration)
    assert read.didv[1:-1] == pytest.approx(np.gradient(CURRENT, V)[1:-1] * 1e9, rel=1e-3)


def test_without_a_lock_in_dI_dV_is_said_to_be_the_derivative(tmp_path):
    read = spectrum(tmp_path, {"Bias calc (V)": V, "Current (A)": CURRENT})
    assert read.quality is Quality.DERIVED
    assert "no lock-in was recorded" in str(read.about.calibration)


# ---- E, F, G, K: images


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_the_byte_order_of_an_image_is_that_of_its_header(tmp_path, dtype):
    kind = {">f4": "FLOAT MSBFIRST", "<f4": "FLOAT   LSBFIRST"}[dtype]
    path = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)], dtype=dtype, SCANIT_TYPE=kind)
    assert files.read(path).height == pytest.approx(made.image() * 1e9)


def test_numbers_of_another_type_are_refused(tmp_path):
    path = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)], SCANIT_TYPE="INT LSBFIRST")
    with pytest.raises(FileFormatError, match="type 'INT LSBFIRST'"):
        files.read(path)


MULTIPASS = """:Multipass-Config:
\tRecord_Ch\tPlayback\tPlayback_Offset\tBwdSpeed\tBias_override\tBias_override_value
\t14\tFALSE\t0\t1\tTRUE\t0.3
\t-1\tTRUE\t0\t1\tTRUE\t-0.2
"""


@pytest.mark.parametrize("info", [f"{made.Z}\n{made.Z}", f"{made.Z.replace('Z', '[P1]_Z')}\n{made.Z.replace('Z', '[P2]_Z')}"])
def test_each_pass_of_a_multipass_scan_is_an_image_with_a_bias_of_its_own(tmp_path, info):
    path = made.sxm(tmp_path / "a.sxm", [made.image(k) for k in range(4)], info, extra=MULTIPASS)
    first, second = files.read(path), files.read(path, {"name": "sxm", "of_pass": 2})
    assert first.height == pytest.approx(made.image(0) * 1e9)
    assert second.height == pytest.approx(made.image(2) * 1e9)
    assert (first.setpoint.bias, second.setpoint.bias) == (0.3, -0.2)
    back = files.read_scan(path).topograph(backward=True, of_pass=2)
    assert back.height == pytest.approx(made.image(3)[:, ::-1] * 1e9)
    images = [doc["data"] for name, doc in files.documents(path) if name == "event"]
    assert [event["stm_scanner_setpoint_bias"] for event in images] == [0.3, -0.2]


@pytest.mark.parametrize("down", [False, True])
def test_an_image_that_ends_early_keeps_what_is_whole_and_says_how_much(tmp_path, down):
    path = made.sxm(tmp_path / "a.sxm", [made.image()], made.Z.replace("both", "forward"), SCAN_DIR="down" if down else "up")
    path.write_bytes(path.read_bytes()[:-41])
    read = files.read(path)
    heights = np.append(made.image().ravel()[:53], [np.nan] * 11).reshape(8, 8) * 1e9
    assert read.height == pytest.approx(heights[::-1] if down else heights, nan_ok=True)
    assert read.quality is Quality.INCOMPLETE
    assert "53 of 64 numbers are kept" in read.about.kept


def test_a_scan_that_was_recorded_backward_only_is_read(tmp_path):
    path = made.sxm(tmp_path / "a.sxm", [made.image()], made.Z.replace("both", "backward"))
    assert files.read(path).height == pytest.approx(made.image()[:, ::-1] * 1e9)


def test_a_comment_with_lines_like_a_header_changes_nothing(tmp_path):
    comment = "sample A\n:BIAS:\n9.9\n: note\nthe mark :SCANIT_END: is there"
    path = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)], COMMENT=comment)
    read = files.read(path)
    assert read.setpoint.bias == 0.1
    assert read.height == pytest.approx(made.image() * 1e9)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_breaks_of_either_kind_are_read(tmp_path, newline):
    path = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)], newline=newline)
    assert files.read(path).setpoint.current == pytest.approx(0.1)


def test_lines_of_zeros_were_not_scanned(tmp_path):
    partial = np.where(np.arange(8)[:, None] < 3, made.image() + 1e-9, 0.0)
    read = files.read(made.sxm(tmp_path / "a.sxm", [partial, partial]))
    assert np.isnan(read.height).all(axis=1).tolist() == [False] * 3 + [True] * 5
    assert read.quality is Quality.INCOMPLETE


# ---- G: grids and spectra that end early


def test_a_grid_that_ends_within_a_pixel_keeps_the_whole_ones(tmp_path):
    whole = files.read(made.wavy(tmp_path / "whole.3ds"))
    torn = files.read(made.wavy(tmp_path / "torn.3ds", drop=50))
    assert torn.quality is Quality.INCOMPLETE
    assert np.isnan(torn.current).any(axis=-1).sum() == 1
    assert np.array_equal(torn.current.reshape(360, -1)[:359], whole.current.reshape(360, -1)[:359])
    assert "into pixel 360 of 360" in torn.about.kept
    assert "359 of 360 pixels are kept" in torn.about.kept


def test_a_table_that_ends_within_a_line_keeps_the_whole_ones(tmp_path):
    read = spectrum(tmp_path, {"Bias calc (V)": V, "Current (A)": CURRENT}, tail="1.0E+0\t")
    assert read.bias == pytest.approx(V)
    assert read.quality & Quality.INCOMPLETE
    assert "101 are kept" in read.about.kept


@pytest.mark.parametrize("points", [0, 1])
def test_a_spectrum_aborted_after_no_or_one_point_is_incomplete(tmp_path, points):
    read = spectrum(tmp_path, {"Bias calc (V)": V[:points], "Current (A)": CURRENT[:points]})
    assert read.quality & Quality.INCOMPLETE
    assert len(read.bias) == points


# ---- H: units and commas


def test_prefixes_of_units_are_converted(tmp_path):
    entries = {"Z-Controller>Setpoint": "100", "Z-Controller>Setpoint unit": "pA", "X (m)": "1E-9"}
    read = spectrum(tmp_path, {"Bias calc (mV)": V * 1e3, "Current (pA)": CURRENT * 1e12}, entries=entries)
    assert read.bias == pytest.approx(V)
    assert read.current == pytest.approx(CURRENT * 1e9)
    assert read.setpoint.current == pytest.approx(0.1)
    controller = "\tName\ton\tSetpoint\n\tlog Current\t1\t1.000E+2 pA"
    scan = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)], Z_CONTROLLER=controller)
    assert files.read(scan).setpoint.current == pytest.approx(0.1)


def test_a_unit_that_is_not_known_is_refused(tmp_path):
    for columns in ({"Bias calc (V)": V, "Current (foo)": CURRENT}, {"Bias calc (A)": V, "Current (A)": CURRENT}):
        with pytest.raises(FileFormatError, match="has the unit"):
            spectrum(tmp_path, columns)


def test_decimal_commas_are_read_where_they_can_be_nothing_else(tmp_path):
    path = made.dat(tmp_path / "comma.dat", {"Bias calc (V)": V, "Current (A)": CURRENT})
    head, table = path.read_bytes().split(b"[DATA]")
    path.write_bytes(head + b"[DATA]" + table.replace(b".", b","))
    assert files.read(path).current == pytest.approx(CURRENT * 1e9)
    scan = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)], SCAN_RANGE="5,0E-9 5,0E-9", BIAS="1,000E-1")
    assert files.read(scan).frame.size == (5.0, 5.0)
    assert files.read(scan).setpoint.bias == 0.1
    grid = made.grid(
        tmp_path / "g.3ds", {"Current (A)": np.tile(CURRENT, (2, 2, 1))}, settings="1,0E-8;2,0E-8;5,0E-9;4,0E-9;0,0"
    )
    assert files.read(grid).frame.size == (5.0, 4.0)


def test_a_comma_that_could_stand_before_thousands_is_named(tmp_path):
    path = made.dat(tmp_path / "comma.dat", {"Bias calc (V)": V * 1000, "Current (A)": V * 1000}, form="{:.0f}")
    path.write_bytes(path.read_bytes().replace(b"1000", b"1,000"))
    with pytest.raises(FileFormatError, match=r"the comma in '-?1,000' may stand before decimals or thousands"):
        files.read(path)


# ---- I: segments and other sweeps


def segments(*ends):
    bias = np.concatenate([np.linspace(a, b, n) for a, b, n in ends])
    return bias, 1e-10 * (bias + 0.5 * bias**3), 1e-10 * (1 + 1.5 * bias**2)


def test_segments_that_share_a_bias_leave_no_hole_in_dI_dV(tmp_path):
    bias, current, slope = segments((-1, -0.2, 30), (-0.2, 0.2, 60), (0.2, 1, 30))
    for columns in ({}, {"LI Demod 1 X (A)": slope * 0.01}):
        read = spectrum(tmp_path, {"Bias calc (V)": bias, "Current (A)": current, **columns})
        assert read.bias == pytest.approx(bias)
        assert read.didv[1:-1] == pytest.approx(slope[1:-1] * 1e9, rel=0.01)
        assert read.quality is (Quality.GOOD if columns else Quality.DERIVED)


@pytest.mark.parametrize("twice", [True, False])
def test_a_sweep_up_and_down_is_two_sweeps(tmp_path, twice):
    bias, current, slope = segments((-1, 1, 50), (1, -1, 50))
    drift = np.where(np.arange(100) < 50, 1.0, 1.1)
    kept = slice(None) if twice else np.arange(100) != 50
    columns = {"Bias calc (V)": bias, "Current (A)": current * drift, "LI Demod 1 X (A)": slope * drift * 0.01}
    read = spectrum(tmp_path, {name: values[kept] for name, values in columns.items()})
    assert read.bias == pytest.approx(bias[:50])
    assert read.backward["current"][:-1] == pytest.approx(current[:49] * 1.1e9)
    assert read.current[:-1] == pytest.approx(current[:49] * 1.05e9)
    assert read.didv[:-2] == pytest.approx(slope[:48] * 1.05e9, rel=0.03)
    assert np.isfinite(read.didv).all()


@pytest.mark.parametrize(("steps", "shared"), [((60, 42), False), ((60, 42), True)])
def test_a_grid_in_segments_has_the_biases_of_its_header(tmp_path, steps, shared):
    bias, current, slope = segments((-1, -0.1, steps[0]), (-0.1, 1, steps[1]))
    kept = np.arange(len(bias)) != steps[0] if shared else slice(None)
    text = "Segment Start (V), Segment End (V), Settling (s), Integration (s), Steps (xn)"
    header = f"Bias Spectroscopy>MultiLine Settings : {text}=-1,-0.1,1E-4,1E-4,{steps[0]};-0.1,1,1E-4,1E-4,{steps[1]}\n"
    path = made.grid(
        tmp_path / "g.3ds",
        {"Current (A)": np.tile(current[kept], (3, 4, 1)), "LI Demod 1 X (A)": np.tile(slope[kept] * 0.01, (3, 4, 1))},
        filetype="MLS",
        header=header,
    )
    read = files.read(path)
    assert read.bias == pytest.approx(bias[kept])
    assert read.didv[1, 2] == pytest.approx(slope[kept] * 1e9, rel=0.01)


# ---- J, K: grids


def test_a_grid_without_heights_is_read_and_its_spectra_become_events(tmp_path):
    channels = {"Current (A)": np.tile(CURRENT, (3, 4, 1)), "LI Demod 1 X (A)": np.tile(SLOPE * 0.01, (3, 4, 1))}
    path = made.grid(tmp_path / "g.3ds", channels, parameters=("X (m)", "Y (m)"))
    assert files.read(path).didv[2, 3] == pytest.approx(IN_NS, rel=0.01)
    events = [doc["data"] for name, doc in files.documents(path) if name == "event"]
    assert len(events) == 12
    assert events[0]["stm_sweep_didv"] == pytest.approx(IN_NS, rel=0.01)


@pytest.mark.parametrize("kind", ["dat", "3ds"])
def test_what_was_recorded_on_the_way_back_only_is_read(tmp_path, kind):
    if kind == "dat":
        read = spectrum(tmp_path, {"Bias calc (V)": V, "Current [bwd] (A)": CURRENT}).current
    else:
        read = files.read(made.grid(tmp_path / "g.3ds", {"Current [bwd] (A)": np.tile(CURRENT, (2, 2, 1))})).current[1, 1]
    assert read == pytest.approx(CURRENT * 1e9)


def test_sweeps_kept_one_by_one_are_averaged(tmp_path):
    columns = {"Current [00001] (A)": CURRENT * 0.9, "Current [00002] (A)": CURRENT * 1.1}
    lockin = {f"LI Demod 1 X [0000{k}] (A)": SLOPE * 0.01 * factor for k, factor in ((1, 0.9), (2, 1.1))}
    read = spectrum(tmp_path, {"Bias calc (V)": V, **columns, **lockin})
    assert read.current == pytest.approx(CURRENT * 1e9)
    assert read.didv == pytest.approx(IN_NS, rel=0.01)
    assert read.quality is Quality.GOOD


def test_an_average_counts_before_the_single_sweeps(tmp_path):
    columns = {"Current [AVG] (A)": CURRENT, "Current [00001] (A)": CURRENT * 0.9, "LI Demod 1 X [AVG] (A)": SLOPE * 0.01}
    read = spectrum(tmp_path, {"Bias calc (V)": V, **columns})
    assert read.current == pytest.approx(CURRENT * 1e9)
    assert read.quality is Quality.GOOD


# ---- K2, K3: what a header says, and what it claims


def test_what_a_person_noted_and_how_it_was_measured_stands_in_the_start_document(tmp_path):
    entries = {
        "Comment01": "tip 3, after a pulse",
        "User": "ada",
        "Temperature 1>Temperature 1 (K)": "1.2",
        "Lock-in>Lock-in status": "ON",
        "Lock-in>Modulated signal": "Bias (V)",
        "Lock-in>Amplitude": "5E-3",
        "Lock-in>Frequency (Hz)": "763",
    }
    path = made.dat(
        tmp_path / "a.dat", {"Bias calc (V)": V, "Current (A)": CURRENT, "LockIn (V)": SLOPE * 1e8}, entries=entries
    )
    start = next(doc for name, doc in files.documents(path))
    recorded = start["recorded"]
    assert recorded["comment"] == "tip 3, after a pulse"
    assert (recorded["operator"], recorded["temperature"]) == ("ada", 1.2)
    assert (recorded["amplitude"], recorded["frequency"]) == (0.005, 763)
    assert recorded["time"] == 1706782272  # 1 February 2024, 10:11:12
    assert recorded["calibration"]["channel"] == "LockIn"
    assert recorded["calibration"]["gain"] == pytest.approx(0.1, rel=0.01)
    assert {"gain_std", "offset", "offset_std"} <= recorded["calibration"].keys()


@pytest.mark.parametrize("dim", [(100_000, 100_000), (1, 2_000_000_000), (1_000_000, 12)])
def test_a_header_that_claims_far_more_than_there_is_takes_no_memory(tmp_path, dim):
    import tracemalloc

    path = made.wavy(tmp_path / "g.3ds")
    path.write_bytes(path.read_bytes().replace(b'"30 x 12"', f'"{dim[1]} x {dim[0]}"'.encode()))
    scan = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)], SCAN_PIXELS=f"{dim[1]} {dim[0]}")
    tracemalloc.start()
    try:
        for damaged in (path, scan):
            try:
                assert files.read(damaged).quality & Quality.INCOMPLETE
            except FileFormatError as error:
                assert "damaged" in str(error)
        assert tracemalloc.get_traced_memory()[1] < 3 * path.stat().st_size + 100 * 2**20
    finally:
        tracemalloc.stop()
