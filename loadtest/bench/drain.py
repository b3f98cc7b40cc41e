"""
How fast the drain is, against COPY of the very same rows into the same tables without it.

    python -m loadtest.bench.drain             nine rounds on a system of its own, about a minute
    python -m loadtest.bench.drain --quick     two shorter ones

The reconciler is held still while claims pile up on the stream, then let go. Woken up, it may first have to get its
locks back, so the clock starts when its first transaction is over. Each journal says when its transaction began:
between the second and the last lie whole turns of the drain, reading, decoding, commit and trimming included.

Then the same rows go into twins of the two tables by COPY, as text that was ready before: one transaction for each one
of the drain's, because a commit costs both the same. The twins are as full as the tables, and both begin behind a
checkpoint of PostgreSQL.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import redis
from psycopg import sql

from loadtest.bench.drained import await_drained
from loadtest.bench.figures import Spread, ratios, spread
from loadtest.bench.script_shard import ShardDriver
from loadtest.bench.targets import Verdict, judge
from loadtest.rush import create_campaign
from loadtest.system import System

CLAIMS_PER_CALL = 128
TABLES = ("coupons", "coupon_entries")
CLAIMS, ROUNDS = 163_840, 9
CLAIMS_QUICK, ROUNDS_QUICK = 131_072, 2
DRAINED_S_MAX = 120.0
COMMITS_MIN = 4

Books = psycopg.Connection[tuple[Any, ...]]


class Commit(NamedTuple):
    """One transaction of the drain: the claims it covers and when it began, in seconds."""

    first_seq: int
    last_seq: int
    began_s: float


class DrainRound(NamedTuple):
    """One backlog: claims a second into the books, and by COPY alone."""

    commits: int
    drained_per_s: float
    copied_per_s: float


class DrainCosts(msgspec.Struct, frozen=True):
    """Claims a second, each of which is one row in coupons and one in coupon_entries; *ratio* is round by round."""

    claims: int
    commits: int
    drained_per_s: Spread
    copied_per_s: Spread
    ratio: Spread


def drain_costs(system: System, *, claims: int, rounds: int, say: Callable[[str], None]) -> DrainCosts:
    """
    Drain *claims* claims and COPY them, in turn, *rounds* times.

    Shape: a system that does nothing else, its reconciler and PostgreSQL not kept to one core.
    Errors: TimeoutError when the drain does not come to its end; RuntimeError when the backlog went into the books in
    too few transactions to time, or not all of it did.
    """
    campaign = f"drain-{time.time_ns()}"
    create_campaign(system.target, campaign, claims * rounds, per_holder=1, shards=1)
    found = []
    with psycopg.connect(system.target.postgres_url, autocommit=True) as books:
        _make_twins(books)
        with redis.Redis.from_url(system.target.redis_url) as store:
            shard = ShardDriver(store, campaign)
            for number in range(rounds):
                found.append(_round(system, books, shard, campaign, claims))
                say(f"drain: round {number + 1} of {rounds}")
        _drop_twins(books)
    return costs_of(claims, found)


def costs_of(claims: int, found: Sequence[DrainRound]) -> DrainCosts:
    """The figures of several rounds."""
    return DrainCosts(
        claims,
        found[-1].commits,
        spread([each.drained_per_s for each in found]),
        spread([each.copied_per_s for each in found]),
        ratios([(each.drained_per_s, each.copied_per_s) for each in found]),
    )


def targets(costs: DrainCosts) -> dict[str, Verdict]:
    """What the targets say to it."""
    return {"drain": judge("drain", costs.ratio.median, low=costs.ratio.low, high=costs.ratio.high)}


def _round(system: System, books: Books, shard: ShardDriver, campaign: str, claims: int) -> DrainRound:
    target = system.target
    await_drained(target.redis_url, target.postgres_url, campaign, 1, DRAINED_S_MAX)
    begin = books.execute("SELECT seq FROM checkpoints WHERE campaign = %s", [campaign]).fetchone()
    assert begin is not None
    with system.stopped("reconciler"):
        shard.run(claims, CLAIMS_PER_CALL)
        books.execute("CHECKPOINT")
    await_drained(target.redis_url, target.postgres_url, campaign, 1, DRAINED_S_MAX)
    commits = _commits(books, f"{campaign}/0", int(begin[0]))
    copied, copy_s = _copy(books, f"{campaign}/0", commits)
    if copied != claims:
        raise RuntimeError(f"the books took {copied} of {claims} claims")
    return DrainRound(len(commits), drained_per_s(commits), claims / copy_s)


def drained_per_s(commits: Sequence[Commit]) -> float:
    """
    Claims a second from the beginning of the second transaction to that of the last, whose claims are left out.

    The first is left out too: it has what the read got that waited when the first claim came, a single entry.
    Errors: RuntimeError when there are fewer than COMMITS_MIN.
    """
    if len(commits) < COMMITS_MIN:
        raise RuntimeError(f"the backlog went into the books in {len(commits)} transactions; ask for more claims")
    second, last = commits[1], commits[-1]
    return (last.first_seq - second.first_seq) / (last.began_s - second.began_s)


def _commits(books: Books, shard: str, after_seq: int) -> list[Commit]:
    """The drain's transactions of a shard since *after_seq*: journals of one transaction have one posted_at."""
    rows = books.execute(
        "SELECT min(first_seq), max(last_seq), extract(epoch FROM posted_at)::float8 FROM journals"
        " WHERE shard = %s AND first_seq > %s GROUP BY posted_at ORDER BY posted_at",
        [shard, after_seq],
    ).fetchall()
    return [Commit(*row) for row in rows]


