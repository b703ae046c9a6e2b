"""Nobody steers without a token, from another site, too often, or with what makes no sense; each refusal has a code."""

import json
import socket

import pytest
from websockets.sync.client import connect

from bluesky_stm.desk import CODES, People, Person
from bluesky_stm.storage import open_catalog

RUN = "not there"
PAUSE = {"request": "pause", "settings": {}, "reason": "", "run": RUN}


def code(answer):
    status, content, _ = answer
    assert status == CODES[content["code"]] and content["ok"] is False and content["said"]
    return content["code"]


@pytest.fixture
def token(tokens):
    return tokens["operate"][1]


def test_with_a_token_a_request_reaches_the_session_with_who_and_from_where(desk, session, token):
    status, said, _ = desk.ask("POST", "/api/request", {**PAUSE, "reason": "coffee"}, token)
    assert status == 200 and said["ok"]
    ((request, who, source, settings, reason),) = session.asked
    assert (request, who, settings, reason) == ("pause", "Operate", {}, "coffee")
    assert "the desk at" in source and "127.0.0.1" in source


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "no-credential"),
        ({"Authorization": "Bearer nonsense"}, "bad-credential"),
        ({"Authorization": "Basic b3BlcmF0ZTp4"}, "bad-credential"),
        ({"X_Remote_User": "ada"}, "no-credential"),
        ({"Cookie": "token=x"}, "no-credential"),
        ({"Origin": "http://evil.example"}, "cross-site"),
        ({"Origin": "null"}, "cross-site"),
        ({"Sec_Fetch_Site": "cross-site"}, "cross-site"),
        ({"Sec_Fetch_Site": "same-site"}, "cross-site"),
        ({"Host": "evil.example"}, "wrong-host"),
        ({"Host": "127.0.0.1.evil.example:80"}, "wrong-host"),
        ({"Content_Type": "text/plain"}, "bad-request"),
        ({"Content_Type": "application/x-www-form-urlencoded"}, "bad-request"),
        ({"X_Long": "x" * 17_000}, "too-large"),
    ],
)
def test_what_comes_without_a_credential_or_from_elsewhere_is_refused(desk, session, headers, expected):
    assert code(desk.ask("POST", "/api/request", PAUSE, **headers)) == expected
    assert session.asked == []


@pytest.mark.parametrize("role", ["watch", "propose", "steer"])
def test_a_role_may_what_it_may_and_its_refusal_is_put_on_record(desk, session, tokens, role):
    assert code(desk.ask("POST", "/api/request", {**PAUSE, "request": "stop"}, tokens[role][1])) == "not-allowed"
    assert session.asked == [] and session.refused[0][:2] == ("stop", role.title())
    assert session.refused[0][2].startswith("not-allowed")
    may = desk.ask("GET", "/api/me", token=tokens[role][1])[1]["may"]
    assert ("pause" in may and "withdraw" in may) == (role == "steer")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "bad-request"),
        (b"{", "bad-request"),
        (b"[" * 15_000, "bad-request"),
        (b'{"request": "pause", "request": "stop"}', "bad-request"),
        (json.dumps({**PAUSE, "settings": {"x": 1}}).replace("1", "NaN").encode(), "bad-request"),
        (json.dumps({**PAUSE, "settings": {"x": 1}}).replace("1", "1e999").encode(), "bad-request"),
        ("\ud800".encode("utf-8", "surrogatepass"), "bad-request"),
        ([PAUSE], "bad-request"),
        ({**PAUSE, "more": 1}, "bad-request"),
        ({**PAUSE, "settings": [1]}, "bad-request"),
        ({**PAUSE, "reason": "x" * 501}, "bad-request"),
        ({**PAUSE, "request": "make coffee"}, "unknown-name"),
        ({**PAUSE, "request": ["pause"]}, "unknown-name"),
        ({**PAUSE, "request": "__class__"}, "unknown-name"),
        ({**PAUSE, "request": "measure"}, "changed-since"),
        (b" " * 20_000, "too-large"),
    ],
)
def test_what_makes_no_sense_is_refused(desk, session, token, body, expected):
    assert code(desk.ask("POST", "/api/request", body, token)) == expected
    assert session.asked == []


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/?token=abc", "bad-request"),
        ("GET", "/../etc/passwd", "not-found"),
        ("GET", "/%2e%2e/etc/passwd", "not-found"),
        ("GET", "/report/..%2f..%2fetc", "not-found"),
        ("GET", "/report/%00", "not-found"),
        ("GET", "//evil.example/", "not-found"),
        ("GET", "/report/" + "a" * 300, "not-found"),
        ("GET", "/report/12345678", "not-found"),
        ("GET", "/api/request", "bad-method"),
        ("DELETE", "/", "bad-method"),
        ("PUT", "/api/request", "bad-method"),
        ("GET", "/nothing", "not-found"),
    ],
)
def test_odd_paths_and_methods_lead_nowhere(desk, method, path, expected):
    assert code(desk.ask(method, path)) == expected


