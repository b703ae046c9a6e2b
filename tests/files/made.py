"""Files of Nanonis as instruments write them, made number by number: what they hold is known without the code under test."""

from pathlib import Path

import numpy as np

Z = "\t14\tZ\tm\tboth\t1.000E+0\t0.000E+0"
SETPOINT = {"Bias>Bias (V)": "-1", "Z-Controller>Setpoint": "150E-12", "Z-Controller>Setpoint unit": "A"}
V = np.linspace(-1, 1, 101)
"""Bias of a spectrum, in V."""
CURRENT = 1e-10 * (V + 0.5 * V**3)
"""In A; its slope, `SLOPE`, in S."""
SLOPE = 1e-10 * (1 + 1.5 * V**2)


def image(number=0, rows=8, columns=8):
    """Heights in m, each pixel another one, the images 1 nm apart."""
    return np.arange(rows * columns).reshape(rows, columns) * 1e-12 + number * 1e-9


def sxm(path, data, info=Z, *, dtype=">f4", newline="\n", end="\n\n:SCANIT_END:\n\n\n", extra="", **header):
    """Write a scan; ``header`` replaces entries of it, by their names."""
    rows, columns = data[0].shape
    entries = {
        "NANONIS_VERSION": "2",
        "SCANIT_TYPE": "              FLOAT            MSBFIRST",
        "REC_DATE": " 01.02.2024",
        "REC_TIME": "10:11:12",
        "REC_TEMP": "      4.2000000000",
        "SCAN_PIXELS": f"       {columns}       {rows}",
        "SCAN_RANGE": "           5.0E-9 5.0E-9",
        "SCAN_OFFSET": "             1.0E-8         2.0E-8",
        "SCAN_ANGLE": "            0.0E+0",
        "SCAN_DIR": "up",
        "BIAS": "            1.000E-1",
        "Z-CONTROLLER": "\tName\ton\tSetpoint\tP-gain\n\tlog Current\t1\t1.000E-10 A\t1.0E-11 m",
        "COMMENT": "",
    } | {key.replace("_CONTROLLER", "-CONTROLLER"): value for key, value in header.items()}
    text = "".join(f":{key}:\n{value}\n" for key, value in entries.items()) + extra
    text += f":DATA_INFO:\n\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n{info}\n"
    body = b"".join(np.asarray(one).astype(dtype).tobytes() for one in data)
    Path(path).write_bytes((text + end).replace("\n", newline).encode("latin-1") + b"\x1a\x04" + body)
    return path


def dat(path, columns, *, newline="\r\n", form="{:.7E}", tail="", **header):
    """Write a point spectrum; ``columns`` are arrays by their labels."""
    entries = {
        "Experiment": "bias spectroscopy",
        "Date": "01.02.2024 10:11:12",
        "User": "",
        "X (m)": "1E-9",
        "Y (m)": "2E-9",
        "Z (m)": "3E-9",
        **SETPOINT,
        **header.pop("entries", {}),
    }
    lines = [f"{key}\t{value}\t" for key, value in entries.items()] + ["", "[DATA]", "\t".join(columns)]
    lines += ["\t".join(form.format(value) for value in row) for row in np.transpose(list(columns.values()))]
    Path(path).write_bytes((newline.join(lines) + newline + tail).encode("latin-1"))
    return path


def grid(
    path,
    channels,
    *,
    size=(5e-9, 4e-9),
    centre=(1e-8, 2e-8),
    angle=0.0,
    limits=(-1.0, 1.0),
    swept="Bias (V)",
    parameters=("X (m)", "Y (m)", "Z (m)"),
    heights=None,
    drop=0,
    header="",
    settings=None,
    filetype="Linear",
    dim=None,
):
    """Write a grid; ``channels`` are arrays (rows, columns, n), in SI by label; the last ``drop`` bytes are left out."""
    rows, columns, points = next(iter(channels.values())).shape
    (width, height), turn = size, np.deg2rad(-angle)
    along, up = np.meshgrid(
        (np.arange(columns) + 0.5) * width / columns - width / 2, (np.arange(rows) + 0.5) * height / rows - height / 2
    )
    held = {
        "X (m)": centre[0] + along * np.cos(turn) - up * np.sin(turn),
        "Y (m)": centre[1] + along * np.sin(turn) + up * np.cos(turn),
        "Z (m)": 1e-10 * np.sin(np.arange(rows))[:, None] + 1e-11 * np.arange(columns) if heights is None else heights,
    }
    per_pixel = [np.full((rows, columns), end) for end in limits]
    per_pixel += [held.get(name, np.zeros((rows, columns))) for name in parameters]
    body = np.concatenate([np.stack(per_pixel, axis=-1), *channels.values()], axis=-1).astype(">f4").tobytes()
    text = f"""Grid dim="{columns if dim is None else dim[1]} x {rows if dim is None else dim[0]}"
Grid settings={settings or f"{centre[0]};{centre[1]};{width};{height};{angle}"}
Filetype={filetype}
Sweep Signal="{swept}"
Fixed parameters="Sweep Start;Sweep End"
Experiment parameters="{";".join(parameters)}"
# Parameters (4 byte)={2 + len(parameters)}
Experiment size (bytes)={4 * points * len(channels)}
Points={points}
Channels="{";".join(channels)}"
Experiment="Grid Spectroscopy"
Start time="01.02.2024 10:11:12"
User=
Comment=
{header}""".replace("\n", "\r\n")
    Path(path).write_bytes(text.encode("latin-1") + b":HEADER_END:\r\n" + (body[:-drop] if drop else body))
    return path


def superconductor(path, limit=5e-3, lockin="X% LockIn (V)", rows=12, columns=12, size=(10e-9, 10e-9), angle=0.0, drop=0):
    """Write a grid of superconducting gaps as a microscope at 1 K records it: 201 points, lock-in in V."""
    bias, rng = np.linspace(-limit, limit, 201), np.random.default_rng(1)
    row, column = np.mgrid[:rows, :columns]
    gap = 0.26 * limit * (1 - 0.5 * np.exp(-((row - rows / 2) ** 2 + (column - columns / 2) ** 2) / 8))[..., None]
    energy = np.abs(bias) - 0.01j * limit
    slope = 4e-8 * 5e-3 / limit * np.abs(np.real(energy / np.sqrt(energy**2 - gap**2)))
    current = np.cumsum(slope, axis=-1) * (bias[1] - bias[0])
    current = current - current[..., 100:101] + 1e-12 * rng.normal(size=current.shape)
    channels = {"Current (A)": current, lockin: slope * 1e7 + 1e-3 * rng.normal(size=current.shape)}
    return grid(path, channels, limits=(-limit, limit), size=size, centre=(0.0, 0.0), angle=angle, drop=drop)


def wavy(path, rows=12, columns=30, size=(15e-9, 6e-9), angle=30.0, drop=0, lockin="LI Demod 1 X (A)"):
    """Write a grid whose zero-bias conductance differs from pixel to pixel: 61 points, -0.2 to 0.2 V."""
    bias = np.linspace(-0.2, 0.2, 61)
    row, column = np.mgrid[:rows, :columns]
    height = (1 + 0.5 * np.sin(column / 3) + 0.3 * np.cos(row / 2))[..., None]
    slope = 1e-9 * (1 + 10 * bias**2) * height
    current = 1e-9 * (bias + 10 * bias**3 / 3) * height
    channels = {"Current (A)": current, lockin: slope * 1e-2}
    return grid(path, channels, limits=(-0.2, 0.2), size=size, centre=(5e-8, -3e-8), angle=angle, drop=drop)
