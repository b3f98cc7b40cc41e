"""The campaigns of a run: one for each coupon of the trace, made and opened before the first claim."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loadtest.client import Address, Tally
from loadtest.target import Target
from loadtest.trace.lines import Answer, Line, together
from loadtest.trace.rows import Row

CONNECTIONS = 16
"""Every worker makes some of them; more would only wait for PostgreSQL."""
OPEN_DAYS_MIN = 1
VALID_DAYS = 90


@dataclass(frozen=True)
class Terms:
    """What every campaign of a run has in common. *stock* None is one unit for every row of the coupon."""

    run: str
    currency: str
    stock: int | None
    limit: int
    lasts_s: float = 0.0

    def campaign(self, coupon: str) -> str:
        """The id of a coupon's campaign: a second run has campaigns of its own."""
        return f"replay-{self.run}-{coupon}"


class NotMade(Exception):
    """A campaign could not be made; the gateway's answer says why."""

    def __init__(self, campaign: str, answer: Answer) -> None:
        super().__init__(f"{campaign}: {answer.status} {answer.text()}")
        self.answer = answer


def definition(terms: Terms, row: Row, rows: int, now: datetime) -> dict[str, Any]:
    """The body of POST /v1/campaigns for the coupon of *row*, which comes *rows* times."""
    ends = now + timedelta(days=OPEN_DAYS_MIN, seconds=terms.lasts_s)
    return {
        "id": terms.campaign(row.coupon),
        "name": f"Coupon {row.coupon} of merchant {row.merchant}",
        "currency": terms.currency,
        "stock": rows if terms.stock is None else terms.stock,
        "value": row.discount.value(),
        "limits": {"per_holder": terms.limit},
        "starts_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": ends.isoformat(),
        "validity": {"until": (ends + timedelta(days=VALID_DAYS)).isoformat()},
        "scope": {"stores": [row.merchant]},
    }


async def make_campaigns(
    target: Target, address: Address, rows: Sequence[Row], terms: Terms, watch: Callable[[int], None]
) -> None:
    """
    Make and open a campaign for each coupon of *rows*; those that this run has already are left as they are.

    *watch* is told how many are open. Errors: NotMade, Away.
    """
    counts, first = Counter(row.coupon for row in rows), dict[str, Row]()
    for row in rows:
        first.setdefault(row.coupon, row)
    now, waiting, opened = datetime.now(UTC), iter(first.values()), 0

    async def maker() -> None:
        nonlocal opened
        async with Line(address, Tally()) as line:
            for row in waiting:
                body = json.dumps(definition(terms, row, counts[row.coupon], now)).encode()
                await _make(line, target.admin_key, terms.campaign(row.coupon), body)
                opened += 1
                watch(opened)

    await together([maker() for _ in range(CONNECTIONS)])


async def _make(line: Line, api_key: str, campaign: str, body: bytes) -> None:
    made = await line.ask(post(api_key, "/v1/campaigns", body))
    if made.status != 201 and made.json().get("code") != "campaign_exists":
        raise NotMade(campaign, made)
    opened = await line.ask(post(api_key, f"/v1/campaigns/{campaign}/state", b'{"to": "scheduled"}'))
    if opened.status != 200:
        raise NotMade(campaign, opened)


def post(api_key: str, path: str, body: bytes, key: str = "") -> bytes:
    """The bytes of one request of the staff."""
    idempotency = f"Idempotency-Key: {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {api_key}\r\n{idempotency}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(api_key: str, path: str) -> bytes:
    """The bytes of one question of the staff."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {api_key}\r\n\r\n".encode()
