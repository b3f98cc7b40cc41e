"""The reports in words: each report, each column, each file format, each thing that may be asked for."""

from collections.abc import Sequence

from gateway.console.accounting import UNIT_WORDS
from gateway.console.locales import N_

GROUPS = (
    (N_("Balances"), ("trial-balance", "unit-balance", "roll-forward", "roll-forward-money")),
    (N_("Settlement"), ("merchant-settlement", "funder-settlement", "merchant-statement", "funder-statement")),
    (N_("Campaigns"), ("campaign-profit", "performance", "redemption-lag")),
    (N_("What is out"), ("ageing-coupons", "ageing-commitments", "expiry-forecast")),
    (N_("Every single one"), ("coupons", "entries", "redemptions", "rollbacks", "movements", "journal")),
)
"""Every report, as they are listed."""

REPORT_WORDS = {
    "trial-balance": (N_("Trial balance"), N_("Each account of the money book: before, debited, credited, after.")),
    "unit-balance": (N_("Unit balance"), N_("Each account of the unit book: coupons before, in, out, after.")),
    "roll-forward": (N_("Coupon roll-forward"), N_("Opening, every movement, closing, in coupons.")),
    "roll-forward-money": (N_("Coupon roll-forward in money"), N_("The same, each coupon at the most it may cost.")),
    "campaign-profit": (N_("Campaign profit and loss"), N_("What each campaign cost and what it brought.")),
    "merchant-settlement": (N_("Settlement by merchant"), N_("What each merchant is owed.")),
    "funder-settlement": (N_("Settlement by funder"), N_("What each funder bears.")),
    "merchant-statement": (
        N_("Statement of a merchant"),
        N_("Each redemption and rollback, and what is owed after it."),
    ),
    "funder-statement": (N_("Statement of a funder"), N_("A funder’s share of each, and what is borne after it.")),
    "ageing-coupons": (
        N_("Ageing of coupons"),
        N_("Coupons that are out, by how long ago they were claimed or issued."),
    ),
    "ageing-commitments": (N_("Ageing of commitments"), N_("The most that those may cost, by the same ages.")),
    "expiry-forecast": (N_("Expiry forecast"), N_("Coupons that are out, by when they expire.")),
    "performance": (N_("Performance"), N_("Redemptions, orders and discounts by channel, store or staff.")),
    "redemption-lag": (
        N_("From claim to redemption"),
        N_("How many were redeemed within an hour, a day, a week, a month."),
    ),
    "coupons": (N_("All coupons"), N_("Every coupon and code, as it stands.")),
    "entries": (N_("State changes"), N_("Every state change, in the order it was numbered: the sub-ledger.")),
    "redemptions": (N_("Redemptions"), N_("Every redemption, and what was given back of it.")),
    "rollbacks": (N_("Rollbacks"), N_("Every rollback, of a part or of the whole.")),
    "movements": (N_("Postings"), N_("Every posting of every journal, of both books.")),
    "journal": (N_("Day book"), N_("Both sides of every posting of the money book, by date.")),
}
"""Report → what it is called and what it says."""

FORMAT_WORDS = {
    "csv": N_("CSV"),
    "xlsx": N_("Excel"),
    "json": N_("JSON"),
    "ndjson": N_("JSON lines"),
    "parquet": N_("Parquet"),
    "beancount": N_("Beancount"),
}

ASK_WORDS = {
    "since": N_("From"),
    "until": N_("Up to"),
    "as_of": N_("As of"),
    "entity": N_("Legal entity"),
    "campaign": N_("Campaign"),
    "channel": N_("Channel"),
    "store": N_("Store"),
    "merchant": N_("Merchant"),
    "funder": N_("Funder"),
    "account": N_("Account"),
    "basis": N_("By which date"),
    "zone": N_("Time zone"),
    "by": N_("Rows by"),
}
"""What may be asked of a report, in the order of the form."""

