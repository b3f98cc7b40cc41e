"""How stock is spread over shards."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.campaigns.steps import Next, moved, plan, spread, undo, what_next
from gateway.campaigns.store import Adjustment, Step

STOCKS = st.lists(st.integers(0, 10**12), min_size=1, max_size=32)


@given(stocks=STOCKS, delta=st.integers(1, 10**12))
def test_a_restock_adds_up_and_fills_the_lowest(stocks: list[int], delta: int) -> None:
    """Every coupon lands somewhere, and no shard gets one while it has two more than another."""
    parts = spread(stocks, delta)

    after = [stock + part for stock, part in zip(stocks, parts, strict=True)]
    assert sum(parts) == delta
    assert min(parts) >= 0
    assert all(level <= min(after) + 1 for level, part in zip(after, parts, strict=True) if part)


@given(stocks=STOCKS, share=st.fractions(0, 1))
def test_a_withdrawal_adds_up_and_takes_from_the_highest(stocks: list[int], share: float) -> None:
    """What is withdrawn is there on each shard, and no shard gives while another has two more."""
    delta = int(sum(stocks) * share)

    parts = spread(stocks, -delta)

    after = [stock + part for stock, part in zip(stocks, parts, strict=True)]
    assert sum(parts) == -delta
    assert max(parts) <= 0 <= min(after)
    assert all(level >= max(after) - 1 for level, part in zip(after, parts, strict=True) if part)


def test_initial_stock_is_sliced_like_everything_else() -> None:
    """An empty campaign's stock goes to its shards in parts that differ by one, the larger first."""
    assert spread([0] * 4, 10) == [3, 3, 2, 2]
    assert [step.shard for step in plan([0] * 4, 2)] == [0, 1]


def test_an_undo_takes_back_shard_by_shard() -> None:
    """What earlier steps moved is taken back, what the floor refused is not, and then it is refused."""
    steps = [Step(0, -5, "done"), Step(1, -5, "floor"), Step(2, -1, "done"), Step(0, -2, "done")]

    back = undo(steps)

    assert back == [Step(0, 7, undo=True), Step(2, 1, undo=True)]
    undone = steps + [Step(step.shard, step.delta, "done", undo=True) for step in back]
    assert moved(undone) == 0
    assert what_next(Adjustment("k", -11, "r", "a", undone)) is Next.REFUSED
    assert what_next(Adjustment("k", -11, "r", "a", steps)) is Next.MORE
    assert what_next(Adjustment("k", -8, "r", "a", steps)) is Next.DONE
