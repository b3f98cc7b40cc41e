"""The books by themselves: they are only ever added to, each role may do its work and no more, and a forgery shows."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from reconciler.ledger import Fenced, Ledger
from reconciler.postings import broken_link
from reconciler.shard import Break, Position, read_batch
from tests.entries import SHARD, booked
from tests.integration.draining import Books
from tests.unit.test_batch import record

EMPTY = Position(1, 0, "0-0", b"")


@pytest.fixture
async def books(postgres_url: str) -> AsyncIterator[Books]:
    """Books with one campaign, two batches of claims and one audit line."""
    with Books(postgres_url) as books:
        await fill(books)
        yield books


async def fill(books: Books) -> None:
    """Six coupons in two commits."""
    books.add_campaign()
    ledger = Ledger(books.url, postgres_ms_max=30_000, connect_ms_max=30_000)
    at = EMPTY
    for first_seq in (1, 4):
        records = [record(first_seq, 3, code=f"{first_seq}")]
        batch, booking = read_batch(at, records, unranged=False), booked(at, records)
        coupons = booking.rows.lines["copy_coupons"]
        booking.rows.lines["copy_coupons"] = [f"{first_seq}{n}{line}" for n, line in enumerate(coupons)]
        at = await ledger.commit(SHARD, at, batch, booking)
    await ledger.close()
    books.rows("INSERT INTO audit_log (actor, action, subject) VALUES ('a', 'b', 'c')")


@pytest.mark.parametrize("table", ["coupon_entries", "journals", "postings", "audit_log", "campaign_versions"])
def test_the_books_refuse_change_even_by_their_owner(books: Books, table: str) -> None:
    """UPDATE, DELETE and TRUNCATE are refused by name, for the owner too, and leave every row."""
    column = books.value("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2", table)
    before = books.rows(f"SELECT * FROM {table}")
    assert before

    for change in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            books.rows(change)
    assert books.rows(f"SELECT * FROM {table}") == before


def test_coupons_change_state_and_never_go(books: Books) -> None:
    """A coupon's row can't be deleted; its state is one of the five."""
    for change in ("DELETE FROM coupons", "TRUNCATE coupons"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            books.rows(change)
    with pytest.raises(psycopg.errors.CheckViolation, match="coupons_state_check"):
        books.rows("UPDATE coupons SET state = 'lost'")


RIGHTS = {
    "fairclaim_gateway": {
        "campaigns": "INSERT",
        "campaign_versions": "INSERT",
        "stock_adjustments": "INSERT",
        "api_keys": "INSERT",
        "audit_log": "INSERT",
        "checkpoints": "INSERT",
        "code_batches": "INSERT",
        "named_codes": "INSERT",
        "import_refusals": "INSERT",
        "revocations": "INSERT",
        "stacks": "INSERT",
        "legal_entities": "INSERT",
        "periods": "INSERT",
        "close_reports": "INSERT",
        "manual_journals": "INSERT",
        "exports": "INSERT",
        "outside_files": "INSERT",
        "outside_rows": "INSERT",
        "outside_runs": "INSERT",
        "outside_differences": "INSERT",
        "stocktakes": "INSERT",
        "breaks": "INSERT",
        "users": "INSERT",
        "proposals": "INSERT",
        "alerts": "INSERT",
        "alert_thresholds": "INSERT",
        "alert_receivers": "INSERT",
        "alert_deliveries": "INSERT",
    },
    "fairclaim_reconciler": {
        "coupons": "INSERT",
        "coupon_entries": "INSERT",
        "redemptions": "INSERT",
        "rollbacks": "INSERT",
        "journals": "INSERT",
        "postings": "INSERT",
        "breaks": "INSERT",
        "quarantine": "INSERT",
        "account_days": "INSERT",
        "movement_days": "INSERT",
        "audit_log": "INSERT",
    },
    "fairclaim_clerk": {
        "stocktakes": "INSERT",
        "breaks": "INSERT",
        "audit_log": "INSERT",
    },
    "fairclaim_reader": {},
}
COLUMN_RIGHTS = {
    "fairclaim_gateway": {
        "campaigns": {"version", "state", "definition", "updated_at"},
        "stock_adjustments": {"steps", "state"},
        "api_keys": {"revoked_at"},
        "code_batches": {
            *("state", "reason", "parts", "flight", "count", "done", "refused", "rate", "cancelled_by"),
            *("worker", "leased_until", "started_at", "finished_at"),
        },
        "named_codes": {"shown", "campaign", "batch", "line", "shard", "chunk", "state"},
        "revocations": {
            *("state", "waits_for", "until", "books", "place", "pass", "pass_revoked", "looked_at", "revoked"),
            *("worker", "leased_until", "started_at", "finished_at"),
        },
        "stacks": {"items", "state", "refused", "updated_at"},
        "legal_entities": {"zone", "closed_through"},
        "periods": {"state", "changed_by", "changed_at"},
        "manual_journals": {"state", "checked_by", "checked_at", "refused"},
        "breaks": {
            *("state", "explained_by", "explained_at", "explanation"),
            *("resolved_at", "resolved_by", "resolution", "compensation"),
        },
        "exports": {"state", "failed", "finished_at"},
        "alerts": {
            *("figure", "worst", "about", "seen_at", "cleared_at"),
            *("acknowledged_by", "acknowledged_at", "note"),
        },
        "alert_thresholds": {"value", "is_off", "changed_by", "changed_at"},
        "alert_receivers": {
            *("secret", "old_secret", "old_until", "state", "reason", "failing_since", "last_sent_at", "last_error"),
            *("changed_by", "changed_at"),
        },
        "alert_deliveries": {"state", "tries", "next_at", "leased_until", "error", "ended_at"},
        "alert_watch": {"worker", "until"},
        "proposals": {"state", "checker", "checker_name", "decided_at", "said", "outcome"},
        "users": {
            *("display", "roles", "password", "stamp", "must_change", "language", "theme", "zone"),
            *("changed_at", "changed_by", "disabled_at", "disabled_by"),
        },
    },
    "fairclaim_reconciler": {
        "checkpoints": {"seq", "entry_id", "head", "state", "updated_at"},
        "coupons": {"state", "changed_seq", "left", "reserved_until", "order_id", "expires_at"},
        "redemptions": {"rolled_back_minor"},
        "breaks": {"state", "resolved_at"},
        "quarantine": {"first_seq", "count", "replayed_at"},
        "account_days": {"debit", "credit"},
        "movement_days": {"entries", "units", "worth_minor", "out_minor", "minor", "order_minor"},
        "legal_entities": {"head", "journals"},
        "manual_journals": {"state", "refused", "journal"},
    },
    "fairclaim_clerk": {
        "exports": {
            *("state", "parts", "rows", "rows_about", "written", "spool", "bytes", "manifest", "failed"),
            *("worker", "tries", "leased_until", "finished_at"),
        },
    },
    "fairclaim_reader": {},
}


OURS_ALONE = {"users", "alert_receivers"}
"""What proves a password, and what signs a webhook: only the gateway reads it."""


@pytest.mark.parametrize("role", RIGHTS)
def test_each_role_has_the_rights_of_its_work_and_no_other(books: Books, role: str) -> None:
    """Every right of every role on every table is written down; all read all but OURS_ALONE, none deletes."""
    tables = [name for (name,) in books.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    for table in tables:
        has = "SELECT has_table_privilege(%s, %s, %s)"
        rights = {
            right
            for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
            if books.value(has, role, table, right)
        }
        assert rights == ({RIGHTS[role][table]} if table in RIGHTS[role] else set()), table
        columns = {
            column
            for (column,) in books.rows(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                "AND has_column_privilege(%s, attrelid, attnum, 'UPDATE')",
                table,
                role,
            )
        }
        assert columns == COLUMN_RIGHTS[role].get(table, set()), table
        assert books.value(has, role, table, "SELECT") == (table not in OURS_ALONE or role == "fairclaim_gateway"), (
            table
        )


def test_the_roles_are_refused_by_the_server(books: Books) -> None:
    """The gateway can't write into the books, the reader nowhere, and neither can make a table."""
    for role, statement in [
        ("fairclaim_gateway", "INSERT INTO coupon_entries SELECT * FROM coupon_entries"),
        ("fairclaim_gateway", "UPDATE coupons SET state = 'redeemed'"),
        ("fairclaim_gateway", "UPDATE checkpoints SET seq = 0"),
        ("fairclaim_reconciler", "UPDATE campaigns SET state = 'ended'"),
        ("fairclaim_reconciler", "UPDATE journals SET verb = 'x'"),
        ("fairclaim_reader", "INSERT INTO audit_log (actor, action, subject) VALUES ('a', 'b', 'c')"),
        ("fairclaim_reader", "UPDATE breaks SET resolved_at = now()"),
        ("fairclaim_reader", "CREATE TABLE mine ()"),
    ]:
        with (
            psycopg.connect(books.url, options=f"-c role={role}") as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())


