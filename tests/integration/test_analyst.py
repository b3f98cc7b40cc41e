"""What a BI tool may read: the views that are documented, nothing else, and no code."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from gateway.campaigns.currencies import CURRENCIES, exponent
from loadtest.bulk.making import make
from loadtest.bulk.plan import Size
from tests.integration.draining import Books

DOCS = Path(__file__).parents[2] / "docs"
SIZE = Size(coupons=400, campaigns=4, shards=1, stores=3)

_BLOCKS = re.findall(r"```sql\n(.*?)```", (DOCS / "finance.md").read_text(encoding="utf-8"), re.DOTALL)
MAKING, *EXAMPLES = ["\n".join(line for line in block.splitlines() if not line.startswith("--")) for block in _BLOCKS]
LOGIN = "metabase"


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """Books with something in each view."""
    make(postgres_url, SIZE, 1, lambda *_: None)
    with Books(postgres_url) as books:
        yield books


@pytest.fixture
def login(postgres_url: str) -> Iterator[str]:
    """A login made as docs/finance.md says."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for statement in filter(str.strip, MAKING.split(";")):
            connection.execute(statement.encode())
        yield make_conninfo(postgres_url, user=LOGIN, password="choose one")
        connection.execute(f"DROP ROLE {LOGIN}".encode())


def test_a_login_reads_every_view_of_its_list(books: Books, login: str) -> None:
    """Each view that the page names for it can be read, and has rows where books with a year of sales have some."""
    views = _granted(books)
    empty = set()
    with psycopg.connect(login, autocommit=True) as connection:
        for view in views:
            row = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier(view))).fetchone()
            if row is None:
                empty.add(view)

    assert empty == {"v_periods", "v_breaks"}
    listed = (DOCS / "schema.md").read_text(encoding="utf-8").partition("## Views for a BI tool")[2]
    assert {view for view in views if f"| `{view}` |" in listed} == views - _of_the_books()


def test_the_examples_of_the_page_run_for_it(books: Books, login: str) -> None:
    """Each query of docs/finance.md has rows, and the net discounts it shows are those of the books."""
    with psycopg.connect(login, autocommit=True) as connection:
        net, used = [
            connection.execute(statement.encode()).fetchall()
            for example in EXAMPLES
            for statement in filter(str.strip, example.split(";"))
        ]

    assert books.value("SELECT sum(minor - rolled_back_minor) FROM redemptions") == sum(
        row[3] * (1 if row[2] == "JPY" else 100) for row in net
    )
    assert sum(row[2] or 0 for row in used) == SIZE.coupons


def test_a_login_reads_no_table_and_writes_nothing(books: Books, login: str) -> None:
    """No table, no view with a code in it, and no right but to read: the server refuses each."""
    tables = [name for (name,) in books.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    has = "SELECT has_table_privilege('fairclaim_analyst', %s, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
    any_column = "SELECT has_any_column_privilege('fairclaim_analyst', %s, 'SELECT, INSERT, UPDATE, REFERENCES')"
    assert [name for name in tables if books.value(has, name) or books.value(any_column, name)] == []
    shown = books.rows(
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 "
        "WHERE relname = ANY (%s) AND attname IN ('code', 'idem', 'detail', 'entry_id')",
        list(_granted(books)),
    )
    assert shown == []
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in (
            "SELECT code FROM coupons",
            "SELECT * FROM v_coupon_movements",
            "SELECT * FROM api_keys",
            "DELETE FROM v_journals",
            "UPDATE v_periods SET state = 'open'",
            "INSERT INTO v_breaks (shard) VALUES ('x')",
            "CREATE TABLE mine (a integer)",
            "SET ROLE fairclaim_gateway",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_views_agree_with_each_other(books: Books) -> None:
    """Whichever view it is summed over, a campaign's discounts are the same to the minor unit."""
    [*sums] = books.rows(
        """
        SELECT campaign, currency, sum(discount_minor), sum(rolled_back_minor),
            (SELECT sum(f.minor) FROM v_redemption_funders AS f WHERE f.campaign = r.campaign),
            (SELECT sum(b.minor) FROM v_rollbacks AS b WHERE b.campaign = r.campaign),
            (SELECT sum(m.minor) FROM v_daily_movements AS m WHERE m.campaign = r.campaign AND verb = 'redeem'),
            (SELECT sum(m.minor) FROM v_daily_movements AS m WHERE m.campaign = r.campaign AND verb = 'rollback'),
            (SELECT sum(s.minor) FROM v_state_changes AS s WHERE s.campaign = r.campaign AND kind = 'redeemed'),
            (SELECT sum(credit) FROM v_daily_accounts AS a WHERE a.campaign = r.campaign AND account LIKE 'payable:%'),
            (SELECT sum(debit) FROM v_daily_accounts AS a WHERE a.campaign = r.campaign AND account LIKE 'payable:%')
        FROM v_redemptions AS r GROUP BY campaign, currency"""
    )

    assert len(sums) == SIZE.campaigns
    for _, _, took, back, funders, rollbacks, redeemed, rolled_back, changes, given, taken in sums:
        assert took == funders == redeemed == changes == given > 0
        assert back == rollbacks == rolled_back == taken > 0


def test_every_currency_has_its_decimals(postgres_url: str) -> None:
    """v_currencies knows the minor unit of each currency that a campaign may have."""
    with psycopg.connect(postgres_url) as connection:
        for number, currency in enumerate(sorted(CURRENCIES)):
            connection.execute(
                "INSERT INTO campaigns (id, version, state, definition) VALUES (%s, 1, 'draft', '{}')", [f"c-{number}"]
            )
            connection.execute(
                "INSERT INTO campaign_versions (campaign, version, state, definition, changed_by)"
                " VALUES (%s, 1, 'draft', jsonb_build_object('currency', %s::text), 'test')",
                [f"c-{number}", currency],
            )
        found: dict[str, int] = dict(connection.execute("SELECT currency, decimals FROM v_currencies").fetchall())

    assert found == {currency: exponent(currency) for currency in CURRENCIES}


def _granted(books: Books) -> set[str]:
    rows = books.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace "
        "AND has_table_privilege('fairclaim_analyst', oid, 'SELECT')"
    )
    return {name for (name,) in rows}


def _of_the_books() -> set[str]:
    """Views of the books, which docs/accounting.md lists."""
    page = (DOCS / "accounting.md").read_text(encoding="utf-8")
    return {line.split("`")[1] for line in page.splitlines() if line.startswith("| `v_")} | {"v_balances"}
