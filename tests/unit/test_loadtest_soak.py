"""How a soak is judged, on samples alone; when parts are restarted; what a process takes, seen from outside."""

import math
import os
import random
import signal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.marks import Lines
from loadtest.soak.__main__ import parsed
from loadtest.soak.levels import (
    ENTRY_BYTES,
    FILES_MAX,
    GROWTH_BYTES_MAX,
    LIFE_SHARE_MIN,
    Life,
    Sample,
    at_rest,
    judge,
    slope,
    unjudged,
)  # fmt: skip
from loadtest.soak.parts import part_of, sample, taken_by
from loadtest.soak.restarts import restarts
from loadtest.soak.table import screen

MIB = 2**20


def life(part: str, memory: list[float], every_s: float = 2.0, seqs: list[int] | None = None) -> Life:
    """A process that took so many MiB, sample by sample."""
    samples = [
        Sample(number * every_s, round(size * MIB), round(size * 1.4 * MIB), 20) for number, size in enumerate(memory)
    ]
    return Life(part, 1, samples, seqs or [])


def wavering(seed: int, count: int, grows_mib_s: float = 0.0, warm: float = 30.0) -> list[float]:
    """A server: quickly up at first, then wavering by a mebibyte, and growing as told."""
    draw = random.Random(seed)
    return [60 + warm * (1 - math.exp(-at / 10)) + draw.uniform(-1, 1) + grows_mib_s * at * 2.0 for at in range(count)]


@given(st.integers(0, 1000), st.integers(80, 400))
def test_a_server_that_warms_up_and_wavers_is_level(seed: int, count: int) -> None:
    """What it fills once and gives back is no growth, whatever the first minutes look like."""
    level = judge(life("gateway 0", wavering(seed, count)), 60.0)

    assert level.judged
    assert level.holds, level


@given(st.integers(0, 1000), st.integers(80, 400), st.floats(0.1, 10))
def test_memory_that_grows_is_found(seed: int, count: int, mib_s: float) -> None:
    """A tenth of a mebibyte a second, 500 bytes of each of 200 requests, is found in minutes, under the same noise."""
    level = judge(life("gateway 0", wavering(seed, count, grows_mib_s=mib_s)), 60.0)

    assert level.judged
    assert not level.holds, level


def test_one_moment_of_garbage_bends_no_slope() -> None:
    """A single peak, however high, at the worst place is not taken for growth."""
    memory = [60.0] * 100
    memory[-1] = 160.0

    assert judge(life("reconciler", memory), 60.0).holds


def test_redis_may_grow_by_what_it_was_given() -> None:
    """A coupon takes memory for good: so much for each state change, and no more."""
    count, a_sample = 200, 1000
    seqs = [number * a_sample for number in range(count)]
    fair = [20 + number * a_sample * 250 / MIB for number in range(count)]
    leaks = [20 + number * a_sample * ENTRY_BYTES * 1.5 / MIB for number in range(count)]

    assert judge(life("redis", fair, seqs=seqs), 60.0).holds
    assert not judge(life("redis", leaks, seqs=seqs), 60.0).holds
    assert not judge(life("redis", fair, seqs=[0] * count), 60.0).holds


def test_a_process_that_died_young_is_not_judged() -> None:
    """Half of ten seconds is a warm-up: it neither holds nor fails, but then nothing is known of the part."""
    young, old = judge(life("gateway 0", [10, 30, 50, 70, 90, 110]), 60.0), judge(life("gateway 1", [60] * 50), 60.0)

    assert (young.judged, young.holds) == (False, True)
    assert unjudged([young, old], ["gateway 0", "gateway 1", "reconciler"]) == ["gateway 0", "reconciler"]
    with pytest.raises(ValueError, match="gateway 0: there is no sample"):
        judge(Life("gateway 0", 1, [], []), 60.0)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), max_size=30))
def test_a_slope_is_one_of_those_between_two_samples(points: list[tuple[float, float]]) -> None:
    """Nothing but what was seen: no slope is steeper than the steepest pair, and too few samples have none."""
    slopes = [(b - a) / (t - s) for s, a in points for t, b in points if t > s]

    assert min(slopes, default=0.0) <= slope(sorted(points)) <= max(slopes, default=0.0) or len(slopes) < 2


def test_what_is_open_at_rest_is_compared_by_kind() -> None:
    """A young worker is held to what its siblings had before; PostgreSQL and the unknown are left out."""
    before = [("gateway 0", 20), ("gateway 1", 22), ("redis", 16), ("postgres", 300), ("clerk", -1)]
    after = [
        ("gateway 0", 22 + FILES_MAX),
        ("gateway 1", 20),
        ("redis", 17 + FILES_MAX),
        ("postgres", 900),
        ("clerk", 9),
    ]

    assert [(rest.part, rest.holds) for rest in at_rest(before, after)] == [("gateway", True), ("redis", False)]