async def test_a_row_changed_behind_the_books_breaks_the_chain(books: Books) -> None:
    """An owner who disables the triggers and edits one posting is found out at exactly that journal."""
    ledger = Ledger(books.url, postgres_ms_max=30_000, connect_ms_max=30_000)
    head = books.value("SELECT head FROM checkpoints")
    assert broken_link(head, await ledger.journals("c/0")) is None

    books.rows("ALTER TABLE postings DISABLE TRIGGER USER")
    books.rows("UPDATE postings SET amount = amount + 1 WHERE journal = (SELECT max(id) FROM journals)")
    assert broken_link(head, await ledger.journals("c/0")) == 1

    books.rows("UPDATE postings SET amount = amount - 1 WHERE journal = (SELECT max(id) FROM journals)")
    assert broken_link(head, await ledger.journals("c/0")) is None
    await ledger.close()


@pytest.mark.parametrize(
    "stale",
    [
        Position(2, 6, "4-1", b""),
        Position(1, 3, "4-1", b""),
        Position(1, 6, "1-1", b""),
        Position(1, 6, "4-1", b"another head"),
    ],
    ids=["epoch", "seq", "entry id", "head"],
)
async def test_a_stale_position_writes_nothing(books: Books, stale: Position) -> None:
    """A commit, a stop and a resume from any other epoch, seq, entry or head than the books' are fenced."""
    ledger = Ledger(books.url, postgres_ms_max=30_000, connect_ms_max=30_000)
    head = books.value("SELECT head FROM checkpoints")
    if not stale.head:
        stale = Position(stale.epoch, stale.seq, stale.entry_id, head)
    before = books.rows("SELECT * FROM checkpoints"), books.rows("SELECT * FROM coupon_entries")
    records = [record(stale.seq + 1, epoch=stale.epoch)]
    batch = read_batch(stale, records, unranged=False)

    for attempt in (
        ledger.commit(SHARD, stale, batch, booked(stale, records)),
        ledger.stop_shard("c/0", stale, Break("seq_gap", {}, {})),
        ledger.resume_shard("c/0", stale),
    ):
        with pytest.raises(Fenced):
            await attempt
    assert (books.rows("SELECT * FROM checkpoints"), books.rows("SELECT * FROM coupon_entries")) == before
    assert books.open_breaks() == []
    await ledger.close()


def test_a_posting_cannot_be_unbalanced(books: Books) -> None:
    """An amount is positive and its accounts differ; balances of the unit book sum to zero."""
    insert = "INSERT INTO postings VALUES (1, 9, %s, %s, 'coupon:c', %s)"
    for values in (("stock", "stock", 1), ("stock", "supply", 0), ("stock", "supply", -1)):
        with pytest.raises(psycopg.errors.CheckViolation):
            books.rows(insert, *values)
    assert sum(books.balances().values()) == 0
