"""The page of a desk in a real browser, used as a person uses it: by mouse and keys."""

import base64
import json
import os
import time
from pathlib import Path

SHOTS = os.environ.get("BLUESKY_STM_SHOTS")
"""Folder for pictures of the page, where somebody wants to look at them."""


def wait_for(condition, seconds=60.0, every=0.05):
    """Look again and again until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(every)


class Page:
    """The page of a desk in a browser, used as a person uses it: by mouse and keys."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address

    def open(self, width=1280, **media):
        self.browser.open(self.address, width, **media)
        self.wait("document.body.dataset.change > 0")

    def __call__(self, expression):
        return self.browser(expression)

    def wait(self, expression, seconds=90):
        wait_for(lambda: self.browser(expression), seconds)

    def fill(self, selector, text):
        self.browser.click(selector)
        self.browser(f"document.querySelector({json.dumps(selector)}).select?.()")
        self.browser.ask("Input.insertText", text=text)

    def choose(self, selector, value):
        """Choose from a list as the keyboard does."""
        self.browser(f"document.querySelector({json.dumps(selector)}).focus()")
        self.go_to(value)

    def go_to(self, value):
        """Go down the list that has the focus, from its top, until a value is reached: no time is in that."""
        self.key("Home")
        for _ in range(self.browser("document.activeElement.length")):
            if self.browser("document.activeElement.value") == value:
                return
            self.key("ArrowDown")
        raise AssertionError(f"{value} is not in the list")

    def press(self, name):
        """Press a button until its request is sent: one is disabled just then, as the state changes; another wants it twice."""
        self.wait(f"!document.querySelector('[data-ask={name}]').disabled")
        asked = self.browser("document.body.dataset.asked")
        self.click_until(f"[data-ask={name}]", f"document.body.dataset.asked !== {json.dumps(asked)}")

    def click_until(self, selector, done):
        """Click until something is so: what is drawn anew between aim and click takes none."""
        for _ in range(20):
            self.browser.click(selector)
            if self.browser(done.replace("{}", selector)):
                return
        raise AssertionError(f"{selector} was clicked twenty times, and not yet {done}")

    def key(self, name):
        codes = {"Enter": 13, "Tab": 9, "Home": 36, "ArrowDown": 40}
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if (name, kind) == ("Enter", "keyDown") else {}
            self.browser.ask(
                "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=codes[name], **text
            )

    def tab_to(self, reached):
        """Go from control to control, as the keyboard does, until one is reached."""
        for _ in range(60):
            self.key("Tab")
            if self.browser(reached):
                return
        raise AssertionError(f"the keyboard does not come to where {reached}")

    def log(self):
        """Kinds of what people asked, the first one first, and whether each was refused."""
        tables = "[...document.querySelectorAll('#told table')]"
        rows = f"{tables}.find((t) => t.caption.textContent.startsWith('What people')).tBodies[0].rows"
        said = self.browser(
            f"[...{rows}].map((r) => [r.cells[2]?.querySelector('b')?.textContent, !!r.querySelector('.refusal')])"
        )
        return [tuple(row) for row in said if row[0]][::-1]

    def state(self):
        return self.browser("document.getElementById('state').textContent")

    def shot(self, name):
        if not SHOTS:
            return
        size = self.browser.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        data = self.browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        Path(SHOTS).mkdir(exist_ok=True)
        (Path(SHOTS) / f"{name}.png").write_bytes(base64.b64decode(data))
