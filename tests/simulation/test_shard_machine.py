"""
The scripts against a plain model: Hypothesis draws any order of claims, replays, restocks, withdrawals,
rule changes, pauses, day boundaries, Redis changes, and after each step every reply and every key must
be what the model says.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
from lua.entries import Adjusted, Attached, Claimed, Published
from lua.outcomes import Outcome
from lua.scripts import load_script
from tests.builders import HOUR_MS, ShardUnderTest, a_code, a_day, an_ask, now_ms, unpack

T = TypeVar("T")
HOLDERS = ["ann", "bob", "cem", "дан"]
KEYS = ["k1", "k2", "k3"]


@dataclass
class Coupon:
    """A coupon the model says is out."""

    holder: str
    key: str
    payload: str
    code: str
    seq: int
    claimed_ms: int
    expires_ms: int


@dataclass
class Model:
    """What a shard is, in plain Python: no Redis, no packing, no batching."""

    rules: dict[str, Any]
    stock: int = 0
    seq: int = 1
    budget_used: int = 0
    attached: bool = True
    coupons: list[Coupon] = field(default_factory=list)
    adjustments: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    covered: list[tuple[type, int, int]] = field(default_factory=lambda: [(Published, 1, 1)])
    day_counts: dict[int, int] = field(default_factory=dict)

    def day_start(self, at_ms: int) -> int:
        """The last midnight not after *at_ms*."""
        midnights: list[int] = self.rules["midnights"]
        return max([0, *(day for day in midnights if day <= at_ms)])

    def claim(self, holder: str, key: str, payload: str, code: str, channel: str, at_ms: int) -> Any:
        """One claim at *at_ms*, by the published order of precedence."""
        mine = [coupon for coupon in self.coupons if coupon.holder == holder]
        for coupon in mine:
            if coupon.key == key:
                if coupon.payload != payload:
                    return Outcome.KEY_REUSED
                return [Outcome.REPLAYED, coupon.code, coupon.seq, coupon.claimed_ms, coupon.expires_ms]
        rules = self.rules
        if not self.attached:
            return Outcome.NOT_READY
        if len(mine) >= rules["per_holder"]:
            return [Outcome.LIMIT_REACHED, *(coupon.code for coupon in mine)]
        if rules["state"] != "ended" and at_ms < rules["starts_ms"]:
            return Outcome.NOT_STARTED
        if rules["state"] == "ended" or at_ms >= rules["ends_ms"]:
            return Outcome.ENDED
        if rules["state"] == "paused":
            return Outcome.PAUSED
        if channel and rules["channels"] and channel not in rules["channels"]:
            return Outcome.NOT_ELIGIBLE
        today = self.day_start(at_ms)
        mine_today = sum(coupon.claimed_ms >= today for coupon in mine)
        if rules["per_holder_per_day"] is not None and mine_today >= rules["per_holder_per_day"]:
            return Outcome.PERIOD_LIMIT
        if rules["per_day"] is not None and self.day_counts.get(today, 0) >= rules["per_day"]:
            return Outcome.PERIOD_LIMIT
        if rules["budget_minor"] is not None and self.budget_used + rules["unit_minor"] > rules["budget_minor"]:
            return Outcome.BUDGET_EXHAUSTED
        if self.stock < 1:
            return Outcome.SOLD_OUT
        if any(coupon.code == code for coupon in self.coupons):
            return Outcome.CODE_TAKEN
        self.seq += 1
        self.stock -= 1
        if rules["budget_minor"] is not None:
            self.budget_used += rules["unit_minor"]
        if rules["midnights"] or rules["per_day"] is not None:
            self.day_counts[today] = self.day_counts.get(today, 0) + 1
        expires_ms = at_ms + rules["validity_ms"]
        self.coupons.append(Coupon(holder, key, payload, code, self.seq, at_ms, expires_ms))
        return self.seq

    def frozen(self) -> str:
        """What moves money, as one text."""
        return f"{self.rules['unit_minor']} {self.rules['budget_minor']}"


def rule_texts(rules: dict[str, Any], version: int, frozen: str) -> dict[str, Any]:
    """The model's rules as publish.lua takes them."""
    plain = {
        name: "" if value is None else value for name, value in rules.items() if name not in ("midnights", "channels")
    }
    days = "".join(map(a_day, rules["midnights"]))
    channels = f",{','.join(rules['channels'])}," if rules["channels"] else ""
    return {**plain, "channels": channels, "days": days, "version": version, "frozen": frozen}


