"""`fairclaim verdict`: each invariant broken on purpose, in either store, is named with the row that breaks it."""

import asyncio
from collections.abc import Iterator

import pytest

from lua.door import Door
from reconciler.verdict.invariants import INVARIANTS
from reconciler.verdict.waiting import wait_for_drain
from tests.conftest import redis_binaries
from tests.integration.draining import Books, draining
from tests.integration.life import LifeSale, open_life
from tests.integration.lived_in import broken, forge, judged, live_in
from tests.integration.test_manual_posting import approve, post

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is the books."""


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


@pytest.fixture
async def sale(door: Door, redis_url: str, books: Books) -> LifeSale:
    """A sale that everything happened in, drained."""
    sale, _ = await live_in(door, redis_url, books)
    return sale


def of_holder(name: str) -> str:
    """The coupon of a holder of campaign c."""
    return f"shard = 'c/0' AND holder = '{name}'"


LIMIT = (
    "UPDATE campaign_versions SET definition = jsonb_set(definition, '{{limits}}', '{{\"{}\": {}}}')"
    " WHERE campaign = 'c'"
)
JOURNAL = "(SELECT min(id) FROM journals WHERE shard = 'c/0' AND verb = '{}')"
CLAIM_AGAIN = (
    'INSERT INTO coupon_entries SELECT (r).* FROM (SELECT jsonb_populate_record(e, \'{{"seq": 99, "code": "X"}}\') AS r'
    " FROM coupon_entries AS e WHERE {} AND kind = 'claimed') AS again"
)

FORGERIES = {
    "stock_accounted_for": ("units", f"UPDATE coupons SET units = 2 WHERE {of_holder('flo')}"),
    "stock_never_below_zero": ("units", "UPDATE coupon_entries SET seq = 99 WHERE shard = 'c/0' AND kind = 'adjusted'"),
    "no_number_missing": ("sequence", "DELETE FROM coupon_entries WHERE shard = 'c/0' AND kind = 'published'"),
    "nobody_above_the_limit": (
        "limits",
        f"UPDATE coupon_entries SET holder = 'ann' WHERE {of_holder('flo')}",
        f"UPDATE coupons SET holder = 'ann' WHERE {of_holder('flo')}",
    ),
    "no_day_above_the_limit": ("limits", LIMIT.format("per_day", 5)),
    "no_budget_exceeded": ("limits", LIMIT.format("budget_minor", 2999)),
    "claims_are_coupons": ("answers", f"DELETE FROM coupons WHERE {of_holder('flo')}"),
    "debits_are_credits": ("balanced", "UPDATE account_days SET debit = debit + 1 WHERE account = 'payable:m-1'"),
    "journals_have_postings": ("balanced", f"DELETE FROM postings WHERE journal = {JOURNAL.format('restock')}"),
    "commitments_are_the_worst_case": ("commitment", "UPDATE coupons SET \"left\" = 1 WHERE shard = 'g/0'"),
    "budget_is_whole": (
        "commitment",
        f"UPDATE postings SET source = 'budget:reserve' WHERE journal = {JOURNAL.format('restock')} AND line = 2",
    ),
    "accounts_are_the_changes": (
        "control",
        f"UPDATE postings SET amount = 7 WHERE journal = {JOURNAL.format('claim')} AND line = 1",
    ),
    "coupons_are_their_last_change": ("control", f"UPDATE coupons SET state = 'claimed' WHERE {of_holder('ann')}"),
    "money_is_the_redemptions": (
        "control",
        "UPDATE redemptions SET funders = '[{\"account\": \"me\", \"minor\": 500}]' WHERE id = 'R-ann'",
    ),
    "redemptions_are_the_changes": ("redemptions", "UPDATE redemptions SET minor = 501 WHERE id = 'R-ann'"),
    "given_back_is_the_rollbacks": ("redemptions", "UPDATE redemptions SET rolled_back_minor = 99 WHERE id = 'R-bob'"),
    "one_live_redemption": (
        "redemptions",
        "UPDATE redemptions SET code = (SELECT code FROM redemptions WHERE id = 'R-ann') WHERE id = 'R-bob'",
        "UPDATE coupon_entries SET code = (SELECT code FROM redemptions WHERE id = 'R-ann') WHERE ref = 'R-bob'",
    ),
    "nothing_done_twice": ("once", CLAIM_AGAIN.format(of_holder("flo"))),
    "chain": ("chain", "UPDATE journals SET effective_date = effective_date + 1 WHERE verb = 'claim'"),
    "nothing_in_quarantine": (
        "settled",
        "INSERT INTO quarantine (shard, entry_id, fields, reason) VALUES ('c/0', '1-1', '{}', 'unreadable')",
    ),
    "nothing_in_suspense": (
        "settled",
        "UPDATE account_days SET account = 'suspense:promotion:c' WHERE account = 'expense:promotion:platform'",
    ),
    "no_break_unresolved": (
        "settled",
        "INSERT INTO breaks (shard, kind, expected, found) VALUES ('c/0', 'figure', '1', '2')",
    ),
    "no_shard_stopped": ("settled", "UPDATE checkpoints SET state = 'stopped' WHERE shard = 'c/0'"),
    "totals_are_the_postings": (
        "totals",
        "UPDATE account_days SET debit = debit + 1, credit = credit + 1 WHERE account = 'payable:m-1'",
    ),
    "movements_are_the_changes": ("totals", "UPDATE movement_days SET minor = minor + 1 WHERE verb = 'redeem'"),
    "movements_are_what_is_out": ("totals", "UPDATE journals SET verb = 'issue' WHERE verb = 'claim'"),
}  # fmt: skip
"""Check → the invariant it belongs to, and what breaks it."""


async def test_a_sale_without_a_fault_is_one(door: Door, books: Books, sale: LifeSale) -> None:
    """Every invariant holds, of all campaigns and of one, and every check of the books has a forgery here."""
    found = await judged(door, books)

    assert broken(found) == {}
    assert (found.holds, found.campaign, found.shards) == (True, None, 2)
    assert [each.name for each in found.invariants] == [each.name for each in INVARIANTS]
    assert {check for each in INVARIANTS for check in each.queries} <= FORGERIES.keys()
    figures = {each.name: each.figures for each in found.invariants}
    assert figures["units"] == {"put in": 25, "in stock": 17, "went out": 8, "came back": 0}
    assert figures["commitment"] == {"CNY committed": 1500, "CNY owed on balances": 1700}
    assert figures["redemptions"] == {"redemptions": 4, "rollbacks": 2, "standing": 3}
    of_gifts = await judged(door, books, "g")
    assert (of_gifts.holds, of_gifts.shards) == (True, 1)
    assert {each.name: each.figures for each in of_gifts.invariants}["units"]["put in"] == 5


@pytest.mark.parametrize("check", FORGERIES)
async def test_a_broken_invariant_is_named(door: Door, books: Books, sale: LifeSale, check: str) -> None:
    """The verdict is no, and names the invariant, the check that found it and a row of it."""
    name, *statements = FORGERIES[check]
    forge(books, *statements)
    found = await judged(door, books)

    assert not found.holds
    assert broken(found)[name] == check
    [judgement] = [each for each in found.invariants if each.name == name]
    assert judgement.wrong >= 1
    assert len(judgement.first or {}) > 2


FIELDS = {
    "redemptions_are_the_changes": [
        *(("redemptions", field, "id = 'R-ann'") for field in ("holder", "order_id", "staff", "store", "actor")),
        *(("rollbacks", field, "redemption = 'R-bob'") for field in ("reason", "actor")),
        ("coupon_entries", "holder", "ref = 'R-ann'"),
    ],
    "claims_are_coupons": [("coupons", field, of_holder("flo")) for field in ("campaign", "channel", "batch")],
    "coupons_are_their_last_change": [("coupons", "order_id", of_holder(name)) for name in ("flo", "di")],
    "movements_are_the_changes": [("movement_days", "campaign", "verb = 'redeem' AND shard = 'c/0'")],
}
"""Check → table, column and row of what it finds when a letter is added there."""


async def test_a_field_that_was_changed_is_located(door: Door, books: Books, sale: LifeSale) -> None:
    """Whatever is kept twice is compared, also what no sum depends on: who, when, where, why."""
    for check, fields in FIELDS.items():
        for table, field, row in fields:
            before = books.rows(f"SELECT ctid, {field} FROM {table} WHERE {row}")[0][1]
            forge(books, f"UPDATE {table} SET {field} = coalesce({field}, '') || 'x' WHERE {row}")
            found = await judged(door, books)
            first = {each.first["check"]: each.first for each in found.invariants if each.first}
            assert check in first, (table, field)
            assert first[check]["shard"] == "c/0"
            value = "NULL" if before is None else f"'{before}'"
            forge(books, f"UPDATE {table} SET {field} = {value} WHERE {row}")
    assert broken(await judged(door, books)) == {}


@pytest.mark.parametrize(
    ("part", "field", "value", "name"),
    [("stock", "", "13", "stock"), ("counters", "redeemed", "9", "redeemed"), ("counters", "claimed", "9", "claimed")],
)
async def test_a_change_in_redis_is_named(
    door: Door, books: Books, sale: LifeSale, part: str, field: str, value: str, name: str
) -> None:
    """A figure set by hand in Redis: the invariant of both stores is the one that is broken, and says which figure."""
    key = sale.on.shard.key(part)
    await (door.redis.hset(key, field, value) if field else door.redis.set(key, value))
    found = await judged(door, books)

    assert broken(found) == {"live": "stocktake"}
    [judgement] = [each for each in found.invariants if each.name == "live"]
    assert judgement.first is not None
    assert (judgement.first["shard"], judgement.first["name"]) == ("c/0", name)
    assert judgement.first["likely"]
    assert (await judged(door, books, "g")).holds


async def test_what_is_booked_by_hand_breaks_nothing(door: Door, books: Books, sale: LifeSale) -> None:
    """A settlement of a merchant, and a unit that Redis has and the books lacked: neither correction is a fault."""
    await door.redis.incr(sale.on.shard.key("stock"))
    assert broken(await judged(door, books)) == {"live": "stocktake"}
    money = {"debit": "payable:m-1", "credit": "clearing:gift:g", "commodity": "CNY", "minor": 300}
    approve(books, "mj_1", money)
    approve(books, "mj_2", {"debit": "stock", "credit": "supply", "commodity": "coupon:c", "minor": 1}, about="c/0")
    assert await post(books) == 2

    found = await judged(door, books)
    assert broken(found) == {}
    assert {each.name: each.figures for each in found.invariants}["chain"]["chains"] == 3
    assert (await judged(door, books, "c")).holds


async def test_a_verdict_holds_while_a_sale_goes_on(door: Door, redis_url: str, books: Books, sale: LifeSale) -> None:
    """Claims, redemptions and the drain all the while: no verdict ever finds a fault that is not there."""
    more = await open_life(door, books, "rush", stock=1000)

    async def sell() -> None:
        for n in range(40):
            codes = [await more.claim_one(f"h{n}-{k}") for k in range(5)]
            await more.redeem(f"R{n}", codes[0], f"o-{n}")
            await more.revoke(codes[1])

    async with draining(redis_url, books.url):
        selling, verdicts = asyncio.create_task(sell()), 0
        while not selling.done():
            assert broken(await judged(door, books)) == {}
            verdicts += 1
        await selling
        assert await wait_for_drain(door, books.url, 60)
    found = await judged(door, books, "rush")
    assert broken(found) == {}
    assert {each.name: each.figures for each in found.invariants}["answers"]["claims"] == 200
    assert verdicts >= 1


async def test_sums_beyond_a_float_are_compared_to_the_unit(door: Door, redis_url: str, books: Books) -> None:
    """A discount of 2^53 - 1 and one of 2: the sum that no float holds is right, and one minor unit less is not."""
    large = 2**53 - 1
    sale = await open_life(door, books, stock=2, unit_minor=large)
    for number, (holder, minor) in enumerate({"ann": large, "bob": 2}.items()):
        await sale.redeem(f"R{number}", await sale.claim_one(holder), f"o-{number}", minor=minor)
    async with draining(redis_url, books.url):
        pass
    assert broken(await judged(door, books)) == {}

    funders = '[{{"account": "platform", "minor": {}}}, {{"account": "brand", "minor": 1}}]'
    forge(books, f"UPDATE redemptions SET funders = '{funders.format(large - 1)}' WHERE id = 'R0'")
    found = await judged(door, books)
    assert broken(found) == {"control": "money_is_the_redemptions"}
    assert [each.wrong for each in found.invariants if not each.holds] == [
        2
    ]  # the brand has 1 more, the platform 1 less
