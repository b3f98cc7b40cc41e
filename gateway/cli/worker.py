"""fairclaim worker (hidden): one gateway process on a socket inherited from its supervisor."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.flags import settings_from
from gateway.cli.output import FAILURE, OK, USAGE, Fail

if TYPE_CHECKING:
    from gateway.serving import Serving
    from gateway.settings import Settings

log = logging.getLogger("fairclaim.worker")


def worker(
    fd: Annotated[int, typer.Option("--fd", help="The listening socket, inherited.")],
    slot: Annotated[int, typer.Option("--slot", min=0, max=1023, help="Which worker this is.")] = 0,
    sibling_fd: Annotated[list[int] | None, typer.Option("--sibling-fd", help="Another worker's, inherited.")] = None,
) -> int:
    """
    Run one gateway worker; `up` and `serve` start these.

    Exit codes: 0 stopped by SIGTERM, 1 could not start, 2 a setting is wrong.
    """
    from uvloop import Loop

    from gateway.logs import configure

    settings = settings_from()
    configure(settings.log_level)
    _raise_open_files(settings)
    siblings = [socket.socket(fileno=sibling) for sibling in sibling_fd or ()]
    server = _server(settings, slot, siblings)
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(server.serve(sockets=[socket.socket(fileno=fd)]))
    return OK if server.started else FAILURE


def _raise_open_files(settings: "Settings") -> None:
    """See to it that connections_max can be open at once, and warn where the system does not let us."""
    from gateway.stack.preflight import open_files_needed, raise_open_files

    needed = open_files_needed(settings)
    allowed = raise_open_files(needed)
    if allowed < needed:
        text = "%d files may be open, FAIRCLAIM_CONNECTIONS_MAX needs %d; raise the hard limit (ulimit -Hn) or lower it"
        log.warning(text, allowed, needed)


def _server(settings: "Settings", slot: int, siblings: Sequence[socket.socket]) -> "Serving":
    from gateway.app import create_app
    from gateway.guard import Guard
    from gateway.lane import Lane
    from gateway.serving import Serving, server_config
    from gateway.settings import SettingError

    try:
        app = create_app(settings, slot=slot, telemetry_dir=Path(settings.data_dir) / "telemetry")
    except SettingError as error:
        raise Fail(USAGE, "bad_setting", str(error)) from None
    config = server_config(app, settings, http=Lane if settings.lane else Guard)
    return Serving(config, siblings)
