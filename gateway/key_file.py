"""
The keys of tokens and tickets, from a setting or from a file that is read again when it changes.

A new content that can't be read leaves the keys as they were: a slip of the pen must not lock out a
whole sale. A secret is never logged.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from gateway.settings import SettingError, Settings
from gateway.tokens import parse_keys

log = logging.getLogger("fairclaim.keys")

LOOK_EVERY_S = 1.0
FILE_BYTES_MAX = 65_536

_Stamp = tuple[int, int, int] | str
"""What tells one content from another without reading it, or why there is none."""


def signing_keys(settings: Settings) -> dict[str, bytes]:
    """
    The keys (kid → secret) that *settings* give, the first of which mints; none when neither setting is set.

    Errors: SettingError naming the variable, never a secret.
    """
    name = "FAIRCLAIM_JWT_KEYS_FILE" if settings.jwt_keys_file else "FAIRCLAIM_JWT_KEYS"
    try:
        return read_keys(Path(settings.jwt_keys_file)) if settings.jwt_keys_file else parse_keys(settings.jwt_keys)
    except ValueError as error:
        raise SettingError(f"{name}: {error}") from None


def read_keys(path: Path) -> dict[str, bytes]:
    """The keys in a file: ``kid=secret``, separated by commas or ends of lines. Errors: ValueError."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"can't be read ({error.strerror})") from None
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"has more than {FILE_BYTES_MAX} bytes")
    try:
        pairs = data.decode("utf-8-sig").replace("\n", ",").split(",")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    keys = parse_keys(",".join(pair.strip() for pair in pairs))
    if not keys:
        raise ValueError("has no key in it")
    return keys


async def follow(path: Path, use_keys: Callable[[dict[str, bytes]], None]) -> None:
    """Give the file's keys to *use_keys* now, and again whenever it has changed, for ever."""
    seen: _Stamp | None = None
    while True:
        # In a thread: a file system that hangs must not hold up claims.
        stamp = await asyncio.to_thread(_stamp, path)
        if stamp != seen:
            seen = stamp
            try:
                keys = await asyncio.to_thread(read_keys, path)
            except ValueError as error:
                log.error(
                    "the signing keys can't be read and stay as they were",
                    extra={"file": str(path), "reason": str(error)},
                )
            else:
                use_keys(keys)
                log.info("signing keys read", extra={"file": str(path), "kids": list(keys)})
        await asyncio.sleep(LOOK_EVERY_S)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError as error:
        return str(error)
    return found.st_ctime_ns, found.st_size, found.st_ino  # ctime: a file that may be read again has changed too
