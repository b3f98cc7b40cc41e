"""
How a stock adjustment is split over shards, and what comes after a step. Pure.

A restock fills the shards that have least, a withdrawal takes from those that have most, so that what
is left lies evenly, as the holders do.
"""

from enum import Enum, auto

from gateway.campaigns.store import Adjustment, Step


class Next(Enum):
    """What an adjustment without pending steps is: finished either way, or in need of more steps."""

    DONE = auto()
    REFUSED = auto()
    MORE = auto()


def spread(stocks: list[int], delta: int) -> list[int]:
    """
    What each shard gets of *delta*, so that they end as even as can be; the parts add up to *delta*.

    Shape: for a withdrawal (*delta* < 0) the stocks hold at least that much.
    """
    sign = 1 if delta > 0 else -1
    assert sign > 0 or sum(stocks) >= -delta
    heights, wanted = [sign * stock for stock in stocks], abs(delta)
    low, high = min(heights), min(heights) + wanted  # the level to fill up to, by halving
    while low < high:
        level = (low + high) // 2
        if sum(max(0, level - height) for height in heights) >= wanted:
            high = level
        else:
            low = level + 1
    parts = [max(0, low - height) for height in heights]
    too_many = sum(parts) - wanted
    for number in reversed(range(len(parts))):
        if parts[number] and too_many:
            parts[number], too_many = parts[number] - 1, too_many - 1
    return [sign * part for part in parts]


def plan(stocks: list[int], delta: int) -> list[Step]:
    """The steps of *delta* over shards that hold *stocks*."""
    return [Step(shard, part) for shard, part in enumerate(spread(stocks, delta)) if part]


def moved(steps: list[Step]) -> int:
    """Coupons that the steps have moved in all."""
    return sum(step.delta for step in steps if step.state == "done")


def undo(steps: list[Step]) -> list[Step]:
    """Steps that take back what *steps* have moved, shard by shard."""
    net: dict[int, int] = {}
    for step in steps:
        if step.state == "done":
            net[step.shard] = net.get(step.shard, 0) + step.delta
    return [Step(shard, -delta, undo=True) for shard, delta in net.items() if delta]


def what_next(adjustment: Adjustment) -> Next:
    """What follows when no step is pending."""
    assert all(step.state != "pending" for step in adjustment.steps)
    if moved(adjustment.steps) == adjustment.delta:
        return Next.DONE
    if adjustment.steps and adjustment.steps[-1].undo:
        assert moved(adjustment.steps) == 0
        return Next.REFUSED
    return Next.MORE
