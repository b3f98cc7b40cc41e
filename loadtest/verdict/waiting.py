"""Until the books have what Redis had counted to: asked over HTTP once, looked for by SQL as often as it takes."""

import time
from typing import Any, NamedTuple

import psycopg

from loadtest.target import Target
from loadtest.verdict.asking import Gateway
from loadtest.verdict.books import named
from loadtest.verdict.found import Tallies

POLL_S = 0.1
STOPPED_S = 4.0
"""A shard whose drain has stopped is looked at again every three seconds; one that stays so is waited for no longer."""


class Counted(NamedTuple):
    """What a stocktake says of the shards of a campaign: the number each had counted to in Redis."""

    seqs: dict[str, int]
    unfinished: dict[str, str]


class NotTaken(OSError):
    """The gateway takes no stock, and this is what it answered."""


def take_stock(gateway: Gateway, target: Target, campaign: str, samples: int) -> list[dict[str, Any]]:
    """Every shard of *campaign*, as ``POST /v1/stocktakes`` has it. Errors: NotTaken."""
    asked = {"campaign": campaign, "samples": samples}
    status, answer = gateway.ask("POST", "/v1/stocktakes", target.admin_key, asked)
    if status != 201:
        raise NotTaken(f"POST /v1/stocktakes of {campaign}: {status} {answer}")
    shards: list[dict[str, Any]] = answer["shards"]
    return shards


def await_books(
    gateway: Gateway, target: Target, campaign: str, told_seq: int, wait_s: float, tallies: Tallies
) -> None:
    """
    Wait until the books of *campaign* are as far as Redis was when it was asked; shards that never get there are named.

    *told_seq* is the highest number a claimant was told, of whatever shard.
    """
    check = tallies["drained"]
    counted = {shard["shard"]: int(shard["seq"]) for shard in take_stock(gateway, target, campaign, 0)}
    if told_seq > (last := max(counted.values(), default=0)):
        why = "a number was told that Redis has not counted to"
        tallies["sequence"].violate(why, campaign=campaign, seq=told_seq, redis_seq=last)
    check.checked += len(counted)
    until, stopped_since = time.monotonic() + wait_s, time.monotonic()
    with psycopg.connect(target.postgres_url, autocommit=True) as books:
        while True:
            rows = named(books, "SELECT shard, seq, state FROM checkpoints WHERE campaign = %s", [campaign])
            behind = {row.shard: row for row in rows if row.seq < counted.get(row.shard, 0)}
            now = time.monotonic()
            if not behind or any(row.state == "running" for row in behind.values()):
                stopped_since = now
            if not behind or now > until or now - stopped_since > STOPPED_S:
                break
            time.sleep(POLL_S)
        for name, row in sorted(behind.items()):
            place = {"campaign": campaign, "shard": name, "books_seq": row.seq, "redis_seq": counted[name]}
            check.violate("the books do not get there", **place, drain=row.state)
        _name_breaks(books, campaign, tallies)


def _name_breaks(books: psycopg.Connection[Any], campaign: str, tallies: Tallies) -> None:
    """What the drain of a shard has stopped at is a number that is missing, or one that came again."""
    for row in named(
        books,
        "SELECT shard, kind, expected, found, checkpoints.seq FROM breaks JOIN checkpoints USING (shard)"
        " WHERE campaign = %s AND resolved_at IS NULL AND kind IN ('seq_gap', 'behind', 'rows_refused')"
        " ORDER BY breaks.id",
        [campaign],
    ):
        found = row.found.get("seq")
        again = row.kind == "rows_refused" or (found is not None and found <= row.seq)
        why = "a record came twice" if again else "a record is missing on the stream"
        tallies["sequence"].violate(why, shard=row.shard, seq=row.seq + 1, break_kind=row.kind, expected=row.expected,
                                    found=row.found)  # fmt: skip


def drained_s(target: Target, campaign: str, wait_s: float) -> float:
    """Seconds until the books of *campaign* had everything, or *wait_s* where they don't get there. Errors: OSError."""
    began = time.monotonic()
    with Gateway(target.gateway_url) as gateway:
        await_books(gateway, target, campaign, 0, wait_s, Tallies())
    return time.monotonic() - began
