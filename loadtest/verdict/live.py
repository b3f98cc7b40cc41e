"""
Redis, as the gateway tells it, against the books: the campaign's figures, a stocktake, and a seeded sample of holders
and coupons field by field.
"""

import random
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import psycopg

from loadtest.target import Target
from loadtest.verdict.asking import Gateway
from loadtest.verdict.books import Terms, named
from loadtest.verdict.crowd import Crowd
from loadtest.verdict.found import Tallies
from loadtest.verdict.waiting import take_stock

SAMPLES = 50
"""Coupons, and holders, that are asked for one by one; a stocktake draws twice as many of either side itself."""
AGAIN_S, AGAIN_TIMES = 0.5, 4
"""What differs is read again from both sides: a coupon may have lapsed or expired between the two."""


class Live:
    """The comparison of one campaign."""

    def __init__(self, gateway: Gateway, target: Target, campaign: str, terms: Terms, tallies: Tallies) -> None:
        self._gateway, self._target, self.campaign, self._terms = gateway, target, campaign, terms
        self._check = tallies["redis"]

    def compare(self, crowd: Crowd, seed: int) -> None:
        """Everything."""
        self._stocktake()
        mint = self._target.tokens()
        with psycopg.connect(self._target.postgres_url, autocommit=True) as books:
            self._settle("the campaign's figures differ", books, self._figures)
            for code in self._codes(books, crowd, seed):
                self._settle("a coupon differs", books, lambda books, code=code: self._coupon(books, code))
            for holder in self._holders(crowd, seed):
                token = mint.token(holder)
                self._settle(
                    "a holder's coupons differ", books,
                    lambda books, holder=holder, token=token: self._mine(books, holder, token),
                )  # fmt: skip

    def _settle(self, why: str, books: psycopg.Connection[Any], read: Any) -> None:
        self._check.checked += 1
        for _ in range(AGAIN_TIMES):
            of_books, of_redis, place = read(books)
            if of_books == of_redis:
                return
            if self._check.violated:
                break  # it is known that something differs: no need to wait for each
            time.sleep(AGAIN_S)
        names = [name for name in {**of_books, **of_redis} if of_books.get(name) != of_redis.get(name)]
        self._check.violate(
            why, campaign=self.campaign, **place, books={name: of_books.get(name) for name in names},
            redis={name: of_redis.get(name) for name in names},
        )  # fmt: skip

    def _stocktake(self) -> None:
        for shard in take_stock(self._gateway, self._target, self.campaign, 2 * SAMPLES):
            self._check.checked += len(shard["figures"]) + sum(shard["sampled"].values())
            if shard["unfinished"]:
                self._check.violate("a shard can't be compared", shard=shard["shard"], unfinished=shard["unfinished"])
            for found in shard["found"]:
                self._check.violate(
                    f"a {found['kind']} differs in the stocktake", shard=shard["shard"], seq=shard["seq"],
                    name=found["name"], books=found["expected"], redis=found["found"],
                )  # fmt: skip

    def _figures(self, books: psycopg.Connection[Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        [row] = named(
            books,
            "SELECT coalesce(sum(gone), 0)::bigint AS claimed, coalesce(sum(came - gone), 0)::bigint AS remaining"
            " FROM (SELECT CASE WHEN kind IN ('claimed', 'issued') THEN coalesce(units, 1) ELSE 0 END AS gone, CASE"
            " WHEN kind = 'adjusted' THEN delta WHEN destination = 'stock' THEN units ELSE 0 END AS came"
            " FROM coupon_entries WHERE shard = ANY(%s)) AS moved",
            [self._terms.shards],
        )  # fmt: skip
        status, told = self._gateway.ask("GET", f"/v1/campaigns/{self.campaign}", self._target.admin_key)
        redis = {"status": status, "claimed": told.get("claimed"), "remaining": told.get("remaining")}
        return {"status": 200, "claimed": row.claimed, "remaining": row.remaining}, redis, {}

    def _codes(self, books: psycopg.Connection[Any], crowd: Crowd, seed: int) -> list[str]:
        """Coupons that were told and coupons that the books have, drawn by *seed*."""
        drawn = random.Random(seed).sample([*crowd.coupons], min(SAMPLES, len(crowd.coupons)))  # noqa: S311 - to be repeated
        booked = named(
            books,
            "SELECT code FROM coupons WHERE campaign = %s ORDER BY md5(code || %s) LIMIT %s",
            [self.campaign, str(seed), SAMPLES - len(drawn) // 2],
        )
        return sorted({*drawn[: SAMPLES // 2], *(row.code for row in booked)})

    def _coupon(
        self, books: psycopg.Connection[Any], code: str
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        rows = named(
            books,
            "SELECT code, campaign, seq, state, nullif(channel, '') AS channel, claimed_at, expires_at, \"left\","
            " reserved_until, order_id, holder FROM coupons WHERE code = %s",
            [code],
        )
        status, told = self._gateway.ask("GET", f"/v1/coupons/{quote(code)}", self._target.admin_key)
        booked = {name: _shown(value) for name, value in rows[0]._asdict().items()} if rows else {}
        redis = {name: told.get(name) for name in booked or ("code", "holder", "state")} if status == 200 else {}
        if booked.get("left") is None:  # all of it, whatever that is
            booked.pop("left", None)
            redis.pop("left", None)
        return booked, redis, {"code": code, "status": status}

    def _holders(self, crowd: Crowd, seed: int) -> list[str]:
        """Some who have a coupon, and some who were told anything else."""
        draw = random.Random(seed)  # noqa: S311 - to be repeated
        have = sorted({granted.holder for granted in crowd.coupons.values()})
        others = sorted(crowd.limited.keys() | {holder for holder, _ in (*crowd.sold_out.asks, *crowd.uncertain)})
        drawn = (draw.sample(group, min(SAMPLES // 2, len(group))) for group in (have, others))
        return sorted({holder for group in drawn for holder in group})

    def _mine(
        self, books: psycopg.Connection[Any], holder: str, token: str
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        rows = named(
            books,
            "SELECT code, seq, state, claimed_at, expires_at FROM coupons WHERE campaign = %s AND holder = %s",
            [self.campaign, holder],
        )
        status, told = self._gateway.ask("GET", f"/v1/campaigns/{self.campaign}/claims/mine", token)
        booked = {row.code: tuple(map(_shown, row)) for row in rows}
        fields = ("code", "seq", "state", "claimed_at", "expires_at")
        redis = {item["code"]: tuple(item.get(name) for name in fields) for item in told.get("items", [])}
        return booked, redis, {"holder": holder, "status": status}


def _shown(value: Any) -> Any:
    """A value of the books as the gateway writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
