"""A sale whose coupons live on: every verb after the claim by its script, and what the books have to come to."""

from collections import Counter
from typing import Any

import msgspec

from lua.door import Door
from lua.entries import Entry
from tests.builders import a_code, a_redeem, a_rollback, an_ask, open_shard
from tests.entries import record_of
from tests.integration.draining import Books, Sale, prove_chain

OUT = ("outstanding", "reserved", "redeemed", "expired", "revoked")
HOUR_MS = 3_600_000


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

    async def claim_one(self, holder: str) -> str:
        """A claim; the code."""
        code = a_code(f"{self.name} {holder}")
        rush = await self.on.claim(an_ask(holder, code=code))
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

    async def prove_life(self) -> None:
        """
        The books are whole by a reckoning of their own.

        No seq is missing, the chain holds, accounts are what the rows of the sub-ledger add up to and sum to zero,
        coupons are in the state of their last row, redemptions and rollbacks are those of the rows, and stock is what
        Redis has.
        """
        books, name = self.books, self.name
        last = await self.last_seq()
        rows = [
            dict(row)
            for (row,) in books.rows("SELECT to_jsonb(e) FROM coupon_entries AS e WHERE shard = %s ORDER BY seq", name)
        ]
        assert [row["seq"] for row in rows] == list(range(1, last + 1))
        assert books.seq(name) == last
        await prove_chain(books, name)
        balances = {account: units for account, units in books.balances(self.on.shard.campaign).items() if units}
        assert balances == {account: units for account, units in reckoned(rows).items() if units}
        assert sum(balances.values()) == 0
        assert balances.get("stock", 0) == await self.on.stock()
        states = {row["code"]: "claimed" for row in rows if row["kind"] in ("claimed", "issued")}
        states |= {row["code"]: row["state"] for row in rows if row["state"]}
        assert dict(books.rows("SELECT code, state FROM coupons WHERE shard = %s", name)) == states
        self._prove_redemptions(rows)
        self._prove_money(rows)
        prove_days(books)

    def _prove_redemptions(self, rows: list[dict[str, Any]]) -> None:
        back: Counter[str] = Counter()
        for row in rows:
            if row["kind"] == "rolled_back":
                back[row["ref"]] += row["minor"]
        expected = [(row["ref"], row["minor"], back[row["ref"]]) for row in rows if row["kind"] == "redeemed"]
        query = "SELECT id, minor, rolled_back_minor FROM redemptions WHERE shard = %s ORDER BY seq"
        assert self.books.rows(query, self.name) == expected
        query = "SELECT redemption, seq, minor FROM rollbacks WHERE shard = %s ORDER BY seq"
        assert self.books.rows(query, self.name) == [
            (row["ref"], row["seq"], row["minor"]) for row in rows if row["kind"] == "rolled_back"
        ]

    def _prove_money(self, rows: list[dict[str, Any]]) -> None:
        campaign = self.on.shard.campaign
        [(value,)] = self.books.rows("SELECT definition -> 'value' FROM campaigns WHERE id = %s", campaign)
        found = self.books.money(campaign)
        assert sum(found.values()) == 0
        if value["type"] == "balance":
            [(owed,)] = self.books.rows(
                'SELECT coalesce(sum(coalesce("left", %s)), 0)::bigint FROM coupons '
                "WHERE shard = %s AND state IN ('claimed', 'reserved')",
                value["minor"],
                self.name,
            )
            assert found.get(f"liability:gift:{campaign}", 0) == -owed
            return
        expected = {
            account: minor for account, minor in reckoned_money(campaign, rows, value["minor"]).items() if minor
        }
        assert found == expected


def prove_days(books: Books) -> None:
    """What is kept a day, of all shards, is what the postings and the sub-ledger come to."""
    accounts = "effective_date, commodity, account, entity"
    posted = f"""SELECT coalesce(about, shard) AS shard, {accounts}, sum(debit), sum(credit)
        FROM journals JOIN postings ON journal = id CROSS JOIN LATERAL (
            VALUES (destination, amount, 0::numeric), (source, 0::numeric, amount)
        ) AS side (account, debit, credit)
        GROUP BY 1, {accounts} ORDER BY 1, {accounts}"""
    kept = f"SELECT shard, {accounts}, debit, credit FROM account_days ORDER BY shard, {accounts}"
    assert books.rows(kept) == books.rows(posted)
    places = "shard, campaign, effective_date, verb, source, destination, channel, store, currency, entity"
    moved = f"""SELECT {places}, count(*), sum(units), sum(worth_minor), sum(minor), sum(order_minor)
        FROM v_coupon_movements GROUP BY {places} ORDER BY {places}"""
    kept = f"""SELECT {places}, entries, units, worth_minor, minor, order_minor
        FROM movement_days WHERE entries > 0 ORDER BY {places}"""
    assert books.rows(kept) == books.rows(moved)


def reckoned_money(campaign: str, rows: list[dict[str, Any]], unit_minor: int) -> Counter[str]:
    """Account → balance of the money book of discounts, from the rows of the sub-ledger and nothing else."""
    units, balances = reckoned(rows), Counter[str]()
    authorised = -units["supply"] * unit_minor
    committed = (units["outstanding"] + units["reserved"]) * unit_minor
    balances["budget:authorised"] = -authorised
    balances[f"commitment:{campaign}"] = committed
    balances["budget:available"] = authorised - committed
    for row in rows:
        if row["kind"] not in ("redeemed", "rolled_back"):
            continue
        sign, told = 1 if row["kind"] == "redeemed" else -1, row["detail"] or {}
        rest = row["minor"]
        for share in told.get("funders", []):
            balances[f"expense:promotion:{share['account']}"] += sign * share["minor"]
            rest -= share["minor"]
        balances[f"suspense:promotion:{campaign}"] += sign * rest
        merchant = told.get("merchant")
        balances[f"payable:{merchant}" if merchant else "payable"] -= sign * row["minor"]
    return balances


def reckoned(rows: list[dict[str, Any]]) -> Counter[str]:
    """Account → balance, from the rows of the sub-ledger and nothing else."""
    balances: Counter[str] = Counter()
    for row in rows:
        match row["kind"]:
            case "claimed":
                source, destination, units = "stock", "outstanding", 1
            case "issued":
                source, destination, units = "stock", "outstanding", row["units"]
            case "adjusted":
                source, destination, units = "supply", "stock", row["delta"]
            case _ if row["source"]:
                source, destination, units = row["source"], row["destination"], row["units"]
            case _:
                continue
        balances[source] -= units
        balances[destination] += units
    return balances


async def open_life(door: Door, books: Books, campaign: str = "c", stock: int = 1000, **rules: Any) -> LifeSale:
    """A campaign of one shard in the books and in Redis, with *stock*."""
    minor = rules.get("unit_minor", 500)
    kind = "balance" if rules.get("kind") == "balance" else "amount_off"
    books.add_campaign(campaign, value={"type": kind, "minor": minor})
    return LifeSale(await open_shard(door, stock, campaign, **rules), books)


async def put(sale: LifeSale, *entries: Entry) -> None:
    """Write entries onto the stream as a script would, and count them."""
    for entry in entries:
        _, flat = record_of(entry)
        await sale.on.door.redis.xadd(sale.on.shard.key("entries"), dict(zip(flat[::2], flat[1::2], strict=True)))
        last = entry.first_seq + entry.count - 1
        await sale.on.door.redis.hset(sale.on.shard.key("counters"), "seq", str(last))
