"""Pictures of the desk in each of its states, wide, as on a tablet and on a phone, light and dark, to be looked at.

python benchmarks/desk_pictures.py FOLDER                     some forty pictures, in a few minutes
python benchmarks/desk_pictures.py FOLDER --axe axe.min.js    and what axe-core (npm install axe-core) has to say of each state

It fails where the browser's console says anything, anything is asked of another host, the page is wider than the window, or
axe-core finds something serious.
"""

import argparse
import base64
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from desk_served import SCALE, Server, wait_for

from bluesky_stm.desk import People, new_person, put_together
from bluesky_stm.desk._cards import Cards
from bluesky_stm.desk._people import Rate
from bluesky_stm.desk._tools import Tools
from bluesky_stm.facility import DoorClient, open_session, read_settings

WIDTHS = {"wide": 1440, "tablet": 820, "phone": 390}
COLOR_BLIND = ("protanopia", "deuteranopia", "tritanopia", "achromatopsia")
STATE = "document.getElementById('state').textContent"


def measure(catalog, scalarizer):
    """An exploration with care, whose sweeps go both ways, at a microscope that is faster than a real one."""
    from bluesky import RunEngine
    from bluesky.plan_stubs import mv

    from bluesky_stm.plans import DriftCheck, TipCheck, explore

    scale = {**SCALE, "budget": 60, "scalarizer": scalarizer}
    microscope = {"name": "simulated", "seed": 7, "speed": 4}
    settings = read_settings({}).changed(catalog=catalog, scales=[scale], microscope=microscope)
    with open_session(settings, RunEngine({}, context_managers=[])) as session:
        sweep = session.stm.sweep
        for name in ("current", "lockin_x", "lockin_y", "didv"):
            getattr(sweep, f"{name}_backward").kind = "normal"
        session.RE(mv(sweep.backward, True))
        care = {"drift": DriftCheck(every=6), "tip": TipCheck(every=6)}
        session.RE(explore(session.stm, session.agent("small"), steer=session.steer, **care))


@contextmanager
def measuring(catalog, scalarizer="gap"):
    """A process that measures, killed at the end; gives it."""
    process = subprocess.Popen([sys.executable, __file__, catalog, "--measure", scalarizer])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Photographer:
    """Takes pictures of a page, and looks for what must not be there."""

    def __init__(self, browser, address, folder, axe):
        self.page, self._address, self._folder, self._axe = browser, address, folder, axe
        self.faults, self.count = [], 0

    def open(self, width=1440, **media):
        """Show the page, in a window of a size."""
        self.page.open(self._address, width, **media)
        self.wait("document.body.dataset.change > 0")

    def wait(self, expression):
        """Wait until something is so on the page."""
        wait_for(lambda: self.page(f"!!({expression})"))

    def ask(self, request, settings=None):
        """Ask the session from the page."""
        body = f"{{request: {json.dumps(request)}, settings: {json.dumps(settings or {})}, reason: '', run: desk.state.uid}}"
        self.page(f"post('/api/request', {body}).then((said) => desk.steering.say(said)); null")

    def all_of(self, name, until, dark=("wide", "phone")):
        """Pictures of one state in all sizes."""
        for size, width in WIDTHS.items():
            for scheme in ("light", "dark"):
                if scheme == "light" or size in dark:
                    self.open(width, **{"color-scheme": scheme})
                    self.wait(until)
                    self.picture(f"{name}-{size}-{scheme}")
        self.look(name)

    def picture(self, name, alone=False):
        """One picture of the whole page, once all its charts are drawn.

        With ``alone`` nobody answers the page, which the browser itself says on its console.
        """
        self.page("document.head.append(make('style', {}, '.panels { content-visibility: visible !important; }'))")
        self.page("lazily.all()")
        width = self.page("innerWidth")
        size = self.page.ask("Page.getLayoutMetrics")["cssContentSize"]
        tall = {"width": width, "height": math.ceil(size["height"]), "deviceScaleFactor": 1, "mobile": width < 700}
        self.page.ask("Emulation.setDeviceMetricsOverride", **tall)  # what is not in the window is not drawn
        self.wait("!lazily.waiting.size")
        wide = self.page("[document.documentElement.scrollWidth, innerWidth]")
        if wide[0] > wide[1]:
            self.faults.append(f"{name}: the page is {wide[0]} px wide in a window of {wide[1]} px")
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 9000), "scale": 1}
        data = self.page.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        (self._folder / f"{name}.png").write_bytes(base64.b64decode(data))
        self.count += 1
        if not alone:
            self._complaints(name)

    def _complaints(self, name):
        own = (self._address, self._address.replace("http", "ws", 1))
        for one in self.page.complaints:
            url = one["params"].get("request", {}).get("url", "")
            if not url.startswith((*own, "data:")):
                self.faults.append(f"{name}: {one['method']} {url or json.dumps(one['params'])[:300]}")

    def look(self, name):
        """Let axe-core look at the page as it is."""
        if self._axe:
            self.page(f"{self._axe}; found = null; axe.run(document).then((said) => found = said.violations); null")
            self.wait("found")
            for one in self.page("found.map((v) => [v.impact, v.id, v.nodes.length, v.nodes[0].html.slice(0, 200)])"):
                print(f"axe-core, {name}:", *one)
                if one[0] in {"serious", "critical"}:
                    self.faults.append(f"{name}: axe-core finds {one[1]} ({one[0]}) at {one[3]}")


