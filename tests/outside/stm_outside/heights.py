"""A file format."""

import json
from typing import ClassVar

import numpy as np

from bluesky_stm.files import FileFormat, RecordedRun
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Grid, Setpoint, Topograph


class Heights(FileFormat):
    """A grid as JSON: heights and spectra; of a run its topograph."""

    name: str = "heights"
    suffixes: ClassVar[tuple[str, ...]] = (".heights",)
    holds: ClassVar[tuple[type, ...]] = (Grid, Topograph, RecordedRun)

    def recognises(self, path, start):
        """Return True when the file begins as `write` lets it begin."""
        return start.startswith(b'{"stm-outside"')

    def read(self, path):
        """Return the grid, or the topograph of a file without spectra."""
        held = json.loads(path.read_text())["stm-outside"]
        frame, setpoint, height = Frame.from_dict(held["frame"]), Setpoint(*held["setpoint"]), np.array(held["height"])
        if "bias" not in held:
            return Topograph(frame, height, setpoint)
        arrays = {name: np.array(held[name]) for name in ("bias", "current", "lockin_x", "lockin_y", "didv")}
        return Grid(frame=frame, height=height, setpoint=setpoint, **arrays)

    def write(self, path, recording, provenance):
        """Write a grid or a topograph."""
        one = recording.topograph if isinstance(recording, RecordedRun) else recording
        held = {
            "frame": one.frame.as_dict(),
            "setpoint": [one.setpoint.bias, one.setpoint.current],
            "height": one.height.tolist(),
        }
        if isinstance(one, Grid):
            held |= {name: getattr(one, name).tolist() for name in ("bias", "current", "lockin_x", "lockin_y", "didv")}
        path.write_text(json.dumps({"stm-outside": held}))