def test_a_header_that_counts_stands_once(desk, session, token):
    body = json.dumps(PAUSE).encode()
    lines = [
        b"POST /api/request HTTP/1.1", b"Host: 127.0.0.1", b"Authorization: Bearer nonsense",
        b"Authorization: Bearer " + token.encode(), b"Content-Type: application/json", b"Connection: close",
        b"Content-Length: %d" % len(body), b"", body,
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as wire:
        wire.sendall(b"\r\n".join(lines))
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    assert b" 400 " in answer.splitlines()[0] and b"stands twice" in answer and session.asked == []


def test_a_page_is_not_framed_not_kept_and_runs_no_script_but_its_own(desk):
    _, page, headers = desk.ask("GET", "/")
    assert b'<script src="/desk.js">' in page and page.count(b"<script") == 1
    assert (
        "script-src 'self';" in headers["content-security-policy"]
        and "frame-ancestors 'none'" in headers["content-security-policy"]
    )
    assert (headers["x-frame-options"], headers["cache-control"], headers["x-content-type-options"]) == (
        "DENY",
        "no-store",
        "nosniff",
    )
    assert "set-cookie" not in headers and "access-control-allow-origin" not in headers and "server" not in headers


def test_a_report_is_kept_apart_from_the_desk(desk, tmp_path, recorder):
    with open_catalog(tmp_path / "catalog") as catalog:
        uid = recorder(catalog).run(2)
    status, page, headers = desk.ask("GET", f"/report/{uid}")
    assert status == 200 and uid.encode() in page and "sandbox allow-scripts" in headers["content-security-policy"]
    rows = desk.ask("GET", "/api/runs")[1]
    assert [row["uid"] for row in rows] == [uid]


def test_requests_come_no_faster_than_a_person_asks_but_a_withdrawal_always_may(desk, session, token):
    answers = [desk.ask("POST", "/api/request", {**PAUSE, "request": "stop"}, token)[0] for _ in range(40)]
    assert answers[0] == 200 and 429 in answers and len(session.asked) < 40
    withdrawal = {**PAUSE, "request": "withdraw"}
    assert desk.ask("POST", "/api/request", withdrawal, token)[0] == 200
    assert session.asked[-1][0] == "withdraw"


def test_tokens_are_not_found_by_trying(desk, session, token):
    codes = [code(desk.ask("GET", "/api/me", token=f"guess{n}")) for n in range(30)]
    assert codes[0] == "bad-credential" and codes[-1] == "too-many"
    assert desk.ask("POST", "/api/request", PAUSE, token)[0] == 429, "from that address nobody is believed for a while"


def test_behind_a_proxy_its_user_counts_where_it_is_told_so_and_only_with_an_origin(serve, session):
    known = People((Person(name="Ada", role="steer", user="ada@lab"),))
    desk = serve(known, user_header="X-Remote-User", open_watch=False, hosts=("desk.lab",))
    headers = {"Host": "desk.lab", "X_Remote_User": "ada@lab"}
    assert code(desk.ask("POST", "/api/request", PAUSE, **headers)) == "cross-site"
    assert code(desk.ask("POST", "/api/request", PAUSE, **headers, Origin="https://evil.lab")) == "cross-site"
    assert desk.ask("POST", "/api/request", PAUSE, **headers, Origin="https://desk.lab")[0] == 200
    assert session.asked[0][1] == "Ada"
    assert code(desk.ask("GET", "/api/me", Host="desk.lab", X_Remote_User="eve@lab")) == "bad-credential"
    assert code(desk.ask("GET", "/api/runs", Host="desk.lab")) == "no-credential"
    elsewhere = serve(known, user_header="X-Remote-User", proxies=("10.0.0.7",))
    assert code(elsewhere.ask("GET", "/api/me", X_Remote_User="ada@lab")) == "bad-credential"


def test_what_the_session_refuses_is_told_in_its_words_and_everything_is_noted(desk, session, token, tmp_path, recorder):
    with open_catalog(tmp_path / "catalog") as catalog:
        live = recorder(catalog)
        live.measure(live.decide().point)
        body = {"request": "measure", "settings": {"point": [5000, 0]}, "reason": "", "run": live.uid}
        with connect(f"ws://127.0.0.1:{desk.port}/live", open_timeout=20) as screen:
            screen.send(json.dumps(token))
            while live.uid not in screen.recv(timeout=60):
                pass  # the desk has not read the journal yet
        answer = desk.ask("POST", "/api/request", body, token)
    assert code(answer) == "refused" and "outside of the limits" in answer[1]["said"]
    noted = [json.loads(line) for line in (tmp_path / "catalog" / "desk.jsonl").read_text().splitlines()]
    assert noted[-1]["who"] == "Operate" and noted[-1]["code"] == "refused"
    assert token not in (tmp_path / "catalog" / "desk.jsonl").read_text()
