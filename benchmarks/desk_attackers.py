"""Hostile callers of the desk and of the tools, and what the same does where it goes straight to the TCP port."""

import http.client
import json
import random
import socket
import threading
from collections import Counter
from contextlib import redirect_stdout, suppress

from bluesky_stm.controllers import InstantClock, SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer


class CountedController(SimulatedController):
    """Counts how often the tip touched, whoever drove it there."""

    touched = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        tips = next(part for part in _inside(self) if type(part).__name__ == "Tips")
        crash = tips.crash

        def counted(at):
            self.touched += 1
            crash(at)

        tips.crash = counted


def _inside(thing, depth=4):
    """Objects of this package inside another."""
    found = [value for value in vars(thing).values() if type(value).__module__.startswith("bluesky_stm.controllers.simulated")]
    return found + [one for value in found if depth and hasattr(value, "__dict__") for one in _inside(value, depth - 1)]


ODD = [
    None, True, False, -1, 0, 1, 10**30, -(10**30), 1.5, 1e308, -1e-308, "", "0", "1.5", "NaN", [], {}, [1], [1, 2, 3],
    [[1, 2]],
    [True, 0], ["1", "2"], [1e9, 0], [0, -5e3], {"center": [0, 0]}, {"center": [0, 0], "size": [-1, 1]}, {"__class__": "x"},
    "a" * 3000, "\u0000", "\u202e", "'; drop table runs;--", "{{7*7}}", "../../../etc/passwd", {"name": "gap", "name ": "x"},
]  # fmt: skip
RAW = [b"", b"{", b"null", b"NaN", b"[[[[", b'{"request":NaN}', b"\xff\xfe", b'{"a":1,"a":2}', b" " * 30_000, b'{"x":1e999}']


TAKES = {"measure": "point", "mask": "area", "budget": "spectra", "scalarize": "choice", "approve_each": "on"}
"""What requests take."""
PATHS = [
    "/../x",
    "/%2e%2e/x",
    "/report/..%2f",
    "//x",
    "/?token=x",
    "/api/request?token=x",
    "/report/" + "0" * 40,
    "/x" * 200,
    "/%00",
]
TOOLS = ["propose_point", "propose_mask", "propose_scalarizer", "propose_night", "proposal", "take_back", "runs", "stop"]
ARGUMENTS = [
    *("x_nm", "y_nm", "width_nm", "height_nm", "reason", "settings", "name", "night", "id", "newest", "xnm", "credential"),
]


