"""The open loop and the overload without a gateway: schedule, percentiles, lags, goodput, recovery; and a generator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from time import perf_counter

import pytest

from loadtest.bench import open_loop, overload, paced
from loadtest.bench.distance import distant
from loadtest.bench.generator import write_asks
from loadtest.bench.open_loop import DrainLag, DrainSample, OpenLoop, drain_lag, drain_lags_s
from loadtest.bench.overload import GatewaySample, Loaded, Ran, answers_s, goodput, summarise
from loadtest.bench.paced import Pace, Step, due_times, percentile_ms, recovered_s, slices, window_p99s_ms
from loadtest.bench.report import drawn
from loadtest.client import GAVE_UP, LOST, UNSENT, Address, Paced, Pacer, local_address, read_answer
from loadtest.target import TokenMint

QUIET = {"gateway": 0.5, "Redis": 0.2, "generator": 0.3, "drain": 0.4, "others": 0.01}
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


def a_paced(*claims: tuple[float, int, float]) -> Paced:
    """What became of claims given as due time, status and latency; none was sent late."""
    dues_s, statuses, latencies_s = ([each[part] for each in claims] for part in range(3))
    return Paced(dues_s, statuses, latencies_s, [0.0] * len(claims), elapsed_s=1.0)  # type: ignore[arg-type]


def test_claims_are_due_at_a_constant_rate() -> None:
    """Each step's claims are as far apart as its rate says, and begin when the step before is over."""
    steps = [Step(4, 1.0), Step(2, 1.5), Step(10, 0.2)]

    assert due_times(steps) == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 2.6])
    assert [due_times(steps)[each] for each in slices(steps)][1:] == [[1.0, 1.5, 2.0], pytest.approx([2.5, 2.6])]


def test_a_percentile_is_the_nearest_rank() -> None:
    """Of 1 to 1000 ms in any order, p50 is 500 and p99.9 is 999; one figure is every percentile; none is 0."""
    seconds = [number / 1000 for number in range(1000, 0, -1)]

    assert [percentile_ms(seconds, percent) for percent in (50, 90, 99, 99.9, 100)] == [500, 900, 990, 999, 1000]
    assert percentile_ms([0.007], 99) == 7
    assert percentile_ms([], 99) == 0


def test_outcomes_are_told_in_words() -> None:
    """What ended without a status has a name of its own."""
    assert paced.outcomes([201, UNSENT, 201, GAVE_UP, LOST, 503]) == {
        "never sent": 1, "given up": 1, "connection lost": 1, "201": 2, "503": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "sold", "faults"),
    [
        ([201, 201, 503, UNSENT], 2, []),
        ([201, GAVE_UP], 2, []),
        ([201, GAVE_UP], 1, []),
        ([201, 503], 2, ["run: 2 coupons are gone from stock, 1 were told, 0 may not have been heard"]),
        ([201, 201], 1, ["run: 1 coupons are gone from stock, 2 were told, 0 may not have been heard"]),
        ([LOST, 500], 0, ["run: 1 × connection lost", "run: 1 × 500"]),
    ],
)
def test_coupons_gone_have_to_be_told(statuses: list[int], sold: int, faults: list[str]) -> None:
    """Stock may miss what was told, and what nobody was left to hear; refusals for overload are no fault."""
    assert paced.faults_of(statuses, sold, "run") == faults


def test_a_generator_that_was_the_limit_is_told() -> None:
    """A core that was full, steps sent late and processes of somebody else are named; a good run has no note."""
    busy = {**QUIET, "generator": 0.95, "others": 0.3}

    full, late, others = paced.generator_notes({"1 ×": 1.9, "4 ×": 2.1, "10 ×": 5.0}, busy)

    assert "the generator was the limit: it used 0.95 of its core" in full
    assert "at 4 ×, 10 ×: late by up to 5.0 ms" in late
    assert "0.30 cores" in others
    assert paced.generator_notes({"50%": 2.0}, QUIET) == []


def test_the_drain_lag_is_the_age_of_the_oldest_claim_not_in_the_books() -> None:
    """With 100 claims/s given, books that have 50 at 1 s are 0.5 s behind, and with all of them not at all."""
    samples = [DrainSample(0, 0, 0), DrainSample(1, 100, 50), DrainSample(2, 200, 200), DrainSample(3, 300, 120)]

    assert drain_lags_s(samples) == pytest.approx([0, 0.5, 0, 1.8])


def test_claims_older_than_the_first_look_are_as_old_as_it() -> None:
    """What was given before anybody looked has been waiting since the first look at least."""
    assert drain_lags_s([DrainSample(5, 70, 10), DrainSample(6, 80, 10)]) == [0, 1]


