"""The walk of the verdict over state changes: places that become free, units that come back, several shards, clocks."""

from typing import Any

import pytest

from loadtest.told import CLAIM, Attempt
from loadtest.verdict.books import Changed, Terms
from loadtest.verdict.clocks import SLACK_S, Clocks
from loadtest.verdict.crowd import Crowd
from loadtest.verdict.found import Tallies
from loadtest.verdict.stock import check_sold_out
from loadtest.verdict.walk import Walk

TERMS = Terms(limit=1, shards=["c/0", "c/1"], is_balance=False, frees=frozenset(), costs_minor=None)
BEGAN_S = 1_000.0


def change(seq: int, kind: str, shard: str = "c/0", **fields: Any) -> Changed:
    """A state change a second after the one before it."""
    nothing = {"code": "", "holder": "", "delta": 0, "key": "", "ref": "", "minor": 0, "state": "", "source": "",
               "destination": "", "units": 1}  # fmt: skip
    return Changed(**{"shard": shard, "seq": seq, "kind": kind, "at_s": BEGAN_S + seq, **nothing, **fields})


def claimed(seq: int, holder: str, shard: str = "c/0") -> Changed:
    """A claim."""
    return change(seq, "claimed", shard, code=f"{shard}-{seq}", holder=holder)


def refused(sent_s: float, answered_s: float, holder: str = "zoe") -> Attempt:
    """Somebody who was told sold_out."""
    return Attempt(CLAIM, "c", holder, "k", 409, "sold_out", sent_s=sent_s, answered_s=answered_s)


def told_of(row: Changed, late_s: float = 0.01) -> Attempt:
    """Whoever was told of *row*, on a clock that is ten seconds ahead of Redis."""
    at_s = row.at_s + 10
    return Attempt(
        CLAIM, "c", row.holder, row.code, 201, "claimed", row.code, row.seq, "", 0, at_s - late_s, at_s + late_s
    )


def walked(changes: list[Changed], attempts: list[Attempt], terms: Terms = TERMS) -> tuple[Walk, Crowd, Tallies]:
    """All of it, walked over."""
    tallies = Tallies()
    crowd = Crowd("c", tallies["replays"])
    for attempt in attempts:
        crowd.add(attempt)
    walk = Walk(crowd, terms, terms.limit, tallies)
    walk.over(changes)
    return walk, crowd, tallies


@pytest.mark.parametrize(("frees", "violated"), [(frozenset(), 1), (frozenset({"revoked"}), 0)])
def test_a_place_counts_until_it_is_given_back(frees: frozenset[str], violated: int) -> None:
    """A second coupon of a holder is one too many, unless the campaign gives the place of the first one back."""
    changes = [
        change(1, "adjusted", delta=5, key="k"),
        claimed(2, "ann"),
        change(3, "revoked", code="c/0-2", holder="ann", state="revoked", source="outstanding", destination="revoked"),
        claimed(4, "ann"),
    ]
    walk, _, tallies = walked(changes, [], TERMS._replace(frees=frees))

    assert tallies["limit"].violated == violated
    assert walk.accounts["outstanding"] == 1


def test_a_unit_that_comes_back_may_go_out_again_and_no_other() -> None:
    """Stock is counted at every number: a coupon that ends gives its unit to the next one, and only one."""
    back = change(3, "expired", code="c/0-2", holder="ann", state="expired", source="outstanding", destination="stock")
    changes = [change(1, "adjusted", delta=1, key="k"), claimed(2, "ann"), back, claimed(4, "bob"), claimed(5, "cy")]
    walk, _, tallies = walked(changes, [])

    assert tallies["stock"].violated == 1
    assert tallies["stock"].first is not None
    assert (tallies["stock"].first["seq"], tallies["stock"].first["left"]) == (5, -1)
    assert walk.returned == 1
    assert walk.last_in_s["c/0"] == BEGAN_S + 3


