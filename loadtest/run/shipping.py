"""
How chunks come to the process that leads: by messages of Locust's own between worker and master, else directly.

A worker sends a chunk a second, and keeps each until the master says that it has it. At the end the master asks every
worker to finish, again and again: the worker stops its users, sends its last chunk, and once more what was not heard
of. So a connection that broke costs nothing, and only a worker that died leaves something unknown.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import gevent  # type: ignore[import-untyped]
import msgspec
from locust import runners
from locust.env import Environment
from locust.exception import RPCError, StopUser
from locust.runners import STATE_CLEANUP, STATE_MISSING, STATE_STOPPED, MasterRunner, WorkerRunner

from loadtest.run.chunks import ATTEMPTS_MAX, Chunk, Teller, decode
from loadtest.run.gathering import Gathered
from loadtest.run.plan import plan_of
from loadtest.run.recording import recorder

log = logging.getLogger("loadtest")

TOLD, HEARD, FINISH = "fairclaim_told", "fairclaim_heard", "fairclaim_finish"
EVERY_S = 1.0
AGAIN_S = 2.0
"""How long until the master asks a worker once more to finish."""
FINISH_S_MAX = 60.0
"""How long the master waits for workers that live, beyond the time users have to stop in."""
SILENT_S_MAX = 10
"""How long a worker may say nothing before it counts as missing, and again until nobody waits for it at the end."""
HEARD_S_MAX = 3.0 * SILENT_S_MAX
"""How long a worker that ends waits until the master has its last chunk: the machine may be as busy for the master."""
AT_ONCE_MAX = 200
"""Attempts that are gathered in one go where users run in the same process: two milliseconds in which none gets on."""
LOCAL, MASTER = "local", "master"


class Telling:
    """What this process saw, told to *send* in chunks: one a second from `begin` on, the last by `finish`."""

    def __init__(self, send: Callable[[Chunk], None], attempts_max: int = ATTEMPTS_MAX) -> None:
        self._send = send
        self._greenlet: gevent.Greenlet | None = None
        self.teller = Teller(recorder, attempts_max)
        self.run, self.finished, self._ended = "", True, False

    def on_request(
        self,
        name: str,
        response_time: float | None,
        exception: BaseException | str | None = None,
        context: dict[str, Any] | None = None,
        **_more: Any,
    ) -> None:
        """Locust's request hook."""
        context = context or {}
        failed = str(exception) if exception else ""
        kind, outcome = context.get("kind", ""), context.get("outcome", "")
        self.teller.timeline.add(kind, outcome, response_time or 0.0, time.time(), failed, name)

    def begin(self, run_of: Callable[[], str]) -> None:
        """A run starts, whose name *run_of* waits for."""
        self._hush()
        self.teller.begin()
        self.run, self.finished, self._ended = "", False, False
        self._greenlet = gevent.spawn(self._tell_on, run_of)

    def _tell_on(self, run_of: Callable[[], str]) -> None:
        self.run = run_of()
        while True:
            gevent.sleep(EVERY_S)
            for chunk in self.teller.take(self.run):
                self._send(chunk)
                gevent.sleep(0)  # users wait for their answers in this process

    def finish(self, run: str = "") -> None:
        """
        Nobody asks any more: tell the rest, and what was not heard of.

        *run* is the one that is finished, where somebody says so: this process may not have come to know its name, or
        have come too late to have users in it.
        """
        self.finished = True
        self._hush()
        if run and self.run != run:
            if self.run:
                self.teller.begin()
            self.run, self._ended = run, False
        if self.run and not self._ended:
            self._ended = True
            self.teller.take(self.run, last=True)
        for chunk in self.teller.unheard:
            self._send(chunk)

    def _hush(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None


class WorkerEnd:
    """The worker's side."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        self._environment, self._runner = environment, runner
        self.telling = Telling(self._send)
        runner.register_message(HEARD, self._on_heard)
        runner.register_message(FINISH, self._on_finish, concurrent=True)

    def _send(self, chunk: Chunk) -> None:
        try:
            self._runner.send_message(TOLD, {"chunk": chunk.encode()})
        except RPCError as error:
            log.warning("chunk %d is not sent (%s); it is sent again at the end", chunk.number, error)

    def on_test_start(self, **_more: Any) -> None:
        """Locust's hook."""
        self.telling.begin(self._run)

    def _run(self) -> str:
        try:
            return plan_of(self._environment).run
        except StopUser:
            return ""

    def on_test_stop(self, **_more: Any) -> None:
        """Locust's hook: no user runs any more."""
        self.telling.finish()

    def on_quitting(self, **_more: Any) -> None:
        """Locust's hook: stop the users, whatever this process ends by, and wait until all is told."""
        if self._runner.state not in (STATE_CLEANUP, STATE_STOPPED):
            self._runner.stop()
        until = time.monotonic() + HEARD_S_MAX
        while self.telling.teller.unheard and len(self._runner.greenlet) and time.monotonic() < until:
            gevent.sleep(0.02)

    def _on_heard(self, msg: Any, **_more: Any) -> None:
        if msg.data["run"] == self.telling.run:
            self.telling.teller.heard(msg.data["number"])

    def _on_finish(self, msg: Any, **_more: Any) -> None:
        if not self.telling.finished:
            if self._runner.state == STATE_CLEANUP:
                return  # its users are being stopped; it is asked again
            self._runner.stop()
        self.telling.finish(msg.data["run"])


class Leader:
    """
    The side of the process that leads: of the master, or of the only one. It gathers one run at a time.

    *runner* is None where there are no workers.
    """

    def __init__(self, runner: MasterRunner | None) -> None:
        self._runner = runner
        self._own = MASTER if runner else LOCAL
        self._gathered: Gathered | None = None
        self._missing: set[str] = set()
        self.telling = Telling(self._tell_directly, AT_ONCE_MAX)
        if runner:
            # Locust has three seconds, and then stops a run whose workers have a busy machine.
            runners.HEARTBEAT_LIVENESS = SILENT_S_MAX
            runner.register_message(TOLD, self._on_told)

    def begin(self, gathered: Gathered) -> None:
        """Gather for *gathered* from now on."""
        self._gathered, self._missing = gathered, set()
        gathered.expect(self._own)
        for worker in self._runner.clients if self._runner else ():
            gathered.expect(worker)
        self.telling.begin(lambda: gathered.run)

    def on_worker_connect(self, client_id: str, **_more: Any) -> None:
        """Locust's hook: one more that may ask something."""
        if self._gathered is not None:
            self._gathered.expect(client_id)

    def finish(self, stop_s_max: float) -> list[str]:
        """
        Wait for the last chunk of every worker that lives, *stop_s_max* beyond which its users are stopped.

        Who is not known to have told everything is given back, by its name. Nothing is gathered any more afterwards.
        """
        assert self._gathered is not None
        self.telling.finish()
        again, patient_until = 0.0, time.monotonic() + stop_s_max + SILENT_S_MAX
        until = patient_until + FINISH_S_MAX
        while (coming := self._coming(time.monotonic() < patient_until)) and time.monotonic() < until:
            if time.monotonic() >= again:
                again = time.monotonic() + AGAIN_S
                for worker in coming:
                    self._say(FINISH, worker, {"run": self._gathered.run})
            gevent.sleep(0.02)
        lost = self._gathered.untold
        self._gathered = None
        for worker in lost:
            log.error("worker %s is gone, and nobody knows what it asked: the run can't be clean", worker)
        return lost

    def _coming(self, patient: bool) -> list[str]:
        """
        Workers that have not told everything, and may still: they live, or it has not been long.

        Locust knows nothing of a worker between its last word as a user of this run and its first of the next.
        """
        if self._runner is None or self._gathered is None:
            return []
        clients = self._runner.clients
        return [
            worker
            for worker in self._gathered.untold
            if patient or (worker in clients and clients[worker].state != STATE_MISSING)
        ]

    def _on_told(self, msg: Any, **_more: Any) -> None:
        chunk, number = decode(msg.data["chunk"]), 0
        if self._gathered is None or chunk.run != self._gathered.run:
            number = chunk.number  # of a run that is over: nobody waits for it
        else:
            number = self._gathered.add(msg.node_id, chunk)
        self._say(HEARD, msg.node_id, {"run": chunk.run, "number": number})

    def _tell_directly(self, chunk: Chunk) -> None:
        if self._gathered is None:
            return
        if self._runner:
            chunk = msgspec.structs.replace(chunk, cpu_percent=0.0)  # the load does not wait for the master
            self._name_missing(self._runner)
        self.telling.teller.heard(self._gathered.add(self._own, chunk))

    def _name_missing(self, runner: MasterRunner) -> None:
        for worker in runner.clients.missing:
            if worker.id not in self._missing:
                self._missing.add(worker.id)
                log.error("worker %s does not answer: unless it comes back, the run can't be clean", worker.id)

    def _say(self, what: str, worker: str, data: dict[str, Any]) -> None:
        assert self._runner is not None
        try:
            self._runner.send_message(what, data, worker)
        except RPCError as error:
            log.warning("%s is not sent to worker %s: %s", what, worker, error)