BASIS_WORDS = {
    "effective": N_("Effective date"),
    "occurred": N_("Date it happened"),
    "posted": N_("Date it was posted"),
}

COLUMN_WORDS = {
    "account": N_("Account"),
    "act": N_("Act"),
    "about": N_("About"),
    "actor": N_("Who"),
    "at": N_("When"),
    "back_rate": N_("Given back, share"),
    "balance": N_("Balance"),
    "batch": N_("Code batch"),
    "came_in": N_("Came in"),
    "campaign": N_("Campaign"),
    "changed_seq": N_("Last change"),
    "channel": N_("Channel"),
    "claimed": N_("Claimed"),
    "claimed_at": N_("Claimed or issued"),
    "closing": N_("Closing"),
    "closing_credit": N_("Closing credit"),
    "closing_debit": N_("Closing debit"),
    "code": N_("Code"),
    "commodity": N_("Commodity"),
    "conversion": N_("Conversion"),
    "cost": N_("Cost"),
    "cost_each": N_("Cost each"),
    "coupons": N_("Coupons"),
    "credit": N_("Credit"),
    "currency": N_("Currency"),
    "date": N_("Date"),
    "day": N_("Day"),
    "days_0_7": N_("0–7 days"),
    "days_181_more": N_("181 days or more"),
    "days_31_90": N_("31–90 days"),
    "days_8_30": N_("8–30 days"),
    "days_91_180": N_("91–180 days"),
    "debit": N_("Debit"),
    "destination": N_("To account"),
    "discount": N_("Discount"),
    "effective_date": N_("Effective date"),
    "entity": N_("Legal entity"),
    "entry_id": N_("Record"),
    "epoch": N_("Epoch"),
    "expired": N_("Expired"),
    "expires_at": N_("Expires"),
    "first_seq": N_("First change"),
    "funder": N_("Funder"),
    "given": N_("Given"),
    "given_back": N_("Given back"),
    "given_out": N_("Given out"),
    "holder": N_("Holder"),
    "issued": N_("Issued"),
    "journal": N_("Journal"),
    "kind": N_("What happened"),
    "last_seq": N_("Last change"),
    "left": N_("Left"),
    "line": N_("Line"),
    "merchant": N_("Merchant"),
    "minor": N_("Amount"),
    "month": N_("Month"),
    "name": N_("Campaign name"),
    "occurred_at": N_("Happened"),
    "opening": N_("Opening"),
    "opening_credit": N_("Opening credit"),
    "opening_debit": N_("Opening debit"),
    "order": N_("Orders"),
    "order_each": N_("Order each"),
    "order_id": N_("Order number"),
    "original_date": N_("Own date"),
    "out_closing": N_("Out after"),
    "out_corrected": N_("Out, corrected"),
    "out_opening": N_("Out before"),
    "posted_at": N_("Posted at"),
    "reason": N_("Reason"),
    "redeemed": N_("Redeemed"),
    "redeemed_at": N_("Redeemed at"),
    "redemption": N_("Redemption"),
    "redemptions": N_("Redemptions"),
    "ref": N_("Reference"),
    "reserved_until": N_("Held until"),
    "restocked": N_("Restocked"),
    "returned": N_("Returned"),
    "rows": N_("Rows"),
    "revoked": N_("Revoked"),
    "rollbacks": N_("Rollbacks"),
    "rolled_back": N_("Rolled back"),
    "seq": N_("Number"),
    "settled": N_("Settled"),
    "shard": N_("Shard"),
    "source": N_("From account"),
    "stack": N_("Stack"),
    "staff": N_("Staff"),
    "state": N_("State"),
    "stock_closing": N_("Stock after"),
    "stock_corrected": N_("Stock, corrected"),
    "stock_opening": N_("Stock before"),
    "store": N_("Store"),
    "taken_back": N_("Taken back"),
    "units": N_("Units"),
    "unredeemed": N_("Not redeemed"),
    "uplift": N_("Brought per 1 of cost"),
    "use_rate": N_("Use rate"),
    "used": N_("Used"),
    "verb": N_("Act"),
    "version": N_("Version"),
    "went_out": N_("Went out"),
    "within_day": N_("Within a day"),
    "within_hour": N_("Within an hour"),
    "within_month": N_("Within 30 days"),
    "within_week": N_("Within a week"),
    "withdrawn": N_("Withdrawn"),
}
"""Column → its head. One that ends in _minor is called as the one without."""


