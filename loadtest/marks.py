"""How somebody outside of Locust marks what was done to the system while a run goes on: a line a mark, in a file."""

from pathlib import Path

MARKS = "FAIRCLAIM_LOADTEST_MARKS"
"""The variable that names the file. Only the process that leads a run reads it."""


class Lines:
    """Those that were appended to *file* since the last look; a file that is not there yet has none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = file.stat().st_size if file.exists() else 0

    def new(self) -> list[str]:
        """The lines since then. Errors: OSError."""
        if not self._file.exists():
            return []
        found = []
        with self._file.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):  # the rest of it is still to be written
                    break
                self._read += len(line)
                found.append(line.decode(errors="replace").strip())
        return found