def test_a_drain_that_is_too_slow_grows() -> None:
    """Books that take 900 of 1000 claims/s fall behind by a tenth of a second each second, steady ones do not."""
    slow = [DrainSample(at, 1000 * at, 900 * at) for at in range(11)]
    steady = [DrainSample(at, 1000 * at, 1000 * at - 50) for at in range(11)]

    assert drain_lag(slow, 0, 10).growth == pytest.approx(0.1)
    assert drain_lag(slow, 0, 10).max_s == pytest.approx(1.0)
    assert drain_lag(steady, 0, 10).growth == pytest.approx(0, abs=1e-9)
    assert drain_lag(steady, 0, 10).median_s == pytest.approx(0.05)


def test_the_drain_s_first_second_is_left_out() -> None:
    """A lag while the drain wakes up, or after the claims have ended, is no lag of the run."""
    samples = [
        DrainSample(0.5, 500, 0),
        DrainSample(1, 1000, 1000),
        DrainSample(2, 2000, 2000),
        DrainSample(9, 9000, 0),
    ]

    assert drain_lag(samples, 0, 2).max_s == 0
    with pytest.raises(RuntimeError, match="looked at too rarely"):
        drain_lag(samples[:2], 0, 2)


def run_at(share: float, lag: DrainLag) -> OpenLoop:
    """The figures of ten claims, one of which was given up."""
    found = a_paced(*((number / 10, 201, 0.001 * (number + 1)) for number in range(9)), (0.9, GAVE_UP, 10.0))
    return open_loop.result(share, Step(10, 1.0), found, lag, QUIET, sold=9)


def test_latencies_are_those_of_answers() -> None:
    """Who gave up has no latency, and is not among the answers; he is among the outcomes."""
    run = run_at(0.5, DrainLag(0.1, 0.2, 0.0))

    assert (run.offered_per_s, run.answered_per_s) == (10, 9)
    assert [run.p50_ms, run.max_ms] == pytest.approx([5, 9])
    assert run.outcomes == {"given up": 1, "201": 9}
    assert run.faults == []


def test_half_of_saturation_is_judged() -> None:
    """The drain's targets look at half of saturation only, and not at all where saturation is not known."""
    runs = [run_at(0.5, DrainLag(0.1, 0.9, 0.019)), run_at(0.8, DrainLag(3.0, 7.0, 0.9))]

    assert [target.holds for target in open_loop.targets(runs, judged=True).values()] == [True, True]
    assert [target.holds for target in open_loop.targets(runs[::-1], judged=True).values()] == [True, True]
    assert [target.holds for target in open_loop.targets(runs, judged=False).values()] == [None, None]


def test_the_open_loop_s_tables_fit() -> None:
    """No column is cut with figures as large as they come."""
    run = run_at(0.5, DrainLag(12.345, 23.456, 0.789))

    assert "…" not in "".join(drawn(sheet) for sheet in open_loop.sheets([run, run]))


def test_goodput_is_what_was_answered_in_time_in_a_part_of_the_run() -> None:
    """An answer counts where it came and not where it was due; a late one, a refusal and one given up do not."""
    found = a_paced((0.0, 201, 0.5), (0.9, 201, 0.2), (1.0, 503, 0.1), (1.1, 201, 2.5), (1.5, GAVE_UP, 2.0))

    assert answers_s(found, 201, 0, 1) == [0.5]
    assert answers_s(found, 201, 1, 4) == [0.2]
    assert answers_s(found, 503, 1, 4) == [0.1]


def step(factor: float, goodput_per_s: float) -> Loaded:
    """A step with that goodput."""
    return Loaded(factor, factor * 1000, goodput_per_s, 12345, 999.9, 1999.9, 999.9, 1999.9, {}, 12.34, 999, 0.95)


def test_goodput_is_judged_from_twice_saturation_on() -> None:
    """The least of the overloaded steps to the best of all; a light load decides less and is no loss."""
    steps = [step(0.25, 250), step(1, 1000), step(2, 990), step(10, 920), step(0.25, 250)]

    assert goodput(steps) == 0.92


def test_p99_of_each_half_second() -> None:
    """Claims are put together by when they were due; one that was refused took for ever."""
    claims = [(9.0, 201, 9.0), (10.0, 201, 0.02), (10.4, 201, 0.04), (10.6, 201, 0.01), (11.2, 503, 0.001)]

    assert window_p99s_ms(a_paced(*claims), slice(1, 5)) == [40, 10, inf]


