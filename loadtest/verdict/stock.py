"""What was put in, what was granted of it, and who was told that nothing is left."""

from bisect import bisect_right
from itertools import accumulate

from loadtest.verdict.crowd import Crowd
from loadtest.verdict.found import Tallies
from loadtest.verdict.spent import Spent
from loadtest.verdict.walk import Walk


def check_adjustments(spent: Spent, walk: Walk, made_with: int | None, before_s: float, tallies: Tallies) -> int:
    """
    What was told of adjustments is in the books, and what was not told is what the campaign was made with.

    The units that were put in, by what was told: of what had no answer, as many as the books have. *made_with* is None
    for a campaign that was there before *before_s*: what it had then is taken from the books.
    """
    check, unsure = tallies["adjusted"], spent.unsure_adjustments()
    booked = dict(walk.adjusted)
    check.checked += len(booked)
    put_in = 0
    for key, units in spent.adjustments.items():
        put_in += units
        if (found := booked.pop(key, 0)) != units:
            check.violate("booked as other units", campaign=spent.campaign, key=key, told=units, booked=found)
    for key, units in unsure.items():
        found = booked.pop(key, 0)
        put_in += found
        if units and not min(units, 0) <= found <= max(units, 0):
            check.violate("booked as other units", campaign=spent.campaign, key=key, asked=units, booked=found)
    if made_with is None:
        late = [key for key in booked if walk.adjusted_at[key] >= before_s]
        for key in late:
            check.violate("nobody was told of it", campaign=spent.campaign, key=key, booked=booked[key])
        return put_in + sum(booked.values())
    if (found := sum(booked.values())) != made_with:
        check.violate(
            "it was made with another stock", campaign=spent.campaign, key=next(reversed(booked), ""), told=made_with,
            booked=found,
        )  # fmt: skip
    return put_in + made_with


def check_stock(crowd: Crowd, walk: Walk, put_in: int, tallies: Tallies) -> None:
    """No more was granted than *put_in* and what came back, by the books and by what was told."""
    check, had = tallies["stock"], put_in + walk.returned
    if walk.below_zero:
        return  # each row was counted on the way
    if walk.claimed_units > had:
        check.violate(
            "more was granted than was put in", walk.claimed_units - had, campaign=crowd.campaign, put_in=put_in,
            came_back=walk.returned, granted=walk.claimed_units,
        )  # fmt: skip
    elif len(crowd.coupons) > had:
        last = max(crowd.coupons.values(), key=lambda granted: (granted.answered_s, granted.seq))
        check.violate(
            "more was told than was put in", len(crowd.coupons) - had, campaign=crowd.campaign, put_in=put_in,
            told=len(crowd.coupons), code=last.code, holder=last.holder, key=last.key, seq=last.seq,
        )  # fmt: skip


def check_sold_out(crowd: Crowd, walk: Walk, put_in: int, tallies: Tallies) -> None:
    """
    sold_out is told while a shard has nothing left; and where somebody was told after the last unit came in, nothing is
    left at the end. A campaign with several shards is sold out for a holder when his shard is.
    """
    check, told = tallies["sold_out"], crowd.sold_out
    check.checked += len(told.asks)
    last = _told_last(walk, crowd)
    if last is not None:
        left = min(walk.stock.values(), default=0)
        by_told = put_in + walk.returned - max(walk.claimed_units, len(crowd.coupons))
        if left > 0 or (len(walk.stock) == 1 and by_told > 0):
            holder, key = last
            check.violate(
                "demand was higher, and something is left", max(left, by_told), campaign=crowd.campaign, put_in=put_in,
                granted=walk.claimed_units, left=max(left, by_told), holder=holder, key=key,
            )  # fmt: skip
    if not walk.clocks.known:
        return
    began = [since_s for since_s, _ in walk.empty]
    ended = [*accumulate((until_s for _, until_s in walk.empty), max)]
    for sent_s, answered_s, (holder, key) in zip(told.sent_s, told.answered_s, told.asks, strict=True):
        since_s, until_s = walk.clocks.during(sent_s, answered_s)
        at = bisect_right(began, until_s) - 1
        if sent_s and (at < 0 or ended[at] < since_s):
            check.violate(
                "there was stock all the while", campaign=crowd.campaign, holder=holder, key=key, sent_s=sent_s,
                answered_s=answered_s,
            )  # fmt: skip


def _told_last(walk: Walk, crowd: Crowd) -> tuple[str, str] | None:
    """Somebody who asked when no unit came in any more, and was told sold_out."""
    told = crowd.sold_out
    if not told.asks:
        return None
    at = max(range(len(told.asks)), key=told.sent_s.__getitem__)
    if walk.clocks.known and told.sent_s[at]:
        since_s, _ = walk.clocks.during(told.sent_s[at], told.answered_s[at])
        return told.asks[at] if since_s > walk.last_in_s else None
    return told.asks[at] if walk.returned == 0 and len(walk.adjusted) <= 1 else None
