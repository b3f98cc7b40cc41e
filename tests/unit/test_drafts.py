"""What a journal made by hand may say, rule by rule."""

from datetime import date
from typing import Any

import msgspec
import pytest

from gateway.finance.drafts import Draft, broken_rules, campaigns_in

PAYOUT = {"debit": "payable:m-1", "credit": "clearing:bank", "commodity": "CNY", "minor": 1250}
BODY = {"effective_date": "2026-11-10", "reason": "Paid out", "attachment": "page 3", "lines": [PAYOUT]}
TODAY = date(2026, 11, 29)


def a_draft(**changes: Any) -> Draft:
    """A draft that keeps every rule, but for *changes*."""
    return msgspec.convert({**BODY, **changes}, Draft)


def a_line(**changes: Any) -> list[dict[str, Any]]:
    """One line."""
    return [{**PAYOUT, **changes}]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": a_line() * 201}, "lines"),
        ({"lines": a_line(minor=0)}, "lines[0].minor"),
        ({"lines": a_line(minor=-5)}, "lines[0].minor"),
        ({"lines": a_line(minor=1 << 53)}, "lines[0].minor"),
        ({"lines": a_line() + a_line(commodity="XXX")}, "lines[1].commodity"),
        ({"lines": a_line(commodity="coupon:c")}, "lines[0].commodity"),
        ({"lines": a_line(debit="cash")}, "lines[0].debit"),
        ({"lines": a_line(debit="payable:")}, "lines[0].debit"),
        ({"lines": a_line(debit="payable:" + "x" * 129)}, "lines[0].debit"),
        ({"lines": a_line(debit="payable:\0")}, "lines[0].debit"),
        ({"lines": a_line(credit="payable:m-1")}, "lines[0].credit"),
        ({"lines": a_line(credit="commitment:c")}, "lines[0].credit"),
        ({"lines": a_line(credit="budget:available")}, "lines[0].credit"),
        ({"lines": a_line(credit="commitment:d"), "about": "c/0"}, "lines[0].credit"),
        ({"lines": a_line(credit="liability:gift"), "about": "c/0"}, "lines[0].credit"),
        ({"lines": a_line(debit="stock"), "about": "c/0"}, "lines[0].debit"),
        ({"lines": a_line(debit="stock", commodity="coupon:c"), "about": "c/0"}, "lines[0].credit"),
        ({"lines": a_line(debit="stock", credit="supply", commodity="coupon:d"), "about": "c/0"}, "lines[0].commodity"),
        ({"about": "c"}, "about"),
        ({"about": "c/00"}, "about"),
        ({"effective_date": "1999-12-31"}, "effective_date"),
        ({"effective_date": "2027-12-01"}, "effective_date"),
        ({"reason": " "}, "reason"),
        ({"attachment": "a\nb"}, "attachment"),
        ({"reverses": 0, "lines": []}, "reverses"),
        ({"reverses": 7}, "lines"),
        ({"reverses": 7, "lines": [], "about": "c/0"}, "lines"),
        ({"reverses": 7, "lines": [], "settles": "of_0"}, "lines"),
        ({"settles": "of_0"}, "lines"),
        ({"lines": a_line(order_id="o-1")}, "lines[0].order_id"),
        ({"lines": a_line(order_id=""), "settles": "of_0"}, "lines[0].order_id"),
        ({"lines": a_line(order_id="o-1", debit="clearing:gift"), "settles": "of_0"}, "lines[0].debit"),
        ({"lines": a_line(order_id="o-1", credit="payable:m-2"), "settles": "of_0"}, "lines[0].debit"),
    ],
)  # fmt: skip
def test_a_rule_that_is_broken_is_named(changes: dict[str, Any], field: str) -> None:
    """Each draft breaks at least one rule, and the first to be told is of the field that is wrong."""
    assert next(iter(broken_rules(a_draft(**changes), TODAY))).field == field


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lines": a_line(debit="payable")},
        {"lines": a_line(debit="income:breakage:c", credit="clearing:gift:c"), "attachment": ""},
        {"lines": a_line(debit="expense:promotion:a", credit="suspense:promotion:c", commodity="JPY")},
        {"lines": a_line(debit="stock", credit="supply", commodity="coupon:c"), "about": "c/0"},
        {"lines": a_line(debit="commitment:c", credit="budget:available"), "about": "c/7"},
        {"reverses": 7, "lines": []},
        {"lines": a_line() + a_line(order_id="o-1"), "settles": "of_0"},
        {"effective_date": "2027-11-30"},
    ],
)
def test_what_keeps_every_rule_is_a_draft(changes: dict[str, Any]) -> None:
    """Payouts, corrections between accounts, a stocktake's difference, a file's, a reversal."""
    assert list(broken_rules(a_draft(**changes), TODAY)) == []


def test_the_campaigns_that_accounts_are_named_after() -> None:
    """Those of the lines that say one; merchants and funders are no campaigns."""
    lines = a_line(debit="income:breakage:c", credit="clearing:gift:d") + a_line(debit="suspense:promotion") + a_line()

    assert campaigns_in(a_draft(lines=lines).lines) == {"c", "d"}
