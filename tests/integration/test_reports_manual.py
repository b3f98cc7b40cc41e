"""What people book by hand is in the reports as what it is, and they still agree."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from gateway.stack.postgres import Postgres
from tests.integration.reporting import Reports, post, year_of
from tests.integration.yearbook import QUIET

DAY = date(2026, 10, 20)


@pytest.fixture(scope="module")
def year(postgres_server: Postgres) -> Iterator[Reports]:
    """Books of three months; each test books on accounts of its own."""
    with year_of(postgres_server) as year:
        yield year


def book(year: Reports, id_: str, *lines: tuple[str, str, str, int], about: str | None = None) -> None:
    """A manual journal of DAY."""
    assert post(year.books, id_, DAY, *lines, about=about) == "posted"


def one(year: Reports, name: str, **asked: Any) -> dict[str, Any]:
    """The one row of a report."""
    [row] = year.rows(name, **asked)
    return row


def test_what_is_settled_by_hand_is_no_rollback(year: Reports) -> None:
    """A payment to a merchant and a correction of a funder's share: in settled, and the last line of the statement."""
    asked = {"merchant": "m-1", "until": QUIET[1]}
    before = next(row for row in year.rows("merchant-settlement", **asked) if row["currency"] == "CNY")
    book(year, "j-1", ("payable:m-1", "clearing:gift:card", "CNY", 300))
    book(year, "j-2", ("expense:promotion:brand", "expense:promotion:platform", "CNY", 7))

    after = next(row for row in year.rows("merchant-settlement", **asked) if row["currency"] == "CNY")
    assert after == {**before, "settled_minor": 300, "closing_minor": before["closing_minor"] - 300}
    stated = [row for row in year.rows("merchant-statement", **asked) if row["currency"] == "CNY"]
    manual = next(row for row in stated if row["act"] == "manual")
    assert (manual["effective_date"], manual["redemption"], manual["settled_minor"]) == (DAY, "j-1", 300)
    assert stated[-1]["balance_minor"] == after["closing_minor"]
    moved = {row["funder"]: row["settled_minor"] for row in year.rows("funder-settlement", until=QUIET[1])
             if row["currency"] == "CNY"}  # fmt: skip
    assert moved == {"brand": -7, "platform": 7}
    balance = {row["account"]: row for row in year.rows("trial-balance") if row["currency"] == "CNY"}
    for row in year.rows("merchant-settlement") + year.rows("funder-settlement"):
        kind, sign = ("payable", 1) if "merchant" in row else ("expense:promotion", -1)
        if row["currency"] == "CNY":
            found = balance[f"{kind}:{row.get('merchant', row.get('funder'))}"]
            assert sign * row["closing_minor"] == found["closing_credit"] - found["closing_debit"]


def test_a_stock_difference_that_is_booked_is_a_correction(year: Reports) -> None:
    """Three coupons found, two lost with what they may have cost: roll-forward and balances say so, and agree."""
    asked = {"campaign": "tea", "until": QUIET[1]}
    units, worth = one(year, "roll-forward", **asked), one(year, "roll-forward-money", **asked)
    book(year, "j-3", ("stock", "supply", "coupon:tea", 3), about="tea/0")
    lost = ("supply", "outstanding", "coupon:tea", 2), ("budget:available", "commitment:tea", "CNY", 1000)
    book(year, "j-4", *lost, about="tea/1")

    found = one(year, "roll-forward", **asked)
    assert found == {
        **units, "stock_corrected": 3, "stock_closing": units["stock_closing"] + 3, "out_corrected": -2,
        "out_closing": units["out_closing"] - 2,
    }  # fmt: skip
    money = one(year, "roll-forward-money", **asked)
    closing = worth["out_closing_minor"] - 1000
    assert money == {**worth, "out_corrected_minor": -1000, "out_closing_minor": closing}
    accounts = {row["account"]: row["closing"] for row in year.rows("unit-balance", **asked)}
    assert accounts["stock"] == found["stock_closing"]
    assert accounts["outstanding"] + accounts.get("reserved", 0) == found["out_closing"]
    committed = one(year, "trial-balance", account="commitment:tea", until=QUIET[1])
    assert committed["closing_debit"] == closing
    before = one(year, "roll-forward", campaign="tea", until=date(2026, 10, 19))
    assert (before["stock_corrected"], before["out_corrected"]) == (0, 0)
