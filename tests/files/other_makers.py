"""Small files of other makers, written from the descriptions of their formats, by a writer of others where there is one."""

import struct
import zlib

import numpy as np


def heights(rows=6, columns=9):
    """Heights in nm, row 0 at the lowest y, different in each row and column and not square."""
    return 0.1 * np.arange(rows)[:, None] + 0.01 * np.arange(columns) ** 2 + 1.0


def gwyddion(path, image, center=(3e-9, -4e-9), size=(18e-9, 12e-9), titles=("Current", "Z"), meta=None):
    """Two channels, by gwyfile: a current and the heights (nm)."""
    from gwyfile.objects import GwyContainer, GwyDataField

    container = GwyContainer()
    corner = [c - s / 2 for c, s in zip(center, size, strict=True)]
    for number, (title, unit, factor) in enumerate(zip(titles, ("A", "m"), (1e-12, 1e-9), strict=True)):
        data = np.ascontiguousarray(image[::-1]) * factor  # row 0 is the top
        field = GwyDataField(data, *size, *corner, si_unit_xy="m", si_unit_z=unit, typecodes={"si_unit_z": "o"})
        container[f"/{number}/data"] = field
        container[f"/{number}/data/title"] = title
    if meta:
        container["/1/meta"] = GwyContainer(meta)
    container.typecodes.update({f"/{n}/data/title": "s" for n in range(len(titles))})
    container.tofile(str(path))


def gxsm(path, image, dz=0.02, unit="AA", engine="scipy", top=False):
    """A scan of 180 x 120 angstrom at (30, -40) angstrom: values times ``dz`` are heights in angstrom; ``image`` in nm."""
    import xarray

    rows, columns = image.shape
    x = np.linspace(-90, 90, columns).astype("f4")
    y = (np.linspace(0, -120, rows) if top else np.linspace(60, -60, rows)).astype("f4")  # the first row is the top
    names = {"rangex": 180.0, "rangey": 120.0, "dz": dz, "offsetx": 30.0, "offsety": -40.0 + 60.0 * top, "alpha": 0.0,
             "sranger_mk2_hwi_bias": -0.25, "sranger_mk2_hwi_mix0_current_set_point": 0.05, "t_start": 1.7e9}  # fmt: skip
    values = (image[::-1] * 10 / dz)[None, None].astype("f4")
    file = xarray.Dataset(
        {
            "FloatField": (("time", "value", "dimy", "dimx"), values, {"ZLabel": "Z", "unit_x_dz": unit}),
            "dimx": ("dimx", x),
            "dimy": ("dimy", y),
            "comment": ("comment_length", np.frombuffer(b"a cold day\0", "S1")),
            **{name: ((), value) for name, value in names.items()},
        }
    )
    file.to_netcdf(path, engine=engine)


def createc(path, image, scanned=None, compressed=True, mark="[Paramco32]"):
    """A topograph and a current, 32 bit: heights are ``Dacto[A]z`` times the value, in angstrom; ``image`` in nm."""
    rows, columns = image.shape
    values = np.zeros((2, rows, columns), "<f4")
    values[0] = image[::-1] * 10 / 0.002
    values[1] = 7.0
    values[:, scanned:] = 0 if scanned is not None else values[:, scanned:]
    header = {
        "Titel / Titel": "test", "Delta X / Delta X [Dac]": 64, "Num.X / Num.X": columns, "Num.Y / Num.Y": rows,
        "Length x[A]": 180.0, "Length y[A]": 120.0, "Dacto[A]xy": 0.005, "Dacto[A]z": 0.002, "Channels / Channels": 2,
        "Scanrotoffx / OffsetX": -6000, "Scanrotoffy / OffsetY": -4000, "Rotation / Rotation": 0.0,
        "BiasVoltage / BiasVolt.[mV]": -250.0, "Current[A]": 5e-11, "FBLogIset": 50.0, "ChanMode": 0, "CHModeZoff": 0.0,
        "CHModeBias[mV]": 0.0, "CHMode": 0, "DX_DIV_DDelta-X": 1, "Delta X": 64, "ChannelSelectVal": 3, "ScanYMode": 2,
        "Xpiezoconst": 60.0, "YPiezoconst": 60.0, "ZPiezoconst": 20.0, "memo:0": "a cold day",
    }  # fmt: skip
    text = mark + "\r\n" + "".join(f"{key}={value}\r\n" for key, value in header.items())
    body = b"\0\0\0\0" + values.tobytes()
    path.write_bytes(text.encode("latin-1").ljust(16384, b"\0") + (zlib.compress(body) if compressed else body))


