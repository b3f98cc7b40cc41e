"""Pure: one coupon and one holder, field by field, as the books and as Redis have them."""

from collections.abc import Mapping, Sequence
from typing import Any

from lua.tally import Claim, Coupon, Garbled
from reconciler.stocktake.standing import Version

COUPON_FIELDS = {
    "shard": "where it is",
    "holder": "who owns it; empty for a code on paper",
    "state": "claimed, reserved, redeemed, expired or revoked",
    "seq": "the number of its claim",
    "claimed_ms": "when it was claimed",
    "expires_ms": "when its time is over",
    "left": "what is not spent of it",
    "order": "the order it is held for",
    "until_ms": "when its hold ends, by its record",
    "hold_ms": "when its hold ends, by the sorted set of holds",
    "held": "holds on a code that many may use",
}
"""What is compared of a coupon. Times are milliseconds since the epoch."""

Fields = dict[str, Any]
"""Field → what it holds; None where there is nothing."""


def coupon_of_books(row: Mapping[str, Any], version: Version) -> Fields:
    """A row of coupons, with its holds counted."""
    shared, reserved = row["units"] > 1, row["state"] == "reserved"
    left = row["left"] if row["left"] is not None else row["units"] if shared else _whole(version)
    return {
        "shard": row["shard"],
        "holder": row["holder"],
        "state": row["state"],
        "seq": row["seq"],
        "claimed_ms": row["claimed_ms"],
        "expires_ms": row["expires_ms"],
        "left": left,
        "order": row["order_id"] if reserved else None,
        "until_ms": row["until_ms"] if reserved else None,
        "hold_ms": row["until_ms"] if reserved else None,
        "held": row["held"] if shared else None,
    }


def coupon_of_redis(shard: str, record: Coupon, version: Version) -> Fields:
    """A coupon as its keys have it."""
    spent = record.state == "redeemed"
    return {
        "shard": shard,
        "holder": record.holder,
        "state": record.state,
        "seq": record.seq,
        "claimed_ms": record.claimed_ms,
        "expires_ms": record.expires_ms,
        "left": record.left if record.left is not None else 0 if spent else _whole(version),
        "order": record.order or None,
        "until_ms": record.until_ms or None,
        "hold_ms": record.hold_ms,
        "held": record.held,
    }


def _whole(version: Version) -> int:
    """What is left of a coupon that nobody has used."""
    return version.unit_minor if version.terms.stored else 1


def coupon_difference(
    shard: str, row: Mapping[str, Any] | None, record: Coupon | Garbled | None, version: Version
) -> tuple[Fields, Fields] | None:
    """The fields that differ, as expected and as found; empty is a coupon that is not there. None: they agree."""
    expected = {} if row is None else coupon_of_books(row, version)
    if isinstance(record, Garbled):
        return expected, {"hex": record.hex}
    found = {} if record is None else coupon_of_redis(shard, record, version)
    if expected and found:
        names = [name for name in COUPON_FIELDS if expected[name] != found[name]]
        expected, found = ({name: side[name] for name in names} for side in (expected, found))
    return None if expected == found else (expected, found)


def holder_difference(
    rows: Sequence[Mapping[str, Any]], record: Sequence[Claim] | Garbled | None, version: Version
) -> tuple[Fields, Fields] | None:
    """
    The claims of one holder, in the order they were made: code, hash of the Idempotency-Key, and whether it counts.

    Shape: *rows* as the statement claims gives them. Whether a rollback gave a place back is the gateway's to decide,
    and is not in the books: a claim that ended so is taken as Redis has it.
    """
    if isinstance(record, Garbled):
        return {"claims": [[row["code"], row["idem"]] for row in rows]}, {"hex": record.hex}
    found = [list(claim) for claim in record or ()]
    expected = []
    for at, row in enumerate(rows):
        freed = _freed(row, version)
        if freed is None:
            freed = bool(found[at][2]) if at < len(found) else False
        expected.append([row["code"], row["idem"], freed])
    return None if expected == found else ({"claims": expected}, {"claims": found})


def _freed(row: Mapping[str, Any], version: Version) -> bool | None:
    """Whether the holder got his place back; None where the books don't tell."""
    if "rolled_back" in row["kinds"]:
        return None
    ends = {"expired": "on_expiry", "revoked": "on_revoke"}
    whole = _whole(version)
    return any(
        left == whole and version.gives_back_slot(ends[kind])
        for kind, left in zip(row["kinds"], row["lefts"], strict=True)
    )
