"""The ready file: how to reach everything that `up` runs. Scripts wait for it and read it."""

import os
import socket
from pathlib import Path

import msgspec

from gateway.settings import Settings
from gateway.stack.processes import StackError
from gateway.stack.secrets import Secrets, write_private

FILE = "ready.json"


class Jwt(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to mint an HS256 holder token that the gateway accepts."""

    secret: str
    kid: str
    audience: str
    issuer: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a ready file; these names are relied on by users."""

    gateway_url: str
    console_url: str
    console_user: str | None
    console_password: str | None
    redis_url: str
    postgres_url: str
    admin_key: str
    store_key: str
    finance_key: str
    demo_campaign: str | None
    jwt: Jwt


def describe(
    settings: Settings,
    secrets: Secrets,
    listening: socket.socket,
    demo_campaign: str | None,
    console_user: str | None,
) -> Ready:
    """
    The ready file of a stack with *settings* (URLs and JWT keys filled in) on *listening*.

    *console_user* is whom the password of *secrets* lets into the console, None where it lets in nobody.
    """
    kid, _, secret = settings.jwt_keys.partition(",")[0].partition("=")
    url = url_of(listening)
    return Ready(
        gateway_url=url,
        console_url=f"{url}/console",
        console_user=console_user,
        console_password=secrets.console_password if console_user else None,
        redis_url=settings.redis_url,
        postgres_url=settings.postgres_url,
        admin_key=secrets.admin_key,
        store_key=secrets.store_key,
        finance_key=secrets.finance_key,
        demo_campaign=demo_campaign,
        jwt=Jwt(secret=secret, kid=kid, audience=settings.jwt_audience, issuer=settings.jwt_issuer),
    )


def url_of(listening: socket.socket) -> str:
    """Where a client on this machine reaches *listening*."""
    host, port = listening.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def ready_paths(settings: Settings) -> list[Path]:
    """Where the ready file goes: always into the data directory, and where --ready-file says."""
    named = [Path(settings.ready_file)] if settings.ready_file else []
    return [Path(settings.data_dir) / FILE, *named]


def check_ready(paths: list[Path]) -> None:
    """See to it that every ready file can be written, before anything starts. Errors: StackError."""
    for path in paths:
        if path.is_dir():
            raise StackError(f"can't write {path}: it is a directory; --ready-file names a file")
        if not path.parent.is_dir():
            raise StackError(f"can't write {path}: there is no directory {path.parent}; choose another --ready-file")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StackError(f"can't write {path}: no right to write in {path.parent}; choose another --ready-file")


def write_ready(ready: Ready, paths: list[Path]) -> None:
    """Write every ready file. Errors: StackError."""
    data = msgspec.json.format(msgspec.json.encode(ready), indent=2)
    for path in paths:
        write_private(path, data)


def remove_ready(paths: list[Path]) -> None:
    """Remove the ready files: what they say no longer holds."""
    for path in paths:
        path.unlink(missing_ok=True)
