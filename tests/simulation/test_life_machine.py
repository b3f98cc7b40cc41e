"""
The life of a coupon against a plain model: Hypothesis draws any order of claims, holds, releases, redemptions,
rollbacks whole and in parts, ends and jumps of the clock, and after each step every reply, every key, every step
on the stream and the unit book must be what the model says.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.stack.valkey import Valkey
from lua.door import Door, connect
from lua.entries import Changed, Entry, Step
from lua.scripts import load_script
from lua.tally import COUNTED
from tests.builders import HOUR_MS, a_code, an_ask, unpack
from tests.life import LifeShard, Record, open_life, unit_book
from tests.simulation import life_verbs as verbs
from tests.simulation.life_model import CHARS, Coupon, Life

HOLDERS = ["ann", "дан"]
CODES = [a_code(str(number)) for number in range(4)]
SHARED = ["SHARED-1", "SHARED-2"]
ORDERS = ["o 1", "o-2", "単-3"]
DETAIL = '{"reason":"любая"}'
UNIT = 1000

some_code = st.sampled_from([*CODES, *CODES, *SHARED, "NOBODY-HAS"])
some_order = st.sampled_from(ORDERS)
some_holder = st.sampled_from(["", "", "", *HOLDERS])
some_by = st.sampled_from(["", "", "till", "web"])
some_policy = st.sampled_from(["", "stock", "slot", "stock,slot"])


def batch(*parts: st.SearchStrategy[Any], most: int = 5) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Several asks of a call."""
    return st.lists(st.tuples(*parts), min_size=1, max_size=most)


