"""What the command line makes of each answer a gateway can give, and of none: a server of canned answers gives them."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import client
from gateway.cli.client import Gateway, open_gateway
from gateway.cli.output import AUTH, CONFLICT, FAILURE, NOT_FOUND, UNAVAILABLE, USAGE, Fail
from gateway.cli.ready import read_ready, server_urls
from gateway.errors import PROBLEMS, Refusal, problem_body
from gateway.settings import Settings

EXITS = {
    400: USAGE, 401: AUTH, 403: AUTH, 404: NOT_FOUND, 405: FAILURE, 408: UNAVAILABLE, 409: CONFLICT, 410: CONFLICT,
    413: USAGE, 415: USAGE, 422: CONFLICT, 425: CONFLICT, 429: UNAVAILABLE, 431: USAGE, 500: FAILURE, 503: UNAVAILABLE,
}  # fmt: skip


class Canned:
    """A server that answers every request with what it was told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"{}", dict[str, str]()
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                canned.asked.append((self.command, self.path, dict(self.headers.items()), body))
                self.send_response(canned.status)
                for name, value in {**canned.headers, "content-length": str(len(canned.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(canned.body)

            do_GET = do_POST  # noqa: N815 - the name http.server calls

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: tests read stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answers(self, code: str, retry_after_s: int | None = None, **context: Any) -> None:
        """From now on, this problem."""
        self.status = PROBLEMS[code].status
        self.body = problem_body(Refusal(code, **context), "r1", "2026-11-22T10:00:00.000Z")
        self.headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}


@pytest.fixture
def canned() -> Iterator[Canned]:
    """The server, running."""
    canned = Canned()
    thread = threading.Thread(target=canned.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield canned
    canned.server.shutdown()
    canned.server.server_close()
    thread.join()


def failure(gateway: Gateway, **how: Any) -> Fail:
    """How a request ends."""
    with pytest.raises(Fail) as fail:
        gateway.ask("POST", "/v1/x", {}, **how)
    assert "\n" not in fail.value.message
    return fail.value


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_has_its_exit_code(canned: Canned, code: str) -> None:
    """Each refusal of the table ends with the exit code of its status, under its own code."""
    canned.answers(code)
    fail = failure(Gateway(canned.url, "k"))

    assert fail.code == code
    assert fail.exit_code == (CONFLICT if code == "not_eligible" else EXITS[PROBLEMS[code].status])
    assert fail.message == PROBLEMS[code].title


HINTS = [
    ("overloaded", {"retry_after_s": 2}, "try again in 2 s"),
    ("unknown", {"retry_after_s": 2}, "repeat it with the same --key"),
    ("limit_reached", {"codes": ["00010H0V2JYMZFQA76"]}, "held: 00010H-0V2JYM-ZFQA76"),
    (
        "not_started",
        {"retry_after_s": 60, "starts_at": "2026-11-22T11:00:00.000Z"},
        "it starts at 2026-11-22T11:00:00.000Z",
    ),
    ("period_limit", {"retry_after_s": 9, "resets_at": "2026-11-23T00:00:00.000Z"}, "try again after 2026-11-23"),
    ("internal", {}, "request r1"),
    ("unauthenticated", {}, "FAIRCLAIM_API_KEY"),
    ("sold_out", {}, ""),
]


@pytest.mark.parametrize(("code", "context", "hint"), HINTS)
def test_a_hint_says_what_to_do(canned: Canned, code: str, context: dict[str, Any], hint: str) -> None:
    """The hint is made of what the problem and its headers carry; where nothing helps there is none."""
    canned.answers(code, **context)
    given = failure(Gateway(canned.url, "k")).hint

    assert given.startswith(hint) if hint.startswith(("try", "held", "it", "re")) else hint in given
    assert bool(given) is bool(hint)


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (404, b"<html>"), (502, b""), (500, b"[1]"), (302, b"{}")]
)
def test_somebody_else_s_answer_is_not_taken_for_ours(canned: Canned, status: int, body: bytes) -> None:
    """A proxy's page or a redirect is said to be no gateway's answer, and never raises; a 200 is given as it is."""
    canned.status, canned.body = status, body
    gateway = Gateway(canned.url, "k")
    if status == 200:
        assert gateway.ask("GET", "/").body is None
        return
    fail = failure(gateway)

    assert fail.code == "unexpected"
    assert str(status) in fail.message


def test_a_request_carries_credential_key_and_body_once(canned: Canned) -> None:
    """One request is sent, with the credential, the Idempotency-Key and the JSON body it was given."""
    Gateway(canned.url + "/", "secret").ask("POST", "/v1/x", {"a": 1}, key="k1")
    [(method, path, headers, body)] = canned.asked

    assert (method, path, json.loads(body)) == ("POST", "/v1/x", {"a": 1})
    assert (headers["authorization"], headers["idempotency-key"]) == ("Bearer secret", "k1")


def test_no_answer_in_time_is_unknown_and_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that takes the request and says nothing: 6, with the advice to repeat it with the same key."""
    monkeypatch.setattr(client, "ANSWER_S_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gateway = Gateway(f"http://127.0.0.1:{listening.getsockname()[1]}", "k")
        fail = failure(gateway, key="k1")

    assert (fail.exit_code, fail.code) == (UNAVAILABLE, "time_out")
    assert "same --key" in fail.hint


def test_an_answer_that_breaks_off_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is closed before the answer leaves the outcome open: 6, not "start it"."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def close_one() -> None:
            connection, _ = listening.accept()
            connection.recv(65_536)
            connection.close()

        closing = threading.Thread(target=close_one)
        closing.start()
        fail = failure(Gateway(f"http://127.0.0.1:{listening.getsockname()[1]}", "k"), key="k1")
        closing.join()

    assert (fail.exit_code, fail.code) == (UNAVAILABLE, "unknown")
    assert "same --key" in fail.hint


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x", "http://", "http://[", "http://x:99999", "nonsense"])
def test_a_url_that_is_none_is_wrong_usage(url: str) -> None:
    """What can't be a gateway's URL is refused as usage, before anything is sent."""
    with pytest.raises(Fail) as fail:
        Gateway(url, "k")

    assert fail.value.exit_code == USAGE


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\udcff"])
def test_a_ready_file_that_is_none_is_said_to_be(tmp_path: Path, text: str) -> None:
    """A ready file that is broken is named, with what to do; it never raises anything else."""
    path = tmp_path / "ready.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Fail) as fail:
        read_ready(Settings(ready_file=str(path)))

    assert fail.value.exit_code == UNAVAILABLE
    assert str(path) in fail.value.message


def test_the_flag_goes_over_the_ready_file(tmp_path: Path, canned: Canned) -> None:
    """What is given is used, and only what is not is looked up; a field that is missing is named."""
    (tmp_path / "ready.json").write_text(json.dumps({"admin_key": "from file", "redis_url": "redis://file"}))
    settings = Settings(data_dir=str(tmp_path), postgres_url="postgresql://given")
    open_gateway(settings, canned.url, None).ask("GET", "/")

    assert canned.asked[0][2]["authorization"] == "Bearer from file"
    assert server_urls(settings, "redis_url", "postgres_url") == ["redis://file", "postgresql://given"]
    with pytest.raises(Fail, match="gateway_url"):
        open_gateway(settings, None, "key")
