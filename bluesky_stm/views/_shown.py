"""A matplotlib figure that a notebook shows by itself, whatever its backend; loaded with matplotlib."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that belongs to no window. A notebook shows it as a picture."""

    def _repr_png_(self) -> bytes:
        """Return the picture as IPython asks for it."""
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()
