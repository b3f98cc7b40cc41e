"""The command line as a client of the gateway: one request, and what its refusal means to a person and to a shell."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from gateway.cli.output import AUTH, CONFLICT, FAILURE, NOT_FOUND, UNAVAILABLE, USAGE, Fail
from gateway.cli.ready import START_HINT, find, read_ready, server_urls
from gateway.codes import show_code
from gateway.settings import PREFIX, Settings

__all__ = ["Answer", "Gateway", "open_gateway", "server_urls"]

ANSWER_S_MAX = 15.0
PAGES_MAX = 1000

_EXIT_BY_STATUS = {
    400: USAGE,
    401: AUTH,
    403: AUTH,
    404: NOT_FOUND,
    408: UNAVAILABLE,
    409: CONFLICT,
    410: CONFLICT,
    413: USAGE,
    415: USAGE,
    422: CONFLICT,
    425: CONFLICT,
    429: UNAVAILABLE,
    431: USAGE,
    503: UNAVAILABLE,
}
_HINTS = {
    "unauthenticated": f"give a valid key in {PREFIX}API_KEY; `fairclaim key create` makes one",
    "forbidden": "use the key of somebody who may; `fairclaim key list` shows roles",
    "code_batch_not_found": "`fairclaim codes list CAMPAIGN` shows what there is",
    "second_person_needed": "`fairclaim proposal make` proposes it",
    "alert_not_found": "`fairclaim alerts list --all` shows what there is",
    "receiver_not_found": "`fairclaim alerts receivers` shows what there is",
    "proposal_not_found": "`fairclaim proposal list` shows what there is",
    "proposal_pending": "`fairclaim proposal list --state pending` shows what waits",
    "proposal_failed": "`fairclaim proposal show` says why; propose it anew",
    "campaign_not_found": "`fairclaim campaign list` shows what there is",
    "unknown": "repeat it with the same --key to learn what became of it",
}


class Answer(NamedTuple):
    """What the gateway said: status, headers by lower-case name, and the decoded body."""

    status: int
    headers: dict[str, str]
    body: Any


class Gateway:
    """One gateway and the credential that is presented to it."""

    def __init__(self, url: str, credential: str) -> None:
        scheme, host = _scheme_and_host(url)
        if scheme not in ("http", "https") or not host:
            raise Fail(USAGE, "bad_url", f"{url!r} is not a gateway URL", "it looks like http://127.0.0.1:8080")
        # A proxy of the environment is for the world outside and can't reach this machine's loopback.
        is_local = host in ("localhost", "127.0.0.1", "::1")
        self._url = url.rstrip("/")
        self._trust_env = not is_local
        self._is_tls = scheme == "https"
        self._headers = {"authorization": f"Bearer {credential}"}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        query: dict[str, Any] | None = None,
        csv: bytes | None = None,
    ) -> Answer:
        """
        One request, never repeated; *key* is its Idempotency-Key, *csv* a body that is no JSON.

        Errors: Fail with the exit code of the problem the gateway answered with, or UNAVAILABLE without an answer.
        """
        headers = self._headers | ({"idempotency-key": key} if key is not None else {})
        if csv is not None:
            headers["content-type"] = "text/csv"
        with self._heard(key), self._client() as client:
            reply = client.request(method, self._url + path, headers=headers, json=body, params=query, content=csv)
        answer = Answer(reply.status_code, {name.lower(): text for name, text in reply.headers.items()}, _decode(reply))
        if not reply.is_success:
            raise _fail(answer, self._url)
        return answer

    def ask_all(self, path: str, query: dict[str, Any] | None = None) -> list[Any]:
        """Every item of the list at *path*, page by page, PAGES_MAX at most. Errors: as ask()."""
        items: list[Any] = []
        query = query or {}
        for _ in range(PAGES_MAX):
            page = self.ask("GET", path, query=query).body
            items += page["items"]
            if page["next"] is None:
                break
            query = {**query, "cursor": page["next"]}
        return items

    def download(self, path: str, query: dict[str, Any], out: IO[bytes]) -> dict[str, str]:
        """The body of *path* into *out*, as it comes; the headers of the answer. Errors: as ask()."""
        with (
            self._heard(None),
            self._client() as client,
            client.stream("GET", self._url + path, headers=self._headers, params=query) as reply,
        ):
            headers = {name.lower(): text for name, text in reply.headers.items()}
            if not reply.is_success:
                reply.read()
                raise _fail(Answer(reply.status_code, headers, _decode(reply)), self._url)
            for chunk in reply.iter_bytes():
                out.write(chunk)
        return headers

    def _client(self) -> httpx2.Client:
        return httpx2.Client(timeout=ANSWER_S_MAX, trust_env=self._trust_env, verify=self._is_tls)

    @contextmanager
    def _heard(self, key: str | None) -> Iterator[None]:
        """What no answer means. Errors: Fail."""
        try:
            yield
        except httpx2.TimeoutException:
            hint = _HINTS["unknown"] if key else "is it overloaded? `fairclaim status` shows more"
            message = f"{self._url} did not answer within {ANSWER_S_MAX:g} s"
            raise Fail(UNAVAILABLE, "time_out", message, hint) from None
        except (httpx2.ConnectError, httpx2.UnsupportedProtocol) as error:
            message = f"no gateway answers at {self._url}: {error}"
            raise Fail(UNAVAILABLE, "unreachable", message, START_HINT) from None
        except httpx2.TransportError as error:
            message = f"{self._url} broke off before it answered: {error}"
            raise Fail(
                UNAVAILABLE, "unknown", message, _HINTS["unknown"] if key else "look before you repeat it"
            ) from None
        except (httpx2.InvalidURL, UnicodeEncodeError, ValueError) as error:
            raise Fail(USAGE, "bad_request", f"this can't be sent: {error}") from None


def open_gateway(settings: Settings, url: str | None, api_key: str | None) -> Gateway:
    """The gateway with a staff key: flags or variables, else the ready file. Errors: Fail."""
    if not url or not api_key:
        ready = read_ready(settings)
        url = find("gateway_url", url, ready, PREFIX + "GATEWAY_URL")
        api_key = find("admin_key", api_key, ready, PREFIX + "API_KEY")
    return Gateway(url, api_key)


def _scheme_and_host(url: str) -> tuple[str, str | None]:
    """Both parts of *url*, empty where it is none."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname if parts.port != 0 else None
    except ValueError:
        return "", None


