"""Questions to the gateway, one after the other, over one connection that is kept."""

import json
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Self
from urllib.parse import urlsplit

ANSWER_S_MAX = 60.0
TRIES, TRY_AGAIN_S = 20, 0.25


class Gateway:
    """Asks as whoever has *credential*, an API key or a holder's token. Errors: OSError, where nobody answers."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        kind = HTTPSConnection if where.scheme == "https" else HTTPConnection
        self._connection = kind(where.hostname or "127.0.0.1", where.port, timeout=ANSWER_S_MAX)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._connection.close()

    def ask(
        self, method: str, path: str, credential: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and body; where the gateway is busy, or can't tell at the moment, it is asked again for a while."""
        headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        for attempt in range(1, TRIES + 1):
            try:
                self._connection.request(method, path, data, headers)
                answer = self._connection.getresponse()
                status, read = answer.status, answer.read()
            except (OSError, HTTPException) as error:
                self._connection.close()
                if attempt == TRIES:
                    raise OSError(f"the gateway does not answer {method} {path}: {error!r}") from error
                status, read = 0, b""
            if status not in (0, 429, 503) or attempt == TRIES:
                return status, _read(read)
            time.sleep(TRY_AGAIN_S)
        raise AssertionError("the last try returns")


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"unreadable": body[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {"unreadable": str(found)[:200]}