def take(folder, axe):
    """Pictures of all states; what must not be there."""
    from chromium import Chromium

    ada, token = new_person("Ada", "operate")
    agent, _ = new_person("a model", "propose")
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        catalog = place / "catalog"
        free = Rate(1e9, 10**9)
        server = Server(put_together(catalog, People((ada, agent)), writes=free, failures=free))
        stack.callback(server.close)
        browser = Chromium(place / "profile")
        stack.callback(browser.close)
        browser.connect()
        shots = Photographer(browser, f"http://127.0.0.1:{server.port}/", folder, axe)
        shots.all_of("01-no-run", "true")
        shots.page(f"introduce({json.dumps(token)}); null")
        shots.wait("person.name === 'Ada'")
        _while_it_runs(shots, catalog, agent)
        _after_it(shots, catalog, server, stack)
        return shots


def _while_it_runs(shots, catalog, agent):
    with measuring(catalog) as process:
        shots.wait("desk.parts.now && desk.parts.now.taken >= 12 && desk.parts.checks.length")
        shots.all_of("02-running", "desk.scale && desk.scale.points.length >= 8", dark=tuple(WIDTHS))
        shots.open()
        for kind in COLOR_BLIND:
            shots.page.ask("Emulation.setEmulatedVisionDeficiency", type=kind)
            shots.wait("desk.scale")
            shots.picture(f"03-running-{kind}")
        shots.page.ask("Emulation.setEmulatedVisionDeficiency", type="none")
        shots.ask("pause")
        shots.all_of("04-paused", f"{STATE}.startsWith('Paused') && desk.scale", dark=())
        shots.ask("measure", {"point": [5000, 0]})  # a place beyond the limits
        shots.wait("document.querySelector('.answer.refusal')?.textContent")
        shots.picture("05-refused-phone-light")
        shots.ask("mask", {"area": {"center": [-5, 0], "size": [8, 18]}})
        shots.ask("approve_each", {"on": True})
        shots.ask("resume")
        shots.all_of("06-approval", f"{STATE}.startsWith('A decision waits') && desk.scale", dark=("phone",))
        tools = Tools(catalog, Cards(read_settings({}).changed(microscope="simulated")))
        tools.propose(agent, "measure", {"point": [2.5, -3.5]}, "A bright spot beside the step, of which no spectrum is known.")
        tools.propose(agent, "mask", {"area": {"center": [6, 6], "size": [4, 4]}}, "Adsorbates: the tip would pick them up.")
        shots.wait("(desk.parts.proposals || []).filter((p) => p.state === 'open').length === 2")
        shots.all_of("07-proposal", "document.querySelectorAll('[data-proposal]').length === 4", dark=("phone",))
        tools.close()
        process.send_signal(signal.SIGKILL)
        process.wait()
    shots.all_of("08-lost-session", f"{STATE}.includes('No session answers')", dark=())


def _after_it(shots, catalog, server, stack):
    with measuring(catalog, "gap:level=1e6"):
        shots.wait("desk.parts['run.warnings'] && desk.parts['run.warnings'].some((w) => w.includes('none of'))")
        shots.all_of("09-warning", "document.querySelector('.warning')", dark=())
        DoorClient(catalog).ask("stop", "Ada", "a script", {}, "nothing to be found here")
        shots.wait(f"{STATE}.startsWith('The run is over')")
    shots.all_of("10-ended", f"{STATE}.startsWith('The run is over') && desk.scale", dark=("tablet",))
    shots.page("document.querySelector('#told details').open = true")
    shots.wait("document.querySelectorAll('#told details tr').length > 2")
    shots.picture("11-earlier-runs")
    shots.page("introduce('').then((said) => (sessionStorage.removeItem('token'), desk.steering.known(said))); null")
    shots.all_of("12-no-token", "desk.scale", dark=())
    server.close()
    shots.wait("document.body.className === 'cut'")
    shots.picture("13-lost-desk", alone=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--axe", type=Path)
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.folder, asked.measure)
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    shots = take(asked.folder, asked.axe.read_text(encoding="utf-8") if asked.axe else "")
    print(f"{shots.count} pictures in {asked.folder}")
    if shots.faults:
        raise SystemExit("\n".join(shots.faults))


if __name__ == "__main__":
    main()
