"""docs/tour.md is true: its blocks are pasted into a shell; what they print and what is booked is as the page says."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple, Self

import psycopg
import pytest

from tests.conftest import Eventually
from tests.integration.stacks import Stack, environment
from tests.patience import PATIENT

PAGE = (Path(__file__).parents[2] / "docs" / "tour.md").read_text(encoding="utf-8")
END = "the block has ended"
BLOCK_S_MAX = 180.0


class Block(NamedTuple):
    """A block of the page: commands (sh), what they print (text), or a book after them (json)."""

    kind: str
    text: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(sh|text|json)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


class Shell:
    """One bash, in a folder with a system's data directory, that ends at the first command that fails."""

    def __init__(self, folder: Path) -> None:
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        self._log = folder / "shell.log"
        with self._log.open("wb") as log:
            self._bash = subprocess.Popen(
                ["bash", "-euo", "pipefail"],
                cwd=folder,
                env=environment(PATH=path),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bash.kill()
        self._bash.communicate()

    def run(self, block: str) -> str:
        """What *block* prints."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{block}\necho {END!r}\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        watch = Timer(BLOCK_S_MAX, self._bash.kill)
        watch.start()
        try:
            for line in self._bash.stdout:
                if line.strip() == END:
                    return "".join(lines)
                lines.append(line)
        finally:
            watch.cancel()
        raise AssertionError(f"{block}\nended the shell: {''.join(lines)}{self._log.read_text()}")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The system that `make up` starts, its data where the page expects it."""
    with Stack(tmp_path / ".fairclaim", "--no-demo", settings=PATIENT) as stack:
        yield stack


def book(stack: Stack, commodity: str) -> dict[str, int]:
    """Every account of a commodity that holds something."""
    with psycopg.connect(stack.ready["postgres_url"]) as books:
        found = books.execute("SELECT account, balance FROM v_balances WHERE commodity = %s", [commodity]).fetchall()
    return {account: int(balance) for account, balance in found if balance}


def test_the_tour(stack: Stack, eventually: Eventually) -> None:
    """Each step prints what the page says, as do the reports; the unit book has the page's figures, which sum to 0."""
    ready = stack.data_dir / "ready.json"
    assert ready.exists()
    printed, compared = "", 0
    with Shell(stack.data_dir.parent) as shell:
        for kind, text in BLOCKS:
            if kind == "sh":
                assert printed == "", f"the page does not say that this was printed: {printed}"
                printed = shell.run(text)
            elif kind == "text":
                assert printed == text
                printed = ""
            else:
                told: dict[str, Any] = json.loads(text)
                commodity = told.pop("book")
                assert sum(told.values()) == 0, "the page's figures balance"

                def booked(commodity: str = commodity, told: dict[str, Any] = told) -> bool:
                    assert book(stack, commodity) == told
                    return True

                asyncio.run(eventually(booked))
                compared += 1
    assert printed == ""
    assert compared == 10, "campaign, claim, quote, hold, redeem, a part, the rest, expire, revoke, redeem again"
