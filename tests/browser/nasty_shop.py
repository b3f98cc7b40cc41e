"""
A shop whose people write attacks wherever they may write: three months in its books, a sale with a coupon in each
state, and something on every page of the console.
"""

from secrets import token_hex
from typing import Any

import psycopg
from psycopg.types.json import Json

from gateway.keys import create_key
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import Books, draining
from tests.integration.yearbook import write

SALE = "flash"
ATTACK = '\'"><img/src="x"/onerror="hacked=1">{{7*7}}'
"""Leaves an attribute and an element, and needs no blank, which a holder can't have."""
WRITTEN = (
    "campaign", "holder", "order", "store", "staff", "merchant", "refund", "revoked", "called", "key",
    "restock", "noted", "receiver", "journal", "reopening", "explained", "figure",
)  # fmt: skip
"""What people may write that is shown to others."""


DEFINED = """UPDATE campaigns SET definition = sale.definition
    || jsonb_build_object('name', id, 'currency', campaigns.definition -> 'currency', 'timezone',
    campaigns.definition -> 'zone')
    FROM (SELECT definition FROM campaigns WHERE id = 'flash') AS sale WHERE id <> 'flash'"""
"""The campaigns of the year in the books say what a campaign has to, which no report asks for."""


def attack(where: str) -> str:
    """An attack that says where it came from."""
    return f"{ATTACK}{where}"


class NastyShop:
    """What is where in it: *names* are by the words in braces of the paths of PAGES."""

    def __init__(self, site: Worker) -> None:
        self.site = site
        self.names: dict[str, str] = {}

    async def open(self) -> None:
        """Ann is its admin, in whose browser all is looked at."""
        site = self.site
        with Books(site.settings.postgres_url) as books:
            await write(books)
            await add_user(site, "ann", "admin", display="Ann Lee")
            await add_user(site, "bob", "store", "finance", display=attack("called"))
            await site.publish(SALE, name=attack("campaign"), channels=[])
            books.rows(DEFINED)
            codes = await self._sell()
            async with draining(site.settings.redis_url, site.settings.postgres_url):
                pass
            broken = books.value(
                "INSERT INTO breaks (shard, kind, figure, expected, found, state, explanation, explained_by,"
                " explained_at) VALUES ('flash/0', 'figure', 'stock', %s, %s, 'explained', %s, 'test', now())"
                " RETURNING id",
                '{"stock": 4}', Json({"stock": attack("figure")}), attack("explained"),
            )  # fmt: skip
            books.rows(
                "INSERT INTO periods (entity, kind, starts, ends, state, changed_by)"
                " VALUES ('main', 'month', '2026-09-01', '2026-09-30', 'hold', 'test')"
            )
            alert = books.value(
                "INSERT INTO alerts (kind, subject, severity, figure, worst, threshold, unit, about, note,"
                " acknowledged_by, acknowledged_at)"
                " VALUES ('low_stock', %s, 'warning', 4, 4, 10, '%%', %s, %s, 'user:bob', now()) RETURNING id",
                SALE, Json({"name": attack("campaign")}), attack("noted"),
            )  # fmt: skip
            books.rows(
                "INSERT INTO alert_receivers (id, name, by, address, secret, state, made_by, changed_by)"
                " VALUES ('ar_0', %s, 'webhook', 'https://hooks.example.org/', 's', 'off', 'user:ann', 'user:ann')",
                attack("receiver"),
            )
            proposal = await self._propose()
            self.names = {
                "{alert}": str(alert),
                "{campaign}": SALE,
                "{code}": codes[0],
                "{name}": "bob",
                "{report}": "trial-balance",
                "{journal}": str(books.value("SELECT max(id) FROM journals")),
                "{account:path}": "payable:m-1",
                "{manual}": "mj_0",
                "{break}": str(broken),
                "{entity}": "main",
                "{kind}": "month",
                "{starts}": "2026-09-01",
                "{export}": await self._export(),
                "{proposal}": proposal,
                "{rest:path}": "nothing",
            }

    async def _sell(self) -> list[str]:
        """Coupons: one redeemed and given back in part, one on hold, one revoked, one as it was won."""
        site = self.site
        holders = [attack("holder"), *(f"holder-{number}" for number in range(3))]
        codes = [(await site.claim(holder, f"key-{at}", SALE)).json()["code"] for at, holder in enumerate(holders)]
        async with await psycopg.AsyncConnection.connect(site.settings.postgres_url) as connection:
            key = (await create_key(connection, name=attack("key"), role="admin", actor="test")).text
        line = {"sku": "A1", "category": "tea", "quantity": 1, "unit_price_minor": 4000}
        order = {"id": attack("order"), "currency": "CNY", "lines": [line]}
        who = {each: attack(each) for each in ("store", "staff", "merchant")}
        bodies: list[tuple[str, dict[str, Any]]] = [
            ("/v1/redemptions", {"code": codes[0], "order": order, "channel": "pos", **who}),
            ("/v1/reservations", {"code": codes[1], "order_id": attack("order")}),
            (f"/v1/coupons/{codes[2]}/revoke", {"reason": attack("revoked")}),
        ]
        answers = [await self._ask(key, path, body) for path, body in bodies]
        await self._ask(key, f"/v1/redemptions/{answers[0]['id']}/rollback", {"reason": attack("refund")})
        self._key = key
        return codes

    async def _propose(self) -> str:
        """One of each kind that has words of its own."""
        payout = {"debit": "payable:m-1", "credit": "clearing:bank", "commodity": "CNY", "minor": 1250}
        journal = {"effective_date": "2026-11-10", "reason": attack("journal"), "lines": [payout]}
        bodies: list[dict[str, Any]] = [
            {"kind": "stock_adjustment", "campaign": SALE, "delta": 5, "reason": attack("restock")},
            {"kind": "manual_journal", "journal": journal},
            {"kind": "period_reopening", "period": {"starts": "2026-09"}, "reason": attack("reopening")},
            {"kind": "revocation", "campaign": SALE, "reason": attack("revoked")},
        ]
        made = [await self._ask(self._key, "/v1/proposals", body) for body in bodies]
        return str(made[-1]["id"])

    async def _export(self) -> str:
        return str((await self._ask(self._key, "/v1/exports", {"report": "trial-balance", "format": "xlsx"}))["id"])

    async def _ask(self, key: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        head = {"Authorization": f"Bearer {key}", "Idempotency-Key": token_hex(8)}
        answer = await self.site.http.post(path, json=body, headers=head)
        assert answer.status_code in (200, 201, 202), (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found
