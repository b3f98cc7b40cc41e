"""Redemptions and rollbacks: what was told against the rows of the books, one for one."""

from collections import Counter
from typing import Any, NamedTuple

import psycopg

from loadtest.verdict.books import stream
from loadtest.verdict.found import Tallies
from loadtest.verdict.spent import GivenBack, Spent


class Row(NamedTuple):
    """A redemption in the books."""

    ref: str
    code: str
    minor: int
    seq: int
    shard: str
    at_s: float
    stack: str


def check_redemptions(books: psycopg.Connection[Any], spent: Spent, before_s: float, tallies: Tallies) -> None:
    """Each that was told is a row; each row was told, asked for without an answer, or there before *before_s*."""
    check, unsure = tallies["redeemed"], Counter(spent.unsure_redeems())
    missing = dict(spent.redemptions)
    query = (
        "SELECT id, code, minor, seq, shard, extract(epoch FROM redeemed_at)::float8, coalesce(stack, '')"
        " FROM redemptions WHERE campaign = %s ORDER BY shard, seq"
    )
    for row in map(Row._make, stream(books, query, [spent.campaign])):
        check.checked += 1
        place: dict[str, Any] = {"campaign": spent.campaign, "redemption": row.ref, "code": row.code}
        place |= {"shard": row.shard, "seq": row.seq}
        told = missing.pop(row.ref, None)
        if told is None:
            if unsure[row.code] or unsure[""]:
                unsure[row.code if unsure[row.code] else ""] -= 1
            elif row.at_s >= before_s and row.stack not in spent.redemptions:
                check.violate("nobody was told of it", **place, minor=row.minor)
        elif told.code not in ("", row.code):
            check.violate("the row is of another coupon", **place, key=told.key, told=told.code)
        elif told.minor != row.minor:
            check.violate("the row is of another amount", **place, key=told.key, told=told.minor, booked=row.minor)
        elif told.seq not in (0, row.seq):
            check.violate("the row has another number", **place, key=told.key, told_seq=told.seq)
    for told in missing.values():
        if not told.ref.startswith("ST"):  # several codes at once have rows with ids of their own
            check.violate(
                "it has no row", campaign=spent.campaign, redemption=told.ref, code=told.code, key=told.key,
                seq=told.seq, minor=told.minor,
            )  # fmt: skip


def check_rollbacks(books: psycopg.Connection[Any], spent: Spent, before_s: float, tallies: Tallies) -> None:
    """The same of rollbacks: the row that was told has its number where that is known, else its amount."""
    check, unsure = tallies["rolled_back"], Counter(spent.unsure_rollbacks())
    missing: dict[str, list[tuple[str, GivenBack]]] = {}
    for (ref, key), told in spent.rollbacks.items():
        missing.setdefault(ref, []).append((key, told))
    query = (
        "SELECT redemption, rollbacks.minor, rollbacks.seq, rollbacks.shard, extract(epoch FROM at)::float8, code"
        " FROM rollbacks LEFT JOIN redemptions ON id = redemption"
        " WHERE rollbacks.shard IN (SELECT shard FROM checkpoints WHERE campaign = %s)"
        " ORDER BY rollbacks.shard, rollbacks.seq"
    )
    for ref, minor, seq, shard, at_s, code in stream(books, query, [spent.campaign]):
        check.checked += 1
        waiting = missing.get(ref, [])
        place: dict[str, Any] = {
            "campaign": spent.campaign,
            "redemption": ref,
            "code": code,
            "shard": shard,
            "seq": seq,
        }
        same = [each for each in waiting if each[1].seq == seq] or [
            each for each in waiting if each[1] == GivenBack(0, minor)
        ]
        if same:
            key, told = same[0]
            waiting.remove(same[0])
            if told.minor != minor:
                check.violate("the row is of another amount", **place, key=key, told=told.minor, booked=minor)
        elif unsure[ref]:
            unsure[ref] -= 1
        elif at_s >= before_s:
            check.violate("nobody was told of it", **place, minor=minor)
    for ref, waiting in missing.items():
        for key, told in waiting:
            if not ref.startswith("ST"):
                check.violate(
                    "it has no row", campaign=spent.campaign, redemption=ref, key=key, seq=told.seq, minor=told.minor
                )
