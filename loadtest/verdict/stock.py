"""What was put in, what was granted of it, and who was told that nothing is left."""

from bisect import bisect_right
from itertools import accumulate

from loadtest.verdict.crowd import Crowd, SoldOut
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
    sold_out is told while a holder's shard has nothing left; and where somebody was told after the last unit came in,
    nothing is left at the end. Where it can't be told whose shard is whose, any that has nothing left is an excuse.
    """
    check, told = tallies["sold_out"], crowd.sold_out
    check.checked += len(told.asks)
    shards = [walk.shard_of(holder) for holder, _ in told.asks]
    for shard, at in _asked_last(told, shards).items():
        if not _after_the_last_unit(walk, told, shard, at):
            continue
        left = walk.stock.get(shard, 0) if shard else min(walk.stock.values(), default=0)
        if len(walk.stock) == 1:
            left = max(left, put_in + walk.returned - max(walk.claimed_units, len(crowd.coupons)))
        if left > 0:
            holder, key = told.asks[at]
            check.violate(
                "demand was higher, and something is left", left, campaign=crowd.campaign, shard=shard, put_in=put_in,
                granted=walk.claimed_units, left=left, holder=holder, key=key,
            )  # fmt: skip
    if not walk.clocks.known:
        return
    empty = {shard: _Empty(spans) for shard, spans in walk.empty.items()}
    empty[""] = _Empty([span for spans in walk.empty.values() for span in spans])
    for at, (holder, key) in enumerate(told.asks):
        during = walk.clocks.during(told.sent_s[at], told.answered_s[at])
        if told.sent_s[at] and not (shards[at] in empty and empty[shards[at]].some_of(*during)):
            check.violate(
                "there was stock all the while", campaign=crowd.campaign, shard=shards[at], holder=holder, key=key,
                sent_s=told.sent_s[at], answered_s=told.answered_s[at],
            )  # fmt: skip


class _Empty:
    """When there was nothing left: from each begin to its end."""

    def __init__(self, spans: list[tuple[float, float]]) -> None:
        spans = sorted(spans)
        self._began = [since_s for since_s, _ in spans]
        self._ended = [*accumulate((until_s for _, until_s in spans), max)]

    def some_of(self, since_s: float, until_s: float) -> bool:
        """Whether it was so at some instant between the two."""
        at = bisect_right(self._began, until_s) - 1
        return at >= 0 and self._ended[at] >= since_s


def _asked_last(told: SoldOut, shards: list[str]) -> dict[str, int]:
    """Shard → the place of whoever asked last of those it told sold_out."""
    last: dict[str, int] = {}
    for at, shard in enumerate(shards):
        if shard not in last or told.sent_s[at] >= told.sent_s[last[shard]]:
            last[shard] = at
    return last


def _after_the_last_unit(walk: Walk, told: SoldOut, shard: str, at: int) -> bool:
    """Whether no unit came in any more when this one asked."""
    if walk.clocks.known and told.sent_s[at]:
        since_s, _ = walk.clocks.during(told.sent_s[at], told.answered_s[at])
        came_s = walk.last_in_s.get(shard, 0.0) if shard else max(walk.last_in_s.values(), default=0.0)
        return since_s > came_s
    return walk.returned == 0 and len(walk.adjusted) <= 1
