"""Start a process that dies with us, keep its log, and quote its last words."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOG_BYTES_MAX = 16 * 1024 * 1024
"""A log that has grown beyond this is put aside (once) before a process starts to write it."""
TAIL_BYTES = 8192
POLL_S = 0.02
_LAUNCH = Path(__file__).with_name("launch.py")


class StackError(Exception):
    """Part of the stack can't run. The text is one line that says what is wrong and what to do."""


@dataclass(frozen=True)
class Identity:
    """Who a process runs as: ourselves, ourselves inside a user namespace, or somebody else."""

    namespace: bool = False
    uid: int | None = None
    gid: int | None = None


OURSELVES = Identity()


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path | None,
    environment: Mapping[str, str],
    identity: Identity = OURSELVES,
    directory: Path | None = None,
    pass_fds: Sequence[int] = (),
    given: str | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """
    Start *argv* in a session of its own, so that a terminal's Ctrl-C reaches only us.

    *log* gets stdout and stderr (None: ours); *given* is what the process reads on stdin. The kernel sends
    *death_signal* when the thread that called this ends, so call it from the main thread.
    Errors: StackError when it can't be started at all.
    """
    order = {
        "parent": os.getpid(),
        "death_signal": int(death_signal),
        "namespace": identity.namespace,
        "uid": identity.uid,
        "gid": identity.gid,
        "directory": str(directory) if directory else None,
    }
    command = [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(order), *map(str, argv)]
    try:
        output = _open_log(log) if log else None
        try:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                env=dict(environment),
                pass_fds=pass_fds,
                start_new_session=True,
            )
        finally:
            if output is not None:
                os.close(output)
    except OSError as error:
        raise StackError(f"can't start {Path(argv[0]).name}: {error}") from error
    if given is not None:
        _give(process, given)
    return process


def _open_log(log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old.log"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _give(process: subprocess.Popen[bytes], text: str) -> None:
    """Write *text* to stdin. A process that died before it read says why in its log, so that is no error here."""
    assert process.stdin is not None
    try:
        process.stdin.write(text.encode())
        process.stdin.close()
    except BrokenPipeError:
        process.wait()


def await_until(check: Callable[[], bool], within_s: float) -> bool:
    """Ask *check* until it holds, for at most *within_s* seconds. Returns whether it did."""
    give_up = time.monotonic() + within_s
    while not check():
        if time.monotonic() >= give_up:
            return False
        time.sleep(POLL_S)
    return True


def end(process: subprocess.Popen[bytes], signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn, waiting so many seconds for the process to end, and SIGKILL at last."""
    for number, within_s in (*signals, (signal.SIGKILL, 10.0)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            continue


def tail(log: Path, start: int = 0) -> list[str]:
    """The last non-empty lines of *log* from byte *start* on, oldest first; nothing if there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - TAIL_BYTES))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return []


def base_environment() -> dict[str, str]:
    """The few variables a server needs: nothing of the caller's locale, PG* or loader settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
