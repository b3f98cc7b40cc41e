"""Pure: what a journal made by hand may say."""

import re
from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from gateway.campaigns.broken import MINOR_MAX, Broken, Found, is_text, text_rule
from gateway.campaigns.currencies import CURRENCIES
from reconciler.accounts import PAYABLE
from reconciler.books.asked import FIRST_DAY
from reconciler.books.chart import Entry, look_up

LINES_MAX = 200
REASON_CHARS_MAX = 500
ATTACHMENT_CHARS_MAX = 500
AHEAD_DAYS_MAX = 366
ORDER_CHARS_MAX = 255

_SHARD = re.compile(r"([a-z0-9][a-z0-9-]{0,62})/(?:0|[1-9][0-9]{0,4})")


class DraftLine(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """
    *minor* of *commodity* to *debit*, from *credit*. Units: minor units of a currency, or coupons.

    *order_id* is the order whose difference the line settles: then one side is what a merchant is owed.
    """

    debit: str
    credit: str
    commodity: str
    minor: int
    order_id: str | None = None


class Draft(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """
    A journal as a person makes it; *attachment* says where its voucher is.

    *about* is the shard whose coupons or budget it is about. *reverses* is a manual journal that was posted: then it
    has no lines of its own, because they are the opposite. *settles* is a file of another system, whose differences the
    lines settle that name an order.
    """

    effective_date: date
    reason: str
    entity: str = "main"
    attachment: str = ""
    about: str | None = None
    reverses: int | None = None
    settles: str | None = None
    lines: tuple[DraftLine, ...] = ()


def campaign_of(about: str | None) -> str | None:
    """The campaign of the shard that a journal is about; None where it is about none, or that is no shard."""
    match = None if about is None else _SHARD.fullmatch(about)
    return match[1] if match is not None else None


def broken_rules(draft: Draft, today: date) -> Found:
    """Every rule that *draft* does not keep; *today* is that of its entity."""
    if not is_text(draft.reason, REASON_CHARS_MAX):
        yield Broken("reason", text_rule(REASON_CHARS_MAX))
    if draft.attachment and not is_text(draft.attachment, ATTACHMENT_CHARS_MAX):
        yield Broken("attachment", f"empty, or {text_rule(ATTACHMENT_CHARS_MAX)}")
    last = today + timedelta(days=AHEAD_DAYS_MAX)
    if not FIRST_DAY <= draft.effective_date <= last:
        yield Broken("effective_date", f"from {FIRST_DAY} to {last}")
    if draft.about is not None and campaign_of(draft.about) is None:
        yield Broken("about", "a shard, such as demo/0")
    if draft.reverses is not None:
        if not 1 <= draft.reverses < 1 << 63:
            yield Broken("reverses", "the number of a journal")
        if draft.lines or draft.about is not None or draft.settles is not None:
            rule = "none, and nothing about a shard or a file: those of the journal that is reversed are taken"
            yield Broken("lines", rule)
        return
    if not 1 <= len(draft.lines) <= LINES_MAX:
        yield Broken("lines", f"1 to {LINES_MAX}")
    for number, line in enumerate(draft.lines[:LINES_MAX]):
        yield from _broken_line(f"lines[{number}]", line, draft.about)
        if line.order_id is not None:
            yield from _broken_order(f"lines[{number}]", line, draft.settles)
    if draft.settles is not None and not any(line.order_id for line in draft.lines):
        yield Broken("lines", "one that names its order_id, to settle a file")


def _broken_line(at: str, line: DraftLine, about: str | None) -> Found:
    if not 1 <= line.minor <= MINOR_MAX:
        yield Broken(f"{at}.minor", f"a whole number from 1 to {MINOR_MAX}; debit and credit say the direction")
    of = campaign_of(about)
    is_units = line.commodity == f"coupon:{of}" and of is not None
    if not is_units and line.commodity not in CURRENCIES:
        yield Broken(f"{at}.commodity", "a currency of ISO 4217, or coupon:<campaign> of the shard that it is about")
    if line.debit == line.credit:
        yield Broken(f"{at}.credit", "another account than debit")
    for side, name in (("debit", line.debit), ("credit", line.credit)):
        entry = look_up(name) if is_text(name, 256) else None
        if entry is None:
            yield Broken(f"{at}.{side}", "an account of the chart (docs/accounting.md)")
            continue
        yield from _broken_side(f"{at}.{side}", entry, of, is_units=is_units)


def _broken_order(at: str, line: DraftLine, settles: str | None) -> Found:
    if settles is None or not is_text(line.order_id or "", ORDER_CHARS_MAX):
        yield Broken(f"{at}.order_id", f"an order of the file that it settles, {text_rule(ORDER_CHARS_MAX)}")
    if is_owed(line.debit) == is_owed(line.credit):
        yield Broken(f"{at}.debit", "payable on one of the two sides: what a merchant is owed for the order changes")


def is_owed(account: str) -> bool:
    """Whether *account* is what a merchant is owed, or nobody in particular."""
    return account.partition(":")[0] == PAYABLE


def _broken_side(at: str, entry: Entry, of: str | None, *, is_units: bool) -> Found:
    if (entry.book == "units") != is_units:
        yield Broken(at, "coupons move between accounts of coupons, money between accounts of money")
    if entry.control and of is None:
        yield Broken(at, "the total of a sub-ledger: say in about which shard it is about")
    if entry.control and entry.of == "campaign" and of is not None and entry.name != of:
        yield Broken(at, "of the campaign that it is about")


def campaigns_in(lines: Sequence[DraftLine]) -> set[str]:
    """The campaigns that accounts of *lines* are named after."""
    entries = [look_up(name) for line in lines for name in (line.debit, line.credit)]
    return {entry.name for entry in entries if entry is not None and entry.of == "campaign" and entry.name}
