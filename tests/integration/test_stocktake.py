"""A stocktake finds what somebody changed by hand in either store, names it, and finds nothing else."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lua.door import Door
from lua.keys import CouponCode, HolderId
from reconciler.stocktake import Stocktake, Wanted
from tests.builders import pack, unpack
from tests.conftest import redis_binaries
from tests.integration.draining import Books
from tests.integration.life import LifeSale
from tests.integration.stocktaking import by_hand, drain_all, live, open_stocked, stocktake

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)


class Stocked:
    """A sale in every state, drained; *codes* by what became of them."""

    def __init__(self, sale: LifeSale, codes: dict[str, str]) -> None:
        self.sale, self.codes = sale, codes
        self.redis: Any = sale.on.door.redis
        self.key = sale.on.shard.key

    async def find(self) -> dict[str, tuple[dict[str, Any], dict[str, Any], str]]:
        """What a stocktake of everything finds: kind and name → expected, found, cause."""
        names = ("kept", "held", "spent", "back", "revoked", "late", "over")
        wanted = Wanted([CouponCode(code) for code in self.codes.values()], [HolderId(name) for name in names])
        taken = await stocktake(self.sale, 0, wanted)
        assert not taken.unfinished
        return {f"{one.kind} {one.name}": (one.expected, one.found, one.cause.code) for one in taken.found}

    async def set(self, part: str, field: str, value: Any) -> Any:
        """Set a field of a hash; gives what was there."""
        before = await self.redis.hget(self.key(part), field)
        if value is None:
            await self.redis.hdel(self.key(part), field)
        else:
            await self.redis.hset(self.key(part), field, value)
        return before


@pytest.fixture
async def stocked(door: Door, redis_url: str, postgres_url: str) -> AsyncIterator[Stocked]:
    """A sale in every state, drained, of which a stocktake finds nothing."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        assert (await stocktake(sale)).is_clean
        here = Stocked(sale, await live(sale))
        assert (await stocktake(sale)).is_clean
        await drain_all(sale, redis_url)
        taken = await stocktake(sale)
        assert taken.is_clean
        assert taken.sampled == {"coupons": len(here.codes), "holders": 7}
        yield here


COUNTERS = {
    "claimed": ("figure claimed", 10, 17, "counter_by_hand"),
    "reserved": ("figure reserved", 2, 9, "counter_by_hand"),
    "redeemed": ("figure redeemed", 2, 9, "counter_by_hand"),
    "expired": ("figure expired", 0, 7, "counter_by_hand"),
    "revoked": ("figure revoked", 1, 8, "counter_by_hand"),
    "returned": ("figure returned", 1, 8, "counter_by_hand"),
    "seq": ("figure seq", 18, 25, "seq_by_hand"),
    "budget_used": ("figure budget_left", 96_000, 95_993, "counter_by_hand"),
}
RULES = {
    "budget_minor": ("figure budget", 100_000, 7),
    "unit_minor": ("figure unit", 500, 7),
    "per_day": ("figure per_day", 500, 7),
    "per_holder": ("figure per_holder", 3, 7),
    "per_holder_per_day": ("figure per_holder_per_day", 3, 7),
}


async def test_each_figure_changed_in_redis_is_named(stocked: Stocked) -> None:
    """Every counter, rule and length moved by hand gives one break, with both sides and what is likely."""
    for counter, (name, expected, found, cause) in COUNTERS.items():
        before = int(await stocked.redis.hget(stocked.key("counters"), counter) or 0)
        await stocked.redis.hincrby(stocked.key("counters"), counter, 7)
        assert await stocked.find() == {name: ({"value": expected}, {"value": found}, cause)}
        await stocked.set("counters", counter, before)
    for rule, (name, expected, found) in RULES.items():
        before = await stocked.set("rules", rule, 7)
        assert await stocked.find() == {name: ({"value": expected}, {"value": found}, "rules_by_hand")}
        await stocked.set("rules", rule, before)
    [day] = [name for name in await stocked.redis.hkeys(stocked.key("counters")) if name.startswith(b"day:")]
    before = await stocked.set("counters", day, "nine")
    day_claims = ({"value": 7}, {"value": None, "hex": b"nine".hex()}, "overwritten")
    assert await stocked.find() == {"figure day_claims": day_claims}
    await stocked.set("counters", day, before)
    await stocked.redis.decrby(stocked.key("stock"), 5)
    assert await stocked.find() == {"figure stock": ({"value": 91}, {"value": 86}, "stock_by_hand")}
    await stocked.redis.delete(stocked.key("stock"))
    assert await stocked.find() == {"figure stock": ({"value": 91}, {"value": None}, "key_deleted")}
    await stocked.redis.set(stocked.key("stock"), 91)
    await stocked.redis.zadd(stocked.key("holds"), {"nobody": 1})
    assert await stocked.find() == {"figure holds": ({"value": 2}, {"value": 3}, "fields_added")}
    await stocked.redis.zrem(stocked.key("holds"), "nobody")
    before = await stocked.set("redemptions", "RD-spent", None)
    assert await stocked.find() == {"figure redemptions": ({"value": 3}, {"value": 2}, "fields_deleted")}
    await stocked.set("redemptions", "RD-spent", before)
    await stocked.set("rules", "epoch", 2)
    epoch = ({"value": 1, "seq": 18}, {"value": "2", "seq": 18}, "another_shard")
    assert await stocked.find() == {"figure epoch": epoch}
    await stocked.set("rules", "epoch", 1)
    assert await stocked.find() == {}


