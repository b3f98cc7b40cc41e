"""The Redis side of the benchmark without a server: what it sends, and what it makes of what it saw."""

from pathlib import Path
from typing import Any

import hiredis
import msgspec
import pytest

from gateway.codes import parse_code
from loadtest.bench import drain, scripts
from loadtest.bench.drain import Commit, DrainRound, costs_of, drained_per_s
from loadtest.bench.figures import Spread
from loadtest.bench.layouts import LAYOUTS, LayoutCost, claims_of, layout_lines
from loadtest.bench.script_asks import asks, codes, holders, packed_calls
from loadtest.bench.script_costs import (
    COUPONS_OUT,
    COUPONS_OUT_QUICK,
    MEMORY_STEPS,
    SCALE_CLAIMS,
    SCALE_ROUNDS_MAX,
    SCALE_WARM_CLAIMS,
    BatchCost,
    ScaleCost,
)
from loadtest.bench.script_server import CpuTime, cpu_time
from loadtest.bench.script_wire import Run, joined, resp
from loadtest.bench.scripts import ServerCosts, table, targets


def commands(data: bytes) -> list[list[bytes]]:
    """What a server reads out of *data*."""
    reader, found = hiredis.Reader(), []
    reader.feed(data)
    while (command := reader.gets()) is not False:
        found.append(command)
    return found


def some_costs(server: str = "Valkey 9.1.2", coupons_out: tuple[int, ...] = COUPONS_OUT, **changes: Any) -> ServerCosts:
    """Costs that meet every target; *changes* override."""
    one = Spread(1.0, 0.9, 1.1)
    scale = [ScaleCost(size, Spread(5, 4, 6), one) for size in coupons_out]
    batches = [BatchCost(128, Spread(5, 4, 6), Spread(5, 4, 6), Spread(2e5, 1e5, 3e5), Spread(2e5, 1e5, 3e5), 99.0)]
    given = {"gain": Spread(9.0, 8.0, 10.0), "coupon_bytes": Spread(140, 130, 150), "layouts": [], **changes}
    return ServerCosts(server, batches, scale=scale, **given)


@pytest.mark.parametrize(("campaign_number", "shard_number"), [(1, 0), (77, 3), ((1 << 20) - 1, 31)])
def test_codes_are_what_the_gateway_takes_for_codes(campaign_number: int, shard_number: int) -> None:
    """Each code made for the benchmark is whole to the gateway's reader: campaign, shard and check character."""
    made = codes(campaign_number, shard_number, 200)
    read = [parse_code(code) for code in made]

    assert len(set(made)) == 200
    assert {(one.campaign_number, one.shard_number) for one in read if one} == {(campaign_number, shard_number)}
    assert all(one and one.code == code for one, code in zip(read, made, strict=True))


def test_asks_are_new_holders_with_keys_of_their_own() -> None:
    """Asks come flat, four parts each, with holders of 12 characters counted on and hashes that differ."""
    flat = asks(5, 100, 9, 2)

    assert flat[0::4] == holders(5, 100)
    assert holders(5, 2) == ["h00000000005", "h00000000006"]
    assert {len(idem) for idem in flat[1::4]} == {12}
    assert len(set(flat[1::4])) == 100
    assert {code[:5] for code in flat[2::4]} == {"00092"}
    assert set(flat[3::4]) == {""}


def test_a_call_is_the_script_with_its_keys_and_packed_asks() -> None:
    """Each call names the digest, the keys and the server, and carries its share of the asks, the last one the rest."""
    flat = asks(0, 5)
    sent = commands(b"".join(packed_calls("d1", ["k1", "k2"], "run", flat, 2)))

    assert [command[:6] for command in sent] == [[b"EVALSHA", b"d1", b"2", b"k1", b"k2", b"run"]] * 3
    assert [msgspec.msgpack.decode(command[6]) for command in sent] == [flat[:8], flat[8:16], flat[16:]]


def test_commands_are_joined_without_losing_one() -> None:
    """What is written at once is as many commands as were asked for, and says how many answers will come."""
    written = list(joined([resp("GET", number) for number in range(5)], 2))

    assert [part.answers for part in written] == [2, 2, 1]
    assert commands(b"".join(part.data for part in written)) == [[b"GET", b"%d" % number] for number in range(5)]


def test_a_run_tells_cost_a_claim() -> None:
    """Nanoseconds of a run become microseconds a claim, for the script's thread and for all of them."""
    run = Run(1000, 0.5, CpuTime(4_000_000, 5_000_000))

    assert (run.claims_per_s, run.main_us, run.all_us) == (2000, 4, 5)


def test_cpu_time_of_a_process_grows(tmp_path: Path) -> None:
    """The CPU of this very process is more after work than before, and its first thread has no more than all."""
    before = cpu_time(_pid())
    (tmp_path / "sums").write_text(str(sum(number * number for number in range(200_000))))
    after = cpu_time(_pid())

    assert after.main_ns > before.main_ns
    assert after.all_ns >= after.main_ns