@pytest.mark.parametrize(
    ("sent_s", "answered_s", "violated"),
    [
        (2.5, 2.6, 0),  # between the sell-out and the restock
        (1.2, 1.9, 1),  # before the sell-out
        (1.2, 2.1, 0),  # over it
        (4.2, 4.5, 1),  # while the restock was there
        (5.2, 5.5, 0),  # at the end
    ],
)
def test_sold_out_is_true_where_nothing_was_left_for_a_moment(sent_s: float, answered_s: float, violated: int) -> None:
    """By the clock of Redis, which is ten seconds behind that of the generator."""
    changes = [
        change(1, "adjusted", delta=1, key="a"), claimed(2, "ann"), change(4, "adjusted", delta=1, key="b"),
        claimed(5, "bob"),
    ]  # fmt: skip
    generator_s = BEGAN_S + 10
    attempts = [told_of(changes[1]), told_of(changes[3]), refused(generator_s + sent_s, generator_s + answered_s)]
    walk, crowd, tallies = walked(
        [each._replace(seq=number) for number, each in enumerate(changes, 1)], attempts, TERMS._replace(shards=["c/0"])
    )
    check_sold_out(crowd, walk, 2, tallies)

    assert tallies["sequence"].violated == 0
    assert tallies["sold_out"].violated == violated


@pytest.mark.parametrize(("claims", "asks", "violated"), [("bob", "eve", 0), ("bob", "ann", 6), ("ann", "ann", 0)])
def test_a_holder_is_told_of_his_own_shard(claims: str, asks: str, violated: int) -> None:
    """
    The CRC-32 of bob and eve is even and that of ann odd: eve's shard is the empty one, and ann's has five left. Where
    a claim shows that it goes by something else, any empty shard is an excuse.
    """
    changes = [
        change(1, "adjusted", "c/0", delta=1, key="a#0"), claimed(2, claims),
        change(1, "adjusted", "c/1", delta=5, key="a#1"),
    ]  # fmt: skip
    walk, crowd, tallies = walked(changes, [told_of(changes[1]), refused(BEGAN_S + 13, BEGAN_S + 14, asks)])
    check_sold_out(crowd, walk, 6, tallies)

    assert walk.stock == {"c/0": 0, "c/1": 5}
    assert walk.adjusted == {"a": 6}
    assert tallies["sold_out"].violated == violated


@pytest.mark.parametrize(("asks_s", "violated"), [(1.5, 0), (3.0, 1)])
def test_whoever_had_no_answer_and_is_refused_later_had_no_coupon(asks_s: float, violated: int) -> None:
    """What had no answer may be done late; but once its coupon is there, its key is told of it and not refused."""
    changes = [change(1, "adjusted", delta=2, key="k"), claimed(2, "ann"), claimed(3, "zoe")]
    unanswered = Attempt(CLAIM, "c", "ann", "k", 0, "unanswered", sent_s=BEGAN_S + 11)
    again = refused(BEGAN_S + 10 + asks_s, BEGAN_S + 10.1 + asks_s, "ann")
    walk, _, tallies = walked(changes, [unanswered, again, told_of(changes[2])], TERMS._replace(shards=["c/0"]))
    walk.told.end(walk.clocks)

    assert tallies["untold"].violated == 0
    assert tallies["replays"].violated == violated


def test_clocks_are_as_close_as_the_answers_tell() -> None:
    """Each answer bounds the difference, all together tightly; answers that no one clock fits leave the widest."""
    clocks = Clocks()
    assert not clocks.known
    clocks.decided(100.0, 110.0, 112.0)
    clocks.decided(200.0, 209.0, 211.0)

    assert clocks.known
    assert clocks.during(300.0, 300.0) == pytest.approx((289 - SLACK_S, 290 + SLACK_S))
    clocks.decided(300.0, 300.0, 300.5)
    assert clocks.during(300.0, 300.0) == pytest.approx((288 - SLACK_S, 300 + SLACK_S))