class Attackers:
    """Make hostile calls with the credentials of everybody, and remember how each was answered."""

    def __init__(self, desk, agents, tokens, run, proposals):
        self.desk, self.agents, self.tokens, self.run, self.proposals = desk, agents, tokens, run, proposals
        self.answers, self.odd = Counter(), []
        self._lock = threading.Lock()

    def go(self, calls, threads=8):
        each = [threading.Thread(target=self._some, args=(n, calls // threads)) for n in range(threads)]
        for thread in each:
            thread.start()
        for thread in each:
            thread.join()

    def _some(self, seed, calls):
        rng = random.Random(seed)
        kinds = [
            self.request,
            self.request,
            self.forged,
            self.path,
            self.elsewhere,
            self.tool,
            self.tool,
            self.approval,
            self.race,
        ]
        for _ in range(calls):
            kind = rng.choice(kinds)
            try:
                answer = kind(rng)
            except (OSError, http.client.HTTPException) as error:
                answer = f"closed: {type(error).__name__}"
            with self._lock:
                self.answers[kind.__name__, answer] += 1

    # Each returns the code of the refusal, "taken" where something was taken, or "no code".

    def request(self, rng):
        """Senseless requests by those who may not or may steer."""
        role = rng.choice(["", "nonsense", "watch", "propose", "steer", "operate"])
        name = rng.choice(
            ["measure", "mask", "budget", "tune", "scalarize", "accept", "approve_each", "make coffee", "__init__"]
        )
        key = {"measure": "point", "mask": "area", "budget": "spectra", "scalarize": "choice", "approve_each": "on"}.get(
            name, "x"
        )
        settings = {key: rng.choice(ODD)}
        if rng.random() < 0.3:
            settings[rng.choice(["Point", "unit", "reason"])] = rng.choice(ODD)
        if settings.get("on") in (True, False) or settings.get("spectra") == 1:  # these would make sense
            settings["on"] = 1
        body = {"request": name, "settings": settings, "reason": "", "run": rng.choice([self.run(), "", None, "0" * 36])}
        if rng.random() < 0.3:
            body[rng.choice(["who", "source", "role"])] = "Ada"
        content = rng.choice(RAW) if rng.random() < 0.2 else json.dumps(body).encode()
        return self.ask("POST", "/api/request", content, role)

    def forged(self, rng):
        """Steering by those who may only watch or propose, or by nobody, with headers that name somebody."""
        headers = {rng.choice(["X-Remote-User", "X-Forwarded-User", "X-Forwarded-For", "Cookie"]): "Ada"}
        body = {"request": rng.choice(["stop", "withdraw", "pause", "unmask"]), "settings": {}, "reason": "", "run": self.run()}
        return self.ask(
            "POST", "/api/request", json.dumps(body).encode(), rng.choice(["", "nonsense", "watch", "propose"]), headers
        )

    def path(self, rng):
        """Odd paths, methods and query strings."""
        path = rng.choice(PATHS)
        return self.ask(rng.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"]), path, b"", "operate")

    def elsewhere(self, rng):
        """Pages of other sites and other names of this host, with a token that they should not have."""
        headers = rng.choice(
            [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"},
             {"Content-Type": "text/plain"}, {"X-Long": "x" * 20_000}]
        )  # fmt: skip
        body = {"request": "stop", "settings": {}, "reason": "", "run": self.run()}
        return self.ask("POST", "/api/request", json.dumps(body).encode(), "operate", headers)

    def tool(self, rng):
        """Tools with senseless arguments, or none of theirs."""
        name = rng.choice(TOOLS)
        arguments = {key: rng.choice(ODD) for key in rng.sample(ARGUMENTS, rng.randrange(6))}
        return self.call_tool(name, arguments, rng.choice(["", "nonsense", "watch", "propose", "propose", "propose"]), rng)

    def approval(self, rng):
        """Approvals of one's own, replayed, forged, or by a role that may not."""
        waiting = self.proposals.all()
        one = rng.choice(waiting) if waiting else None
        if one is not None and one.state == "open" and rng.random() < 0.7:
            role, key, digest = rng.choice(["propose", "watch", "", "nonsense"]), one.id, one.digest
        else:
            key = one.id if one else "0" * 12
            role, digest = "operate", rng.choice(["", "0" * 64, 1, None])
        body = {"proposal": key, "digest": digest, "verdict": rng.choice(["accept", "accept", "approve", True]), "reason": ""}
        return self.ask("POST", "/api/proposal", json.dumps(body).encode(), role)

    def race(self, rng):
        """The same verdict on a proposal that is decided already, from several at once."""
        done = [one for one in self.proposals.all() if one.state in {"accepted", "declined", "taken back", "refused"}]
        key, digest = (done[-1].id, done[-1].digest) if done else ("0" * 12, "")
        body = json.dumps({"proposal": key, "digest": digest, "verdict": "accept", "reason": ""}).encode()
        return self.ask("POST", "/api/proposal", body, "operate")

    def call_tool(self, name, arguments, role, rng):
        call = {
            "jsonrpc": "2.0",
            "id": rng.randrange(10**6),
            "method": "tools/call",
            "params": {"name": name, "arguments": arguments},
        }
        status, content = self._send(
            self.agents, "POST", "/mcp", json.dumps(call).encode(), role, {"Accept": "application/json, text/event-stream"}
        )
        if status != 200:
            return content.get("code") or str(content.get("error", {}).get("code", "no code"))
        result = content.get("result", {})
        if not result.get("isError"):
            return "read or proposed" if name != "stop" else "taken"
        return json.loads(result["content"][0]["text"])["code"]

    def ask(self, method, path, body, role, headers=()):
        status, content = self._send(self.desk, method, path, body, role, dict(headers))
        if status == 200:
            return "taken" if method == "POST" else "read"
        code = content.get("code", "no code")
        if code == "no code":
            self.odd.append((method, path[:60], status))
        return code

    def _send(self, port, method, path, body, role, headers):
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        said = {"Content-Type": "application/json", **headers}
        if role:
            said["Authorization"] = f"Bearer {self.tokens.get(role, 'nonsense')}"
        try:
            wire.request(method, path, body, said)
            answer = wire.getresponse()
            content = answer.read()
            with suppress(ValueError):
                return answer.status, json.loads(content)
            return answer.status, {}
        finally:
            wire.close()


def control():
    """What the same sort of values do where they go straight to the TCP port: words for the page."""
    import nanonis_spm

    controller = CountedController(seed=3, profile="good_day", clock=InstantClock())
    rng, done = random.Random(0), Counter()
    with (
        NanonisServer(controller, (0, 0, 0, 0), speed=1e6) as server,
        socket.create_connection(("127.0.0.1", server.ports[0])) as wire,
    ):
        wire.settimeout(20)
        client = nanonis_spm.Nanonis(wire)
        acts = {
            "bias 0 V": lambda: client.Bias_Set(0.0),
            "bias beyond the gap": lambda: client.Bias_Set(rng.uniform(-10, 10)),
            "set point": lambda: client.ZCtrl_SetpntSet(rng.choice([1e-12, 5e-8, 1e-6])),
            "feedback open and z down": lambda: (client.ZCtrl_OnOffSet(0), client.ZCtrl_ZPosSet(-rng.uniform(1e-9, 1e-7))),
            "feedback closed": lambda: client.ZCtrl_OnOffSet(1),
            "tip elsewhere": lambda: client.FolMe_XYPosSet(rng.uniform(-1e-6, 1e-6), rng.uniform(-1e-6, 1e-6), 0),
        }
        for _ in range(300):
            name = rng.choice(list(acts))
            done[name] += 1
            with suppress(Exception), redirect_stdout(None):
                acts[name]()
            if controller.is_withdrawn():  # each touch withdraws it: it comes back, for the next one
                with suppress(Exception):
                    controller.approach()
    return controller.touched, done
