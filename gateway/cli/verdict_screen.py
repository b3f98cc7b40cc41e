"""A verdict for people: how far it is, its table, and figures that say what they count."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.cli.tables import table
from gateway.cli.tables import verdict as word

if TYPE_CHECKING:
    from rich.text import Text

    from reconciler.verdict.invariants import Invariant
    from reconciler.verdict.judging import Beginning, Verdict


@contextmanager
def watched_judgement(as_json: bool, as_lines: bool = False) -> "Iterator[Beginning]":
    """What tells a person or, in lines, a program, while a verdict lasts, which invariant is being judged."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from reconciler.verdict.invariants import INVARIANTS

    console = Console(stderr=True)
    with Progress(
        TextColumn("judging {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=as_json or as_lines or not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=len(INVARIANTS))

        def beginning(invariant: "Invariant") -> None:
            place = INVARIANTS.index(invariant)
            if as_lines:
                print(f"{place}/{len(INVARIANTS)} {invariant.name}", file=sys.stderr, flush=True)
            progress.update(task, completed=place, description=invariant.name)

        yield beginning


def verdict_shown(found: "Verdict") -> str:
    """A line an invariant, what violates those that don't hold, and the answer."""
    from reconciler.verdict.figures import row_text

    rows = [
        (each.name, word(each.holds, "holds", "VIOLATED", ""), figures_shown(each.figures)) for each in found.invariants
    ]
    broken = [each for each in found.invariants if not each.holds]
    lines = [table(("invariant", "verdict", "figures"), rows), ""]
    for each in broken:
        lines += [f"{each.name}: {each.wrong:,} violate it: {each.says}", f"  first: {row_text(each.first)}", ""]
    told = f"{len(rows)} invariants of {found.shards:,} shards hold"
    return "\n".join([*lines, told if found.holds else f"{len(broken)} of {len(rows)} invariants are violated"])


def figures_shown(figures: Mapping[str, int]) -> "Text":
    """Every figure and what it counts."""
    from rich.text import Text

    return Text(", ".join(_figure(name, value) for name, value in figures.items()))


def _figure(name: str, value: int) -> str:
    """A count, or an amount where the name begins with its currency, such as CNY committed."""
    from reconciler.currencies import major, places
    from reconciler.verdict.figures import currency_of

    currency = currency_of(name)
    if currency is None:
        return f"{value:,} {name}"
    return f"{major(value, currency):,.{places(currency)}f} {name}"
