"""A headless Chromium with one page, driven over its DevTools pipe: for pages that have to work in a real browser."""

import json
import os
import selectors
import shutil
import subprocess
import sys
from contextlib import contextmanager
from itertools import count

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip
LAUNCH = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
PATIENCE = 60
COMPLAINTS = {"Runtime.exceptionThrown", "Log.entryAdded", "Network.requestWillBeSent"}

DRAWN = """(async () => {
  const images = [...document.querySelectorAll("image, img")].filter((image) => image.href?.baseVal ?? image.src);
  await Promise.all(images.map((image) => image.decode()));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
})()"""

NEEDED = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: install the package chromium to test the page")


class Chromium:
    """A headless browser with one page, driven over its DevTools pipe (file descriptors 3 and 4 of the browser)."""

    def __init__(self, profile):
        (reads, self._to), (self._from, writes) = os.pipe(), os.pipe()
        command = [sys.executable, "-c", LAUNCH, str(reads), str(writes), CHROMIUM, *FLAGS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(command, pass_fds=(reads, writes), stderr=subprocess.DEVNULL)
        os.close(reads), os.close(writes)
        self._numbers, self._rest, self.happened = count(1), b"", []
        self._session = None

    def connect(self):
        """Open the page that all tests use."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **params):
        """Send a command and wait for its answer; what happens meanwhile is kept."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0")
        while (message := self._read()).get("id") != number:
            self.happened.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, path, width, height=900, **media):
        """Show a file, or what a URL says, in a window of this size."""
        self.happened.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": f"prefers-{k}", "value": v} for k, v in media.items()])
        self.ask("Page.navigate", url=path if isinstance(path, str) else path.as_uri())
        while not any(message.get("method") == "Page.loadEventFired" for message in self.happened):
            self.happened.append(self._read())

    def __call__(self, expression):
        """Value of a JavaScript expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def drawn(self):
        """Wait until what the page has is what the window shows: its images are decoded, and a frame was made since."""
        self.ask("Runtime.evaluate", expression=DRAWN, awaitPromise=True)

    def click(self, selector):
        """A real click with the mouse on the middle of an element."""
        element = f"document.querySelector({json.dumps(selector)})"
        self(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self(
            f"(({{x, y, width, height}}) => ({{x: x + width / 2, y: y + height / 2}}))({element}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **box)

    @property
    def complaints(self):
        """Errors, and requests other than for the page itself."""
        found = [m for m in self.happened if m.get("method") in COMPLAINTS or _is_console_error(m)]
        return [m for m in found if not _is_own(m.get("params", {}).get("request", {}).get("url", ""))]

    def close(self):
        self._process.terminate()
        self._process.wait(10)
        os.close(self._to), os.close(self._from)

    def kill(self):
        """End it as a crash would."""
        self._process.kill()
        self._process.wait(10)
        os.close(self._to), os.close(self._from)

    def _read(self):
        while b"\0" not in self._rest:
            with selectors.DefaultSelector() as answers:  # select() fails in a process with many open files
                answers.register(self._from, selectors.EVENT_READ)
                ready = answers.select(PATIENCE)
            assert ready, f"the browser has said nothing for {PATIENCE} s"
            self._rest += os.read(self._from, 1 << 20)
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def opened(profile):
    """A browser with its page, closed at the end."""
    browser = Chromium(profile)
    try:
        browser.connect()
        yield browser
    finally:
        browser.close()


def _is_console_error(message):
    return message.get("method") == "Runtime.consoleAPICalled" and message["params"]["type"] in {"error", "warning", "assert"}


def _is_own(url):
    return url.startswith(("file:", "data:"))
