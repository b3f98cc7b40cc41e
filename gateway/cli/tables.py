"""Tables for people: plain when nobody's terminal is on the other end, coloured when one is."""

import os
import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_CHARS = 200
"""Width where there is no terminal to ask: a table in a file is not cut."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str = "") -> str:
    """
    The rows under *columns*; a column whose name ends in ``#`` holds numbers and is right-aligned.

    *none* is what to say where there are no rows.
    """
    lines = list(rows)
    if not lines and none:
        return none
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        is_number = column.endswith("#")
        grid.add_column(
            column.rstrip("#"), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold"
        )
    for line in lines:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(show(cell)) for cell in line))
    return _render(grid)


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and what they are, one a line; what is None is left out."""
    known = [(name, show(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in known)


def show(value: object) -> str:
    """A cell: whole numbers in groups of three, no for False, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return str(value)


def verdict(holds: bool | None, yes: str, no: str, open_: str) -> Text:
    """One of three words, in a colour that is not needed to tell them apart."""
    if holds is None:
        return Text(open_, style="yellow")
    return Text(yes, style="green") if holds else Text(no, style="bold red")


def is_terminal() -> bool:
    """Whether a person's terminal reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def _render(grid: Table) -> str:
    colour = is_terminal() and not os.environ.get("NO_COLOR")
    console = Console(
        width=None if is_terminal() else PLAIN_CHARS,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
    )
    with console.capture() as capture:
        console.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
