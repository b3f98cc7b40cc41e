"""
Pure: what Redis and the books say, side by side, and what follows from it.

The Structs are the body of `fairclaim status --json`; docs/cli.md describes them.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.campaigns.definition import read_definition
from gateway.campaigns.life import Stored, state_at
from gateway.status.books import Books, Position
from gateway.status.sight import Sight
from gateway.wire import rfc3339, time_ms
from lua.keys import Shard


class Lag(msgspec.Struct):
    """State changes that are on the streams and not in the books, and the age of the oldest of them in seconds."""

    seq: int
    seconds: float


class BooksStatus(msgspec.Struct):
    """
    One campaign in Postgres. *seq* is the last one in the books, over all shards; *seq_gaps* are numbers missing.

    *stock* and what follows it are the balances of these accounts of the unit book.
    """

    seq: int
    coupons: int
    holders_over_limit: int
    seq_gaps: int
    stock: int
    outstanding: int
    reserved: int
    redeemed: int
    expired: int
    revoked: int


class ShardStatus(msgspec.Struct):
    """One shard. *ready* means it may decide claims; *drain* is running or stopped."""

    shard: str
    ready: bool
    drain: str
    stock: int
    claimed: int
    seq: int
    books_seq: int
    lag: Lag


class CampaignStatus(msgspec.Struct):
    """
    One campaign: *stock*, *claimed* and *seq* as Redis has them, over all shards.

    *equal* is None where the books are too far behind to compare. *problems* says in words what is wrong.
    """

    id: str
    state: str
    stock: int
    claimed: int
    seq: int
    claims_per_s: float
    books: BooksStatus
    lag: Lag
    equal: bool | None
    problems: list[str]
    shards: list[ShardStatus]


class Totals(msgspec.Struct):
    """All campaigns together; *lag.seconds* is the longest."""

    campaigns: int
    stock: int
    claimed: int
    coupons: int
    claims_per_s: float
    lag: Lag


class Break(msgspec.Struct):
    """A difference the reconciler found and nobody has resolved."""

    shard: str
    kind: str
    expected: Any
    found: Any
    detected_at: str


class Quarantined(msgspec.Struct):
    """A stream record that could not be read and waits for replay."""

    shard: str
    entry_id: str
    first_seq: int | None
    count: int | None
    reason: str
    quarantined_at: str


class Status(msgspec.Struct):
    """
    *ok* is the verdict: nothing is wrong anywhere.

    *code_probing* is no verdict on the books: somebody is guessing codes, and the limits hold.
    """

    ok: bool
    at: str
    campaigns: list[CampaignStatus]
    totals: Totals
    breaks: list[Break]
    quarantine: list[Quarantined]
    code_probing: bool


def report(
    books: Books,
    positions: Sequence[Position],
    sights: Mapping[Shard, Sight],
    before: Mapping[Shard, Sight],
    code_probing: bool,
) -> Status:
    """
    The status of everything that is not archived.

    Shape: a sight for every position; *before* may lack shards, which then count as idle.
    """
    now_ms = max((sight.now_ms for sight in sights.values()), default=round(time.time() * 1000))
    campaigns = [
        _campaign(row, books, [at for at in positions if at.shard.campaign == row["id"]], sights, before, now_ms)
        for row in books.campaigns
    ]
    breaks = [Break(**{**row, "detected_at": _time(row["detected_at"])}) for row in books.breaks]
    quarantine = [Quarantined(**{**row, "quarantined_at": _time(row["quarantined_at"])}) for row in books.quarantine]
    totals = Totals(
        campaigns=len(campaigns),
        stock=sum(each.stock for each in campaigns),
        claimed=sum(each.claimed for each in campaigns),
        coupons=sum(each.books.coupons for each in campaigns),
        claims_per_s=round(sum((each.claims_per_s for each in campaigns), 0.0), 1),
        lag=_sum([each.lag for each in campaigns]),
    )
    ok = not breaks and not quarantine and not any(each.problems for each in campaigns)
    return Status(ok, rfc3339(now_ms), campaigns, totals, breaks, quarantine, code_probing)


def _campaign(
    row: dict[str, Any],
    books: Books,
    positions: list[Position],
    sights: Mapping[Shard, Sight],
    before: Mapping[Shard, Sight],
    now_ms: int,
) -> CampaignStatus:
    definition = read_definition(row["definition"])
    shards = [_shard(at, sights[at.shard]) for at in positions]
    seen = [sights[at.shard] for at in positions]
    coupons, balances = books.coupons.get(row["id"], {}), books.balances.get(row["id"], {})
    in_books = BooksStatus(
        seq=sum(at.seq for at in positions),
        coupons=coupons.get("coupons", 0),
        holders_over_limit=books.over.get(row["id"], 0),
        seq_gaps=sum(_gaps(at, books.entries.get(str(at.shard), {})) for at in positions),
        stock=balances.get("stock", 0),
        outstanding=balances.get("outstanding", 0),
        reserved=balances.get("reserved", 0),
        redeemed=balances.get("redeemed", 0),
        expired=balances.get("expired", 0),
        revoked=balances.get("revoked", 0),
    )
    differences = _differences(in_books, coupons, positions, seen)
    problems = [*differences]
    if in_books.holders_over_limit:
        problems.append(f"{in_books.holders_over_limit} holders have more coupons than one person may")
    problems += [f"shard {each.shard} is not ready to decide claims" for each in shards if not each.ready]
    problems += [f"the drain of shard {each.shard} has stopped" for each in shards if each.drain != "running"]
    comparable = all(sight.stock_then is not None for sight in seen)
    return CampaignStatus(
        id=row["id"],
        state=state_at(Stored(row["state"]), definition.starts_ms, definition.ends_ms, now_ms).value,
        stock=sum(each.stock for each in shards),
        claimed=sum(each.claimed for each in shards),
        seq=sum(each.seq for each in shards),
        claims_per_s=round(sum((_rate(sights[at.shard], before.get(at.shard)) for at in positions), 0.0), 1),
        books=in_books,
        lag=_sum([each.lag for each in shards]),
        equal=False if differences else (True if comparable else None),
        problems=problems,
        shards=shards,
    )


def _shard(at: Position, sight: Sight) -> ShardStatus:
    return ShardStatus(
        shard=str(at.shard),
        ready=sight.ready,
        drain=at.state,
        stock=max(0, sight.stock),
        claimed=sight.claimed,
        seq=sight.seq,
        books_seq=at.seq,
        lag=Lag(max(0, sight.seq - at.seq), round(sight.lag_s, 3)),
    )


def _differences(
    books: BooksStatus, coupons: Mapping[str, int], positions: list[Position], seen: list[Sight]
) -> list[str]:
    """What is not equal, in words; Redis is compared where its figures at the books' position are known."""
    found = [
        f"Redis has shard {at.shard} at seq {sight.seq}, behind the books at {at.seq}"
        for at, sight in zip(positions, seen, strict=True)
        if sight.seq < at.seq
    ]
    if books.seq_gaps:
        found.append(f"{books.seq_gaps} of the numbers 1 to {books.seq} are not in coupon_entries exactly once")
    for account in ("outstanding",) if coupons.get("shared") else ("outstanding", "reserved", "redeemed"):
        balance, units = getattr(books, account), coupons.get(account, 0)
        if balance != units:
            found.append(f"the book has {balance} {account}, the coupons come to {units}")
    if books.stock < 0:
        found.append(f"the book's stock is {books.stock}")
    stock_then = [sight.stock_then for sight in seen if sight.stock_then is not None]
    claimed_then = [sight.claimed_then for sight in seen if sight.claimed_then is not None]
    if len(stock_then) == len(claimed_then) == len(seen):
        if sum(stock_then) != books.stock:
            found.append(f"stock at the same seq: Redis {sum(stock_then)}, book {books.stock}")
        if sum(claimed_then) != coupons.get("units", 0):
            found.append(f"claimed at the same seq: Redis {sum(claimed_then)}, books {coupons.get('units', 0)}")
    return found


def _gaps(at: Position, rows: Mapping[str, int]) -> int:
    """Numbers of 1 … the checkpoint without a row, plus rows beyond it. (shard, seq) is unique, so counts suffice."""
    entries, last_seq = rows.get("entries", 0), rows.get("last_seq", 0)
    return max(at.seq, last_seq) - entries + max(0, last_seq - at.seq)


def _rate(sight: Sight, earlier: Sight | None) -> float:
    """Claims a second between two sights, by the clock of Redis."""
    if earlier is None or sight.now_ms <= earlier.now_ms:
        return 0.0
    return max(0, sight.claimed - earlier.claimed) * 1000 / (sight.now_ms - earlier.now_ms)


def _sum(lags: list[Lag]) -> Lag:
    return Lag(sum(lag.seq for lag in lags), max((lag.seconds for lag in lags), default=0.0))


def _time(at: datetime) -> str:
    return rfc3339(time_ms(at))
