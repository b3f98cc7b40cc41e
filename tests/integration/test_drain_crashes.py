"""The drain on bad days: killed, stopped, cut off; the books equal the grants all the same."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from lua.door import Door, DoorError, Refused
from reconciler.booking import Booking
from reconciler.ledger import APPLICATION, Ledger, connect_options
from reconciler.shard import Batch, Position
from reconciler.steps import Step
from tests.conftest import ON_VALKEY, Eventually
from tests.entries import SHARD
from tests.integration.draining import Books, Sale, draining, open_sale, reconciler_process


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


def is_whole(books: Books) -> bool:
    """Whether the rows end where the position says."""
    rows = books.value("SELECT coalesce(max(seq), 0) FROM coupon_entries")
    return bool(rows == books.seq())


@ON_VALKEY
@pytest.mark.parametrize("step", Step)
async def test_killed_at_any_point_it_goes_on_without_loss_or_double(
    door: Door, redis_url: str, books: Books, eventually: Eventually, tmp_path: Path, step: Step
) -> None:
    """Killed by SIGKILL at this point of its third batch, it leaves whole batches, and the next one ends up equal."""
    sale = await open_sale(door, books)
    for holder in "abcdefghij":
        await sale.claim(f"{holder}1", f"{holder}2")

    how = signal.SIGKILL
    with reconciler_process(redis_url, books.url, step=step, nth=3, how=how, log=tmp_path / "log") as process:
        await eventually(lambda: process.poll() == -how, within_s=60)
    assert is_whole(books)
    assert books.seq() < await sale.last_seq()
    await sale.claim("late")

    async with draining(redis_url, books.url):
        await eventually(sale.drained)
    await sale.prove()


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether a SIGSTOP has taken hold."""
    return Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"


@ON_VALKEY
@pytest.mark.parametrize("step", [Step.AFTER_READ, Step.BEFORE_COMMIT])
async def test_a_reconciler_that_was_asleep_writes_nothing(
    door: Door, redis_url: str, books: Books, eventually: Eventually, tmp_path: Path, step: Step
) -> None:
    """Stopped by SIGSTOP with a batch in hand, it loses its shards to a second one; woken, its batch is refused."""
    sale = await open_sale(door, books)
    for holder in "abcdefghij":
        await sale.claim(holder)

    log = tmp_path / "log"
    with reconciler_process(redis_url, books.url, step=step, nth=2, how=signal.SIGSTOP, log=log) as sleeper:
        await eventually(lambda: is_stopped(sleeper), within_s=60)
        async with draining(redis_url, books.url):
            await eventually(sale.drained, within_s=60)
            await sale.claim("while asleep")
            await eventually(sale.drained)
            sleeper.send_signal(signal.SIGCONT)
            refusal = "is no longer at seq" if step is Step.AFTER_READ else "is away: terminating connection"
            await eventually(lambda: refusal in log.read_text(encoding="utf-8"))
            await sale.claim("when woken")
            await eventually(sale.drained)
        sleeper.send_signal(signal.SIGTERM)
        await eventually(lambda: sleeper.poll() == 0, within_s=60)

    await sale.prove()


async def test_a_sleeper_in_the_middle_of_a_copy_is_evicted(books: Books, eventually: Eventually) -> None:
    """A session that holds a shard's row and waits for COPY data, which no timeout of the server ends, is ended."""
    books.add_campaign()
    conninfo = connect_options(books.url, postgres_ms_max=3000, connect_ms_max=30_000, session={})
    sleeper = await psycopg.AsyncConnection.connect(conninfo)
    await sleeper.execute("UPDATE checkpoints SET updated_at = now()")
    sleeper.pgconn.send_query(b"COPY coupons FROM STDIN")

    ledger = Ledger(books.url, postgres_ms_max=30_000, connect_ms_max=30_000)
    after = await ledger.commit(SHARD, Position(1, 0, "0-0", b""), Batch(7, "5-1"), Booking({}))

    assert (after.seq, books.seq()) == (7, 7)
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = %s"
    await eventually(lambda: books.value(gone, sleeper.info.backend_pid))  # it lets go of the row before it ends
    assert conninfo_to_dict(conninfo)["application_name"] == APPLICATION
    await ledger.close()
    await sleeper.close()