def limits() -> st.SearchStrategy[dict[str, Any]]:
    """Rules near the limits, so that they are met often."""
    return st.fixed_dictionaries(
        {
            "state": st.sampled_from(["open", "open", "open", "paused", "ended"]),
            "starts_ms": st.sampled_from([-HOUR_MS, -HOUR_MS, -HOUR_MS, HOUR_MS]),
            "ends_ms": st.sampled_from([HOUR_MS, HOUR_MS, HOUR_MS, -1]),
            "per_holder": st.integers(1, 4),
            "per_holder_per_day": st.none() | st.integers(1, 2),
            "per_day": st.none() | st.integers(1, 5),
            "budget_minor": st.sampled_from([None, None, 499, 500, 999, 1000, 1400]),
            "unit_minor": st.sampled_from([0, 500, 700]),
            "channels": st.sampled_from([[], ["app"], ["app", "web"]]),
            "midnights": st.lists(st.sampled_from([-HOUR_MS, -600_000, -2, 0, 600_000]), max_size=4, unique=True),
        }
    )


class ShardMachine(RuleBasedStateMachine):
    """Drives a real shard and the model side by side."""

    server: Valkey

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.door = Door(connect(self.server.url, connections_max=2, call_ms_max=30_000, connect_ms_max=30_000))
        self.shard = ShardUnderTest(self.door)
        self.version, self.codes = 1, 0
        self.model: Model

    def run(self, work: Awaitable[T]) -> T:
        """Run one coroutine on this machine's own loop."""
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.door.close())
        self.loop.close()

    @staticmethod
    def at_now(drawn: dict[str, Any]) -> dict[str, Any]:
        """Offsets become instants."""
        now = now_ms()
        window = {"starts_ms": now + drawn["starts_ms"], "ends_ms": now + drawn["ends_ms"]}
        midnights = sorted(now + offset for offset in drawn["midnights"])
        return {**drawn, **window, "midnights": midnights, "validity_ms": HOUR_MS}

    @initialize(drawn=limits())
    def publish_first(self, drawn: dict[str, Any]) -> None:
        """A fresh shard."""
        self.run(self.door.redis.flushall())
        self.model = Model(self.at_now({**drawn, "state": "open"}))
        texts = rule_texts(self.model.rules, self.version, self.model.frozen())
        assert self.run(self.shard.publish(**texts)) == Outcome.DONE
        self.adjust(5, "first")

    @rule(
        asks=st.lists(
            st.tuples(
                st.sampled_from(HOLDERS), st.sampled_from(KEYS), st.sampled_from(["", "p"]),
                st.sampled_from(["", "app", "web"]), st.integers(0, 30),
            ),
            min_size=1, max_size=12,
        )
    )  # fmt: skip
    def claim(self, asks: list[tuple[str, str, str, str, int]]) -> None:
        """A call of several asks: duplicates of holder, key and code among them."""
        codes = []
        for *_, draw in asks:
            self.codes += draw > 0  # 0: the code drawn last again
            codes.append(a_code(str(self.codes)))
        flat = [an_ask(holder, key, code, channel, payload)
                for (holder, key, payload, channel, _), code in zip(asks, codes, strict=True)]  # fmt: skip
        rush = self.run(self.shard.claim(*flat))
        before = self.model.seq
        expected = [
            self.model.claim(holder, key, payload, code, channel, rush.now_ms)
            for (holder, key, payload, channel, _), code in zip(asks, codes, strict=True)
        ]
        assert rush.replies == expected
        if self.model.seq > before:
            self.model.covered.append((Claimed, before + 1, self.model.seq - before))

    @rule(delta=st.integers(-6, 6).filter(bool), key=st.sampled_from(["a", "b", "c", "d", "e"]))
    def adjust(self, delta: int, key: str) -> None:
        """Stock in or out; a key again is a replay or is refused."""
        reply = self.run(self.shard.adjust(delta, key))
        model = self.model
        if not model.attached:
            assert reply == [Outcome.NOT_READY, 0, 0]
        elif key in model.adjustments:
            its_delta, seq, stock = model.adjustments[key]
            assert reply == ([Outcome.REPLAYED, seq, stock] if its_delta == delta else [Outcome.KEY_REUSED, 0, 0])
        elif model.stock + delta < 0:
            assert reply == [Outcome.STOCK_FLOOR, 0, model.stock]
        else:
            model.seq, model.stock = model.seq + 1, model.stock + delta
            model.adjustments[key] = (delta, model.seq, model.stock)
            model.covered.append((Adjusted, model.seq, 1))
            assert reply == [Outcome.DONE, model.seq, model.stock]

    @rule(drawn=limits(), same_money=st.booleans(), newer=st.booleans())
    def publish(self, drawn: dict[str, Any], same_money: bool, newer: bool) -> None:
        """Another version of the rules, or this one again; money can't change once a coupon is out."""
        rules = self.at_now(drawn)
        if same_money:
            rules.update({name: self.model.rules[name] for name in ("unit_minor", "budget_minor")})
        frozen = f"{rules['unit_minor']} {rules['budget_minor']}"
        texts = rule_texts(rules, self.version + newer, frozen)
        reply = self.run(self.shard.publish(fresh=False, **texts))
        if not self.model.attached:
            assert reply == Outcome.NOT_READY
        elif not newer:
            assert reply == Outcome.UNCHANGED
        elif frozen != self.model.frozen() and self.model.coupons:
            assert reply == Outcome.FROZEN
        else:
            assert reply == Outcome.DONE
            self.version += 1
            self.model.rules, self.model.seq = rules, self.model.seq + 1
            self.model.covered.append((Published, self.model.seq, 1))

    @precondition(lambda self: self.model.attached)
    @rule()
    def move_to_another_redis(self) -> None:
        """As after a restart or a failover: the shard names another run id."""
        self.run(self.shard.rule(server="another"))
        self.model.attached = False

    @rule(books_seq=st.integers(-2, 1), epoch=st.sampled_from([1, 1, 1, 2]))
    def attach(self, books_seq: int, epoch: int) -> None:
        """The reconciler compares and lets it serve, unless the books know more than it does or another epoch."""
        seq = max(0, self.model.seq + books_seq)
        outcome, *_ = self.run(self.door.call(load_script("attach"), self.shard.shard, epoch, seq, "0-0"))
        if epoch != 1 or seq > self.model.seq:
            assert outcome == (Outcome.NOT_READY if epoch != 1 else Outcome.BEHIND)
            self.model.attached = False
        elif self.model.attached:
            assert outcome == Outcome.UNCHANGED
        else:
            assert outcome == Outcome.DONE
            self.model.attached, self.model.seq = True, self.model.seq + 1
            self.model.covered.append((Attached, self.model.seq, 1))

    @invariant()
    def redis_is_as_the_model(self) -> None:
        """Stock, seq, budget, every holder's coupons, and the numbers on the stream: 1 … seq without a gap."""
        model = self.model
        now, ready, stock, _, flat, length, _ = unpack(self.run(self.door.call(load_script("look"), self.shard.shard)))
        counters = dict(zip(flat[::2], flat[1::2], strict=True))
        assert (stock, ready, length) == (model.stock, model.attached, len(model.covered))
        assert int(counters["seq"]) == model.seq
        assert int(counters.get("claimed", 0)) == len(model.coupons)
        assert int(counters.get("budget_used", 0)) == model.budget_used
        for holder in HOLDERS:
            held = unpack(self.run(self.door.call(load_script("held"), self.shard.shard, holder, with_server=False)))
            mine = [coupon for coupon in model.coupons if coupon.holder == holder]
            assert held == [[c.code, "c", c.seq, c.claimed_ms, c.expires_ms] for c in mine]
        entries = self.run(self.shard.entries())
        assert [(type(entry), entry.first_seq, entry.count) for entry in entries] == model.covered
        assert now >= max((coupon.claimed_ms for coupon in model.coupons), default=0)


@pytest.mark.parametrize("examples", [60])
def test_the_scripts_do_what_the_model_says(redis_server: Valkey, examples: int) -> None:
    """Any sequence of up to 40 steps leaves the shard exactly as a plain model of the rules has it."""

    class Machine(ShardMachine):
        server = redis_server

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