def _make_twins(books: Books) -> None:
    """Tables like those of the drain, indexes and constraints and all, and with the rows that are there."""
    _drop_twins(books)
    for name in TABLES:
        names = {"twin": _twin(name), "table": sql.Identifier(name)}
        books.execute(sql.SQL("CREATE TABLE {twin} (LIKE {table} INCLUDING ALL)").format(**names))
        books.execute(sql.SQL("INSERT INTO {twin} SELECT * FROM {table}").format(**names))


def _drop_twins(books: Books) -> None:
    for name in TABLES:
        books.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_twin(name)))


def _twin(name: str) -> sql.Identifier:
    return sql.Identifier(f"bench_{name}")


def _copy(books: Books, shard: str, commits: Sequence[Commit]) -> tuple[int, float]:
    """COPY the rows of *commits* into the twins: the coupons in them, and the seconds it took, commits included."""
    texts = [[_text(books, name, shard, commit) for name in TABLES] for commit in commits]
    into = [sql.SQL("COPY {} FROM STDIN").format(_twin(name)) for name in TABLES]
    books.execute("CHECKPOINT")
    began = time.perf_counter()
    for both in texts:
        with books.transaction(), books.cursor() as cursor:
            for statement, text in zip(into, both, strict=True):
                with cursor.copy(statement) as copy:
                    copy.write(text)
    elapsed_s = time.perf_counter() - began
    return sum(coupons.count(b"\n") for coupons, _ in texts), elapsed_s


def _text(books: Books, name: str, shard: str, commit: Commit) -> bytes:
    """The rows of *commit* in a table, as COPY gives and takes them."""
    query = sql.SQL("COPY (SELECT * FROM {} WHERE shard = {} AND seq BETWEEN {} AND {} ORDER BY seq) TO STDOUT").format(
        sql.Identifier(name), shard, commit.first_seq, commit.last_seq
    )
    with books.cursor() as cursor, cursor.copy(query) as copy:
        return b"".join(bytes(part) for part in copy)


def table(costs: DrainCosts) -> str:
    """The figures for a screen."""
    (target,) = targets(costs).values()
    return "\n".join(
        [
            f"{costs.claims:,} claims a round, in {costs.commits} transactions; two rows a claim",
            f"  drained  {costs.drained_per_s.shown(0)} claims/s",
            f"  COPY     {costs.copied_per_s.shown(0)} claims/s",
            f"  {target.name} {target.bound}: {target.found}",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    described = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.drain", description=described)
    parser.add_argument("--quick", action="store_true", help=f"{ROUNDS_QUICK} rounds of {CLAIMS_QUICK:,} claims")
    parser.add_argument("--claims", type=int, default=0, help=f"claims a round (default {CLAIMS:,})")
    parser.add_argument("--rounds", type=int, default=0, help=f"rounds (default {ROUNDS})")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args(arguments)
    if chosen.claims < 0 or chosen.rounds < 0:
        parser.error("--claims and --rounds have to be above 0")
    claims = chosen.claims or (CLAIMS_QUICK if chosen.quick else CLAIMS)
    rounds = chosen.rounds or (ROUNDS_QUICK if chosen.quick else ROUNDS)

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    try:
        with (
            tempfile.TemporaryDirectory(prefix="fairclaim-bench-") as folder,
            System(Path(folder), workers=1, no_demo="true") as system,
        ):
            costs = drain_costs(system, claims=claims, rounds=rounds, say=say)
    except (OSError, RuntimeError, TimeoutError, psycopg.Error, redis.RedisError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    print(msgspec.json.encode(costs).decode() if chosen.json else table(costs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
