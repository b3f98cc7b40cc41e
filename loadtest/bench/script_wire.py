"""Commands written ahead of their answers on one plain connection, and the CPU the server used for them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import hiredis
import redis

from loadtest.bench.script_server import CpuTime, cpu_time


class Written(NamedTuple):
    """Commands that are written at once, and how many answers they get."""

    answers: int
    data: bytes


class Run(NamedTuple):
    """Calls that were timed: how long they took and the CPU of the server in it."""

    claims: int
    elapsed_s: float
    cpu: CpuTime

    @property
    def claims_per_s(self) -> float:
        """By the clock on the wall."""
        return self.claims / self.elapsed_s

    @property
    def main_us(self) -> float:
        """CPU of the thread that runs the script, in microseconds a claim."""
        return self.cpu.main_ns / 1000 / self.claims

    @property
    def all_us(self) -> float:
        """CPU of the whole server, the thread that syncs the append-only file included."""
        return self.cpu.all_ns / 1000 / self.claims


def resp(*words: str | bytes | int) -> bytes:
    """One command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub allows one word only
    return packed


def joined(commands: Sequence[bytes], at_once: int) -> Iterator[Written]:
    """The commands, *at_once* of them in each write."""
    for at in range(0, len(commands), at_once):
        several = commands[at : at + at_once]
        yield Written(len(several), b"".join(several))


def exchange(store: "redis.Redis", written: Iterable[Written]) -> None:
    """
    Write each part while the server answers the one before, so that it always has something to do.

    Errors: redis.RedisError, the first error that was answered among them.
    """
    with _connection(store) as connection:
        _exchange(connection, written)


def timed(store: "redis.Redis", pid: int, claims: int, written: Sequence[Written]) -> Run:
    """As exchange(), for what amounts to *claims* claims, from the first byte to the last answer."""
    with _connection(store) as connection:
        before, began = cpu_time(pid), time.perf_counter()
        _exchange(connection, written)
        elapsed_s, after = time.perf_counter() - began, cpu_time(pid)
    return Run(claims, elapsed_s, CpuTime(after.main_ns - before.main_ns, after.all_ns - before.all_ns))


@contextmanager
def _connection(store: "redis.Redis") -> Iterator[Any]:
    pool: Any = store.connection_pool
    connection = pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()  # answers may still be on their way
        raise
    finally:
        pool.release(connection)


def _exchange(connection: Any, written: Iterable[Written]) -> None:
    waiting = 0
    for part in written:
        connection.send_packed_command([part.data], check_health=False)
        _read(connection, waiting)
        waiting = part.answers
    _read(connection, waiting)


def _read(connection: Any, answers: int) -> None:
    for _ in range(answers):
        connection.read_response(disable_decoding=True)  # raises what is an error
