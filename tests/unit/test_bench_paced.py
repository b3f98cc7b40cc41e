"""The generator that keeps to a schedule: due times, percentiles, what became of each claim; and real runs of it."""

import asyncio
import subprocess
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from loadtest.bench import paced
from loadtest.bench.generator import write_asks
from loadtest.bench.paced import Pace, Step, due_times, percentile_ms, recovered_s, slices, window_p99s_ms
from loadtest.client import local_address, read_answer
from loadtest.pacer import GAVE_UP, LOST, UNSENT, Paced, Pacer
from loadtest.target import TokenMint
from tests.pacing import ANSWER, a_paced, echoing


async def paced_run(answer_s: float | None, steps: list[Step], connections: int, give_up_s: float = 60.0) -> Paced:
    """Send *steps* to the echo."""
    dues_s = due_times(steps)
    async with echoing(answer_s) as address:
        pacer = Pacer(address, [b"a claim"] * len(dues_s), dues_s, connections, give_up_s)
        return await asyncio.wait_for(pacer.run(), 60)


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
        pace = Pace(f"http://{host}:{port}", "flash-1", str(asks), [Step(100, 0.2)], 4, 60.0)
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


def test_whoever_starts_a_generator_looks_on_at_least_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is over before he gets round to it, as on a machine that stood still."""

    class Over(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.wait()

    monkeypatch.setattr(subprocess, "Popen", Over)
    looks: list[float] = []

    with pytest.raises(RuntimeError, match="the paced generator failed"):
        paced.run(Pace("", "", "", [], 1, 1.0), tmp_path, frozenset(), lambda: looks.append(perf_counter()))

    assert len(looks) == 1


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
