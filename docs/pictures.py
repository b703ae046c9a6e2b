"""Make the pictures of README and documentation anew, from a run of the demo: ``make pictures``.

    python docs/pictures.py CATALOG

takes the newest campaign of a catalog, in which ``bluesky-stm demo`` has stored it, draws its report with the Chromium that is
installed, and keeps the part above the first scale's controls as ``docs/report.jpg``. ``docs/pictures.json`` says of which
sources of the page that picture is: a test tells when they have changed since.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "bluesky_stm" / "views" / "page"
KEPT = Path(__file__).with_name("pictures.json")
WIDTH, HEIGHT = 1400, 2420
"""Of the part of the page that is kept, in pixels."""


def digest() -> str:
    """Return the digest of all sources of the page."""
    told = hashlib.sha256()
    for file in sorted(PAGE.iterdir()):
        told.update(file.name.encode() + b"\0" + file.read_bytes())
    return told.hexdigest()


def main(catalog: str) -> None:
    """Draw the report of the newest campaign of a catalog.

    Parameters
    ----------
    catalog : str
        Folder of the catalog.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder) / "report.html", Path(folder) / "report.png"
        report = [sys.executable, "-m", "bluesky_stm.cli", "report", "--catalog", catalog, "-o", str(page)]
        subprocess.run(report, check=True)
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or "google-chrome"
        flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=9000"]
        subprocess.run(
            [chromium, *flags, f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}", page.as_uri()],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        Image.open(picture).convert("RGB").save(Path(__file__).with_name("report.jpg"), quality=82)
    KEPT.write_text(json.dumps({"report.jpg": digest()}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