class LifeMachine(RuleBasedStateMachine):
    """Drives a real shard and the model side by side."""

    server: Valkey

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.run = self.loop.run_until_complete
        self.door = Door(connect(self.server.url, connections_max=2, call_ms_max=30_000, connect_ms_max=30_000))
        self.numbers, self.entries = 0, list[Entry]()
        self.shard: LifeShard
        self.model: Life

    def teardown(self) -> None:
        self.run(self.door.close())
        self.loop.close()

    @initialize(
        kind=st.sampled_from(["once", "balance"]), budget=st.sampled_from([None, 2500, 4000, 90_000]),
        transferable=st.booleans(), expiry=some_policy, revoke=some_policy,
    )  # fmt: skip
    def open(self, kind: str, budget: int | None, transferable: bool, expiry: str, revoke: str) -> None:
        """A fresh shard."""
        self.run(self.door.redis.flushall())
        rules: dict[str, Any] = {
            "kind": kind, "unit_minor": UNIT, "budget_minor": "" if budget is None else budget, "per_holder": 2,
            "transferable": "1" if transferable else "", "expiry_returns": expiry, "revoke_returns": revoke,
            "validity_ms": HOUR_MS,
        }  # fmt: skip
        self.shard = self.run(open_life(self.door, 8, **rules))
        policy = {"expired": expiry, "revoked": revoke}
        self.entries = self.run(self.shard.new_entries())
        self.model = Life(kind, UNIT, budget, 2, transferable, policy, self.shard.now, stock=8)

    def call(self, name: str, verb: Callable[..., Any], asks: list[Any], *head: str) -> list[Any]:
        """One call of a script: its replies and the steps on the stream are the model's."""
        model = self.model
        flat = [part for ask in asks for part in ask]
        replies = self.run(self.shard.ask(name, *flat, head=head))
        model.steps, first = [], model.seq + 1
        expected = [verb(model, *head, *ask) for ask in asks]
        assert replies == expected, (replies, expected)
        self.same_steps(first)
        return replies

    def same_steps(self, first: int) -> None:
        """One new entry with the model's steps, or none where there is no step."""
        new = self.run(self.shard.new_entries())
        self.entries += new
        assert new == ([Changed(1, 1, 1, self.model.now, first, self.model.steps)] if self.model.steps else [])

    @rule(asks=batch(st.sampled_from(HOLDERS), st.sampled_from(["k1", "k2", "k3"]), st.sampled_from(CODES)))
    def claim(self, asks: list[tuple[str, str, str]]) -> None:
        """Coupons of codes that nobody has; a key again is a replay."""
        asks = [ask for ask in asks if ask[2] not in self.model.coupons]
        asks = list({ask[2]: ask for ask in asks}.values())
        if asks:
            rush = self.run(self.shard.claim(*(an_ask(*ask) for ask in asks)))
            assert rush.replies == [self.model.claim(*ask) for ask in asks]

    @rule(code=st.sampled_from(SHARED), units=st.integers(2, 3))
    def issue(self, code: str, units: int) -> None:
        """A code that several may use."""
        model = self.model
        if code in model.coupons or units > model.stock or not model.ready:
            return
        expires_ms = model.now + HOUR_MS
        seq = self.run(self.shard.issue_shared(code, units, unit_minor=UNIT, expires_ms=expires_ms))
        model.seq, model.stock = model.seq + 1, model.stock - units
        model.coupons[code] = Coupon(code, "", "", seq, model.now, expires_ms, units, many=True)

    ttls = st.sampled_from([1, 1000, 5000, 2 * HOUR_MS])

    @rule(asks=batch(some_code, some_order, some_holder, st.sampled_from(["till", "web"]), ttls, st.just(DETAIL)))
    def reserve(self, asks: list[tuple[Any, ...]]) -> None:
        """Holds, the same coupon and order several times among them."""
        self.call("reserve", verbs.reserve, asks)

    @rule(asks=batch(some_code, st.sampled_from(["", *ORDERS]), some_holder, some_by, st.just(DETAIL)))
    def release(self, asks: list[tuple[Any, ...]]) -> None:
        """Holds let go, or what is none."""
        self.call("release", verbs.release, asks)

    @rule(
        asks=batch(
            some_code, some_order, some_holder, st.integers(1, 40), st.sampled_from("ppq"),
            st.sampled_from([0, 300, 400, 600, 1000, 1001]),
        ),
        frozen=st.sampled_from(["f1"] * 5 + ["f0"]),
    )  # fmt: skip
    def redeem(self, asks: list[tuple[Any, ...]], frozen: str) -> None:
        """Redemptions with keys that come again, of orders that come again."""
        flat = []
        for code, order, holder, key, payload, minor in asks:
            self.numbers += 1
            number, amount = f"RD-{self.numbers}", str(minor)
            flat.append([number, code, order, holder, f"k{key}", f"{code} {order}", payload, amount, amount, DETAIL])
        self.call("redeem", verbs.redeem, flat, frozen)

    amounts = st.sampled_from(["rest", "rest", "half", "none", "one", "over"])
    skews = st.sampled_from([0] * 6 + [1, -1])
    fates = st.sampled_from(["restore", "restore", "end"])
    extensions = st.sampled_from([0, HOUR_MS])

    @precondition(lambda self: self.model.redemptions)
    @rule(
        asks=batch(
            st.integers(0, 50), st.integers(1, 40), st.sampled_from("ppq"), amounts, skews, fates, extensions,
            some_policy, most=4,
        )
    )  # fmt: skip
    def rollback(self, asks: list[tuple[Any, ...]]) -> None:
        """Rollbacks of what there is, in parts and whole; each ask counts on those before it in the call."""
        flat, coming = [], dict[str, tuple[int, int]]()
        for at, key, payload, amount, skew, fate, extend_ms, returns in asks:
            given = list(self.model.redemptions.values())[at % len(self.model.redemptions)]
            parts, back = coming.get(given.id, (len(given.parts), given.back))
            rest = given.minor - back
            minor = {"rest": rest, "half": rest // 2, "none": 0, "one": min(1, rest), "over": rest + 1}[amount]
            coming[given.id] = (parts + 1, back + minor)
            number = "RD-none" if at == 50 else given.id
            flat.append([number, f"r{key}", payload, parts + skew, str(minor), fate, extend_ms, returns, DETAIL])
        self.call("rollback", verbs.rollback, flat)

    @rule(codes=st.lists(some_code, min_size=1, max_size=6))
    def expire(self, codes: list[str]) -> None:
        """What the sweeper does, asked of any code."""
        self.call("expire", verbs.expire, [[code] for code in codes])

    @rule(asks=batch(some_code, st.just(DETAIL), most=2))
    def revoke(self, asks: list[tuple[Any, ...]]) -> None:
        """Codes taken away."""
        self.call("revoke", verbs.revoke, asks)

    @rule(limit=st.integers(1, 3))
    def lapse(self, limit: int) -> None:
        """Overdue holds freed, some at a time."""
        model = self.model
        model.steps, first, overdue = [], model.seq + 1, len(model.overdue())
        freed = model.lapse(limit) if model.ready else 0
        assert self.run(self.shard.lapse(limit)) == ([freed, overdue - freed] if model.ready else [0, 0])
        self.same_steps(first)

    @rule(ms=st.sampled_from([1, 999, 1000, 5000, HOUR_MS - 5000, HOUR_MS]))
    def jump(self, ms: int) -> None:
        """The clock goes on."""
        self.model.now += ms
        self.run(self.shard.move_to(self.model.now))

    @rule()
    def restart(self) -> None:
        """Another Redis serves nothing until it is attached; then it goes on."""
        if self.model.ready:
            self.run(self.shard.rule(server="another"))
        else:
            self.run(self.door.call(load_script("attach"), self.shard.shard, 1, self.model.seq, "0-0"))
            self.model.seq += 1
        self.model.ready = not self.model.ready

    @invariant()
    def keys_are_as_the_model(self) -> None:
        """Stock, numbers, budget, and every record in every key."""
        model, shard, run = self.model, self.shard, self.run
        models = model.coupons.values()
        counters, coupons, uses, redemptions, acts = run(
            shard.hashes("counters", "coupons", "uses", "redemptions", "acts")
        )
        assert (run(shard.stock()), int(counters["seq"])) == (model.stock, model.seq)
        assert int(counters.get("budget_used", 0)) == (model.budget_used if model.budget is not None else 0)
        counted = [int(counters.get(name, 0)) for name in COUNTED]
        book = model.book
        assert counted[1:5] == [book[name] for name in COUNTED[1:5]]
        assert counted[0] - sum(counted[1:]) == book["outstanding"]
        assert {code: Record.read(packed) for code, packed in coupons.items()} == {
            c.code: Record(CHARS[c.state], c.seq, c.claimed_ms, c.expires_ms, c.holder) for c in models
        }
        assert decoded(uses) == dict(entry for c in models for entry in uses_of(c))
        holds = {f"{c.code} {order}": hold.until_ms for c in models for order, hold in c.holds.items()}
        holds |= {c.code: c.hold.until_ms for c in models if c.state == "reserved"}
        assert run(shard.holds()) == holds
        assert decoded(redemptions) == {one.id: one.record for one in model.redemptions.values()}
        assert {scope: act.decode() for scope, act in acts.items()} == model.acts

    @invariant()
    def what_is_told_is_as_the_model(self) -> None:
        """held, inspect and recall, by the clock."""
        model, shard, run = self.model, self.shard, self.run
        for holder in HOLDERS:
            mine = [c for c in model.coupons.values() if c.holder == holder]
            states = [CHARS["claimed" if is_lapsed(model, c) else model.state(c)] for c in mine]
            told = [[c.code, state, c.seq, c.claimed_ms, c.expires_ms] for c, state in zip(mine, states, strict=True)]
            assert run(shard.held(holder)) == told
        asks = [(code, order) for code in [*CODES, *SHARED] for order in (ORDERS[0], "")]
        assert run(shard.inspect(*[part for ask in asks for part in ask])) == model.inspect(asks)
        for one in list(model.redemptions.values())[-1:]:
            [(state, _, _, _, _, left, *_)] = model.inspect([(one.code, "")])
            if not model.coupons[one.code].many:
                assert run(shard.recall(one.id)) == [model.ready, one.record, state, left]

    @invariant()
    def books_are_as_the_model(self) -> None:
        """The unit book of the entries, by the coupons as they stand."""
        self.entries += self.run(self.shard.new_entries())
        entries = self.entries
        assert unit_book(entries) == self.model.book
        assert sum(entry.count for entry in entries) == self.model.seq
        last = {step.code: step for entry in entries if isinstance(entry, Changed) for step in entry.each}
        for step in last.values():
            assert_as_told(step, self.model.coupons[step.code])


def decoded(fields: dict[str, bytes]) -> dict[str, Any]:
    """A hash of msgpack."""
    return {name: unpack(value) for name, value in fields.items()}


def uses_of(coupon: Coupon) -> list[tuple[str, list[Any]]]:
    """The records that the coupon has in uses."""
    hold = coupon.hold
    if coupon.many:
        held = [(f"{coupon.code} {order}", [hold.by, hold.until_ms]) for order, hold in coupon.holds.items()]
        return [(coupon.code, [coupon.left, coupon.of, "", "", 0, len(coupon.holds)]), *held]
    is_plain = not hold.order and coupon.left == (0 if coupon.state == "redeemed" else coupon.of)
    return [] if is_plain else [(coupon.code, [coupon.left, coupon.of, hold.order, hold.by, hold.until_ms])]


def is_lapsed(model: Life, coupon: Coupon) -> bool:
    """Whether it is reserved for an order whose time is over, and not past its own."""
    return coupon.state == "reserved" and coupon.hold.until_ms <= model.now < coupon.expires_ms


def assert_as_told(step: Step, coupon: Coupon) -> None:
    """The last step of a coupon tells what it is now."""
    assert (step.state, int(step.left), step.holder) == (coupon.state, coupon.left, coupon.holder)


@pytest.mark.parametrize("examples", [60])
def test_the_life_of_a_coupon_is_what_the_model_says(redis_server: Valkey, examples: int) -> None:
    """Any sequence of up to 40 steps leaves the shard exactly as a plain model has it, and its units in balance."""

    class Machine(LifeMachine):
        server = redis_server

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
