"""Errors that processes write to their logs, shown on the screen as one line each."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

LOOK_EVERY_S = 0.5
LINES_MAX = 5
"""Lines shown a look and log; more are counted."""
CHARS_MAX = 240
BYTES_MAX = 256 * 1024
REPEAT_S = 60.0
"""A line that says the same again is shown again after this; the log has them all."""
SHOWN_LEVELS = frozenset({"error", "critical"})


class LogWatch:
    """Follows *logs* (title → path), from their present ends on."""

    def __init__(self, logs: Mapping[str, Path], say: Callable[[str], None]) -> None:
        self._logs, self._say = logs, say
        self._shown: dict[tuple[str, str], float] = {}
        self._read_to = {title: _place(path) for title, path in logs.items()}

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Show the errors written since the last look."""
        for title, path in self._logs.items():
            found = [text for line in self._new_lines(title, path) if (text := error_text(line))]
            found = [text for text in found if self._is_news(title, text)]
            for text in found[:LINES_MAX]:
                self._say(f"{title}: {text}")
            if len(found) > LINES_MAX:
                self._say(f"{title}: {len(found) - LINES_MAX} more errors in {path}")

    def _is_news(self, title: str, text: str) -> bool:
        """Whether *text* was not shown lately: who tries again and again fails in the same words each time."""
        now = monotonic()
        self._shown = {key: at for key, at in self._shown.items() if now - at < REPEAT_S}
        return self._shown.setdefault((title, text), now) == now

    def _new_lines(self, title: str, path: Path) -> list[bytes]:
        """Whole lines only; the beginning of a line waits for its end."""
        file_id, size = _place(path)
        known_id, start = self._read_to[title]
        if file_id != known_id or start > size:
            start = 0  # put aside, and begun again
        if size == start:
            return []
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(BYTES_MAX)
        whole = data.rfind(b"\n") + 1 or (len(data) if len(data) == BYTES_MAX else 0)
        self._read_to[title] = (file_id, start + whole)
        return data[:whole].splitlines()


def error_text(line: bytes) -> str | None:
    """What an error line says, on one line; None for any other line."""
    try:
        record: Any = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    if not isinstance(record, dict) or record.get("level") not in SHOWN_LEVELS:
        return None
    text = str(record.get("text", ""))
    cause = str(record.get("error", "")).strip().splitlines()
    return " ".join(f"{text}{': ' + cause[-1] if cause else ''}".split())[:CHARS_MAX]


def _place(path: Path) -> tuple[int, int]:
    """Which file it is, and where it ends; zeros where there is none yet."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_size
