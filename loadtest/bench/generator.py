"""The generators: wrk for the figures, our own crowd where wrk is not there and nobody looks at the claims/s."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import uvloop

from loadtest.bench.cpu import kept_to
from loadtest.client import Request, drive
from loadtest.target import TokenMint, claim_request

SCRIPT = Path(__file__).with_name("wrk.lua")
ANSWER_S_MAX = 5
LOAD_S_MAX = 120
"""A load that takes longer than this is cut off, and is not clean."""


class Load(NamedTuple):
    """What to send: each line of *asks* ("<token> <key>") as one claim, its key behind *prefix*."""

    campaign: str
    asks: Path
    connections: int
    prefix: str = "first-"


class Traffic(msgspec.Struct, frozen=True):
    """What came back, and the CPU seconds it took the generator."""

    statuses: dict[int, int]
    errors: dict[str, int]
    elapsed_s: float
    p50_ms: float
    p99_ms: float
    generator_s: float


class Generator(Protocol):
    """Sends a load to a URL."""

    def send(self, url: str, load: Load, cores: frozenset[int]) -> Traffic:
        """Send *load* from *cores*, and come back when every answer is there."""


def write_asks(path: Path, mint: TokenMint, claims: int) -> Path:
    """Make the tokens and keys of *claims* holders, one line each, all of one length."""
    with path.open("w") as file:
        file.writelines(f"{mint.token(f'h{number:011d}')} {number:08d}\n" for number in range(claims))
    return path


class Wrk:
    """One wrk process a load, with one thread: one core of it is more than the contenders can answer on theirs."""

    @staticmethod
    def missing() -> str | None:
        """What to do where there is no wrk."""
        return None if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"

    def send(self, url: str, load: Load, cores: frozenset[int]) -> Traffic:
        """Send *load*; see wrk.lua for how wrk ends."""
        command = ["wrk", "--threads", "1", "--connections", str(load.connections), "--duration", f"{LOAD_S_MAX}s"]
        command += ["--timeout", f"{ANSWER_S_MAX}s", "--script", str(SCRIPT), url, "--"]
        command += [str(load.connections), f"/v1/campaigns/{load.campaign}/claims", load.prefix, str(load.asks)]
        with kept_to(cores):  # inherited: the threads of wrk start before anybody could pin them
            process = subprocess.Popen(  # noqa: S603 - wrk, our own words
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line == "over\n":
                    process.send_signal(signal.SIGINT)
            _, code, used = os.wait4(process.pid, 0)
            process.returncode = code
        except BaseException:
            process.kill()
            raise
        return read_traffic(lines, used.ru_utime + used.ru_stime)


class _Told(msgspec.Struct):
    """The last line of wrk.lua."""

    statuses: dict[int, int]
    errors: dict[str, int]
    elapsed_s: float
    p50_us: int
    p99_us: int


def read_traffic(lines: list[str], generator_s: float) -> Traffic:
    """Read what wrk printed. Errors: RuntimeError with its words when it did not come to an end."""
    try:
        told = msgspec.json.decode(lines[-1] if lines else "", type=_Told)
    except msgspec.DecodeError:
        raise RuntimeError(f"wrk failed: {' '.join(''.join(lines).split()) or 'it said nothing'}") from None
    errors = {kind: count for kind, count in told.errors.items() if count}
    if told.elapsed_s < 0:
        errors["connection without an answer in the end"] = 1
    elapsed_s = told.elapsed_s if told.elapsed_s > 0 else LOAD_S_MAX
    return Traffic(told.statuses, errors, elapsed_s, told.p50_us / 1000, told.p99_us / 1000, generator_s)


class Crowd:
    """The crowd of loadtest.client, in this process: needs nothing installed, and costs as much CPU as a gateway."""

    def send(self, url: str, load: Load, cores: frozenset[int]) -> Traffic:
        """Send *load* from wherever this process runs."""
        began = time.process_time()
        tally = uvloop.run(drive(url, _requests(load), load.connections, _unseen))
        errors = {"unanswered": len(tally.unanswered)} if tally.unanswered else {}
        p50_ms, p99_ms = tally.percentile_ms(50), tally.percentile_ms(99)
        return Traffic(dict(tally.statuses), errors, tally.elapsed_s, p50_ms, p99_ms, time.process_time() - began)


def _requests(load: Load) -> Iterator[Request]:
    with load.asks.open() as file:
        for number, line in enumerate(file):
            token, _, key = line.rstrip("\n").partition(" ")
            yield number, claim_request(load.campaign, token, load.prefix + key)


def _unseen(number: int, status: int, head: bytes, body: bytes) -> None:
    """The statuses are enough; the books are looked at instead of the bodies."""
