"""The demo campaign: one that a newcomer can claim from at once, made through the front door like any other."""

import http.client
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway.stack.processes import StackError

DEMO = "demo"
WINDOW_DAYS = 30
ASK_S_MAX = 15.0


def demo_definition(campaign: str, now: datetime) -> dict[str, Any]:
    """1,000 coupons of 5 yuan off 30, one a person, for 30 days from *now*."""
    return {
        "id": campaign,
        "name": "Lunch for less",
        "currency": "CNY",
        "stock": 1000,
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "limits": {"per_holder": 1, "per_holder_per_day": None, "per_day": None, "budget_minor": None},
        "starts_at": _rfc3339(now),
        "ends_at": _rfc3339(now + timedelta(days=WINDOW_DAYS)),
        "timezone": "Asia/Shanghai",
        "validity": {"days": 7},
        "channels": ["app", "web"],
        "shards": 1,
        "funders": [{"account": "platform", "basis_points": 10000}],
    }


def publish_demo(gateway_url: str, admin_key: str) -> str:
    """
    Make and schedule the demo campaign unless it is there, and one more (demo-2, …) once it is over or sold out.

    What is there stays as it is, a paused one too. Returns the id of the one to claim from. Errors: StackError.
    """
    for number in count(1):
        campaign = DEMO if number == 1 else f"{DEMO}-{number}"
        if not _is_over(_published(gateway_url, admin_key, campaign)):
            return campaign
    raise AssertionError("count() ends")


def _is_over(campaign: dict[str, Any]) -> bool:
    """Whether nobody can ever claim from *campaign* again, short of a restock."""
    return campaign.get("state") in ("ended", "archived") or campaign.get("remaining") == 0


def _published(gateway_url: str, admin_key: str, campaign: str) -> dict[str, Any]:
    """*campaign* as the gateway shows it, made and scheduled if need be. Errors: StackError."""
    path = f"/v1/campaigns/{campaign}"
    status, body = ask(gateway_url, admin_key, "GET", path)
    if status == 404:
        status, body = ask(
            gateway_url, admin_key, "POST", "/v1/campaigns", demo_definition(campaign, datetime.now(UTC))
        )
    if status in (200, 201) and body.get("state") == "draft":
        status, body = ask(gateway_url, admin_key, "POST", f"{path}/state", {"to": "scheduled"})
    if status != 200:
        raise StackError(f"the demo campaign was refused: {_reason(status, body)}; --no-demo goes without it")
    return body


def ask(gateway_url: str, key: str, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """One JSON request to our own gateway: status and body. Errors: StackError when it does not answer."""
    where = urlsplit(gateway_url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=ASK_S_MAX)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
        response = connection.getresponse()
        return response.status, msgspec.json.decode(response.read() or b"{}", type=dict[str, Any])
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise StackError(f"the gateway does not answer {method} {path}: {error}") from error
    finally:
        connection.close()


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reason(status: int, body: dict[str, Any]) -> str:
    return f"{status} {body.get('code', '')}: {body.get('detail', '')}"
