"""
The claim script on a server of its own: cost by claims a call and by coupons out, memory, and other layouts.

    python -m loadtest.bench.scripts                         Valkey, and Redis where it is installed; five minutes
    python -m loadtest.bench.scripts --quick --valkey-only   half a minute
    python -m loadtest.bench.scripts --layouts               what other layouts of the two hashes would cost
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import redis

from loadtest.bench.figures import Spread
from loadtest.bench.layouts import LayoutCost, layout_costs, layout_lines
from loadtest.bench.script_costs import (
    COUPONS_OUT,
    COUPONS_OUT_QUICK,
    MEMORY_STEPS,
    SCALE_ROUNDS_MAX,
    BatchCost,
    Say,
    ScaleCost,
    batch_costs,
    coupon_bytes,
    scale_costs,
)
from loadtest.bench.script_server import installed_redis, own_server, packaged_valkey, served
from loadtest.bench.targets import Verdict, judge

ANSWER_S_MAX = 60.0


class ServerCosts(msgspec.Struct, frozen=True):
    """All of one server. *gain*: claims/s of a core at 128 a call against 1, round by round."""

    server: str
    batches: list[BatchCost]
    gain: Spread
    scale: list[ScaleCost]
    coupon_bytes: Spread
    layouts: list[LayoutCost]


def server_costs(
    binary: Path, folder: Path, *, quick: bool, layouts: bool, say: Say, malloc: Path | None = None
) -> ServerCosts:
    """
    Everything about one kind of server, on processes of its own that are gone afterwards.

    *malloc* is a library that allocates its memory: much of what more coupons out cost is the allocator's.
    Errors: OSError or RuntimeError when *binary* does not run, redis.RedisError.
    """
    with _own_store(binary, folder, malloc) as store:
        name = served(store).name + (f" with {malloc.name}" if malloc else "")
        say(f"{name}: {'quick' if quick else 'full'}")
        batches, gain = batch_costs(store, claims=12_800 if quick else 51_200, rounds=3 if quick else 7, say=say)
        memory = coupon_bytes(store, MEMORY_STEPS[::4] if quick else MEMORY_STEPS)
        coupons = 51_200 if quick else 204_800
        tried = layout_costs(store, coupons=coupons, rounds=1 if quick else 3, say=say) if layouts else []
    with ExitStack() as stack:
        sizes = COUPONS_OUT_QUICK if quick else COUPONS_OUT
        stores = {size: stack.enter_context(_own_store(binary, folder / str(size), malloc)) for size in sizes}
        scale = scale_costs(stores, rounds=7 if quick else SCALE_ROUNDS_MAX, say=say)
    return ServerCosts(name, batches, gain, scale, memory, tried)


@contextmanager
def _own_store(binary: Path, folder: Path, malloc: Path | None) -> "Iterator[redis.Redis]":
    with own_server(binary, folder, malloc) as url, redis.Redis.from_url(url, socket_timeout=ANSWER_S_MAX) as store:
        yield store


def targets(reports: Sequence[ServerCosts]) -> dict[str, Verdict]:
    """
    What the targets say to it: those of speed are Valkey's, the server that comes along; memory has one for each.

    A growth that stopped short of the largest size is no answer to the target.
    """
    found: dict[str, Verdict] = {}
    for costs in reports:
        kind = costs.server.split()[0].lower()
        found[f"memory_{kind}"] = _judged(f"memory_{kind}", costs.coupon_bytes)
        if kind == "valkey":
            found["script_batch"] = _judged("script_batch", costs.gain)
            if costs.scale[-1].coupons_out == COUPONS_OUT[-1]:
                found["script_size"] = _judged("script_size", costs.scale[-1].growth)
    return found


def _judged(key: str, found: Spread) -> Verdict:
    return judge(key, found.median, low=found.low, high=found.high)


def table(costs: ServerCosts) -> str:
    """The figures of one server for a screen."""
    return "\n".join(
        [
            f"{costs.server}",
            f"{'claims a call':>14}{'CPU µs a claim':>26}{'claims/s of a core':>30}{'busy':>7}",
            *(
                f"{one.claims_per_call:>14}{one.main_us.shown(2):>26}{one.core_claims_per_s.shown(0):>30}"
                f"{one.busy_percent:>6.0f}%"
                for one in costs.batches
            ),
            f"{'128 to 1':>14}{costs.gain.shown(2) + ' ×':>56}",
            f"{'coupons out':>14}{'CPU µs a claim':>26}{'to the fewest':>30}",
            *(
                f"{one.coupons_out:>14,}{one.main_us.shown(2):>26}{one.growth.shown(3) + ' ×':>30}"
                for one in costs.scale
            ),
            f"bytes a coupon: {costs.coupon_bytes.shown(0)}",
            *layout_lines(costs.layouts),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    described = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.scripts", description=described)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, at most a million coupons out")
    parser.add_argument("--layouts", action="store_true", help="compare layouts of the two hashes as well")
    parser.add_argument("--redis-server", type=Path, default=None, help="this binary instead of those found")
    parser.add_argument("--malloc", type=Path, default=None, help="a library the server allocates memory with")
    parser.add_argument("--valkey-only", action="store_true", help="leave out the redis-server on the PATH")
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a server")
    chosen = parser.parse_args(arguments)
    there = [chosen.redis_server] if chosen.redis_server else [packaged_valkey(), installed_redis()]
    binaries = [binary for binary in (there[:1] if chosen.valkey_only else there) if binary]
    if not binaries:
        parser.error("there is no server here; give --redis-server")
    missing = [str(path) for path in (*binaries, chosen.malloc) if path and not path.is_file()]
    if missing:
        parser.error(f"there is no {missing[0]}")

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    try:
        with tempfile.TemporaryDirectory(prefix="fairclaim-bench-") as folder:
            reports = [
                server_costs(
                    binary,
                    Path(folder) / binary.name,
                    quick=chosen.quick,
                    layouts=chosen.layouts,
                    say=say,
                    malloc=chosen.malloc,
                )
                for binary in binaries
            ]
    except (OSError, RuntimeError, redis.RedisError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    found = [f"{one.name} {one.bound}: {one.found}" for one in targets(reports).values()]
    text = "\n\n".join([*map(table, reports), "\n".join(found)])
    print(msgspec.json.encode(reports).decode() if chosen.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