def _decode(reply: httpx2.Response) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None


def _fail(answer: Answer, url: str) -> Fail:
    problem = answer.body if isinstance(answer.body, dict) else {}
    code = str(problem.get("code", "unexpected"))
    if "code" not in problem:
        message = f"{url} answered {answer.status}, not as a Fairclaim gateway does"
        return Fail(_EXIT_BY_STATUS.get(answer.status, FAILURE), code, message, "is the URL right?")
    # 403 is about the caller, but a claim outside the campaign's channels is a refusal like the others.
    exit_code = CONFLICT if code == "not_eligible" else _EXIT_BY_STATUS.get(answer.status, FAILURE)
    message = " ".join(str(problem.get("detail") or problem.get("title") or code).split())
    after = answer.headers.get("retry-after", "")
    retry_after_s = int(after) if re.fullmatch("[0-9]{1,6}", after) else None
    return Fail(exit_code, code, message, _hint(code, answer, problem), retry_after_s=retry_after_s)


def _hint(code: str, answer: Answer, problem: dict[str, Any]) -> str:
    if code in _HINTS:
        return _HINTS[code]
    if code == "limit_reached":
        return f"held: {', '.join(show_code(str(code)) for code in problem.get('codes', []))}"
    for name, text in (("starts_at", "it starts at"), ("ended_at", "it ended at"), ("resets_at", "try again after")):
        if name in problem:
            return f"{text} {problem[name]}"
    if "retry-after" in answer.headers:
        return f"try again in {answer.headers['retry-after']} s"
    if answer.status >= 500:
        return f"request {problem.get('request_id', '?')} in the gateway's log says more"
    return ""