@given(st.floats(15, 20_000), st.integers(1, 8), st.integers(0, 100))
def test_restarts_are_of_every_kind_and_leave_time_to_judge(run_s: float, workers: int, seed: int) -> None:
    """Both parts, both signals, in order, the same for a seed; what was started last lives long enough to be judged."""
    planned = restarts(run_s, workers, seed)

    assert planned == restarts(run_s, workers, seed)
    assert {(each.part.partition(" ")[0], each.number) for each in planned} == {
        (part, number) for part in ("gateway", "reconciler") for number in (signal.SIGTERM, signal.SIGKILL)
    }
    assert all(a.at_s <= b.at_s for a, b in pairwise(planned))
    assert planned[0].at_s >= round(run_s * 0.1, 1)
    assert run_s - planned[-1].at_s > run_s * LIFE_SHARE_MIN
    assert all(int(each.part.split()[1]) < workers for each in planned if each.part.startswith("gateway"))


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("/v/bin/python -m gateway.cli worker --fd 8 --slot 1 --sibling-fd=7 ", "gateway 1"),
        ("/postgres/bin/python -m gateway.cli reconcile ", "reconciler"),
        ("/v/bin/python -m gateway.cli clerk ", "clerk"),
        ("/v/_binaries/linux-x86_64/valkey-server 127.0.0.1:57575 ", "redis"),
        ("postgres: fairclaim: fairclaim fairclaim 127.0.0.1(50850) idle", "postgres"),
        ("/v/bin/python /v/bin/fairclaim up ", "supervisor"),
    ],
)
def test_a_process_is_known_by_its_command(command: str, part: str) -> None:
    """Whatever the folders are called that it lives in."""
    assert part_of(command) == part


def test_what_a_process_takes_is_read_from_outside(tmp_path: Path) -> None:
    """Of ourselves: more memory once we have taken some, one file more once it is open; of who has ended, nothing."""
    before = taken_by(os.getpid(), 0.0)
    kept = bytearray(os.urandom(1)) * (32 * MIB)
    with (tmp_path / "open").open("w"):
        after = taken_by(os.getpid(), 1.0)

    assert before is not None
    assert after is not None
    assert len(kept) > 30 * MIB
    assert after.memory - before.memory > 24 * MIB
    assert after.files == before.files + 1
    assert taken_by(2**22 + 1, 0.0) is None
    assert ("supervisor", os.getpid()) in sample(os.getpid(), 0.0)


def test_the_table_names_what_grows_and_what_is_not_known() -> None:
    """Whoever reads it sees which part it is, by how much, and what was not looked at."""
    grows = judge(life("reconciler", [60 + at for at in range(50)]), 30.0)
    young = judge(life("gateway 0", [60] * 3), 30.0)
    table = screen([grows, young], at_rest([("redis", 16)], [("redis", 100)]), ["gateway 0"], 30.0)

    assert f"{grows.grown / MIB:+.1f} / {grows.may_grow / MIB:.1f}" in table
    assert grows.may_grow >= GROWTH_BYTES_MAX
    assert "GROWS" in table
    assert "1 more lived less than 30 s and are not judged" in table
    assert "gateway 0: NOT JUDGED" in table
    assert "redis: 16 files open before the crowd came, 100 after it  NOT GIVEN BACK" in table


def test_marks_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Line by line, each once, the half-written one later; what was there before the run is not of it."""
    file = tmp_path / "marks"
    file.write_text("of another run\n")
    lines = Lines(file)

    assert lines.new() == []
    with file.open("a") as out:
        out.write("SIGKILL to gateway 0\nSIGTERM to ")
    assert lines.new() == ["SIGKILL to gateway 0"]
    with file.open("a") as out:
        out.write("reconciler\n")
    assert lines.new() == ["SIGTERM to reconciler"]
    assert Lines(tmp_path / "absent").new() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--minutes", "0.1"], "--minutes has to be from 0.25 to 100000"),
        (["--minutes", "nan"], "--minutes has to be from"),
        (["--users", "0"], "have to be more than 0"),
        (["--arrivals", "-1"], "have to be more than 0"),
    ],
)
def test_a_soak_refuses_what_it_can_t_do(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage is exit code 2 with the argument named, before anything is started."""
    with pytest.raises(SystemExit) as left:
        parsed(arguments)

    assert left.value.code == 2
    assert says in capsys.readouterr().err