@pytest.mark.parametrize(
    ("p99s_ms", "seconds"),
    [
        ([10, 15, 12, 99], 0.5),
        ([inf, 90, 14, 11, 12], 1.5),
        ([90, 10, 90, 10, 10, 10], 2.0),
        ([90, 10, 10, 90, 10, 10], None),
        ([inf] * 8, None),
    ],
)
def test_recovery_is_three_calm_windows_in_a_row(p99s_ms: list[float], seconds: float | None) -> None:
    """Up to one and a half times the p99 of before is calm; a gateway that is not so three times never recovered."""
    assert recovered_s(p99s_ms, 10) == seconds


def a_run() -> overload.Overload:
    """A light load, twice saturation, and the light load again, in which all is well after a second."""
    steps = [Step(20, 2), Step(200, 1), Step(20, 3)]
    claims = [(due_s, 201 if due_s < 2 or number % 2 else 503, 0.01) for number, due_s in enumerate(due_times(steps))]
    claims = [(due_s, status if due_s < 4 else 201, latency_s) for due_s, status, latency_s in claims]
    samples = [GatewaySample(at / 4, 70 + at, 0.1 * at) for at in range(24)]
    return summarise(100, (0.2, 2, 0.2), steps, Ran(a_paced(*claims), samples, QUIET, []))


def test_an_overload_is_summarised_step_by_step() -> None:
    """Goodput, refusals, memory, CPU and recovery of each step come out of one run."""
    result = a_run()

    assert [each.goodput_per_s for each in result.steps] == [20, pytest.approx(100, abs=1), 17]
    assert result.steps[1].refused_per_s == pytest.approx(100, abs=1)
    assert result.steps[1].gateway_cores == pytest.approx(0.4)
    assert (result.goodput, result.baseline_p99_ms, result.recovered_s) == (1.0, 10, 1.5)
    assert result.memory_mib == {"before": 70, "peak": 93, "after": 93}


def test_a_recovery_needs_something_to_recover_to() -> None:
    """Where the light load was refused before the burst, there is no p99 to come back to."""
    steps = [Step(2, 1), Step(20, 1), Step(2, 2)]
    refused = a_paced(*((due_s, 503, 0.001) for due_s in due_times(steps)))

    with pytest.raises(RuntimeError, match="refused before the burst"):
        summarise(
            10, (0.2, 2, 0.2), steps, Ran(refused, [GatewaySample(at / 4, 70, at) for at in range(16)], QUIET, [])
        )


def test_the_overload_s_table_and_notes() -> None:
    """No column is cut, and the notes say what a gateway's full core, or no recovery, means."""
    lost = overload.Overload(1000, [step(10, 12345)], 0.5, 40, None, {"before": 70, "peak": 80, "after": 80}, QUIET)

    assert "…" not in drawn(overload.sheet(lost))
    assert "never so again" in " ".join(overload.notes(lost))
    assert "at 10 × the gateway's core was full" in overload.notes(lost)[-1]
    assert [target.holds for target in overload.targets(lost).values()] == [False, False]
    assert [target.holds for target in overload.targets(a_run()).values()] == [True, True]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"HTTP/1.1 201 Created\r\nContent-", None),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{", None),
        (ANSWER, (201, ANSWER[:-6], b"{}")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"HTTP/1.1 204 No Content", b"")),
    ],
)
def test_an_answer_is_read_when_it_is_all_there(data: bytes, answer: tuple[int, bytes, bytes] | None) -> None:
    """Status, head and body of a whole answer; nothing of half a one."""
    assert read_answer(data) == answer


def test_load_goes_to_this_machine_only() -> None:
    """A URL of another machine is refused."""
    assert local_address("http://127.0.0.1:80") == ("127.0.0.1", 80)
    with pytest.raises(ValueError, match="this machine only"):
        local_address("http://example.com:80")


class Echo(asyncio.Protocol):
    """Answers 201 *answer_s* after each request; None closes the connection instead, infinity never answers."""

    def __init__(self, answer_s: float | None, open_now: dict[asyncio.Transport, asyncio.Event]) -> None:
        self._answer_s, self._open_now = answer_s, open_now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_now[transport] = asyncio.Event()

    def connection_lost(self, error: Exception | None) -> None:
        self._open_now.pop(self._transport).set()

    def data_received(self, data: bytes) -> None:
        if self._answer_s is None:
            self._transport.close()
        elif self._answer_s < inf:
            asyncio.get_running_loop().call_later(self._answer_s, self._transport.write, ANSWER)


