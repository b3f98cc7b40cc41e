"""
What a trace has to come to, in plain Python: one look at each row, in the order they are played.

It knows two counters and nothing of the product, so that a fault there is none here.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from loadtest.trace.rows import Row

CLAIMED, LIMIT_REACHED, SOLD_OUT = "claimed", "limit_reached", "sold_out"


def expected(rows: Sequence[Row], order: Iterable[int], stock: int | None, limit: int) -> list[str]:
    """
    The outcome of each of *rows*, claimed in *order* (numbers of rows).

    Every coupon has *stock* units, None for enough; a user gets at most *limit* of each. Whoever has his is told so,
    whether or not any are left.
    """
    outcomes = [""] * len(rows)
    held: Counter[tuple[str, str]] = Counter()
    given: Counter[str] = Counter()
    for number in order:
        user, coupon = rows[number].user, rows[number].coupon
        if held[user, coupon] == limit:
            outcomes[number] = LIMIT_REACHED
        elif given[coupon] == stock:
            outcomes[number] = SOLD_OUT
        else:
            held[user, coupon] += 1
            given[coupon] += 1
            outcomes[number] = CLAIMED
    return outcomes
