"""Results of runs that never were, but look like one: seeded, so that the same arguments give the same run."""

import random
from datetime import UTC, datetime
from typing import Any

import msgspec

from loadtest.report.result import (
    Campaign,
    Check,
    Failure,
    Gate,
    Generator,
    Mark,
    ProductVerdict,
    Request,
    Result,
    Seconds,
    Verdict,
)  # fmt: skip
from loadtest.verdict.found import SAYS

FIRST = {"why": "more than the limit", "campaign": "sale-7f3a", "holder": "h-001734", "has": 2, "may_have": 1}
OUTCOMES = ("claimed", "replayed", "sold_out", "limit_reached", "campaign_paused", "overloaded", "unanswered", "wrong")


def a_check(name: str, violated: int = 0, says: str = "", checked: int = 20_134) -> Check:
    """A check; where it is violated it has a first row."""
    return Check(
        name=name,
        says=says or SAYS[name],
        checked=checked,
        violated=violated,
        first=FIRST if violated else None,
    )


def seconds_of(length: int, campaigns: tuple[str, ...], stock: int, rng: random.Random) -> Seconds:
    """A sale: a spike, a crowd that comes again, a restock in the middle, a pause, tills until the end."""
    course: dict[str, list[Any]] = {name: [] for name in ("users", "p50", "p95", "p99", "lag", "waiting", "batch")}
    outcomes: dict[str, list[int]] = {name: [] for name in OUTCOMES}
    left = {campaign: stock // len(campaigns) for campaign in campaigns}
    stocks: dict[str, list[int | None]] = {campaign: [] for campaign in campaigns}
    waiting = 0
    for at in range(length):
        share = at / max(1, length - 1)
        rush = 2600 if share < 0.12 else 900 if share < 0.45 else 1400 if share < 0.6 else 250
        asked = int(rush * rng.uniform(0.85, 1.1)) if at else rush // 3
        if at == int(length * 0.45):
            left = {campaign: units + stock // 10 for campaign, units in left.items()}
        paused = 0.7 <= share < 0.74
        for campaign in campaigns:
            taken = 0 if paused else min(left[campaign], int(asked * rng.uniform(0.2, 0.3)))
            left[campaign] -= taken
            stocks[campaign].append(left[campaign])
        before = [values[-2] if at else stock // len(campaigns) for values in stocks.values()]
        granted = sum(max(0, (b or 0) - left[c]) for b, c in zip(before, campaigns, strict=True))
        second = {
            "claimed": granted,
            "replayed": int(asked * 0.06),
            "limit_reached": int(asked * 0.1),
            "campaign_paused": int(asked * 0.8) if paused else 0,
            "overloaded": int(asked * rng.uniform(0, 0.1)) if share < 0.06 else 0,
            "unanswered": rng.randrange(12) if 0.2 < share < 0.45 else 0,
            "wrong": 0,
        }
        second["sold_out"] = max(0, asked - sum(second.values()))
        for name, values in outcomes.items():
            values.append(second[name])
        base = 4 + asked / 300 + rng.expovariate(1)
        course["users"].append(600 if share < 0.6 else 120)
        course["p50"].append(round(base, 1))
        course["p95"].append(round(base * rng.uniform(2, 4), 1))
        course["p99"].append(round(base * rng.uniform(5, 9) * (6 if share < 0.06 else 1), 1))
        waiting = max(0, waiting + granted + 30 - 700)
        course["waiting"].append(waiting + rng.randrange(40))
        course["lag"].append(round(0.08 + waiting / 900 + rng.random() / 10, 3))
        course["batch"].append(round(1 + asked / 70 * rng.uniform(0.7, 1.2), 2))
    return Seconds(
        at_s=list(range(length)),
        users=course["users"],
        outcomes=outcomes,
        p50_ms=course["p50"],
        p95_ms=course["p95"],
        p99_ms=course["p99"],
        stock=stocks,
        drain_lag_s=course["lag"],
        drain_lag_seq=course["waiting"],
        batch_claims=course["batch"],
    )


def a_result(
    length: int = 120, *, seed: int = 1, campaigns: tuple[str, ...] = ("sale-7f3a",), **changes: Any
) -> Result:
    """A clean run of *length* seconds, with *changes*."""
    rng = random.Random(seed)
    seconds = seconds_of(length, campaigns, 20_000, rng)
    outcomes = {name: sum(values) for name, values in seconds.outcomes.items()}
    names = {
        "wallet": 4_100,
        "till: quote": 900,
        "till: redeemed": 870,
        "finance: stocktake": 6,
        "marketer: restock": 1,
    }
    counts = {f"claim: {name}": count for name, count in outcomes.items() if count} | names
    given = Result(
        run="20261129-194605-7f3a",
        shape="sale",
        mode="closed",
        started_at=datetime(2026, 11, 29, 19, 46, 5, tzinfo=UTC),
        duration_s=float(length),
        host="http://127.0.0.1:8080",
        seed=seed,
        settings={"shape": "sale", "holders": 20000, "stock": 20000, "limit": 1, "retry_rate": 0.1, "campaign": "",
                  "fail_on": "p99<=250,errors<=0.1%,goodput>=500", "drop_replies": 0.01, "tags": None},
        generator=Generator(locust="2.47.0", processes=1, cpu_percent_max=83),
        campaigns=[
            Campaign(id=campaign, stock=20_000 // len(campaigns), limit=1, granted=22_000 // len(campaigns), left=0)
            for campaign in campaigns
        ],
        clean=True,
        exit_code=0,
        verdict=Verdict(holds=True, took_s=1.2, checks=[a_check(name) for name in SAYS]),
        product_verdict=ProductVerdict(holds=True),
        gates=[
            Gate(name="verdict", asked="every check holds", found="all 15 hold", holds=True),
            Gate(name="product verdict", asked="it holds", found="it holds", holds=True),
            Gate(name="p99", asked="<= 250 ms", found="183 ms", holds=True),
            Gate(name="errors", asked="<= 0.1 %", found="0.02 %", holds=True),
            Gate(name="goodput", asked=">= 500/s", found="812/s", holds=True),
        ],
        outcomes=outcomes,
        goodput_per_s=812.4,
        error_ratio=0.0002,
        p50_ms=7.4,
        p95_ms=31.0,
        p99_ms=183.0,
        requests=[
            Request(name=name, count=count, failures=3 if name == "wallet" else 0, per_s=count / max(1, length),
                    p50_ms=round(rng.uniform(3, 9), 1), p95_ms=round(rng.uniform(20, 60), 1),
                    p99_ms=round(rng.uniform(80, 200), 1), max_ms=round(rng.uniform(300, 2200), 1))
            for name, count in counts.items()
        ],
        failures=[Failure(name="wallet", says="took 2,204 ms, which is longer than 2,000 ms", count=3)],
        seconds=seconds,
        marks=[
            Mark(at_s=0.0, says="stage spike"),
            Mark(at_s=length * 0.12, says="stage retries"),
            Mark(at_s=length * 0.45, says="restock of 2000"),
            Mark(at_s=length * 0.6, says="stage tills"),
            Mark(at_s=length * 0.7, says="paused"),
            Mark(at_s=length * 0.74, says="on sale again"),
        ],
    )  # fmt: skip
    return msgspec.structs.replace(given, **changes)


def a_red_result(length: int = 120, violated: int = 14) -> Result:
    """A run that is not clean: so many checks are violated, and two gates."""
    checks = [a_check(f"check-{at}", at + 1, f"what check {at} says of a run") for at in range(violated - 1)]
    red = [a_check("limit", 3), *checks, a_check("sequence")]
    return a_result(
        length,
        clean=False,
        exit_code=1,
        verdict=Verdict(holds=False, took_s=2.5, checks=red),
        product_verdict=ProductVerdict(holds=False),
        gates=[
            Gate(name="verdict", asked="holds", found=f"{violated} checks violated", holds=False),
            Gate(name="p99", asked="<= 250 ms", found="412 ms", holds=False),
            Gate(name="errors", asked="<= 0.1 %", found="0.02 %", holds=True),
        ],
        generator=Generator(locust="2.47.0", processes=2, cpu_percent_max=97, lost=["worker-2"]),
        p99_ms=412.0,
    )


def an_empty_result(length: int = 0) -> Result:
    """A run in which nothing was asked, nor could anything be read."""
    none: list[None] = [None] * length
    nothing = Seconds(at_s=list(range(length)), users=[*none], outcomes={}, p50_ms=[*none], p95_ms=[*none],
                      p99_ms=[*none], stock={"sale-7f3a": [*none]}, drain_lag_s=[*none], drain_lag_seq=[*none],
                      batch_claims=[*none])  # fmt: skip
    return a_result(
        1,
        clean=False,
        exit_code=1,
        duration_s=float(length),
        campaigns=(),
        verdict=None,
        unjudged="the system could not be reached",
        product_verdict=None,
        gates=[Gate(name="verdict", asked="holds", found="none", holds=False)],
        outcomes={},
        goodput_per_s=0.0,
        error_ratio=0.0,
        p50_ms=None,
        p95_ms=None,
        p99_ms=None,
        requests=[],
        failures=[],
        seconds=nothing,
        marks=[],
    )
