"""Commands that ask the gateway: the flags that say where it is and who asks are written once, here."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from gateway.cli.flags import settings_from
from gateway.cli.options import ApiKeyText, DataDir, GatewayUrl, ReadyFile
from gateway.cli.signatures import parameters_of, with_parameters

if TYPE_CHECKING:
    from gateway.cli.client import Gateway

Opened = Callable[[], "Gateway"]
"""Opens the gateway that the flags name. Errors: Fail."""

_FLAGS = {"gateway_url": GatewayUrl, "api_key": ApiKeyText, "ready_file": ReadyFile, "data_dir": DataDir}


def through_gateway(command: Callable[..., None]) -> Callable[..., None]:
    """
    *command* with these flags before its last one, --json.

    Its first parameter is an Opened, so that what is wrong with its own flags is told before a gateway is looked for.
    """
    _, *own, as_json = inspect.signature(command).parameters.values()

    @wraps(command)
    def run(**given: Any) -> None:
        url, key, ready_file, data_dir = (given.pop(name) for name in _FLAGS)

        def opened() -> "Gateway":
            from gateway.cli.client import open_gateway

            return open_gateway(settings_from(ready_file=ready_file, data_dir=data_dir), url, key)

        command(opened, **given)

    return with_parameters(run, [*own, *parameters_of(_FLAGS), as_json])