VERB_WORDS = {
    "restock": N_("Stock put in"),
    "withdraw": N_("Stock taken out"),
    "claim": N_("Claim"),
    "issue": N_("Codes made"),
    "reserve": N_("Hold for an order"),
    "release": N_("Hold let go"),
    "redeem": N_("Redemption"),
    "rollback": N_("Rollback"),
    "expire": N_("Expiry"),
    "revoke": N_("Revocation"),
    "manual": N_("By hand"),
    "opening": N_("Brought forward"),
}
"""Verb of a journal → what was done."""

KIND_WORDS = {
    "claimed": N_("Claimed"),
    "issued": N_("Made in a batch"),
    "adjusted": N_("Stock changed"),
    "published": N_("Published"),
    "attached": N_("Tied to an order"),
    "reserved": N_("Held for an order"),
    "released": N_("Let go"),
    "redeemed": N_("Redeemed"),
    "rolled_back": N_("Given back"),
    "expired": N_("Expired"),
    "revoked": N_("Revoked"),
    "manual": N_("By hand"),
    "opening": N_("Brought forward"),
}
"""Kind of a state change, act of a statement, state of a coupon → what it is."""

_VALUES = {
    **{"verb": VERB_WORDS, "kind": KIND_WORDS, "act": KIND_WORDS, "state": KIND_WORDS},
    **dict.fromkeys(("account", "source", "destination", "debit", "credit"), UNIT_WORDS),
}


def value_words(column: str, value: str) -> str:
    """What *value* of *column* is called, as a message; empty where it is a name of its own."""
    return _VALUES.get(column, {}).get(value, "")


_STATED = "effective_date act currency given_minor taken_back_minor settled_minor balance_minor"
_FIRST = {
    "merchant-statement": f"merchant {_STATED}",
    "funder-statement": f"funder {_STATED}",
    "coupons": "code state holder claimed_at expires_at units left order_id",
    "entries": "seq at kind code holder units currency minor source destination",
    "redemptions": "redeemed_at code currency minor given_back_minor cost_minor order_minor order_id merchant store",
    "rollbacks": "at code currency minor reason order_id merchant store",
    "movements": "journal line effective_date verb debit credit commodity units minor",
    "journal": "date journal line verb account currency debit credit reason",
}
"""Report of single things → the columns that a screen has first; a file has them as the report does."""


def on_screen(report: str, columns: Sequence[str]) -> list[int]:
    """The places of *columns* in the order that a screen has them in."""
    first = [columns.index(name) for name in _FIRST.get(report, "").split()]
    return first + [at for at in range(len(columns)) if at not in first]


_OWED = {
    "merchant-settlement": {
        "opening": N_("Owed before"),
        "given": N_("Discounts given"),
        "taken_back": N_("Taken back"),
        "settled": N_("Settled by hand"),
        "closing": N_("Owed"),
    },
    "funder-settlement": {
        "opening": N_("Borne before"),
        "given": N_("Share of discounts"),
        "taken_back": N_("Taken back"),
        "settled": N_("Settled by hand"),
        "closing": N_("Borne"),
    },
}
"""Report → what its figures are called, where that says more."""


def head(column: str, report: str = "") -> str:
    """The head of *column* in *report*, as a message."""
    if said := _OWED.get(report, {}).get(column.removesuffix("_minor")):
        return said
    return COLUMN_WORDS.get(column) or COLUMN_WORDS[column.removesuffix("_minor")]
