"""
Makes a trace of any size with the skew of a real one: what is popular, who comes again, on which days.

    python -m loadtest.trace.generate --rows 113640 --users 76309 --coupons 2050 --seed 1 > trace.csv

The same arguments give the same bytes.
"""

import argparse
import csv
import random
import sys
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import accumulate, pairwise
from typing import IO, NamedTuple

from loadtest.trace.shapes import (
    DISCOUNTS,
    DISTANCE_MAX,
    DISTANCE_MEAN,
    FAMOUS,
    FAMOUS_DISCOUNTS,
    FIRST_DAY,
    MERCHANTS_PER_COUPON,
    NEW_REPEATER,
    REPEATED,
    USE_DAYS_MAX,
    USE_DAYS_MEAN,
    coupon_shares,
    day_shares,
)

NAMES = ("User_id", "Merchant_id", "Coupon_id", "Discount_rate", "Distance", "Date_received")
USED = "Date"
SWAPS_MAX = 1000


class Size(NamedTuple):
    """Counts; and shares of the rows: that *repeat*, of the busiest day (None: as it was), that are *used* later."""

    rows: int
    users: int
    coupons: int
    repeats: float = REPEATED
    peak: float | None = None
    used: float = 0.0
    seed: int = 1


class Impossible(Exception):
    """There is no trace of such a size."""


def generate(size: Size) -> Iterator[tuple[str, ...]]:
    """
    The rows of a trace, after one of names; a user's follow each other, as in a file that is sorted by user.

    Coupon 1 is the busiest. Errors: Impossible.
    """
    draw = random.Random(size.seed)  # noqa: S311 - reproducible, not secret
    again = round(size.rows * size.repeats)
    pairs = size.rows - again
    if not (1 <= size.coupons <= pairs and 1 <= size.users <= pairs <= size.users * size.coupons):
        raise Impossible("rows that repeat nothing: one for each user and coupon at least, for each pair at most")
    try:
        days = list(accumulate(day_shares(size.peak)))[:-1]
    except ValueError as error:
        raise Impossible(str(error)) from None
    baskets = _baskets(draw, size.users, _claimants(size, pairs))
    _repeat(draw, baskets, again, _famous(size))
    draw.shuffle(baskets)
    terms = _terms(draw, size.coupons)
    is_used = size.used > 0
    yield (*NAMES, USED) if is_used else NAMES
    for user, basket in enumerate(baskets, 1):
        draw.shuffle(basket)
        for coupon in basket:
            day, distance = bisect(days, draw.random()), int(draw.expovariate(1 / DISTANCE_MEAN))
            row = (str(user), terms[coupon][0], str(coupon + 1), terms[coupon][1], str(min(DISTANCE_MAX, distance)))
            yield (*row, _day(day), _used(draw, day, size.used)) if is_used else (*row, _day(day))


def _famous(size: Size) -> int:
    """How many coupons nobody claims twice; none where the others are too few for so many repetitions."""
    if size.coupons <= 2 * FAMOUS:
        return 0
    return FAMOUS if 2 * size.repeats < sum(coupon_shares(size.coupons)[FAMOUS:]) else 0


def _claimants(size: Size, pairs: int) -> list[int]:
    """How many users claim each coupon, most popular first; nobody can do so twice."""
    shares, famous = coupon_shares(size.coupons), _famous(size)
    if famous:  # the shares are of rows, and all repetitions are among the others
        once = 1 - size.repeats / sum(shares[famous:])
        shares = shares[:famous] + [share * once for share in shares[famous:]]
    total, left, counts = sum(shares), pairs, list[int]()
    for rank, share in enumerate(shares):
        behind = size.coupons - rank - 1
        fair = round(left * share / total) if total > 0 else 0
        count = min(size.users, max(fair, 1, left - behind * size.users), left - behind)
        counts.append(count)
        left, total = left - count, total - share
    return counts


def _baskets(draw: random.Random, users: int, counts: Sequence[int]) -> list[list[int]]:
    """
    The coupons of each user, none twice.

    Places are cut at random, so how many a user has falls off geometrically; then coupons are dealt to them, and where
    a user got one twice it is swapped with somebody's.
    """
    dealt = [coupon for coupon, count in enumerate(counts) for _ in range(count)]
    draw.shuffle(dealt)
    cuts = [0, *sorted(draw.sample(range(1, len(dealt)), users - 1)), len(dealt)]
    owners = [user for user in range(users) for _ in range(cuts[user], cuts[user + 1])]
    baskets = [Counter(dealt[low:high]) for low, high in pairwise(cuts)]
    for place, user in enumerate(owners):
        for _ in range(SWAPS_MAX):
            mine = dealt[place]
            if baskets[user][mine] == 1:
                break
            other = draw.randrange(len(dealt))
            theirs, owner = dealt[other], owners[other]
            if not baskets[user][theirs] and not baskets[owner][mine]:
                baskets[user] += Counter({theirs: 1})
                baskets[user][mine] -= 1
                baskets[owner] += Counter({mine: 1})
                baskets[owner][theirs] -= 1
                dealt[place], dealt[other] = theirs, mine
    return [list(basket.elements()) for basket in baskets]


def _repeat(draw: random.Random, baskets: list[list[int]], again: int, famous: int) -> None:
    """Add *again* claims of what a user has already: the more often somebody came again, the likelier once more."""
    pairs = [(user, coupon) for user, basket in enumerate(baskets) for coupon in basket if coupon >= famous]
    repeated: list[tuple[int, int]] = []
    for _ in range(again):
        fresh = not repeated or draw.random() < NEW_REPEATER
        repeated.append(draw.choice(pairs if fresh else repeated))
    for user, coupon in repeated:
        baskets[user].append(coupon)


def _terms(draw: random.Random, coupons: int) -> list[tuple[str, str]]:
    """Merchant and discount of each coupon; a merchant who has more than one is likelier to have another."""
    merchants = [str(number) for number in range(1, round(coupons * MERCHANTS_PER_COUPON) + 1)] or ["1"]
    while len(merchants) < coupons:
        merchants.append(draw.choice(merchants))
    others = draw.choices(list(DISCOUNTS), list(DISCOUNTS.values()), k=coupons)
    return list(zip(merchants, [*FAMOUS_DISCOUNTS, *others][:coupons], strict=True))


def _used(draw: random.Random, day: int, share: float) -> str:
    return _day(day + min(USE_DAYS_MAX, int(draw.expovariate(1 / USE_DAYS_MEAN)))) if draw.random() < share else "null"


def _day(number: int) -> str:
    return f"{FIRST_DAY + timedelta(days=number):%Y%m%d}"


def write(size: Size, out: IO[str]) -> None:
    """The trace as CSV. Errors: Impossible."""
    csv.writer(out, lineterminator="\n").writerows(generate(size))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.trace.generate", description=(__doc__ or "").split("\n\n")[0]
    )
    for name in ("rows", "users", "coupons"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument(
        "--repeats", type=float, default=REPEATED, help="share of rows whose user had the coupon before"
    )
    parser.add_argument("--peak", type=float, help="share of rows of the busiest day; default: as it was, 0.048")
    parser.add_argument("--used", type=float, default=0.0, help="share of rows that were redeemed: adds a column Date")
    parser.add_argument("--seed", type=int, default=1)
    try:
        write(Size(**vars(parser.parse_args(arguments))), sys.stdout)
    except Impossible as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