async def test_each_figure_changed_in_the_books_is_named(stocked: Stocked) -> None:
    """Every total of the books that is moved by hand gives breaks that name it, and says that it was the books."""
    books = stocked.sale.books
    add = "UPDATE account_days SET debit = debit + %s WHERE account = %s AND commodity = 'coupon:c'"
    for account in ("stock", "outstanding", "reserved", "redeemed", "revoked"):
        by_hand(books, add, 2, account)
        found = await stocked.find()
        assert f"figure {account}" in found
        assert {cause for _, _, cause in found.values()} == {"books_by_hand"}
        expected, is_, _ = found[f"figure {account}"]
        assert expected["value"] == is_["value"] + 2
        by_hand(books, add, -2, account)
    for column, verb, name in [
        ("units", "claim", "claimed"), ("units", "expire", "returned"), ("entries", "issue", "coupons"),
        ("entries", "redeem", "redemptions"),
    ]:  # fmt: skip
        change = f"UPDATE movement_days SET {column} = {column} + %s WHERE verb = %s"
        by_hand(books, change, 3, verb)
        found = await stocked.find()
        assert f"figure {name}" in found
        assert found[f"figure {name}"][0]["value"] > found[f"figure {name}"][1]["value"]
        by_hand(books, change, -3, verb)
    assert await stocked.find() == {}


Change = Callable[[bytes], bytes]
FIELDS: dict[str, tuple[str, Change]] = {
    "state": ("kept", lambda record: b"u" + record[1:]),
    "seq": ("kept", lambda record: record[:1] + b"\0\0\0\0\x63" + record[6:]),
    "claimed_ms": ("kept", lambda record: record[:6] + bytes(6) + record[12:]),
    "expires_ms": ("kept", lambda record: record[:12] + bytes(6) + record[18:]),
    "holder": ("kept", lambda record: record[:18] + b"thief"),
}


async def test_each_field_of_a_coupon_changed_in_redis_is_named(stocked: Stocked) -> None:
    """Each field of the record, of its uses and of its hold; a record that is gone, that is new, that is no record."""
    for field, (whose, change) in FIELDS.items():
        code = stocked.codes[whose]
        before = await stocked.redis.hget(stocked.key("coupons"), code)
        await stocked.set("coupons", code, change(before))
        found = await stocked.find()
        assert found.keys() == {f"coupon {code}"}
        expected, is_, cause = found[f"coupon {code}"]
        assert field in expected.keys() & is_.keys()
        assert cause == "record_by_hand"
        await stocked.set("coupons", code, before)
    held, many = stocked.codes["held"], stocked.codes["many"]
    for code, place, value, field in [
        (held, 2, "another order", "order"), (held, 4, 5, "until_ms"), (many, 0, 3, "left"), (many, 5, 7, "held"),
    ]:  # fmt: skip
        before = await stocked.redis.hget(stocked.key("uses"), code)
        members = _unpack(before)
        members[place] = value
        await stocked.set("uses", code, pack(members))
        found = await stocked.find()
        assert found.keys() == {f"coupon {code}"}
        assert found[f"coupon {code}"][1] == {field: value}
        await stocked.set("uses", code, before)
    await stocked.redis.zincrby(stocked.key("holds"), 1, held)
    expected, is_, cause = (await stocked.find())[f"coupon {held}"]
    assert (is_["hold_ms"], cause) == (expected["hold_ms"] + 1, "hold_lost")
    await stocked.redis.zincrby(stocked.key("holds"), -1, held)
    assert await stocked.find() == {}


