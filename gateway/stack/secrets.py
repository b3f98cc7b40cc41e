"""Passwords and keys of one data directory: made once, kept in secrets.json, readable by the owner alone."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.stack.processes import StackError

FILE = "secrets.json"


class Secrets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything random that has to be the same at the next start."""

    redis_password: str
    postgres_password: str
    jwt_kid: str
    jwt_secret: str
    admin_key: str
    store_key: str
    finance_key: str
    console_password: str = ""

    @property
    def jwt_keys(self) -> str:
        """The setting FAIRCLAIM_JWT_KEYS."""
        return f"{self.jwt_kid}={self.jwt_secret}"


def load_secrets(data_dir: Path, make_key: Callable[[], str], make_password: Callable[[], str]) -> Secrets:
    """
    The secrets of *data_dir*, made now if there are none; *make_key* makes one API key, and *make_password* a password.

    A file of before there was a console gets its password now.

    Errors: StackError when the file is there but is not ours to read. It is never replaced: the servers'
    passwords are in it.
    """
    path = data_dir / FILE
    try:
        made = msgspec.json.decode(path.read_bytes(), type=Secrets)
    except FileNotFoundError:
        made = _make(make_key)
    except (OSError, msgspec.DecodeError) as error:
        raise StackError(f"{path} can't be read ({error}); put it back from a backup") from None
    if not made.console_password:
        made = msgspec.structs.replace(made, console_password=make_password())
        write_private(path, msgspec.json.format(msgspec.json.encode(made), indent=2))
    return made


def _make(make_key: Callable[[], str]) -> Secrets:
    return Secrets(
        redis_password=secrets.token_urlsafe(24),
        postgres_password=secrets.token_urlsafe(24),
        jwt_kid=f"local-{secrets.token_hex(3)}",
        jwt_secret=secrets.token_urlsafe(48),
        admin_key=make_key(),
        store_key=make_key(),
        finance_key=make_key(),
    )


def write_private(path: Path, data: bytes) -> None:
    """Write *data* to *path* at once or not at all, with mode 0600. Errors: StackError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data + b"\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StackError(f"can't write {path}: {error.strerror}") from error