@asynccontextmanager
async def cut_at_commit(url: str) -> AsyncIterator[str]:
    """A way to PostgreSQL that passes the first COMMIT on and drops the connection instead of the answer."""
    target = conninfo_to_dict(url)
    cut_left = 1
    writers: list[asyncio.StreamWriter] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        while data := await source.read(65536):
            if not deaf.is_set():
                sink.write(data)
        sink.close()

    async def serve(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        nonlocal cut_left
        server, questions = await asyncio.open_connection(str(target["host"]), int(str(target["port"])))
        writers.extend([answers, questions])
        deaf = asyncio.Event()
        back = asyncio.create_task(pump(server, answers, deaf))
        while data := await client.read(65536):
            if b"COMMIT" in data and cut_left:
                cut_left -= 1
                deaf.set()
                questions.write(data)
                await asyncio.to_thread(committed)
                answers.transport.abort()
            else:
                questions.write(data)
        questions.close()
        await back

    def committed() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute("SELECT max(seq) FROM checkpoints").fetchone() == (0,):
                pass

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    yield make_conninfo(url, host="127.0.0.1", port=port)
    listening.close()
    for writer in writers:
        writer.close()
    assert cut_left == 0


async def test_a_commit_whose_answer_is_lost_is_not_repeated(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """The connection breaks after COMMIT took effect and before its answer: the batch is in the books once."""
    sale = await open_sale(door, books)
    await sale.claim("a", "b")

    async with cut_at_commit(books.url) as way, draining(redis_url, way):
        await eventually(sale.drained)
        await sale.claim("c")
        await eventually(sale.drained)

    await sale.prove()


async def test_postgres_going_away_loses_nothing(
    door: Door,
    redis_url: str,
    postgres_server: Postgres,
    books: Books,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While PostgreSQL is stopped, claims go on and wait on the stream; one log line says that it went away."""
    sale, over = await open_sale(door, books, stock=1_000_000), asyncio.Event()
    async with draining(redis_url, books.url, postgres_ms_max=30_000):  # a server that is slow is not away
        await sale.claim("before")
        await eventually(sale.drained)

        async def rush() -> None:
            for call in count():
                await sale.claim(*(f"{call} {n}" for n in range(10)))
                await asyncio.sleep(0.01)
                if over.is_set():
                    return

        rushing = asyncio.create_task(rush())
        await eventually(lambda: len(sale.grants) > 100)
        await asyncio.to_thread(postgres_server.stop)
        try:
            granted = len(sale.grants)
            await eventually(lambda: len(sale.grants) > granted + 100)
        finally:
            postgres_server.start()  # on this thread: the server dies with the thread that started it
        over.set()
        await rushing
        await eventually(sale.drained)

    await sale.prove()
    said = [record.message for record in caplog.records if "PostgreSQL (books)" in record.message]
    assert sum("is away" in line for line in said) == 1


async def test_a_redis_that_comes_back_is_opened_again(
    door: Door, redis_url: str, redis_server: Valkey, books: Books, eventually: Eventually
) -> None:
    """After a restart of Redis the shard is compared with the books and serves again, and what it kept is drained."""
    sale = await open_sale(door, books)
    async with draining(redis_url, books.url):
        await eventually(sale.drained)
        await sale.claim("before")
        await asyncio.to_thread(redis_server.stop)
        redis_server.start()  # on this thread: the server dies with the thread that started it

        async def serves(sale: Sale) -> bool:
            try:
                await sale.claim("after")
            except DoorError as error:
                raise AssertionError(str(error)) from error
            return True

        await eventually(lambda: serves(sale))
        await eventually(sale.drained)

    await sale.prove()
    kinds = books.rows("SELECT kind FROM coupon_entries ORDER BY seq")
    assert [kind for (kind,) in kinds] == ["published", "adjusted", "claimed", "attached", "claimed"]


async def test_a_redis_out_of_memory_is_drained_and_trimmed(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """With Redis over its limit, where no script that writes may run, the drain goes on: that is what frees memory."""
    sale = await open_sale(door, books, stock=5000)
    for call in range(40):
        await sale.claim(*(f"{call} {n}" for n in range(100)))
    await door.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(Refused):
            await sale.claim("refused")
        async with draining(redis_url, books.url, call_ms_max=30_000):  # a trim that is given up waits for the next one
            await eventually(sale.drained)
            await eventually(lambda: holds_one_record(sale))
            assert (books.state(), books.open_breaks()) == ("running", [])
    finally:
        await door.redis.config_set("maxmemory", 1024 * 1024 * 1024)

    await sale.prove()


async def holds_one_record(sale: Sale) -> bool:
    """Whether the stream was trimmed to the committed entry."""
    return len(await sale.records()) == 1