async def test_a_coupon_that_only_one_side_has_is_named(stocked: Stocked) -> None:
    """Deleted or overwritten in Redis, put there by hand, deleted in the books: named, with the side that lacks it."""
    code = stocked.codes["spent"]
    before = await stocked.set("coupons", code, None)
    found = await stocked.find()
    assert found.keys() == {"figure coupons", f"coupon {code}"}
    assert found[f"coupon {code}"][1:] == ({}, "not_in_redis")
    await stocked.set("coupons", code, "?")
    found = await stocked.find()
    assert found.keys() == {f"coupon {code}"}
    assert found[f"coupon {code}"][1:] == ({"hex": b"?|".hex()}, "overwritten")
    await stocked.set("coupons", code, before)
    await stocked.set("coupons", "PLANTED", before)
    stocked.codes["planted"] = "PLANTED"
    found = await stocked.find()
    assert found.keys() == {"figure coupons", "coupon PLANTED"}
    assert (found["coupon PLANTED"][0], found["coupon PLANTED"][2]) == ({}, "not_in_books")
    await stocked.set("coupons", "PLANTED", None)
    by_hand(stocked.sale.books, "DELETE FROM coupons WHERE code = %s", code)
    found = await stocked.find()
    assert found[f"coupon {code}"][0] == {}
    assert found["holder spent"][0] == {"claims": []}
    # Drawn and not named, from the entries of the books and from Redis.
    assert f"coupon {code}" in _names(await stocktake(stocked.sale, 50))


def _names(taken: Stocktake) -> set[str]:
    return {f"{one.kind} {one.name}" for one in taken.found}


def _unpack(packed: bytes) -> list[Any]:
    members: list[Any] = unpack(packed)
    return members


COLUMNS = {
    "holder": "'thief'", "state": "'redeemed'", "seq": "seq + 1", "claimed_at": "claimed_at + '1 ms'",
    "expires_at": "expires_at + '1 ms'", '"left"': "7", "shard": "'c/1'",
}  # fmt: skip


async def test_each_column_of_a_coupon_changed_in_the_books_is_named(stocked: Stocked) -> None:
    """A row of coupons edited by its owner differs from Redis in that field, and so does whose it is."""
    code, books = stocked.codes["kept"], stocked.sale.books
    for column, value in COLUMNS.items():
        before = books.value(f"SELECT {column} FROM coupons WHERE code = %s", code)
        by_hand(books, f"UPDATE coupons SET {column} = {value} WHERE code = %s", code)

        found = await stocked.find()
        assert column.strip('"').replace("_at", "_ms") in found[f"coupon {code}"][0]
        assert found.keys() <= {f"coupon {code}", "holder kept", "holder thief"}
        by_hand(books, f"UPDATE coupons SET {column} = %s WHERE code = %s", before, code)
    held = stocked.codes["held"]
    by_hand(books, "UPDATE coupons SET order_id = 'another' WHERE code = %s", held)
    assert (await stocked.find())[f"coupon {held}"][0] == {"order": "another"}
    by_hand(books, "UPDATE coupons SET order_id = 'o-1', reserved_until = now() WHERE code = %s", held)
    assert (await stocked.find())[f"coupon {held}"][0].keys() == {"until_ms", "hold_ms"}


async def test_what_a_holder_has_is_compared_claim_by_claim(stocked: Stocked) -> None:
    """The code, the hash of its key, whether it counts, and whether it is there, in Redis and in the books."""
    record = await stocked.redis.hget(stocked.key("holders"), "kept")
    code = stocked.codes["kept"]
    freed = record[:12] + bytes([record[12] | 0x80]) + record[13:]
    for changed in (b"X" + record[1:], freed, record + record, None, b"short"):
        await stocked.set("holders", "kept", changed)
        found = await stocked.find()
        assert found.keys() == {"holder kept"}
        assert found["holder kept"][0]["claims"][0][0] == code
    await stocked.set("holders", "kept", record)
    assert await stocked.find() == {}
    by_hand(stocked.sale.books, "UPDATE coupon_entries SET idem = 'x' WHERE code = %s AND kind = 'claimed'", code)
    assert (await stocked.find())["holder kept"][0] == {"claims": [[code, "x", False]]}
