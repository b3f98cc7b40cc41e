"""
What a claim costs the server: by claims a call, by coupons out, and in memory.

Costs are CPU of the thread that runs the scripts, which another load on the machine changes less than the clock. The
client writes packed calls ahead of the answers, so the server is the limit: *busy_percent* says how far it was.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import msgspec
import redis

from loadtest.bench.figures import Spread, ratios, spread
from loadtest.bench.script_server import used_bytes
from loadtest.bench.script_shard import ShardDriver, open_shard
from loadtest.bench.script_wire import Run

Say = Callable[[str], None]

CLAIMS_PER_CALL = (1, 8, 32, 64, 128, 256)
"""256 is over what the gateway sends; measured to show what the bound costs."""
BATCH = 128
COUPONS_OUT = (10**4, 10**6, 10**7)
COUPONS_OUT_QUICK = (10**4, 10**6)
SCALE_CLAIMS = 31 * BATCH
"""Claims in one look at a size: few enough that a hash of 10,000 is not resized by them."""
SCALE_WARM_CLAIMS = 2 * BATCH
SCALE_ROUNDS_MAX = 11
"""More looks would take a hash of a million to its next resize."""
MEMORY_STEPS = range(51_200, 204_801, 12_800)
"""Coupons out when memory is read: over two doublings of a hash table, which is what makes it vary."""


class BatchCost(msgspec.Struct, frozen=True):
    """A claim's cost with *claims_per_call*. Units: microseconds; *core_claims_per_s* is of one core kept busy."""

    claims_per_call: int
    main_us: Spread
    all_us: Spread
    core_claims_per_s: Spread
    claims_per_s: Spread
    busy_percent: float


class ScaleCost(msgspec.Struct, frozen=True):
    """A claim's cost with *coupons_out*, 128 a call; *growth* is against the smallest size in the same round."""

    coupons_out: int
    main_us: Spread
    growth: Spread


def batch_costs(store: "redis.Redis", *, claims: int, rounds: int, say: Say) -> tuple[list[BatchCost], Spread]:
    """
    Every number of claims a call in turn, *rounds* times; each run fills a new shard, so all see the same growth.

    Shape: the costs in the order of CLAIMS_PER_CALL, and the gain.
    """
    runs: dict[int, list[Run]] = {size: [] for size in CLAIMS_PER_CALL}
    _one_batch(store, BATCH, claims)  # a first run finds caches and memory of the server cold
    for number in range(rounds):
        for size in CLAIMS_PER_CALL:
            runs[size].append(_one_batch(store, size, claims))
        say(f"claims a call: round {number + 1} of {rounds}")
    gain = ratios((one.main_us, many.main_us) for one, many in zip(runs[1], runs[BATCH], strict=True))
    return [_batch_cost(size, several) for size, several in runs.items()], gain


def _one_batch(store: "redis.Redis", size: int, claims: int) -> Run:
    shard = open_shard(store, f"bench-{size}", claims)
    try:
        return shard.run(claims, size)
    finally:
        shard.drop()


def _batch_cost(size: int, runs: Sequence[Run]) -> BatchCost:
    return BatchCost(
        size,
        spread([run.main_us for run in runs]),
        spread([run.all_us for run in runs]),
        spread([1e6 / run.main_us for run in runs]),
        spread([run.claims_per_s for run in runs]),
        median([run.main_us * run.claims_per_s / 1e4 for run in runs]),
    )


def scale_costs(stores: "Mapping[int, redis.Redis]", *, rounds: int, say: Say) -> list[ScaleCost]:
    """
    A claim's cost with so many coupons out, in turn, *rounds* times.

    Shape: coupons out → an empty server of its own, the fewest first; on one server all would share the memory that the
    most have scattered. Every coupon was claimed through the script. What is timed begins when no hash is being
    resized: as many look-ups as it has fields came before. The smallest shard is made anew for each round, because it
    would grow; the others grow by less than a twentieth over all rounds.
    """
    assert rounds <= SCALE_ROUNDS_MAX
    smallest, *larger = stores
    shards = {size: _loaded(stores[size], size, rounds, say) for size in larger}
    costs: dict[int, list[float]] = {size: [] for size in stores}
    for number in range(rounds):
        shards[smallest] = _loaded(stores[smallest], smallest, rounds, None)
        for size in stores:
            shards[size].run(SCALE_WARM_CLAIMS, BATCH)
            costs[size].append(shards[size].run(SCALE_CLAIMS, BATCH).main_us)
            shards[size].trim()
        shards[smallest].drop()
        say(f"coupons out: round {number + 1} of {rounds}")
    return [ScaleCost(size, spread(us), ratios(zip(us, costs[smallest], strict=True))) for size, us in costs.items()]


def _loaded(store: "redis.Redis", coupons: int, rounds: int, say: Say | None) -> ShardDriver:
    if say:
        say(f"claiming {coupons:,} coupons to measure with that many out")
    shard = open_shard(store, f"bench-{coupons}", coupons + rounds * (SCALE_CLAIMS + SCALE_WARM_CLAIMS))
    shard.preload(coupons)
    shard.end_resizing()
    return shard


def coupon_bytes(store: "redis.Redis", steps: Sequence[int] = MEMORY_STEPS) -> Spread:
    """Memory of a coupon that is out, with holders of 12 characters and the stream trimmed, at each of *steps*."""
    shard = open_shard(store, "bench-memory", steps[-1])
    before, out, found = used_bytes(store), 0, []
    for coupons in steps:
        shard.preload(coupons - out)
        shard.end_resizing()  # while a hash is resized it has two tables
        out = coupons
        found.append((used_bytes(store) - before) / out)
    shard.drop()
    return spread(found)