def _pid() -> int:
    return int(Path("/proc/self").resolve().name)


def test_a_look_at_a_small_shard_ends_before_its_hashes_are_resized() -> None:
    """Valkey's tables hold 7 fields a bucket and double when full, Redis' one: neither size is passed while timing."""
    for size in COUPONS_OUT:
        looks = 1 if size == 10**4 else SCALE_ROUNDS_MAX
        grown = size + looks * (SCALE_CLAIMS + SCALE_WARM_CLAIMS)
        for table_fields in [7 << power for power in range(22)] + [1 << power for power in range(25)]:
            assert not size < table_fields < grown


def test_memory_is_read_over_two_doublings() -> None:
    """The coupons out when memory is read span a factor of four, so that full and half empty tables are both seen."""
    assert MEMORY_STEPS[-1] == 4 * MEMORY_STEPS[0]


def test_targets_are_judged_by_what_was_measured() -> None:
    """Speed is judged on Valkey and memory on each server; all hold where they are met."""
    found = targets([some_costs(), some_costs("Redis 7.0.15", coupon_bytes=Spread(190, 180, 210))])

    assert found.keys() == {"memory_valkey", "memory_redis", "script_batch", "script_size"}
    assert all(target.holds for target in found.values())


def test_a_missed_target_is_missed() -> None:
    """A gain below six and a coupon that takes more than its bound are told as misses."""
    found = targets([some_costs(gain=Spread(5.9, 5.0, 7.0), coupon_bytes=Spread(161, 150, 170))])

    assert not found["script_batch"].holds
    assert not found["memory_valkey"].holds


def test_a_quick_run_does_not_judge_the_largest_size() -> None:
    """With a million coupons out at most, nothing is said of ten million."""
    assert "script_size" not in targets([some_costs(coupons_out=COUPONS_OUT_QUICK)])


def test_the_table_has_a_line_for_each_size_and_layout() -> None:
    """Server, sizes, coupons out, memory and layouts are all on the screen."""
    shown = table(some_costs(layouts=[LayoutCost("two hashes, as shipped", 143.2, 3.1, 2.4)]))

    assert shown.startswith("Valkey 9.1.2\n")
    assert "10,000,000" in shown
    assert "bytes a coupon: 140 (130 to 150)" in shown
    assert shown.splitlines()[-1].split() == ["two", "hashes,", "as", "shipped", "143", "3.10", "2.40"]
    assert layout_lines([]) == []


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_gets_claims_in_its_form(layout: Any) -> None:
    """Packed layouts get as many bytes as the binary form has, bucketed ones get buckets of about the asked size."""
    claims = claims_of(layout, 4000)
    buckets = {claim[3] for claim in claims}

    assert len({claim[0] for claim in claims}) == 4000
    assert {(len(str(claim[1])), len(str(claim[2]))) for claim in claims} == {(9, 8) if layout.packed else (12, 18)}
    assert len(buckets) == (4000 // layout.bucket_fields if layout.bucket_fields else 1)


def test_the_drain_is_timed_between_its_second_and_last_transaction() -> None:
    """Whole turns are counted: the claims of all but the first and last transaction, over the time they took."""
    commits = [Commit(11, 15, 90.0), Commit(16, 115, 100.0), Commit(116, 315, 100.5), Commit(316, 400, 101.5)]

    assert drained_per_s(commits) == 300 / 1.5


def test_a_backlog_in_few_transactions_is_no_measure() -> None:
    """What a few transactions say of speed is mostly their beginning, so it is an error."""
    with pytest.raises(RuntimeError, match="in 3 transactions; ask for more claims"):
        drained_per_s([Commit(1, 1, 5.0), Commit(2, 100, 5.1), Commit(101, 200, 6.0)])


def test_the_drain_s_ratio_is_taken_round_by_round() -> None:
    """A slow round slows both sides, so the ratio is of each round and not of two medians."""
    costs = costs_of(100, [DrainRound(3, 50, 100), DrainRound(3, 8, 10), DrainRound(4, 70, 100)])

    assert costs.ratio == Spread(0.7, 0.5, 0.8)
    assert costs.drained_per_s == Spread(50, 8, 70)
    assert drain.targets(costs)["drain"].holds
    assert "drained  50 (8 to 70) claims/s" in drain.table(costs)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--redis-server", "/nowhere/redis-server"], "there is no /nowhere/redis-server"),
        (["--rounds"], "unrecognized arguments: --rounds"),
    ],
)
def test_scripts_refuse_bad_arguments(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be measured is one line on stderr and exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        scripts.main(arguments)

    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--claims", "-1"], ["--rounds", "x"]])
def test_drain_refuses_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Sizes that are no sizes are one line on stderr and exit code 2, before anything is started."""
    with pytest.raises(SystemExit) as stopped:
        drain.main(arguments)

    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err.splitlines()[-1]
