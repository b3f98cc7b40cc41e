"""What has to hold before anything starts: the data directory is ours, the disk has room, the port is free."""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from gateway.stack.processes import StackError

MIB = 1024 * 1024
DISK_FREE_MIB_MIN = 300
"""A new PostgreSQL cluster takes 40 MiB, its log files up to 2 GiB later, the append-only file what it needs."""
BACKLOG = 4096


class InTheWay(StackError):
    """Something else has what we need: a port, a data directory."""


def free_mib(directory: Path) -> int:
    """MiB that an ordinary user may still write into the file system of *directory*."""
    return shutil.disk_usage(directory).free // MIB


def hold_data_dir(directory: Path, free: Callable[[Path], int] = free_mib) -> int:
    """
    Make *directory* if it is missing, and lock it for this process; the descriptor returned holds the lock.

    Errors: InTheWay naming the process that has it; StackError for a full disk or a directory that can't be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        left = free(directory)
        if left < DISK_FREE_MIB_MIN:
            need = f"{DISK_FREE_MIB_MIN} MiB are needed"
            raise StackError(f"the disk of {directory} is nearly full: {left} MiB left, {need}; or use --data-dir")
        lock = os.open(directory / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StackError(f"can't use {directory}: {error.strerror}; choose another --data-dir") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode(errors="replace").strip() or "?"
        os.close(lock)
        raise InTheWay(f"fairclaim already runs on {directory} (pid {owner}); stop it or use --data-dir") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def listen(host: str, port: int) -> socket.socket:
    """
    The gateway's listening socket, which every worker inherits.

    Errors: InTheWay when the port is busy; StackError when *host* or *port* can't be bound at all.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StackError(f"can't listen on --host {host}: {error.strerror}") from error
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(BACKLOG)
    except OSError as error:
        server.close()
        if isinstance(error, PermissionError):
            raise StackError(f"port {port} needs more rights than we have; use --port 1024 or above") from error
        if error.errno != errno.EADDRINUSE:
            raise StackError(f"can't listen on --host {host}: {error.strerror}") from error
        text = f"port {port} of {host} is busy ({error.strerror}); use --port N, or --port 0 for any free one"
        raise InTheWay(text) from error
    return server
