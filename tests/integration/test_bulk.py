"""Books made in bulk are books: what checks those of a sale finds nothing wrong with them."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import psycopg
import pytest

from gateway.campaigns.definition import read_definition
from gateway.stack.postgres import Postgres
from loadtest.bulk import __main__ as command
from loadtest.bulk import making
from loadtest.bulk.making import make
from loadtest.bulk.opening import Refused
from loadtest.bulk.plan import Size, Slice, campaigns_of, definition_of, slices_of
from reconciler.verifying import verify
from tests.conftest import fresh_database
from tests.integration.draining import Books

SIZE = Size(coupons=2400, campaigns=8, shards=2, stores=5, batch=300)
SLICES = slices_of(SIZE)

POSTED = """
    SELECT coalesce(journals.about, journals.shard), journals.effective_date, postings.commodity, side.account,
        journals.entity, sum(side.debit), sum(side.credit)
    FROM postings JOIN journals ON journals.id = postings.journal
    CROSS JOIN LATERAL (VALUES (destination, amount, 0), (source, 0, amount)) AS side (account, debit, credit)
    GROUP BY 1, 2, 3, 4, 5"""

WRONG = {
    "a seq is missing": "SELECT shard FROM coupon_entries GROUP BY shard HAVING min(seq) <> 1 OR max(seq) <> count(*)",
    "a checkpoint is elsewhere": """
        SELECT checkpoints.shard FROM checkpoints JOIN coupon_entries USING (shard)
        GROUP BY checkpoints.shard, checkpoints.seq HAVING checkpoints.seq <> max(coupon_entries.seq)""",
    "time goes back": """
        SELECT * FROM (SELECT at < lag(at) OVER (PARTITION BY shard ORDER BY seq) AS back FROM coupon_entries) AS steps
        WHERE back""",
    "an account is below 0": "SELECT * FROM v_balances WHERE balance < 0 AND account <> 'supply'",
    "a trial balance is not 0": """
        SELECT currency FROM v_trial_balance GROUP BY currency HAVING sum(debit) <> sum(credit)""",
    "a coupon is not as its last step left it": """
        SELECT code FROM coupons
        LEFT JOIN (
            SELECT DISTINCT ON (code) code, seq, state, "left" FROM coupon_entries
            WHERE state IS NOT NULL ORDER BY code, seq DESC
        ) AS last USING (code)
        WHERE (coupons.state, coupons.changed_seq) <> (coalesce(last.state, 'claimed'), coalesce(last.seq, coupons.seq))
            OR coupons."left" IS DISTINCT FROM last."left" """,
    "a redemption is not as its rollbacks add up to": """
        SELECT id FROM redemptions LEFT JOIN rollbacks ON rollbacks.redemption = id
        GROUP BY id HAVING rolled_back_minor <> coalesce(sum(rollbacks.minor), 0)""",
    "the funders of a redemption do not pay all of it": """
        SELECT id FROM redemptions CROSS JOIN LATERAL jsonb_array_elements(funders) AS funder
        GROUP BY id HAVING minor <> sum((funder ->> 'minor')::bigint)""",
    "a day's sums are not those of its postings": """
        (TABLE posted EXCEPT TABLE days) UNION ALL (TABLE days EXCEPT TABLE posted)""",
    "a holder has more than the limit": """
        SELECT campaign, holder FROM coupons WHERE holder <> '' GROUP BY campaign, holder HAVING count(*) > 2""",
}


@pytest.fixture(scope="module")
def books(postgres_server: Postgres) -> Iterator[Books]:
    """The books of SIZE, made once for what only reads them."""
    made = list[str]()
    with fresh_database(postgres_server) as url:
        make(url, SIZE, 2, lambda _count, _of, shard: made.append(shard))
        assert len(made) == 16
        with Books(url) as books:
            yield books


def test_made_books_hold(books: Books) -> None:
    """The chain holds, no check of the books finds a row, and the definitions are such as the gateway takes."""
    days = "SELECT shard, effective_date, commodity, account, entity, debit, credit FROM account_days"
    with_days = f"WITH posted AS ({POSTED}), days AS ({days}) "

    assert verify(books.url).holds
    assert {why: books.rows(with_days + query)[:1] for why, query in WRONG.items()} == {why: [] for why in WRONG}
    assert books.value("SELECT count(*) FROM coupons") == SIZE.coupons
    assert 2.5 < books.value("SELECT count(*) FROM coupon_entries") / SIZE.coupons < 3.5
    for campaign in campaigns_of(SIZE):
        assert read_definition(definition_of(campaign, SIZE)).unit_minor == campaign.unit_minor


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


def test_made_money_is_what_the_rows_come_to(books: Books) -> None:
    """Units and money of each campaign are those that the sub-ledger alone comes to, by a reckoning of its own."""
    for campaign in campaigns_of(SIZE):
        entries = "SELECT to_jsonb(e) FROM coupon_entries AS e WHERE shard LIKE %s ORDER BY shard, seq"
        rows: list[dict[str, Any]] = [row for (row,) in books.rows(entries, f"{campaign.id}/%")]
        assert _without_zeros(reckoned(rows)) == _without_zeros(books.balances(campaign.id))
        query = "SELECT account, balance FROM v_campaign_money WHERE campaign = %s"
        found = {account: int(balance) for account, balance in books.rows(query, campaign.id)}
        if campaign.stored:
            [(owed,)] = books.rows(
                'SELECT sum(coalesce("left", %s)) FROM coupons '
                "WHERE campaign = %s AND state IN ('claimed', 'reserved')",
                campaign.unit_minor,
                campaign.id,
            )
            assert -found.get(f"liability:gift:{campaign.id}", 0) == (owed or 0)
        else:
            assert _without_zeros(reckoned_money(campaign.id, rows, campaign.unit_minor)) == _without_zeros(found)


def test_the_days_are_what_the_rows_come_to(books: Books) -> None:
    """movement_days is the sum of v_coupon_movements, and by a count of its own has each state change once."""
    counted = """
        SELECT entries.shard, entries.effective_date, coalesce(coupons.channel, ''), coalesce(redemptions.store, ''),
            count(*), sum(coalesce(entries.units, abs(entries.delta), 1)), sum(coalesce(entries.minor, 0)),
            sum(CASE entries.kind WHEN 'redeemed' THEN redemptions.order_minor ELSE 0 END)
        FROM coupon_entries AS entries LEFT JOIN coupons USING (code)
        LEFT JOIN redemptions ON redemptions.id = entries.ref WHERE entries.kind <> 'published' GROUP BY 1, 2, 3, 4"""
    summed = """
        SELECT shard, effective_date, channel, store, sum(entries), sum(units), sum(minor), sum(order_minor)
        FROM movement_days GROUP BY 1, 2, 3, 4"""

    places = "shard, effective_date, verb, source, destination, channel, store, currency, campaign, entity"
    moved = f"""
        SELECT {places}, count(*), sum(units), sum(worth_minor), sum(out_minor), sum(minor), sum(order_minor)
        FROM v_coupon_movements GROUP BY {places}"""
    days = f"SELECT {places}, entries, units, worth_minor, out_minor, minor, order_minor FROM movement_days"

    for reckoned_, kept in ((counted, summed), (moved, days)):
        assert books.rows(f"({reckoned_}) EXCEPT ({kept}) LIMIT 3") == []
        assert books.rows(f"({kept}) EXCEPT ({reckoned_}) LIMIT 3") == []


def test_what_was_interrupted_goes_on(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards that were there stay as they are, the others are made, and a third time makes nothing."""
    given_up, make_shard = Event(), making._make_shard

    class Pool(ThreadPoolExecutor):
        """One that says when what waits has been given up: the sixth shard is not made before."""

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            given_up.set()
            super().shutdown(wait=wait)

    def make_in_time(url: str, size: Size, one: Slice) -> None:
        assert one.name != SLICES[5].name or given_up.wait(60)
        make_shard(url, size, one)

    def interrupt(count: int, _of: int, _shard: str) -> None:
        if count == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(making, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(making, "_make_shard", make_in_time)
    with pytest.raises(KeyboardInterrupt):
        make(postgres_url, SIZE, 1, interrupt)
    with Books(postgres_url) as books:
        before = books.rows("SELECT shard, head FROM checkpoints ORDER BY shard")
        assert 3 <= len(before) <= 6
        assert command.main([f"--postgres-url={postgres_url}", *_arguments(SIZE), "--json"]) == 0
        after = books.rows("SELECT shard, head FROM checkpoints ORDER BY shard")
        assert set(before) < set(after)
        assert command.main([f"--postgres-url={postgres_url}", *_arguments(SIZE)]) == 0
        assert books.rows("SELECT shard, head FROM checkpoints ORDER BY shard") == after
    assert verify(postgres_url).holds


def test_what_can_not_be_made_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers that no books are of end the command before it looks at the database."""
    for wrong, words in (
        ("--coupons=0", "above 0"),
        ("--shards=33", "32 shards"),
        ("--until=2026-01-03", "days"),
        ("--workers=0", "--workers"),
    ):
        with pytest.raises(SystemExit) as ended:
            command.main(["--postgres-url=postgresql://nobody@127.0.0.1:1/nothing", wrong])
        assert ended.value.code == 2
        assert words in capsys.readouterr().err


def test_other_books_are_left_alone(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A database with a campaign of its own is refused, and so is another size than the one it was begun with."""
    make(postgres_url, Size(coupons=2, campaigns=1, shards=1), 1, lambda *_: None)
    with pytest.raises(Refused, match="begun as"):
        make(postgres_url, SIZE, 1, lambda *_: None)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO campaigns (id, version, state, definition) VALUES ('tea', 1, 'draft', '{}')")
    assert command.main(["--postgres-url", postgres_url]) == 2
    assert "campaigns of its own" in capsys.readouterr().err


def _arguments(size: Size) -> list[str]:
    return [f"--{name}={getattr(size, name)}" for name in size.__struct_fields__]


def _without_zeros(balances: dict[str, int]) -> dict[str, int]:
    return {account: balance for account, balance in balances.items() if balance}
