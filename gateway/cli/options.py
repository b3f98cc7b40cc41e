"""Flags of the commands that talk to a running system, and how a flag gets its variable. Imports little."""

from typing import Annotated, Any

import typer

from gateway.cli.flags import setting_flag
from gateway.settings import PREFIX

GatewayUrl = Annotated[
    str | None,
    typer.Option(
        "--gateway-url", envvar=PREFIX + "GATEWAY_URL", help="Where the gateway is; else from the ready file."
    ),
]
ApiKeyText = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar=PREFIX + "API_KEY",
        help="An API key; else the ready file's admin key. The variable is not seen by other users, the flag is.",
    ),
]
ReadyFile = Annotated[str | None, setting_flag("ready_file")]
DataDir = Annotated[str | None, setting_flag("data_dir")]
RedisUrl = Annotated[str | None, setting_flag("redis_url")]
PostgresUrl = Annotated[str | None, setting_flag("postgres_url")]


def flag_of(command: str, *spellings: str, help: str, **more: Any) -> Any:
    """
    A typer option of *command* that is also the variable FAIRCLAIM_<COMMAND>_<FLAG>.

    The command is in the name, so that a variable meant for one act never decides another one.
    """
    name = next(text for text in spellings if text.startswith("--"))[2:].partition("/")[0]
    variable = f"{PREFIX}{command} {name}".upper().replace(" ", "_").replace("-", "_")
    return typer.Option(*spellings, envvar=variable, show_envvar=False, help=help, **more)
