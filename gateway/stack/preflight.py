"""What has to hold before anything starts: the data directory is ours, the disk has room, port and files are free."""

import errno
import fcntl
import os
import resource
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.settings import Settings
from gateway.stack.processes import StackError

MIB = 1024 * 1024
DISK_FREE_MIB_MIN = 300
"""A new PostgreSQL cluster takes 40 MiB, its log files up to 2 GiB later, the append-only file what it needs."""
BACKLOG = 4096
FILES_BESIDE = 192
"""Open files of a worker besides its connections, its sockets and PostgreSQL: Redis (less than 70), logs, counters."""


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
    A socket that listens on *port*; nobody else listens there.

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


def listen_each(host: str, port: int, workers: int) -> list[socket.socket]:
    """
    The listening sockets of the workers, all on one port: one for each where the kernel shares out, else one for all.

    They are ours, so that a worker that is started again finds its own and whoever waits there.
    Errors: as listen().
    """
    sockets = [listen(host, port)]  # alone: beside a gateway that shares its port as well we would get in
    if sys.platform != "linux":
        return sockets
    first = sockets[0]
    try:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(workers - 1):
            server = socket.socket(first.family, first.type, first.proto)
            sockets.append(server)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(first.getsockname())
            server.listen(BACKLOG)
    except OSError as error:
        for server in sockets:
            server.close()
        raise StackError(f"can't listen on --host {host} for {workers} workers: {error.strerror}") from error
    return sockets


def open_files_needed(settings: Settings) -> int:
    """How many files a worker has open at most."""
    return settings.connections_max + settings.postgres_connections_max + settings.workers + FILES_BESIDE


def open_files_allowed() -> int | None:
    """The hard limit of open files; None: there is none."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def raise_open_files(needed: int) -> int:
    """Let this process open *needed* files, as far as the hard limit goes. Returns how many of them it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = open_files_allowed()
    within = needed if most is None else min(needed, most)
    if soft != resource.RLIM_INFINITY and soft < within:
        resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
    return within
