"""A small sale over HTTP on a whole system, in which everything happens once; what was told is kept as attempts."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from loadtest.rush import create_campaign
from loadtest.system import System
from loadtest.told import ADJUST, CLAIM, REDEEM, ROLLBACK, Attempt
from loadtest.verdict import Expected

CAMPAIGN, STOCK, LIMIT, RESTOCK = "sale", 8, 2, 2
EXPECTED = Expected(CAMPAIGN, STOCK, LIMIT)
CLOCKS_APART_S = 0.3
"""More than the verdict allows for clocks, several times."""
KEPT = ("coupons", "coupon_entries", "redemptions", "rollbacks", "postings", "journals", "breaks", "account_days")
"""The tables that are damaged, in an order they may be emptied in."""


class SmallSale:
    """One campaign with stock 8, then 2 more, and nine holders."""

    def __init__(self, system: System) -> None:
        self.system, self.target = system, system.target
        self.attempts: list[Attempt] = []

    def live(self) -> None:
        """Everything, one after the other."""
        create_campaign(self.target, CAMPAIGN, STOCK, LIMIT, 1)
        first = self.claim("ann", "k1")
        for ask in ("ann k1", "ann k2", "ann k3", "bob k1", "cy k1", "di k1", "ed k1", "ed k2", "flo k1"):
            self.claim(*ask.split())
        self.claim("gus", "k1")
        self._ask(ADJUST, f"/v1/campaigns/{CAMPAIGN}/stock-adjustments", "pallet", {"delta": RESTOCK, "reason": "more"})
        restocked_s = self.attempts[-1].answered_s
        for holder in ("gus", "hal", "ivy"):
            self.claim(holder, "k1")
        while self.claim("joe", "k1").sent_s < restocked_s + CLOCKS_APART_S:
            pass  # until nobody can take him for one who asked before the restock
        codes = {each.holder: each.code for each in self.attempts if each.status == 201}
        spent = (first.code, "r1"), (codes["bob"], "r2"), (codes["cy"], "r3")
        redeemed = [self.redeem(code, key) for code, key in spent]
        self.redeem(first.code, "r1")
        self.roll_back(redeemed[1], "b1", {"reason": "refund"})
        self.roll_back(redeemed[2], "b2", {"reason": "refund", "amount_minor": 200})
        self._ask("", "/v1/reservations", "", {"code": codes["di"], "order_id": "o-di", "ttl_s": 900})
        self._ask("", f"/v1/coupons/{codes['ed']}/revoke", "", {"reason": "test"})

    def claim(self, holder: str, key: str, campaign: str = CAMPAIGN) -> Attempt:
        """One claim; it is kept where it is of the sale."""
        return self._ask(CLAIM, f"/v1/campaigns/{campaign}/claims", key, {}, holder=holder, campaign=campaign)

    def redeem(self, code: str, key: str) -> Attempt:
        """One redemption on an order of its own."""
        order = {"id": f"o-{key}", "currency": "CNY", "lines": [{"sku": "A1", "quantity": 1, "unit_price_minor": 4000}]}
        return self._ask(REDEEM, "/v1/redemptions", key, {"code": code, "order": order, "store": "s-1"}, code=code)

    def roll_back(self, redeemed: Attempt, key: str, body: dict[str, Any]) -> Attempt:
        """One rollback."""
        path = f"/v1/redemptions/{redeemed.ref}/rollback"
        return self._ask(ROLLBACK, path, key, body, code=redeemed.code, ref=redeemed.ref)

    def _ask(
        self, kind: str, path: str, key: str, body: dict[str, Any], *, holder: str = "", code: str = "", ref: str = "",
        campaign: str = CAMPAIGN,
    ) -> Attempt:  # fmt: skip
        credential = self.target.tokens().token(holder) if holder else self.target.admin_key
        headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json", "Idempotency-Key": key}
        request = urllib.request.Request(self.target.gateway_url + path, json.dumps(body).encode(), headers)  # noqa: S310 - http
        sent_s = time.time()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
                status, told = answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            status, told = error.code, json.load(error)
        granted = 200 <= status < 300
        minor = {REDEEM: told.get("discount", {}), ROLLBACK: told.get("amount", {})}.get(kind, {}).get("minor", 0)
        attempt = Attempt(
            kind, campaign, holder, key, status,
            {200: "replayed", 201: "claimed"}.get(status, "done") if granted else told["code"],
            told["code"] if kind == CLAIM and granted else code, told.get("seq", 0) if granted else 0,
            told.get("id", ref) if kind == REDEEM and granted else ref, RESTOCK if kind == ADJUST else minor,
            sent_s, time.time(),
        )  # fmt: skip
        assert granted or kind == CLAIM, (path, told)
        if kind and campaign == CAMPAIGN:
            self.attempts.append(attempt)
        return attempt

    def keep(self) -> None:
        """Remember the books, so that damage can be undone."""
        with psycopg.connect(self.target.postgres_url, autocommit=True) as books:
            books.execute("CREATE SCHEMA kept")
            for name in KEPT:
                books.execute(sql.SQL("CREATE TABLE kept.{0} AS TABLE {0}").format(sql.Identifier(name)))

    @contextmanager
    def damaged(self, *statements: str) -> Iterator[None]:
        """What an owner of the database can do who turns the triggers off, for the length of the block."""
        with psycopg.connect(self.target.postgres_url, autocommit=True) as books:
            books.execute("SET session_replication_role = replica")
            try:
                for statement in statements:
                    assert books.execute(statement.encode()).rowcount > 0, statement
                yield
            finally:
                for name in KEPT:
                    table = sql.Identifier(name)
                    books.execute(sql.SQL("DELETE FROM {}").format(table))
                    books.execute(sql.SQL("INSERT INTO {0} OVERRIDING SYSTEM VALUE TABLE kept.{0}").format(table))
