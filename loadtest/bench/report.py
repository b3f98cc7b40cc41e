"""What a run says: sections with tables, the list of targets, the verdict; as text and as JSON."""

from collections.abc import Sequence
from io import StringIO
from typing import Any, NamedTuple

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtest.bench.targets import Verdict

WIDTH_CHARS = 120


class Sheet(NamedTuple):
    """A table: the first column is what a row is about, the others are figures."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Section(NamedTuple):
    """
    What one measure found: its tables, or text where it draws them itself.

    *figures* go to JSON as they are; *faults* make the run not clean.
    """

    title: str
    sheets: Sequence[Sheet | str]
    notes: list[str]
    faults: list[str]
    targets: dict[str, Verdict]
    figures: Any


def shown(sections: list[Section], targets: list[Verdict]) -> str:
    """The whole report as text."""
    parts = [_section(section) for section in sections]
    faults = [fault for section in sections for fault in section.faults]
    verdict = ["The run was NOT CLEAN:", *(f"  {fault}" for fault in faults)] if faults else ["The run was clean."]
    return "\n".join([*parts, "Targets", *(_line(target) for target in targets), "", *verdict])


def _section(section: Section) -> str:
    return "\n".join([section.title, *(drawn(sheet) for sheet in section.sheets), *section.notes, ""])


def _line(target: Verdict) -> str:
    mark = {True: "✓", False: "✗", None: "–"}[target.holds]
    return f"  {mark} {target.name} {target.bound}: {target.found}"


def drawn(sheet: Sheet | str) -> str:
    """A table as text."""
    if isinstance(sheet, str):
        return sheet
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    for number, name in enumerate(sheet.header):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in sheet.rows:
        table.add_row(*row)
    text = StringIO()
    Console(file=text, width=WIDTH_CHARS, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())


def as_json(machine: dict[str, Any], sections: dict[str, Section], targets: list[Verdict], passed: bool) -> bytes:
    """The whole report as JSON, for people to read too."""
    report = {
        "machine": machine,
        "passed": passed,
        "targets": [target._asdict() for target in targets],
        "measures": {
            name: {"title": section.title, "notes": section.notes, "faults": section.faults, "figures": section.figures}
            for name, section in sections.items()
        },
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2)
