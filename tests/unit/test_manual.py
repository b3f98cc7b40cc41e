"""A manual journal that was approved → what is posted, and what is refused at the last."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from reconciler.manual import ManualJournal, NotPosted, journal_of
from reconciler.postings import Posting

LINE = {"debit": "payable:m-1", "credit": "suspense:promotion:c", "commodity": "CNY", "minor": 500}
UNITS = {"debit": "expired", "credit": "outstanding", "commodity": "coupon:c", "minor": 1}
MANUAL = ManualJournal(
    "mj_1", "main", date(2026, 11, 22), None, None, None, "why", [LINE], datetime(2026, 11, 23, 12, tzinfo=UTC)
)


def test_it_credits_and_debits_what_its_lines_say() -> None:
    """A line goes from the account it credits to the one it debits, in the chain of the entity; it says who and why."""
    journal = journal_of(replace(MANUAL, reverses=7), 3, None)

    assert journal.postings == (Posting("suspense:promotion:c", "payable:m-1", "CNY", 500),)
    assert (journal.shard, journal.verb, journal.first_seq, journal.last_seq) == ("manual:main", "manual", 3, 3)
    assert (journal.entity, journal.ref, journal.reason, journal.reverses) == ("main", "mj_1", "why", 7)
    assert (journal.effective_date, journal.original_date) == (date(2026, 11, 22), None)
    assert journal.occurred_ms == 1_795_435_200_000


def test_a_closed_date_is_moved_as_any_other() -> None:
    """What was approved just before a close is booked on the first open date, and keeps its own."""
    journal = journal_of(MANUAL, 1, date(2026, 11, 30))
    assert (journal.effective_date, journal.original_date) == (date(2026, 12, 1), date(2026, 11, 22))


def test_units_are_moved_of_the_shard_it_is_about() -> None:
    """Lines of coupons and of money go together where the journal says of which shard they are."""
    journal = journal_of(replace(MANUAL, about="c/0", about_entity="main", lines=[UNITS, LINE]), 1, None)
    assert journal.postings[0] == Posting("outstanding", "expired", "coupon:c", 1)
    assert journal.about == "c/0"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"lines": []}, "no lines"),
        ({"lines": {"debit": "a"}}, "no lines"),
        ({"lines": ["debit"]}, "no object"),
        ({"lines": [None]}, "no object"),
        ({"lines": [{**LINE, "minor": True}]}, "no amount"),
        ({"lines": [{**LINE, "minor": 0}]}, "no amount"),
        ({"lines": [{**LINE, "minor": "500"}]}, "no amount"),
        ({"lines": [{**LINE, "minor": -1}]}, "no amount"),
        ({"lines": [{**LINE, "credit": "payable:m-1"}]}, "two accounts"),
        ({"lines": [{"minor": 1}]}, "two accounts"),
        ({"lines": [{**LINE, "debit": "income:gambling"}]}, "income:gambling"),
        ({"lines": [{**LINE, "debit": "stock"}]}, "stock"),
        ({"lines": [{**LINE, "commodity": "yuan"}]}, "no currency"),
        ({"lines": [UNITS]}, "no currency, nor the coupons"),
        ({"lines": [UNITS], "about": "d/0", "about_entity": "main"}, "no currency, nor the coupons"),
        ({"lines": [{**UNITS, "debit": "payable"}], "about": "c/0", "about_entity": "main"}, "payable"),
        ({"about": "c/9"}, "c/9 is no shard in the books of main"),
        ({"about": "c/0", "about_entity": "other"}, "c/0 is no shard in the books of main"),
    ],
    ids=str,
)
def test_what_the_books_do_not_take_is_refused(changes: dict[str, Any], why: str) -> None:
    """Accounts outside of the chart, books that mix, and units of nowhere are refused with a reason."""
    with pytest.raises(NotPosted, match=why):
        journal_of(replace(MANUAL, **changes), 1, None)
