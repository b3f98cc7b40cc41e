"""
The first thing a started process runs: tie its life to its parent's, give up root, become the program.

Runs as a file (`python -I -S launch.py '<JSON>' program argument…`) and imports only the standard
library: a hook between fork and exec would run Python in a copy of a process that may have threads.
"""

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CLONE_NEWUSER = 0x10000000  # linux/sched.h
INNER_ID = 1000
"""Any id but 0: who we appear to be inside the namespace."""


def enter_namespace() -> None:
    """
    Become an ordinary user in our own eyes and stay ourselves in the eyes of the file system.

    One inner id is mapped onto our own id, so nothing has to be chowned and no directory opened up.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{INNER_ID} {uid} 1"), ("gid_map", f"{INNER_ID} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become(uid: int, gid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def die_with(parent: int, number: int) -> None:
    """
    Ask the kernel for signal *number* when *parent* dies. Linux only; elsewhere nothing happens.

    Comes after any change of identity, because that clears the wish. The parent may have died before
    we asked, so ask who it is afterwards.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl: " + os.strerror(ctypes.get_errno()))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def main(order: str, program: str, *arguments: str) -> None:
    """Carry out *order* (parent, death_signal, namespace, uid, gid, directory), then become *program*."""
    wanted = json.loads(order)
    try:
        if wanted["namespace"]:
            enter_namespace()
        elif wanted["uid"] is not None:
            become(wanted["uid"], wanted["gid"])
        die_with(wanted["parent"], wanted["death_signal"])
        if wanted["directory"]:
            os.chdir(wanted["directory"])
        os.execv(program, [program, *arguments])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"launch {os.path.basename(program)}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
