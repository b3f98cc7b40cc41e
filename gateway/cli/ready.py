"""
Where the gateway and the servers are: what is not given by a flag or a variable is in the file that `up` writes.

The file is there as long as what it describes runs.
"""

import getpass
import json
import os
from pathlib import Path
from typing import Any

from gateway.cli.output import UNAVAILABLE, Fail
from gateway.settings import PREFIX, Settings

READY_NAME = "ready.json"
START_HINT = "start it with: fairclaim up"


def read_ready(settings: Settings) -> dict[str, Any]:
    """
    What `fairclaim up` wrote: the file named by ready_file, else data_dir/ready.json; empty where there is none.

    Errors: Fail(UNAVAILABLE) when the file that was named is missing, or is not what `up` writes.
    """
    path = Path(settings.ready_file) if settings.ready_file else Path(settings.data_dir) / READY_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if settings.ready_file:
            raise Fail(UNAVAILABLE, "not_running", f"{path} is not there, so nothing is up", START_HINT) from None
        return {}
    except (OSError, ValueError) as error:
        raise Fail(UNAVAILABLE, "ready_file", f"{path} can't be read: {error}", START_HINT) from None
    if not isinstance(found, dict):
        raise Fail(UNAVAILABLE, "ready_file", f"{path} is not what `fairclaim up` writes", START_HINT)
    return found


def find(name: str, given: str | None, ready: dict[str, Any], variable: str) -> str:
    """*given*, else *name* of the ready file. Errors: Fail(UNAVAILABLE) saying where it may come from."""
    value = given or ready.get(name)
    if not isinstance(value, str) or not value:
        raise Fail(
            UNAVAILABLE,
            "not_running",
            f"no {name}: {variable} is not set and no ready file was found",
            f"{START_HINT}, or set {variable}",
        )
    return value


def server_urls(settings: Settings, *names: str) -> list[str]:
    """The URLs of *names* (redis_url, postgres_url): settings, else the ready file. Errors: Fail."""
    given = [getattr(settings, name) for name in names]
    ready = {} if all(given) else read_ready(settings)
    return [find(name, url, ready, PREFIX + name.upper()) for name, url in zip(names, given, strict=True)]


def actor() -> str:
    """Who runs this command, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a number without an account, as in a container
        return f"cli:{os.getuid()}"
