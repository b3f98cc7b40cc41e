"""
Before the crowd comes: the campaigns of a run are made and opened over HTTP, or found to be open.

Called once a run, by the process that leads it.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

OPEN_S = 24 * 3600
ASK_S_MAX = 10
DISCOUNT_MINOR, THRESHOLD_MINOR = 500, 3_000
"""What each coupon of a campaign made here takes off an order of how much."""


class CantOpen(Exception):
    """The sale can't be held; the text says why and what to do."""


class Opened(NamedTuple):
    """A campaign: as it was made here, or as it is defined where it was there already."""

    campaign: str
    stock: int
    limit: int
    created: bool


class Gateway:
    """Who asks: where the gateway is, and an admin's key."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url, self._api_key = url.rstrip("/"), api_key

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer. Errors: CantOpen where there is none, or none of ours."""
        headers = {"Authorization": f"Bearer {self._api_key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310 - http or https
        try:
            with urllib.request.urlopen(request, timeout=ASK_S_MAX) as answer:  # noqa: S310 - as above
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            try:
                return refused.code, json.loads(refused.read())
            except ValueError:
                raise CantOpen(f"what answers at {self._url} is no Fairclaim: status {refused.code}") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise CantOpen(f"nothing answers at {self._url} ({reason}): start `fairclaim up`, or say --host") from None
        except ValueError:
            raise CantOpen(f"what answers at {self._url} is no Fairclaim") from None


def definition(campaign: str, stock: int, limit: int) -> dict[str, Any]:
    """A campaign that is open from a minute ago on, for a day."""
    now = datetime.now(UTC)
    return {
        "id": campaign,
        "name": f"Load test {campaign}",
        "currency": "CNY",
        "stock": stock,
        "value": {"type": "amount_off", "minor": DISCOUNT_MINOR, "threshold_minor": THRESHOLD_MINOR},
        "limits": {"per_holder": limit},
        "starts_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": (now + timedelta(seconds=OPEN_S)).isoformat(),
        "timezone": "UTC",
        "validity": {"days": 7},
        "channels": ["app"],
        "shards": 1,
        "funders": [{"account": "platform", "basis_points": 10_000}],
    }


def open_campaigns(gateway: Gateway, campaigns: Sequence[str], stock: int, limit: int) -> list[Opened]:
    """Each of *campaigns*: the one that is open, or a new one. Errors: CantOpen."""
    return [_opened(gateway, campaign, stock, limit) for campaign in campaigns]


def _opened(gateway: Gateway, campaign: str, stock: int, limit: int) -> Opened:
    status, found = gateway.ask("GET", f"/v1/campaigns/{campaign}")
    if status == 200:
        if found["state"] != "active":
            raise CantOpen(f"the campaign {campaign} is {found['state']}, not active: choose another --campaign")
        return Opened(campaign, int(found["stock"]), int(found["limits"]["per_holder"]), created=False)
    if status != 404:
        raise CantOpen(_refusal(f"GET /v1/campaigns/{campaign}", status, found))
    for path, body, wanted in (
        ("/v1/campaigns", definition(campaign, stock, limit), 201),
        (f"/v1/campaigns/{campaign}/state", {"to": "scheduled"}, 200),
    ):
        status, answer = gateway.ask("POST", path, body)
        if status != wanted:
            raise CantOpen(_refusal(f"POST {path}", status, answer))
    return Opened(campaign, stock, limit, created=True)


def _refusal(asked: str, status: int, problem: dict[str, Any]) -> str:
    if status in (401, 403):
        return f"the API key may not {asked} ({status}): say an admin's by FAIRCLAIM_API_KEY, or start `fairclaim up`"
    return f"{asked} was refused with {status} {problem.get('code', '')}: {problem.get('detail', '')}"
