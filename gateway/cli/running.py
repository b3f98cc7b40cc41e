"""A supervised run in the foreground: signals, readiness, and the exit code at its end."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from gateway.cli.output import CONFLICT, FAILURE, INTERRUPTED, OK, UNAVAILABLE, Fail
from gateway.stack.demo import ask
from gateway.stack.preflight import InTheWay
from gateway.stack.processes import StackError
from gateway.stack.supervisor import Supervisor

READY_S_MAX = 90.0
READY_POLL_S = 0.1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NotReady(StackError):
    """Everything runs, but the gateway does not become ready."""


def say(line: str) -> None:
    """One line for the person who watches; stdout is left to what was asked for."""
    with suppress(OSError, ValueError):  # nobody watches any more, which is no reason to stop
        print(f"fairclaim: {line}", file=sys.stderr, flush=True)


async def supervised(bring_up: Callable[[Supervisor], Awaitable[None]], say: Callable[[str], None]) -> int:
    """
    Run *bring_up*, keep what it started running until a signal, and stop it in order. Returns the exit code.

    The first signal stops; a second one shortens the waits. Errors: Fail when bring_up can't finish.
    """
    supervisor = Supervisor(say)
    run = asyncio.create_task(_run(bring_up, supervisor))
    signals = 0

    def interrupted() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            run.cancel()
        else:
            supervisor.hurry()

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, interrupted)
    try:
        await run
    except asyncio.CancelledError:
        say("stopping: answering what is in flight, draining the streams")
    except StackError as error:
        raise _fail(error) from None
    finally:
        await supervisor.stop()
    say("stopped")
    return OK if supervisor.is_settled else INTERRUPTED


async def _run(bring_up: Callable[[Supervisor], Awaitable[None]], supervisor: Supervisor) -> None:
    await bring_up(supervisor)
    supervisor.settled()
    await asyncio.Event().wait()


async def await_ready(gateway_url: str, supervisor: Supervisor) -> None:
    """Wait until /readyz answers 200. Errors: StackError when a part ended or it takes too long."""
    give_up, last = monotonic() + READY_S_MAX, "it does not answer"
    while True:
        supervisor.check()
        try:
            status, body = await asyncio.to_thread(ask, gateway_url, "", "GET", "/readyz")
            if status == 200:
                return
            last = f"{status} {body}"
        except StackError as error:
            last = str(error)
        if monotonic() > give_up:
            raise NotReady(f"the gateway is not ready after {READY_S_MAX:.0f} s: {last}")
        await asyncio.sleep(READY_POLL_S)


def _fail(error: StackError) -> Fail:
    if isinstance(error, InTheWay):
        return Fail(CONFLICT, "in_the_way", str(error))
    if isinstance(error, NotReady):
        return Fail(UNAVAILABLE, "not_ready", str(error))
    return Fail(FAILURE, "stack", str(error))
