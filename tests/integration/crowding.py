"""
Real Locust against a system, as a process of its own; and what came of it, written down by listeners beside the crowd.

This module is also a locustfile: Locust loads it after the crowd's, in every process it has. By itself it has the
crowd's users without what follows a run, for tests that are not about that.
"""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TextIO

import gevent  # type: ignore[import-untyped]

from loadtest.system import bare_environment
from loadtest.told import CLAIM, Attempt

ROOT = Path(__file__).parents[2]
LOCUSTFILE = "loadtest/locustfile.py"
SEEN = "TEST_CROWD_SEEN"
WITHIN_S, END_S_MAX = 90, 240
"""The end of a run waits for the books, for workers and for the gateway's verdict, a minute for each."""
ALIVE_S = 0.1


class Request(NamedTuple):
    """One row of Locust's, as its event had it."""

    name: str
    kind: str
    outcome: str
    ms: float
    says: str


class Ran(NamedTuple):
    """How it ended, and what the listeners wrote."""

    code: int
    text: str
    requests: list[Request]
    attempts: list[Attempt]
    marks: list[str]

    @property
    def names(self) -> Counter[str]:
        """How often each name was seen."""
        return Counter(request.name for request in self.requests)

    @property
    def failures(self) -> Counter[str]:
        """Each failure with its name."""
        return Counter(f"{request.name}: {request.says}" for request in self.requests if request.says)


class Crowd:
    """
    Locust with *arguments*, its output in *folder*; *variables* are added to its environment.

    Where it is *judged* it is the crowd as people run it, with the verdict at its end.

    Used by ``with``, so that it does not outlive its test.
    """

    def __init__(
        self, folder: Path, ready_file: Path, *arguments: str, judged: bool = False, variables: Mapping[str, str] = {}
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.log = folder / "log"
        given = {"FAIRCLAIM_READY_FILE": str(ready_file), "PYTHONPATH": str(ROOT), SEEN: str(folder), **variables}
        environment = {**bare_environment(), **given}
        files = [LOCUSTFILE] * judged + [str(Path(__file__).relative_to(ROOT))]
        command = [sys.executable, "-m", "locust", "-f", ",".join(files), "--results", str(folder / "results")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        """What it printed so far."""
        return self.log.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.process.kill()
        self.process.wait(WITHIN_S)

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """As Ctrl-C does, or *by* another signal."""
        self.process.send_signal(by)

    def ended(self) -> Ran:
        """Wait until it is over; what it came to."""
        code = self.process.wait(END_S_MAX)
        return Ran(code, self.text(), *self._seen())

    async def seen(self, *names: str, marks: int = 0, people: int = 0, coupons: int = 0) -> bool:
        """
        Wait until Locust has a row of each of *names*, so many marks were made, people claimed, and coupons were told.

        False if it ended before.
        """
        deadline = time.monotonic() + WITHIN_S
        while self.process.poll() is None:
            requests, attempts, made = self._seen()
            came = {attempt.holder for attempt in attempts if attempt.holder.startswith("h")}
            told = {attempt.code for attempt in attempts if attempt.kind == CLAIM and attempt.granted}
            missing = set(names) - {request.name for request in requests}
            if not missing and len(made) >= marks and len(came) >= people and len(told) >= coupons:
                return True
            assert time.monotonic() < deadline, f"not seen: {missing}; {made}; {len(told)} coupons\n{self.text()}"
            await asyncio.sleep(0.2)
        return False

    def counted(self) -> Counter[str]:
        """How often it wrote down what: each request that it sent, each attempt that is over, that it is alive."""
        return Counter(
            json.loads(line)[0]
            for file in self._folder.glob("*.seen")
            for line in file.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.endswith("\n")
        )

    def _seen(self) -> tuple[list[Request], list[Attempt], list[str]]:
        requests, attempts, marks = list[Request](), list[Attempt](), list[str]()
        for file in self._folder.glob("*.seen"):
            for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
                if not line.endswith("\n"):
                    continue
                what, row = json.loads(line)
                if what in ("sending", "alive"):
                    continue
                if what == "request":
                    requests.append(Request(*row))
                elif what == "attempt":
                    attempts.append(Attempt(*row))
                else:
                    marks.append(row)
        return requests, attempts, marks


def a_port() -> str:
    """A port for a master that nobody else of these tests has: by the process, below those that Linux gives away."""
    return str(20_000 + os.getpid() % 12_000)


def without_log_lines(text: str) -> list[str]:
    """What is printed beside Locust's log."""
    return [line for line in text.splitlines() if line and not re.match(r"\[\d{4}-", line)]


def _listen(folder: Path) -> None:
    """Write down what Locust and the recorder are told, each process into a file of its own."""
    from locust import events

    from loadtest.run.line import Answer, Line
    from loadtest.run.recording import recorder

    attempt, mark, send = recorder.attempt, recorder.mark, Line.send
    files = dict[int, TextIO]()

    def write(what: str, row: Any) -> None:
        # --processes forks after this module was loaded.
        if os.getpid() not in files:
            files[os.getpid()] = (folder / f"{os.getpid()}.seen").open("a", buffering=1, encoding="utf-8")
        files[os.getpid()].write(json.dumps((what, row)) + "\n")

    def on_request(name: str, response_time: float, context: dict[str, str], exception: object, **_more: Any) -> None:
        says = str(exception) if exception else ""
        write("request", (name, context["kind"], context["outcome"], response_time, says))

    def on_attempt(row: Attempt) -> None:
        write("attempt", row)
        attempt(row)

    def on_mark(says: str) -> None:
        write("mark", says)
        mark(says)

    def live() -> None:
        while True:
            write("alive", None)
            gevent.sleep(ALIVE_S)

    def on_send(self: Line, request: bytes, method: str, slowly: random.Random | None = None) -> Answer:
        write("sending", None)
        return send(self, request, method, slowly)

    events.request.add_listener(on_request)  # type: ignore[no-untyped-call]
    vars(recorder).update(attempt=on_attempt, mark=on_mark)
    Line.send = on_send  # type: ignore[method-assign]
    gevent.spawn(live)


if os.environ.get(SEEN):
    from loadtest.run import starting  # noqa: F401 - it listens
    from loadtest.shapes.sale import Sale  # noqa: F401 - Locust looks for it here
    from loadtest.users.bot import Bot  # noqa: F401 - as above
    from loadtest.users.claimer import Claimer  # noqa: F401 - as above
    from loadtest.users.finance import Finance  # noqa: F401 - as above
    from loadtest.users.marketer import Marketer  # noqa: F401 - as above
    from loadtest.users.till import Till  # noqa: F401 - as above
    from loadtest.users.wallet import Wallet  # noqa: F401 - as above

    if "loadtest.run.ending" not in sys.modules:
        # What follows a run has this too: Ctrl-C is for Locust's main function, and not for whichever user runs then.
        stop = gevent.get_hub().handle_system_error
        gevent.signal_handler(signal.SIGINT, stop, KeyboardInterrupt, KeyboardInterrupt())

    _listen(Path(os.environ[SEEN]))
