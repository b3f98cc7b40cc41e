"""
CPU seconds that the drain and PostgreSQL take to book one backlog, on servers of its own.

    python -m tests.drain_cpu claims 60000     claims, 128 a call
    python -m tests.drain_cpu steps 4000       claims, as many redemptions, and a rollback of every fourth

CPU seconds and not those of the clock, because a busy machine falsifies them less. To compare with another commit, copy
this file into a checkout of it, and run the two in turn.
"""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from lua.door import Door, connect
from reconciler.drain import run
from reconciler.migrations import migrate
from tests.builders import an_ask
from tests.integration.draining import Books, options_for
from tests.integration.life import LifeSale, open_life

GRANTS_A_CALL = 128


def ticks_of(postmaster: int) -> dict[str, int]:
    """Process id → clock ticks so far, of the server, with those of sessions that have ended, and of each session."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended meanwhile
            continue
        own = stat.parent.name == str(postmaster)
        if own or int(told[1]) == postmaster:
            found[stat.parent.name] = sum(map(int, told[11:15] if own else told[11:13]))
    return found


def cpu_s(postmaster: int) -> float:
    """CPU seconds so far of the server and its sessions, those that have ended included."""
    before, now = {"": 0}, ticks_of(postmaster)
    while now.keys() != before.keys():  # a session that ends while it is read is in neither, or in both
        before, now = now, ticks_of(postmaster)
    return sum(now.values()) / os.sysconf("SC_CLK_TCK")


def postmaster_in(folder: Path) -> int:
    """The process id of the PostgreSQL whose data is in *folder*."""
    return int(next(folder.glob("**/postmaster.pid")).read_text().split()[0])


async def fill(sale: LifeSale, kind: str, claims: int) -> None:
    """The backlog: *claims*, and what follows them where *kind* is steps."""
    codes: list[str] = []
    for first in range(0, claims, GRANTS_A_CALL):
        numbers = range(first, min(first + GRANTS_A_CALL, claims))
        asks = [an_ask(f"h{number}", channel="app" if number % 2 else "web") for number in numbers]
        await sale.on.claim(*asks)
        codes += [ask[2] for ask in asks]
    for number, code in enumerate(codes if kind == "steps" else []):
        await sale.redeem(f"R{number}", code, f"o-{number}")
        if number % 4 == 0:
            await sale.roll_back(f"R{number}", 500)


async def measure(kind: str, claims: int, folder: Path) -> str:
    """Fill the stream, drain it to its tail, and say what that took."""
    postgres = Postgres(folder / "postgres", password="t")
    valkey = Valkey(folder / "valkey", memory_mb=1024, fsync="no", password="t", binary=None)
    postgres.start()
    valkey.start()
    try:
        migrate(postgres.url)
        door = Door(connect(valkey.url, connections_max=4, call_ms_max=20_000, connect_ms_max=1000))
        with Books(postgres.url) as books:
            sale = await open_life(door, books, stock=claims * 2)
            await fill(sale, kind, claims)
            postmaster = postmaster_in(folder)
            books.rows("ALTER SYSTEM SET autovacuum = off")
            books.rows("SELECT pg_reload_conf()")
            books.rows("CHECKPOINT")
            stop = asyncio.Event()
            stop.set()
            waits = {"postgres_ms_max": 60_000, "stop_ms_max": 300_000, "call_ms_max": 20_000}
            before_s, python_s = cpu_s(postmaster), time.process_time()
            await run(options_for(valkey.url, postgres.url, **waits), stop)
            python_s, postgres_s = time.process_time() - python_s, cpu_s(postmaster) - before_s
            told = f"{books.seq(sale.name)} state changes: Python {python_s:.2f} s, PostgreSQL {postgres_s:.2f} s"
        await door.close()
    finally:
        valkey.stop()
        postgres.stop()
    return f"{told}, together {python_s + postgres_s:.2f} s"


def main() -> None:
    """Measure once, as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("kind", choices=["claims", "steps"])
    parser.add_argument("claims", type=int)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(measure(asked.kind, asked.claims, Path(folder))))


if __name__ == "__main__":
    main()
