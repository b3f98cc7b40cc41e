"""A sale whose coupons live on: every verb after the claim by its script, and what the books have to come to."""

from collections.abc import Collection
from typing import Any

import msgspec

from lua.door import Door
from lua.entries import Entry
from tests.builders import a_code, a_redeem, a_rollback, an_ask, open_shard
from tests.entries import record_of
from tests.integration.draining import Books, Sale
from tests.verdict import prove_clean

OUT = ("outstanding", "reserved", "redeemed", "expired", "revoked")
HOUR_MS = 3_600_000
RETURNS = {"stock": "stock", "slot": "holder_slot"}
"""What a coupon that ends gives back, as rules and as definitions have it."""


def a_detail(order: str, total_minor: int = 5000, minor: int = 500) -> str:
    """What the gateway tells of a redemption of one line."""
    return msgspec.json.encode(
        {
            "order": {"id": order, "currency": "CNY", "total_minor": total_minor, "shipping_minor": 0},
            "lines": [{"sku": "A1", "quantity": 1, "discount_minor": minor}],
            "shipping_discount_minor": 0,
            "currency": "CNY",
            "merchant": "m-1",
            "store": "s-1",
            "staff": "e-7",
            "channel": "pos",
            "stack": None,
            "funders": [{"account": "platform", "minor": minor}],
            "actor": "store s-1",
        }
    ).decode()


def a_reason(reason: str, minor: int = 0) -> str:
    """What the gateway tells of a rollback."""
    told = {
        "reason": reason,
        "merchant": "m-1",
        "currency": "CNY",
        "lines": [{"sku": "A1", "discount_minor": minor}],
        "shipping_discount_minor": 0,
    }
    return msgspec.json.encode({**told, "funders": [{"account": "platform", "minor": minor}], "actor": "s-1"}).decode()


class LifeSale(Sale):
    """One open shard whose coupons are used. Every verb asserts that it was done."""

    async def claim_one(self, holder: str, channel: str = "") -> str:
        """A claim; the code."""
        code = a_code(f"{self.name} {holder}")
        rush = await self.on.claim(an_ask(holder, code=code, channel=channel))
        [seq] = rush.replies
        assert isinstance(seq, int)
        assert seq > 0, seq
        return code

    async def reserve(self, code: str, order: str = "o-1", ttl_ms: int = HOUR_MS) -> None:
        """A hold."""
        [reply] = await self.on.ask("reserve", code, order, "", "till", ttl_ms, "{}")
        assert reply[0] == 1, reply

    async def release(self, code: str, order: str = "o-1") -> None:
        """The end of a hold."""
        [reply] = await self.on.ask("release", code, order, "", "", '{"reason":"asked"}')
        assert reply[0] == 1, reply

    async def redeem(self, number: str, code: str, order: str = "o-1", minor: int = 500) -> None:
        """A redemption; of a balance it takes what it is worth."""
        ask = a_redeem(number, code, order, minor=minor, charge=str(minor), detail=a_detail(order, minor=minor))
        [reply] = await self.on.ask("redeem", *ask, head=("f1",))
        assert reply[0] == 1, reply

    async def roll_back(self, number: str, minor: int, number_before: int = 0, **changes: Any) -> None:
        """A rollback, after *number_before* others."""
        ask = a_rollback(number, minor, number_before=number_before, detail=a_reason("refund", minor), **changes)
        [reply] = await self.on.ask("rollback", *ask)
        assert reply[0] == 1, reply

    async def revoke(self, code: str) -> None:
        """A revocation."""
        [reply] = await self.on.ask("revoke", code, '{"reason":"fraud"}')
        assert reply[0] == 1, reply

    async def expire(self, *codes: str) -> list[int]:
        """What expire.lua says to each code."""
        return await self.on.ask("expire", *codes)

    def coupon(self, code: str) -> dict[str, Any]:
        """The row of a coupon."""
        [row] = self.books.rows("SELECT to_jsonb(coupons) FROM coupons WHERE code = %s", code)
        return dict(row[0])

    async def prove_life(self, *, but: Collection[str] = ()) -> None:
        """The books have every record of the shard, and every invariant holds, *but* some."""
        assert await self.drained()
        await prove_clean(self.on.door, self.books.url, self.on.shard.campaign, but=but)


async def open_life(door: Door, books: Books, campaign: str = "c", stock: int = 1000, **rules: Any) -> LifeSale:
    """A campaign of one shard in the books and in Redis, with *stock*."""
    minor = rules.get("unit_minor", 500)
    kind = "balance" if rules.get("kind") == "balance" else "amount_off"
    ends = {"on_expiry": rules.get("expiry_returns"), "on_revoke": rules.get("revoke_returns")}
    terms: dict[str, Any] = {
        end: {RETURNS[what]: "restore" for what in told.split(",")} for end, told in ends.items() if told
    }
    zone = rules.get("timezone", "UTC")
    books.add_campaign(campaign, timezone=zone, value={"type": kind, "minor": minor}, **terms)
    return LifeSale(await open_shard(door, stock, campaign, **rules), books)


async def put(sale: LifeSale, *entries: Entry) -> None:
    """Write entries onto the stream as a script would, and count them."""
    for entry in entries:
        _, flat = record_of(entry)
        await sale.on.door.redis.xadd(sale.on.shard.key("entries"), dict(zip(flat[::2], flat[1::2], strict=True)))
        last = entry.first_seq + entry.count - 1
        await sale.on.door.redis.hset(sale.on.shard.key("counters"), "seq", str(last))
