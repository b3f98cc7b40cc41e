"""Pure: what a difference most likely comes from. It is said of a break beside what was expected and found."""

from collections.abc import Callable
from typing import Any, NamedTuple

LIMITS = frozenset({"budget", "unit", "per_day", "per_holder", "per_holder_per_day"})
LENGTHS = frozenset({"coupons", "redemptions", "holds"})


class Evidence(NamedTuple):
    """
    One difference and what else is known of its shard.

    *kind* is figure, coupon or holder, *name* which one. *differing* are all figures that differ; *quarantined* counts
    the records that wait for replay; *balanced*: the accounts of the books sum to zero.
    """

    kind: str
    name: str
    expected: dict[str, Any]
    found: dict[str, Any]
    differing: frozenset[str]
    quarantined: int = 0
    balanced: bool = True


class Cause(NamedTuple):
    """One cause: *code* for programs, *text* for people, and *fits*, whether it would show so."""

    code: str
    text: str
    fits: Callable[[Evidence], bool]


def _figure(evidence: Evidence, *names: str) -> bool:
    return evidence.kind == "figure" and evidence.name in names


def _fewer(evidence: Evidence) -> bool:
    """Whether less was found than expected."""
    expected, found = evidence.expected.get("value"), evidence.found.get("value")
    return expected is not None and (found is None or found < expected)


CAUSES = (
    Cause(
        "another_shard",
        "the shard in Redis is not the one these books know: the wrong Redis, or the wrong database",
        lambda it: _figure(it, "epoch"),
    ),
    Cause(
        "older",
        "Redis is older than the books: restored from a copy, failed over to a replica that was behind, or its stream "
        "was cut off",
        lambda it: _figure(it, "seq") and "entry_id" in it.found,
    ),
    Cause(
        "seq_by_hand",
        "the counter seq was changed by hand: the stream ends at another number",
        lambda it: _figure(it, "seq"),
    ),
    Cause(
        "quarantine",
        "records of the shard are in quarantine, so what they changed is not in the books; replay them",
        lambda it: it.quarantined > 0,
    ),
    Cause(
        "books_by_hand",
        "the books were changed by hand: the accounts of the shard do not sum to zero",
        lambda it: it.kind == "figure" and not it.balanced,
    ),
    Cause(
        "overwritten",
        "something else than the scripts wrote into Redis: what is there can't be read",
        lambda it: "hex" in it.found,
    ),
    Cause(
        "rules_by_hand",
        "the rules in Redis were changed by hand; the next version of the campaign writes them anew",
        lambda it: it.kind == "figure" and it.name in LIMITS,
    ),
    Cause(
        "key_deleted",
        "the key was deleted in Redis, or it is the wrong Redis",
        lambda it: (
            (it.kind == "figure" and it.name in LENGTHS and it.found.get("value") == 0)
            or (_figure(it, "stock") and it.found.get("value") is None)
        ),
    ),
    Cause(
        "fields_deleted",
        "some fields were deleted in Redis; a stocktake with more samples names them",
        lambda it: it.kind == "figure" and it.name in LENGTHS and _fewer(it),
    ),
    Cause(
        "fields_added",
        "something else than the scripts put fields into Redis",
        lambda it: it.kind == "figure" and it.name in LENGTHS,
    ),
    Cause(
        "restored_in_part",
        "several counters differ: a part of the shard was restored from a copy, or an older version of the scripts ran "
        "on it",
        lambda it: it.kind == "figure" and len(it.differing - LIMITS - LENGTHS) > 2,
    ),
    Cause(
        "stock_by_hand",
        "the key stock was set by hand, instead of by a stock adjustment",
        lambda it: _figure(it, "stock"),
    ),
    Cause(
        "accounts_by_hand",
        "two accounts differ by as much: a unit was moved by hand, in Redis or in the books",
        lambda it: it.kind == "figure" and len(it.differing - LIMITS - LENGTHS) == 2,
    ),
    Cause(
        "counter_by_hand",
        "one figure alone differs: the counter in Redis, or the row in the books, was changed by hand",
        lambda it: it.kind == "figure",
    ),
    Cause(
        "not_in_redis",
        "it was deleted in Redis",
        lambda it: not it.found or it.found == {"claims": []},
    ),
    Cause(
        "not_in_books",
        "its rows were deleted in the books, or something else than the scripts put it into Redis",
        lambda it: not it.expected or it.expected == {"claims": []},
    ),
    Cause(
        "hold_lost",
        "the hold was changed by hand, or lost with a key; the sweeper frees it when its time is over",
        lambda it: it.kind == "coupon" and bool(it.found) and it.found.keys() <= {"hold_ms", "held"},
    ),
    Cause(
        "record_by_hand",
        "one of its two records was changed by hand; its rows in coupon_entries say which",
        lambda it: True,
    ),
)
"""Every cause, the first one that fits is the likely one."""


def likely(evidence: Evidence) -> Cause:
    """The cause that is most likely."""
    return next(cause for cause in CAUSES if cause.fits(evidence))
