"""
What whoever claimed was told, to be compared with the books: a CSV with a line an answer.

`code` and `holder` name the coupon of an answer 201. A line without a code is a claim of `holder` that had no answer:
it may have been done, so one coupon of that holder more is no fault. Other columns are left alone.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

LINES_MAX = 20_000_000


class NotTold(ValueError):
    """A file that is not of this form; the text names the line."""


@dataclass
class Told:
    """*coupons* maps the code of each answer to its holder; *unanswered* counts the other claims of each holder."""

    coupons: dict[str, str] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)


def read_told(lines: Iterable[str]) -> Told:
    """All answers of a file. A code that was told to two holders is in *twice*. Errors: NotTold."""
    told, reader = Told(), csv.DictReader(lines, strict=True)
    try:
        if not {"code", "holder"} <= set(reader.fieldnames or ()):
            raise NotTold("line 1: it has to name the columns code and holder")
        for row in reader:
            _add(told, (row["code"] or "").strip(), (row["holder"] or "").strip(), reader.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise NotTold(f"line {reader.line_num + 1}: {error}") from None
    return told


def _add(told: Told, code: str, holder: str, line: int) -> None:
    if not holder:
        raise NotTold(f"line {line}: it names no holder")
    if line > LINES_MAX:
        raise NotTold(f"line {line}: at most {LINES_MAX} lines are compared")
    if not code:
        told.unanswered[holder] += 1
        return
    code = code.upper().replace("-", "").replace(" ", "")
    if told.coupons.setdefault(code, holder) != holder:
        told.twice.append(code)
