"""Books that are older than their totals: the migration dates every state change and sums what is there."""

import asyncio
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from hashlib import sha256

import psycopg
import pytest

from gateway.stack.postgres import Postgres
from reconciler.migrations import load_migrations, migrate
from reconciler.verifying import verify
from tests.integration.draining import Books
from tests.integration.test_migrations import a_database
from tests.verdict import prove_books

BEFORE = 5
OLD_BOOKS = """
INSERT INTO campaigns (id, version, state, definition) VALUES ('c', 1, 'scheduled', '{}');
INSERT INTO campaign_versions (campaign, version, state, definition, changed_by) VALUES
    ('c', 1, '', '{"timezone": "Asia/Shanghai", "currency": "CNY","value": {"type": "percent", "cap_minor": 500}}', ''),
    ('c', 2, '', '{"timezone": "No/Where", "currency": "CNY","value": {"type": "percent", "cap_minor": 500}}', '');
INSERT INTO checkpoints (shard, campaign, seq) VALUES ('c/0', 'c', 5);
INSERT INTO coupons (code, campaign, shard, holder, state, seq, version, channel, claimed_at, expires_at, changed_seq)
VALUES ('C', 'c', 'c/0', 'h', 'redeemed', 3, 1, 'app', now(), now(), 4);
INSERT INTO coupon_entries (shard, seq, kind, at, epoch, version, entry_id, code, channel, delta) VALUES
    ('c/0', 1, 'published', '2026-11-22T15:59:59Z', 1, 1, '1-0', NULL, NULL, NULL),
    ('c/0', 2, 'adjusted', '2026-11-22T15:59:59Z', 1, 1, '2-0', NULL, NULL, 10),
    ('c/0', 3, 'claimed', '2026-11-22T16:00:00Z', 1, 1, '3-0', 'C', 'app', NULL);
INSERT INTO coupon_entries (shard, seq, kind, at, epoch, version, entry_id, code, ref, minor, state, source,
    destination, units, detail) VALUES
    ('c/0', 4, 'redeemed', '2026-11-22T16:00:01Z', 1, 1, '4-0', 'C', 'R', 400, 'redeemed', 'outstanding', 'redeemed', 1,
        '{"currency": "CNY", "store": "s-1"}'),
    ('c/0', 5, 'rolled_back', '2026-11-22T16:00:02Z', 1, 2, '5-0', 'C', 'R', 100, 'redeemed', NULL, NULL, 0, NULL);
INSERT INTO redemptions (id, code, campaign, shard, seq, holder, minor, order_minor, store, lines, shipping_minor,
    funders, redeemed_at) VALUES ('R', 'C', 'c', 'c/0', 4, 'h', 400, 9000, 's-1', '[]', 0, '[]', now());
"""
CLAIM = (
    '["c/0","claim",3,3,1795363200000,"2026-11-23",'
    '[["stock","outstanding","coupon:c",1],["budget:available","commitment:c","CNY",500]]]'
)
REDEEM = (
    '["c/0","redeem",4,4,1795363201000,"2026-11-23",'
    '[["outstanding","redeemed","coupon:c",1],["commitment:c","budget:available","CNY",500]]]'
)
CHAIN = """
WITH made AS (
    INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date, previous_hash, hash) VALUES
        ('c/0', 'claim', 3, 3, '2026-11-22T16:00:00Z', '2026-11-23', '', %(claim)s),
        ('c/0', 'redeem', 4, 4, '2026-11-22T16:00:01Z', '2026-11-23', %(claim)s, %(redeem)s) RETURNING id, verb
)
INSERT INTO postings
    SELECT id, line, source, destination, commodity, amount
    FROM made JOIN (VALUES
        ('claim', 1, 'stock', 'outstanding', 'coupon:c', 1),
        ('claim', 2, 'budget:available', 'commitment:c', 'CNY', 500),
        ('redeem', 1, 'outstanding', 'redeemed', 'coupon:c', 1),
        ('redeem', 2, 'commitment:c', 'budget:available', 'CNY', 500)
    ) AS moved (verb, line, source, destination, commodity, amount) USING (verb)
"""


@pytest.fixture
def books(postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    """Books as they were before there were totals, brought up to now."""
    known = load_migrations()
    with a_database(postgres_server.url) as url:
        monkeypatch.setattr("reconciler.migrations.load_migrations", lambda: known[:BEFORE])
        migrate(url)
        claim = sha256(CLAIM.encode()).digest()
        redeem = sha256(claim + REDEEM.encode()).digest()
        with psycopg.connect(url) as connection:
            connection.execute(OLD_BOOKS.encode())
            connection.execute(CHAIN.encode(), {"claim": claim, "redeem": redeem})
            connection.execute("UPDATE checkpoints SET head = %s", (redeem,))
        monkeypatch.setattr("reconciler.migrations.load_migrations", lambda: known)
        assert migrate(url) == [migration.name for migration in known[BEFORE:]]
        with Books(url) as books:
            yield books


def test_old_books_are_dated_summed_and_still_hold(books: Books) -> None:
    """Dates are of the zone of each version, totals those of the rows, the chain is not touched, and all is fixed."""
    assert books.rows("SELECT seq, effective_date FROM coupon_entries ORDER BY seq") == [
        (1, date(2026, 11, 22)),
        (2, date(2026, 11, 22)),
        (3, date(2026, 11, 23)),
        (4, date(2026, 11, 23)),
        (5, date(2026, 11, 22)),  # of a zone that nobody knows: UTC
    ]
    assert books.rows("SELECT account, debit, credit FROM account_days ORDER BY account") == [
        ("budget:available", 500, 500), ("commitment:c", 500, 500), ("outstanding", 1, 1), ("redeemed", 1, 0),
        ("stock", 0, 1),
    ]  # fmt: skip
    moved = """SELECT verb, channel, store, entries, units, worth_minor, out_minor, minor, order_minor
        FROM movement_days ORDER BY effective_date, verb"""
    assert books.rows(moved) == [
        ("restock", "", "", 1, 10, 5000, 0, 0, 0),
        ("rollback", "app", "s-1", 1, 0, 0, 0, Decimal(100), 0),
        ("claim", "app", "", 1, 1, 500, 500, 0, 0),
        ("redeem", "app", "s-1", 1, 1, 500, -500, 400, 9000),
    ]
    asyncio.run(prove_books(books.url, "totals"))
    assert verify(books.url).holds
    with pytest.raises(psycopg.errors.RestrictViolation):
        books.rows("UPDATE coupon_entries SET effective_date = '2026-01-01'")
