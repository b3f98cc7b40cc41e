"""One verdict: what was told is read once, the books are awaited and walked once, the gateway is asked at the end."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from loadtest.target import Target
from loadtest.told import CLAIM, Attempt
from loadtest.verdict.asking import Gateway
from loadtest.verdict.books import changes, snapshot, terms_of
from loadtest.verdict.claims import check_keys, check_limit_reached, check_limits
from loadtest.verdict.crowd import Crowd
from loadtest.verdict.found import Tallies, Verdict
from loadtest.verdict.live import Live
from loadtest.verdict.money import check_money
from loadtest.verdict.refused import check_refused
from loadtest.verdict.rows import check_ends, check_rows, check_units
from loadtest.verdict.spent import Spent
from loadtest.verdict.stock import check_adjustments, check_sold_out, check_stock
from loadtest.verdict.tills import check_redemptions, check_rollbacks
from loadtest.verdict.waiting import await_books
from loadtest.verdict.walk import Walk

LONG_AGO_S = float("-inf")


class Expected(NamedTuple):
    """
    A campaign as it was made for the run. *stock* None: it was there before, and has what the books say it had then;
    *limit* None: what the campaign says.
    """

    campaign: str
    stock: int | None = None
    limit: int | None = None


class _Told(NamedTuple):
    """What was told of one campaign."""

    crowd: Crowd
    spent: Spent


def judge(
    target: Target,
    campaigns: Sequence[Expected],
    attempts: Iterable[Attempt],
    *,
    wait_s: float,
    seed: int = 1,
    watch: Callable[[str], None] = lambda doing: None,
) -> Verdict:
    """
    Hold the books and the gateway to what a crowd was told of *campaigns*, and of any other that *attempts* name.

    Units: *wait_s* seconds for the books to have everything, for all campaigns together. *watch* is told what is done.
    Errors: NoSuchCampaign, ValueError for an attempt that names no campaign; OSError and psycopg.Error where the
    gateway or PostgreSQL can't be reached.
    """
    began, tallies = time.perf_counter(), Tallies()
    expected = {each.campaign: each for each in campaigns}
    told = _read(attempts, expected, tallies, watch)
    with snapshot(target.postgres_url) as books:
        for campaign in told:
            terms_of(books, campaign)  # before anything is waited for
    until = time.monotonic() + wait_s
    with Gateway(target.gateway_url) as gateway:
        for campaign, (crowd, _) in told.items():
            watch(f"waiting for the books of {campaign}")
            told_seq = max((granted.seq for granted in crowd.coupons.values()), default=0)
            await_books(gateway, target, campaign, told_seq, max(0.0, until - time.monotonic()), tallies)
        for campaign, of_it in told.items():
            _judge_one(gateway, target, expected.get(campaign, Expected(campaign)), of_it, tallies, seed, watch)
    checks = tallies.done()
    return Verdict(all(check.holds for check in checks), checks, round(time.perf_counter() - began, 3))


def _read(
    attempts: Iterable[Attempt], expected: dict[str, Expected], tallies: Tallies, watch: Callable[[str], None]
) -> dict[str, _Told]:
    told = {name: _Told(Crowd(name, tallies["replays"]), Spent(name, tallies)) for name in expected}
    for number, attempt in enumerate(attempts):
        if number % 100_000 == 0:
            watch(f"reading what was told: {number:,} attempts")
        of_it = told.get(attempt.campaign)
        if of_it is None:
            if not attempt.campaign:
                raise ValueError(f"attempt {number + 1} ({attempt.kind} with key {attempt.key}) names no campaign")
            crowd, spent = Crowd(attempt.campaign, tallies["replays"]), Spent(attempt.campaign, tallies)
            of_it = told[attempt.campaign] = _Told(crowd, spent)
        if attempt.kind == CLAIM:
            of_it.crowd.add(attempt)
        else:
            of_it.spent.add(attempt)
    return told


def _judge_one(
    gateway: Gateway, target: Target, expected: Expected, told: _Told, tallies: Tallies, seed: int,
    watch: Callable[[str], None],
) -> None:  # fmt: skip
    crowd, spent = told
    with snapshot(target.postgres_url) as books:
        terms = terms_of(books, expected.campaign)
        limit = terms.limit if expected.limit is None else expected.limit
        before_s = LONG_AGO_S if expected.stock is not None else min(crowd.first_sent_s, spent.first_sent_s)
        watch(f"reading the books of {expected.campaign}")
        walk = Walk(crowd, terms, limit, tallies)
        walk.told.before_s = before_s
        walk.over(changes(books, terms.shards))
        walk.told.end(walk.clocks)
        check_limits(crowd, walk, terms, limit, tallies)
        check_limit_reached(crowd, walk, limit, tallies)
        check_keys(books, terms, crowd, tallies)
        check_refused(books, crowd, walk, tallies)
        put_in = check_adjustments(spent, walk, expected.stock, before_s, tallies)
        check_stock(crowd, walk, put_in, tallies)
        check_sold_out(crowd, walk, put_in, tallies)
        check_redemptions(books, spent, before_s, tallies)
        check_rollbacks(books, spent, before_s, tallies)
        check_ends(books, expected.campaign, walk, tallies)
        check_rows(books, expected.campaign, terms, walk, tallies)
        check_units(books, expected.campaign, terms, walk, put_in, tallies)
        check_money(books, expected.campaign, terms, walk, tallies)
    watch(f"comparing Redis and the books of {expected.campaign}")
    Live(gateway, target, expected.campaign, terms, tallies).compare(crowd, seed)