@asynccontextmanager
async def echoing(answer_s: float | None) -> AsyncIterator[Address]:
    """Where the echo listens."""
    open_now: dict[asyncio.Transport, asyncio.Event] = {}
    server = await asyncio.get_running_loop().create_server(lambda: Echo(answer_s, open_now), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
        ended = list(open_now.values())
        for transport in open_now:
            transport.abort()
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in ended)), 3)


async def paced_run(answer_s: float | None, steps: list[Step], connections: int, give_up_s: float = 2.0) -> Paced:
    """Send *steps* to the echo."""
    dues_s = due_times(steps)
    async with echoing(answer_s) as address:
        pacer = Pacer(address, [b"a claim"] * len(dues_s), dues_s, connections, give_up_s)
        return await asyncio.wait_for(pacer.run(), 3)


async def test_the_generator_keeps_to_its_schedule() -> None:
    """Every claim is sent at its due time or later, none before, and answered."""
    found = await paced_run(0.0, [Step(400, 0.5)], connections=16)

    assert set(found.statuses) == {201}
    assert len(found.lags_s) == 200
    assert all(0 <= lag_s <= latency_s for lag_s, latency_s in zip(found.lags_s, found.latencies_s, strict=True))
    assert found.elapsed_s >= 0.4975


async def test_a_wait_for_a_connection_is_latency() -> None:
    """One connection that answers 20 a second, of 100 a second asked: the last of ten waits for nine before it."""
    found = await paced_run(0.05, [Step(100, 0.1)], connections=1)

    assert found.latencies_s[-1] >= 10 * 0.05 - 0.09
    assert found.latencies_s == sorted(found.latencies_s)
    assert found.waited == 9


async def test_who_gives_up_leaves_with_his_connection() -> None:
    """With nothing answered, the first claim drops the only connection, the second has its successor, the rest none."""
    found = await paced_run(inf, [Step(50, 0.06)], connections=1, give_up_s=0.03)

    assert found.statuses[0] == GAVE_UP
    assert set(found.statuses) <= {GAVE_UP, UNSENT}
    assert all(latency_s >= 0.03 for latency_s in found.latencies_s)


async def test_a_broken_connection_is_opened_again() -> None:
    """Each claim loses its connection, and the next ones still find one."""
    found = await paced_run(None, [Step(100, 0.1)], connections=2)

    assert found.statuses == [LOST] * 10


async def test_the_generator_is_a_process_of_its_own(tmp_path: Path) -> None:
    """It reads its claims from a file and tells what became of each; meanwhile whoever started it looks on."""
    mint = TokenMint({"kid": "k1", "secret": "s" * 32, "audience": "a", "issuer": "i"}, 4_000_000_000)
    asks, looks = write_asks(tmp_path / "asks", mint, 20), list[float]()
    began_s = perf_counter()

    async with echoing(0.0) as (host, port):
        pace = Pace(f"http://{host}:{port}", "flash-1", str(asks), [Step(100, 0.2)], 4, 1.0)
        found = await asyncio.to_thread(paced.run, pace, tmp_path, frozenset(), lambda: looks.append(perf_counter()))

    assert found.statuses == [201] * 20
    assert began_s < found.began_s < perf_counter()
    assert looks


@pytest.mark.parametrize(("claims", "words"), [(5, "5 claims are due, .* has 4"), (4, "Connect call failed|refused")])
def test_a_generator_that_fails_is_quoted(claims: int, words: str, tmp_path: Path) -> None:
    """Too few claims in the file, or nobody who listens: the error has the generator's words."""
    asks = write_asks(tmp_path / "asks", TokenMint({"kid": "k", "secret": "s", "audience": "a", "issuer": "i"}, 1), 4)
    pace = Pace("http://127.0.0.1:1", "flash-1", str(asks), [Step(claims, 1.0)], 1, 1.0)

    with pytest.raises(RuntimeError, match=words):
        paced.run(pace, tmp_path, frozenset(), list)


async def test_a_distant_server_hears_later() -> None:
    """What is sent by way of the distance arrives that much later, in order; user and database of the URL stay."""
    async with echoing(0.0) as (host, port):
        with distant(f"redis://:secret@{host}:{port}/3", 0.05) as url:
            assert url.startswith("redis://:secret@127.0.0.1:")
            assert url.endswith("/3")
            near_port = int(url.rpartition(":")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", near_port)
            began_s = perf_counter()
            writer.write(b"a claim")
            assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 3) == ANSWER
            assert perf_counter() - began_s >= 0.05
            writer.close()
            await writer.wait_closed()
