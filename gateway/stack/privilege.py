"""
Who a server that refuses root runs as.

PostgreSQL does not start as uid 0. An ordinary user needs nothing. Root runs it inside a user
namespace in which root has another number: no file has to be chowned and no directory opened up.
Where such namespaces are forbidden (a container without the right), root gives it to `nobody`.
"""

import os
import pwd
import subprocess
from pathlib import Path

from gateway.stack.processes import OURSELVES, Identity, StackError, base_environment, spawn

TRY_S_MAX = 20.0
NOBODY = "nobody"


def identity_for(directory: Path, data: Path, program: Path) -> Identity:
    """
    The identity under which *program* can use *directory* (it exists) and *data* in it (it may not exist yet).

    An existing *data* keeps its owner. Errors: StackError when root can't run *program* in any way.
    """
    if os.geteuid() != 0:
        return OURSELVES
    owner = data.stat().st_uid if data.exists() else 0
    if owner == 0 and _works(Identity(namespace=True), directory, program):
        return Identity(namespace=True)
    other = _account(owner)
    if other is not None and other.uid is not None and other.gid is not None:
        _give_away(directory, data, other.uid, other.gid)
        if _works(other, directory, program):
            return other
    raise StackError(
        "PostgreSQL refuses to run as root, and here root may neither make a user namespace nor hand "
        f"{directory} to {NOBODY!r}; run as an ordinary user, choose a --data-dir that everybody can reach "
        "(and a .venv likewise), or give --postgres-url"
    )


def _account(owner: int) -> Identity | None:
    """The account of uid *owner*; nobody's for root's."""
    try:
        account = pwd.getpwuid(owner) if owner else pwd.getpwnam(NOBODY)
    except KeyError:
        return None
    return Identity(uid=account.pw_uid, gid=account.pw_gid)


def _give_away(directory: Path, data: Path, uid: int, gid: int) -> None:
    """Let *uid* into *directory*, and own *data* if root made it under another identity."""
    os.chown(directory, uid, gid)
    if data.exists() and data.stat().st_uid == 0:
        for folder, folders, files in os.walk(data):
            for name in (".", *folders, *files):
                os.chown(os.path.join(folder, name), uid, gid, follow_symlinks=False)


def _works(identity: Identity, directory: Path, program: Path) -> bool:
    """Whether *program* can be run under *identity* from *directory*."""
    attempt = spawn(
        [program, "--version"],
        log=directory / "privilege.log",
        environment=base_environment(),
        identity=identity,
        directory=directory,
    )
    try:
        return attempt.wait(TRY_S_MAX) == 0
    except subprocess.TimeoutExpired:
        attempt.kill()
        return False
