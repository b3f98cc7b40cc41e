"""Breaks in words: what they are of, what each side of a difference is called, and what is likely."""

from typing import Any

import msgspec

from gateway.console.books.naming import value_words
from gateway.console.locales import N_, Words
from reconciler.stocktake.breaks import Break

KIND_WORDS = {
    "figure": N_("figure"),
    "coupon": N_("coupon"),
    "holder": N_("holder"),
    "outside": N_("file of another system"),
    "seq_gap": N_("gap in the stream"),
    "epoch_changed": N_("another history"),
    "behind": N_("Redis is behind"),
    "rules_missing": N_("not in Redis"),
    "shard_unreadable": N_("not readable"),
    "rows_refused": N_("rows refused"),
}
"""Kind of a break → what it is of, or what happened."""

DRAIN_WORDS = {
    "seq_gap": N_("the next record on the stream does not follow the last seq in the books"),
    "epoch_changed": N_("the shard in Redis belongs to another epoch than the books"),
    "behind": N_("the shard in Redis is older than the books"),
    "rules_missing": N_("the shard is not in Redis, and the books have rows of it"),
    "shard_unreadable": N_("a key of the shard is of a wrong type"),
    "rows_refused": N_("a constraint of the books refused the rows of a batch"),
}
"""Kind of a break of the drain → what it means: nobody has to guess at those."""

LIKELY = (
    N_("the shard in Redis is not the one these books know: the wrong Redis, or the wrong database"),
    N_(
        "Redis is older than the books: restored from a copy, failed over to a replica that was behind, or "
        "its stream was cut off"
    ),
    N_("the counter seq was changed by hand: the stream ends at another number"),
    N_("records of the shard are in quarantine, so what they changed is not in the books; replay them"),
    N_("the books were changed by hand: the accounts of the shard do not sum to zero"),
    N_("something else than the scripts wrote into Redis: what is there can't be read"),
    N_("the rules in Redis were changed by hand; the next version of the campaign writes them anew"),
    N_("the key was deleted in Redis, or it is the wrong Redis"),
    N_("some fields were deleted in Redis; a stocktake with more samples names them"),
    N_("something else than the scripts put fields into Redis"),
    N_(
        "several counters differ: a part of the shard was restored from a copy, or an older version of the "
        "scripts ran on it"
    ),
    N_("the key stock was set by hand, instead of by a stock adjustment"),
    N_("two accounts differ by as much: a unit was moved by hand, in Redis or in the books"),
    N_("one figure alone differs: the counter in Redis, or the row in the books, was changed by hand"),
    N_("it was deleted in Redis"),
    N_("its rows were deleted in the books, or something else than the scripts put it into Redis"),
    N_("the hold was changed by hand, or lost with a key; the sweeper frees it when its time is over"),
    N_("one of its two records was changed by hand; its rows in coupon_entries say which"),
    N_("the other system sent the file, or a part of it, twice"),
    N_("orders of another period, entity or currency are in the file, or a redemption never came here"),
    N_("orders were cancelled there and not rolled back here, or the file is cut short"),
    N_("a refund was booked on one side only"),
)
"""Everything that is ever likely, as it is kept."""

FIELD_WORDS = {
    "after": N_("after the record"),
    "budget": N_("budget"),
    "budget_left": N_("budget left"),
    "claimed": N_("claimed"),
    "claimed_ms": N_("claimed, ms"),
    "claims": N_("claims"),
    "constraint": N_("constraint"),
    "count": N_("count"),
    "coupons": N_("coupons"),
    "day_claims": N_("claims of the day"),
    "differences": N_("differences"),
    "entry_id": N_("record"),
    "epoch": N_("epoch"),
    "error": N_("error"),
    "expired": N_("expired"),
    "expires_ms": N_("expires, ms"),
    "held": N_("holds on it"),
    "hex": N_("bytes"),
    "hold_ms": N_("held until, ms"),
    "holder": N_("holder"),
    "holds": N_("holds on coupons"),
    "last_seq": N_("last number"),
    "left": N_("left of it"),
    "order": N_("order"),
    "outstanding": N_("outstanding"),
    "per_day": N_("limit a day"),
    "per_holder": N_("limit a holder"),
    "per_holder_per_day": N_("limit a holder and day"),
    "redeemed": N_("redeemed"),
    "redemptions": N_("redemptions"),
    "reserved": N_("reserved"),
    "returned": N_("returned"),
    "revoked": N_("revoked"),
    "seq": N_("number"),
    "shard": N_("shard"),
    "state": N_("state"),
    "stock": N_("stock"),
    "unit": N_("budget of one coupon"),
    "until": N_("up to the number"),
    "until_ms": N_("reserved until, ms"),
    "value": N_("value"),
}
"""A figure, or a field of a coupon, a holder or a record → what it is called."""


def likely(one: Break, words: Words) -> str:
    """What a break most likely comes from, or for one of the drain what it means; other words are left as they are."""
    if not one.likely:
        return words.say(DRAIN_WORDS[one.kind]) if one.kind in DRAIN_WORDS else ""
    parts = [one.likely] if one.likely in LIKELY else one.likely.split("; ")
    return words.say(N_("; ")).join(words.say(part) if part in LIKELY else part for part in parts)


def place_of(one: Break, words: Words) -> tuple[str, str]:
    """What a break is of, and of what kind that is where it does not say so: a figure, a code, a holder, a file."""
    kind = words.say(KIND_WORDS[one.kind]) if one.kind in KIND_WORDS else one.kind
    if not one.figure:
        return kind, ""
    return field_name(one.figure, words) if one.kind == "figure" else one.figure, kind


def spelt(value: Any, words: Words) -> list[tuple[str, str]]:
    """One side of a difference: a single figure needs no name, and what was written there by hand may be anything."""
    named = value if isinstance(value, dict) else {"value": value}
    if named.keys() == {"value"}:
        return [("", _value("", named["value"], words))]
    return [(field_name(name, words), _value(name, each, words)) for name, each in named.items()]


def field_name(name: str, words: Words) -> str:
    """What a figure or a field is called; one that nobody knows as it is."""
    return words.say(FIELD_WORDS[name]) if name in FIELD_WORDS else name


def _value(name: str, value: Any, words: Words) -> str:
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    said = value_words(name, value)
    return words.say(said) if said else value
