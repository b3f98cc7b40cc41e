"""What workers tell the master: in chunks of a bound size, each counted once, whatever becomes of it on the way."""

import random
from pathlib import Path

import pytest

from loadtest.run.chunks import ATTEMPTS_MAX, Chunk, Teller, decode
from loadtest.run.gathering import Gathered, ToldFile
from loadtest.run.recording import Recorder
from loadtest.told import Attempt, read_told


def attempt(number: int, campaign: str = "c1", status: int = 201, code: str = "") -> Attempt:
    """One claim of many."""
    outcome = "claimed" if status == 201 else "sold_out"
    return Attempt("claim", campaign, f"h{number}", f"k{number}", status, outcome, code or f"code{number}", number)


class Worker:
    """A process that sees what it is told to see."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.teller = Teller(self.recorder)
        self.teller.begin()
        self.seen: list[Attempt] = []

    def see(self, count: int) -> None:
        """So many claims more."""
        for _ in range(count):
            made = attempt(len(self.seen))
            self.seen.append(made)
            self.recorder.attempt(made)
            self.teller.timeline.add("claim", "claimed", 5, 100, "", "claim: claimed")


@pytest.fixture
def gathered(tmp_path: Path) -> Gathered:
    """A run with nothing gathered."""
    return Gathered("run", ToldFile(tmp_path / "told.csv.gz"))


def sent(chunk: Chunk) -> Chunk:
    """A chunk after its way."""
    return decode(chunk.encode())


def test_everything_arrives_in_chunks_of_a_bound_size(gathered: Gathered, tmp_path: Path) -> None:
    """However much there is, no chunk is larger than the bound, the last one says so, and nothing is missing."""
    worker = Worker()
    worker.see(2 * ATTEMPTS_MAX + 1)
    worker.recorder.mark("restock of 500")
    chunks = worker.teller.take("run")
    worker.see(3)
    chunks += worker.teller.take("run", last=True)
    for chunk in chunks:
        worker.teller.heard(gathered.add("w1", sent(chunk)))

    assert [len(chunk.attempts) for chunk in chunks] == [ATTEMPTS_MAX, ATTEMPTS_MAX, 1, 3]
    assert [chunk.last for chunk in chunks] == [False, False, False, True]
    assert [mark.says for mark in gathered.marks] == ["restock of 500"]
    assert gathered.timeline.count == len(worker.seen)
    assert len(gathered.codes["c1"]) == len(worker.seen)
    assert gathered.untold == []
    assert worker.teller.unheard == []
    assert list(read_told(gathered_file(gathered, tmp_path))) == worker.seen


def gathered_file(gathered: Gathered, folder: Path) -> Path:
    """The file of attempts, closed."""
    assert list(folder.glob("told.csv.gz")) == []
    return gathered.told.keep()


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_connection_neither_loses_nor_doubles(gathered: Gathered, seed: int) -> None:
    """Chunks that are lost are told again at the end; those that come twice or too early count once, in order."""
    dice, workers = random.Random(seed), {"w1": Worker(), "w2": Worker()}
    for name, worker in workers.items():
        gathered.expect(name)
        chunks = []
        for turn in range(8):
            worker.see(dice.randrange(50))
            chunks += worker.teller.take("run", last=turn == 7)
        arriving = dice.choices(chunks, k=10)
        for chunk in arriving:
            worker.teller.heard(gathered.add(name, sent(chunk)))
    for name, worker in workers.items():
        assert (name in gathered.untold) == any(chunk.last for chunk in worker.teller.unheard)
        for chunk in worker.teller.unheard:
            worker.teller.heard(gathered.add(name, sent(chunk)))

    assert gathered.untold == []
    assert gathered.timeline.count == sum(len(worker.seen) for worker in workers.values())
    rows = list(read_told(gathered.told.keep()))
    assert sorted(rows) == sorted(each for worker in workers.values() for each in worker.seen)


def test_a_worker_that_died_is_named(gathered: Gathered) -> None:
    """Who was expected and did not come to the last chunk is untold, whether it said something or nothing."""
    gathered.expect("silent")
    half, whole = Worker(), Worker()
    for name, worker, last in (("half", half, False), ("whole", whole, True)):
        worker.see(3)
        for chunk in worker.teller.take("run", last=last):
            gathered.add(name, chunk)

    assert gathered.untold == ["silent", "half"]


def test_what_is_left_of_another_run_is_none_of_this(gathered: Gathered) -> None:
    """A chunk of another run changes nothing, and a new run begins with nothing of the one before."""
    worker = Worker()
    worker.see(3)
    [old] = worker.teller.take("before", last=True)
    assert gathered.add("w1", old) == 0
    assert gathered.timeline.count == 0

    worker.see(2)
    worker.teller.begin()
    [chunk] = worker.teller.take("run", last=True)
    assert (chunk.number, chunk.attempts, gathered.add("w1", chunk)) == (1, [], 1)


def test_a_coupon_that_is_told_again_is_granted_once(gathered: Gathered) -> None:
    """What a campaign granted are coupons, by how many answers they were told or lost."""
    worker = Worker()
    for each in (attempt(1), attempt(1, status=200), attempt(2, "c2", code="x"), attempt(3, status=409)):
        worker.recorder.attempt(each)
    gathered.add("w1", *worker.teller.take("run"))

    assert {campaign: len(codes) for campaign, codes in gathered.codes.items()} == {"c1": 1, "c2": 1}


def test_attempts_that_can_t_be_written_are_no_clean_run(gathered: Gathered) -> None:
    """A full disk is kept in mind, and the figures go on."""
    gathered.told.keep()
    worker = Worker()
    worker.see(1)
    gathered.add("w1", *worker.teller.take("run"))

    assert gathered.broken.startswith("what was told can't be written: ")
    assert gathered.timeline.count == 1