def rhk(path, image, y_scale=-2e-9, units=("m", "m", "m")):
    """Two pages of whole numbers, the way back first: image (nm) of 2 x 2 nm pixels at (3, -4) nm."""
    rows, columns = image.shape
    width = 12

    def texts(label):
        listed = [label, "", "", "", "file", "01/02/24", "10:11:12", *units, "", "", "", str(rows), "1"]
        return b"".join(struct.pack("<H", len(t)) + t.encode("utf-16-le") for t in listed), len(listed)

    head = 2 + 56 + 3 * width
    index = struct.pack("<IIII", 2, 1, 0, 0) + struct.pack("<III", 2, head + 16 + width, 0)
    arrays, bodies, at = b"", b"", head + len(index) + 2 * (32 + 2 * width)
    for direction, x_scale in ((1, -2e-9), (0, 2e-9)):
        strings, count = texts("Topography")
        stored = image[::-1] if y_scale < 0 else image
        raw = np.round(stored[:, ::-1] if x_scale < 0 else stored, 6) * 1e6
        numbers = raw.astype("<i4").tobytes()
        header = struct.pack(
            "<HH" + "I" * 10 + "Iii" + "f" * 11 + "IIII",
            170, count, 1, 0, 0, 0, 0, columns, rows, 0, direction, 0, len(numbers), 0, 0,
            x_scale, y_scale, 1e-15, 0.0, 3e-9, -4e-9, 0.0, 0.001, -0.25, 5e-11, 0.0, 0, 0, 0, 1,
        ) + bytes(64)  # fmt: skip
        there = at + len(bodies)
        header += struct.pack("<III", 10, there + len(header) + width, len(strings))
        page = header + strings
        arrays += bytes(16) + struct.pack("<IIII", 0, 0, 2, 6)
        arrays += struct.pack("<III", 3, there, len(header)) + struct.pack("<III", 4, there + len(page), len(numbers))
        bodies += page + numbers
    signature = "STiMage 005.006 1".ljust(18, "\0").encode("utf-16-le")
    start = struct.pack("<H", 56) + signature + struct.pack("<IIIII", 2, 3, width, 0, 0)
    objects = struct.pack("<III", 1, head, len(index)) + bytes(2 * width)
    path.write_bytes(start + objects + index + arrays + bodies)


def matrix(folder, image, lines=None, unit="m", curve=None):
    """The image (nm) of a session of Matrix, up and down and both ways, and its file of parameters; the path of the image.

    With ``curve`` (currents in nA of both ways, as recorded) that of an I(V) from -1 to 1 V, at (5, -6) nm, instead.
    """
    rows, columns = image.shape
    lines = rows if lines is None else lines
    name = "default_2024Feb01-101112_STM-STM_Spectroscopy"
    channel = "Z" if curve is None else "I(V)"
    result = f"{name}--1_1.{channel}_mtrx"

    def text(value):
        return struct.pack("<L", len(value)) + value.encode("utf-16-le")

    def datum(value):
        if isinstance(value, bool):
            return b"LOOB" + struct.pack("<L", value)
        return b"GNOL" + struct.pack("<l", value) if isinstance(value, int) else b"BUOD" + struct.pack("<d", value)

    def block(mark, data, stamped=True):
        return mark + struct.pack("<L", len(data)) + (bytes(8) if stamped else b"") + data

    scanner = {
        "X_Retrace": (True, ""), "Y_Retrace": (False, ""), "Points": (columns, ""), "Lines": (lines, ""),
        "Width": (18e-9, "m"), "Height": (12e-9, "m"), "X_Offset": (3e-9, "m"), "Y_Offset": (-4e-9, "m"), "Angle": (0, "deg"),
    }  # fmt: skip
    groups = {
        "XYScanner": scanner,
        "GapVoltageControl": {"Voltage": (-0.25, "V")},
        "Regulator": {"Setpoint_1": (5e-11, "A")},
    }
    if curve is not None:
        scanner["Enable_Subgrid"] = (False, "")
        groups["Spectroscopy"] = {
            "Device_1_Start": (-1.0, "Volt"), "Device_1_End": (1.0, "Volt"), "Device_1_Points": (len(curve) // 2, ""),
            "Enable_Device_1_Ramp_Reversal": (True, ""),
        }  # fmt: skip
    eepa = bytes(4) + struct.pack("<L", len(groups))
    for group, values in groups.items():
        eepa += text(group) + struct.pack("<L", len(values))
        eepa += b"".join(text(k) + text(u) + bytes(4) + datum(v) for k, (v, u) in values.items())
    dictionary = bytes(8) + struct.pack("<L", 0) + struct.pack("<L", 1)
    dictionary += bytes(4) + struct.pack("<L", 7) + bytes(8) + text(channel) + text(unit) + struct.pack("<L", 0)
    transfer = bytes(4) + struct.pack("<L", 7) + text("TFF_Linear1D") + text(unit) + struct.pack("<L", 2)
    transfer += text("Factor") + datum(1e15) + text("Offset") + datum(0.0)
    chain = (
        block(b"ATEM", bytes(8))
        + block(b"APEE", eepa)
        + block(b"YSCC", bytes(4) + block(b"TCID", dictionary, False) + block(b"REFX", transfer, False))
    )
    if curve is not None:
        chain += block(b"KRAM", text("MTRX$STS_LOCATION-12,34;5.0e-009,-6.0e-009%%00-1-1-0%%"))
    chain += block(b"FERB", bytes(4) + text(result))
    (folder / f"{name}_0001.mtrx").write_bytes(b"ONTMATRX0101" + chain)
    raw = np.stack([image, image[:, ::-1]], axis=1) * 1e6  # forward, then backward as recorded; lines from the bottom
    raw = raw if curve is None else np.asarray(curve) * 1e6
    numbers = np.round(raw).astype("<i4").tobytes()
    described = block(b"CSED", bytes(20) + struct.pack("<ii", raw.size, raw.size), False)
    inside = described + block(b"ATAD", numbers, False)
    (folder / result).write_bytes(b"ONTMATRX0101" + block(b"TLKB", struct.pack("<Q", 1706782272) + bytes(4) + inside, False))
    return folder / result
