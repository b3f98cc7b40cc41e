"""
Tables for people: plain when nobody's terminal is on the other end, coloured when one is.

Rich is imported with the first of them: every process of ours starts from the command line, and few show a table.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

PLAIN_CHARS = 100_000
"""Width where there is no terminal to ask: a table in a file is not broken."""
TEXT_CHARS_MIN = 8
"""What a column of texts keeps in a terminal that is too narrow."""
GAP_CHARS = 2
SECONDS_CHARS = len("2026-11-22T10:00:00")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str = "") -> str:
    """
    The rows under *columns*; a column whose name ends in ``#`` holds numbers and is right-aligned, one in ``@`` holds
    RFC 3339 times, shown to the second. Neither is ever broken or cut: where the terminal is narrow, the others are
    broken, and where that is not enough, the table is wider than it.

    *none* is what to say where there are no rows.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    lines = list(rows)
    if not lines and none:
        return none
    cells = [[_cell(column, cell) for column, cell in zip(columns, line, strict=True)] for line in lines]
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for at, column in enumerate(columns):
        head, whole = column.rstrip("#@"), column.endswith(("#", "@"))
        widest = max(cell_len(head), *(line[at].cell_len for line in cells), 1)
        grid.add_column(
            head,
            justify="right" if column.endswith("#") else "left",
            no_wrap=whole,
            overflow="fold",
            min_width=widest if whole else min(widest, TEXT_CHARS_MIN),
        )
    for line in cells:
        grid.add_row(*line)
    return _render(grid)


def _cell(column: str, cell: object) -> "Text":
    from rich.text import Text

    if isinstance(cell, Text):
        return cell
    shown = show(cell)
    return Text(shown[:SECONDS_CHARS].replace("T", " ") if column.endswith("@") else shown)


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


def spelt(value: object) -> str:
    """
    What programs keep of a difference, for people: each field with what it is, a list in its order.

    A part of which every figure is 0 is left out, and a single figure needs no name.
    """
    if isinstance(value, Mapping):
        if value.keys() == {"value"}:
            return spelt(value["value"])
        parts = [_part(name, each) for name, each in value.items()]
        return "; ".join(part for part in parts if part) or "nothing"
    if isinstance(value, list | tuple):
        return (
            ", ".join(" ".join(map(show, each)) if isinstance(each, list) else spelt(each) for each in value) or "none"
        )
    return "nothing" if value is None else show(value)


def _part(name: str, value: object) -> str:
    if not isinstance(value, Mapping):
        return f"{name} {spelt(value)}"
    return f"{name} ({spelt(value)})" if any(value.values()) else ""


def folded(text: str, head: str) -> list[str]:
    """*head* and *text*, and further lines under the text where a person's terminal is too narrow for one."""
    width = shutil.get_terminal_size().columns if is_terminal() else PLAIN_CHARS
    return wrap(text, max(width, len(head) + 20), initial_indent=head, subsequent_indent=" " * len(head))


def verdict(holds: bool | None, yes: str, no: str, open_: str) -> "Text":
    """One of three words, in a colour that is not needed to tell them apart."""
    from rich.text import Text

    if holds is None:
        return Text(open_, style="yellow")
    return Text(yes, style="green") if holds else Text(no, style="bold red")


def is_terminal() -> bool:
    """Whether a person's terminal reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def _render(grid: "Table") -> str:
    from rich.console import Console

    colour = is_terminal() and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size().columns if is_terminal() else PLAIN_CHARS
    least = sum((column.min_width or 0) + GAP_CHARS for column in grid.columns)
    console = Console(
        width=max(width, least),
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
    )
    with console.capture() as capture:
        console.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
