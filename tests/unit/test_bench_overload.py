"""The overload without a gateway: goodput, recovery, what is told; and the distance it is made with."""

import asyncio
from time import perf_counter

import pytest

from loadtest.bench import overload
from loadtest.bench.distance import distant
from loadtest.bench.overload import GatewaySample, Loaded, Ran, answers_s, goodput, summarise
from loadtest.bench.paced import Step, due_times
from loadtest.bench.report import drawn
from loadtest.pacer import GAVE_UP
from tests.pacing import ANSWER, QUIET, a_paced, echoing


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
            assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 60) == ANSWER
            assert perf_counter() - began_s >= 0.05
            writer.close()
            await writer.wait_closed()
