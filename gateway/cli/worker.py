"""fairclaim worker (hidden): one gateway process on a socket inherited from its supervisor."""

import asyncio
import contextlib
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.flags import settings_from
from gateway.cli.output import FAILURE, OK, USAGE, Fail

if TYPE_CHECKING:
    import uvicorn

    from gateway.settings import Settings


def worker(
    fd: Annotated[int, typer.Option("--fd", help="The listening socket, inherited.")],
    slot: Annotated[int, typer.Option("--slot", min=0, max=1023, help="Which worker this is.")] = 0,
) -> int:
    """
    Run one gateway worker; `up` and `serve` start these.

    Exit codes: 0 stopped by SIGTERM, 1 could not start, 2 a setting is wrong.
    """
    from uvloop import Loop

    from gateway.logs import configure

    settings = settings_from()
    configure(settings.log_level)
    server = _server(settings, slot)
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(_serve(server, socket.socket(fileno=fd)))
    return OK if server.started else FAILURE


def _server(settings: "Settings", slot: int) -> "uvicorn.Server":
    import uvicorn

    from gateway.app import create_app
    from gateway.settings import SettingError

    try:
        app = create_app(settings, slot=slot, telemetry_dir=Path(settings.data_dir) / "telemetry")
    except SettingError as error:
        raise Fail(USAGE, "bad_setting", str(error)) from None
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.stop_s_max,
    )
    return uvicorn.Server(config)


async def _serve(server: "uvicorn.Server", listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT: then accept no more, answer what is in flight, and return."""

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    # uvicorn's own handlers would raise the signal again once it has stopped, and a good stop would look like a crash.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    await server.serve(sockets=[listening])
