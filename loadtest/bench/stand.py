"""The test stand: one stack, the contenders beside it on the same Valkey, each on its core; and one measured load."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import redis

from loadtest.bench.cpu import Cores, allowed_cores, kept_to, machine_busy_s, pin, share_out, spent_s
from loadtest.bench.drained import await_drained
from loadtest.bench.entrants import ENTRANTS, Contender, started
from loadtest.bench.generator import Generator, Load, write_asks
from loadtest.bench.plan import Say
from loadtest.system import System

REDIS_MEMORY_MB = 6144
DRAIN_S_MAX = 600
TOKEN_S = 3 * 3600


class Measured(msgspec.Struct, frozen=True):
    """
    One load on one contender. CPU is in microseconds an answer, *_share* in cores, *faults* what was not as expected.

    *gateway_shares* is how the workers shared the gateway's CPU.
    """

    contender: str
    answers: int
    answers_per_s: float
    gateway_us: float
    redis_us: float
    generator_us: float
    p50_ms: float
    p99_ms: float
    gateway_share: float
    redis_share: float
    generator_share: float
    others_share: float
    gateway_shares: list[float]
    faults: list[str]

    @property
    def cpu_us(self) -> float:
        """Gateway and Redis together."""
        return self.gateway_us + self.redis_us


class Stand:
    """Everything that runs for the benchmark. Made by stand()."""

    def __init__(self, system: System, folder: Path, generator: Generator, cores: Cores) -> None:
        self.system, self.folder, self.cores = system, folder, cores
        self.contenders: dict[str, Contender] = {}
        self.missing: dict[str, str] = {}
        self.redis: Any = redis.Redis.from_url(system.target.redis_url, decode_responses=True)
        self._generator, self._numbers = generator, count(1)
        self._redis_pid: int = self.redis.info("server")["process_id"]

    @property
    def shared_core(self) -> bool:
        """Whether Redis and the generator share one core."""
        return self.cores.redis == self.cores.generator and len(self.cores.redis) == 1

    def place(self, more: Iterable[Contender] = ()) -> None:
        """Keep each process, those of *more* contenders too, to its cores."""
        contenders = (*self.contenders.values(), *more)
        pin((pid for contender in contenders for pid in contender.pids), self.cores.gateway)
        pin([self._redis_pid], self.cores.redis)
        pin((pid for part, pids in self.system.parts().items() if part != "redis" for pid in pids), self.cores.rest)

    def start(self, name: str, environment: dict[str, str] | None = None) -> AbstractContextManager[Contender]:
        """Start contender *name*, by the block; in *environment* instead of its own."""
        return started(name, self.system.target, self.folder, environment)

    @contextmanager
    def unpinned(self, *more: Contender) -> Iterator[None]:
        """Let everybody, and the contenders of *more*, run on every core for the length of the block."""
        pinned = self.cores
        every = frozenset().union(*pinned)
        self.cores = Cores(every, every, every, every)
        try:
            self.place(more)
            with kept_to(every):
                yield
        finally:
            self.cores = pinned
            self.place()

    def new_campaign(self, contender: Contender, stock: int) -> str:
        """Open a campaign under a name of one length, so that requests are as long whomever they go to."""
        name = f"{contender.name[:5]:-<5}-{next(self._numbers):04d}"
        contender.sales.open(name, stock)
        return name

    def new_asks(self, claims: int) -> Path:
        """
        Tokens and keys of *claims* holders, always the same ones; the tokens are new each time.

        A gateway may remember tokens it has seen; in a sale each holder comes with one it has not.
        """
        mint = self.system.target.tokens(TOKEN_S + next(self._numbers))
        return write_asks(self.folder / "asks", mint, claims)

    def measure(self, contender: Contender, load: Load, expected: dict[int, int]) -> Measured:
        """Send *load* to *contender*; *expected* answers by status, of which the 201 have to be gone from stock."""
        before = contender.sales.left(load.campaign)
        used, busy, began = self._used(contender), machine_busy_s(), perf_counter()
        traffic = self._generator.send(contender.url, load, self.cores.generator)
        wall_s, busy = perf_counter() - began, machine_busy_s() - busy
        spent = {pid: spent_s(pid) - earlier for pid, earlier in used.items()}
        sold = before - contender.sales.left(load.campaign)

        answers = sum(traffic.statuses.values()) or 1
        redis_s = spent.pop(self._redis_pid)
        gateway_s = sum(spent.values()) or 1e-9
        faults = [f"{count} × {kind}" for kind, count in traffic.errors.items()]
        if traffic.statuses != expected:
            faults.append(f"answers {traffic.statuses} instead of {expected}")
        if sold != traffic.statuses.get(201, 0):
            faults.append(f"{sold} coupons are gone from stock, {traffic.statuses.get(201, 0)} were told")
        return Measured(
            contender=contender.name,
            answers=answers,
            answers_per_s=answers / traffic.elapsed_s,
            gateway_us=gateway_s / answers * 1e6,
            redis_us=redis_s / answers * 1e6,
            generator_us=traffic.generator_s / answers * 1e6,
            p50_ms=traffic.p50_ms,
            p99_ms=traffic.p99_ms,
            gateway_share=gateway_s / traffic.elapsed_s,
            redis_share=redis_s / traffic.elapsed_s,
            generator_share=traffic.generator_s / traffic.elapsed_s,
            others_share=max(0.0, busy - gateway_s - redis_s - traffic.generator_s) / wall_s,
            gateway_shares=[share / gateway_s for share in spent.values()],
            faults=[f"{contender.name}, {load.campaign}: {fault}" for fault in faults],
        )

    def claim(self, contender: Contender, claims: int, asks: Path, connections: int) -> Measured:
        """A campaign in which everybody who asks wins: measure it, wait for the books, and forget it."""
        campaign = self.new_campaign(contender, claims)
        with self.system.stopped("reconciler"):
            measured = self.measure(contender, Load(campaign, asks, connections), {201: claims})
        self.settle(contender, campaign)
        return measured

    def settle(self, contender: Contender, campaign: str) -> None:
        """Let the books catch up and the next run begin in quiet."""
        if ENTRANTS[contender.name].ours:
            target = self.system.target
            await_drained(target.redis_url, target.postgres_url, campaign, 1, within_s=DRAIN_S_MAX)
        contender.sales.close(campaign)

    def _used(self, contender: Contender) -> dict[int, float]:
        return {pid: spent_s(pid) for pid in (*contender.pids, self._redis_pid)}


@contextmanager
def stand(folder: Path, names: Iterable[str], generator: Generator, say: Say) -> Iterator[Stand]:
    """Start a system in *folder* and the contenders of *names* that can be started here."""
    cores = share_out(allowed_cores())
    with ExitStack() as stack:
        say("starting Valkey, PostgreSQL, the reconciler and a gateway")
        system = stack.enter_context(System(folder, workers=1, no_demo="true", redis_memory_mb=str(REDIS_MEMORY_MB)))
        made = Stand(system, folder, generator, cores)
        made.redis.config_set("auto-aof-rewrite-percentage", 0)  # a rewrite would land in somebody's run
        for name in names:
            why = ENTRANTS[name].missing()
            if why:
                made.missing[name] = why
                say(f"without {name}: {why}")
                continue
            say(f"starting {name}: {ENTRANTS[name].about}")
            made.contenders[name] = stack.enter_context(made.start(name))
        made.place()
        stack.enter_context(kept_to(cores.rest))
        yield made
