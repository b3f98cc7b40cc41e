"""
A CSV of foreign codes: line by line a code, or why it gives none. Pure.

The codes are in the first column, or in the one a first line calls ``code``; other columns are left alone. A first line
without a digit is a header, whatever it calls its columns: ``voucher`` never becomes a code that anybody can guess.
``ab-12 cd`` and ``AB12CD`` are one code, because people type them so.
"""

import csv
import io
from typing import NamedTuple

from gateway.codes import fold_code, parse_code
from gateway.errors import Refusal
from lua.keys import CouponCode

FOREIGN_CHARS_MIN = 6
LINES_MAX = 200_000
SHOWN_CHARS_MAX = 64

PROBLEMS = {
    "malformed": "not 6 to 64 of A-Z, 0-9, hyphen, underscore and dot, a letter or digit first",
    "ours": "reads as a code made here",
    "duplicate": "came before in this file",
    "exists": "is somebody's already",
    "header": "a first line without a digit names the columns; if it is a code, put a line with code above it",
}
"""Why a line gives no code."""

_DIGITS = "0123456789"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class GoodLine(NamedTuple):
    """A line with a code: as it is kept, and as it was given."""

    line: int
    code: CouponCode
    shown: str


class BadLine(NamedTuple):
    """A line without one: what stood there, cut, and a word of PROBLEMS."""

    line: int
    text: str
    problem: str


class Lines(NamedTuple):
    """All of a file."""

    good: list[GoodLine]
    bad: list[BadLine]


def read_lines(data: bytes) -> Lines:
    """
    Read *data*. A line is counted where it ends in the file, from 1; empty ones are passed over.

    Errors: Refusal("bad_request") for what is no CSV in UTF-8, or has more than LINES_MAX lines.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal("bad_request", f"The file has to be UTF-8: byte {error.start} is not.") from None
    lines, seen, column = Lines([], []), set[CouponCode](), 0
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    first = True
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if first:
                first, names = False, [cell.strip().lower() for cell in cells]
                if "code" in names:
                    column = names.index("code")
                    continue
                if not any(sign in _DIGITS for name in names for sign in name):
                    lines.bad.append(_bad(reader.line_num, cells[0].strip(), "header"))
                    continue
            if len(lines.good) + len(lines.bad) == LINES_MAX:
                raise Refusal("too_large", f"A file may have at most {LINES_MAX} lines; split it.")
            _read_line(lines, seen, reader.line_num, cells[column].strip() if column < len(cells) else "")
    except csv.Error as error:
        raise Refusal("bad_request", f"Line {reader.line_num} is no CSV: {error}.") from None
    return lines


def _read_line(lines: Lines, seen: set[CouponCode], number: int, text: str) -> None:
    code = fold_code(text) if len(text) <= SHOWN_CHARS_MAX else None
    if code is not None and len(code) >= FOREIGN_CHARS_MIN and text[0].isalnum():
        if code in seen:
            lines.bad.append(BadLine(number, text, "duplicate"))
        else:
            seen.add(code)
            lines.good.append(GoodLine(number, code, text))
        return
    problem = "malformed" if parse_code(text) is None else "ours"
    lines.bad.append(_bad(number, text, problem))


def _bad(number: int, text: str, problem: str) -> BadLine:
    return BadLine(number, text[:SHOWN_CHARS_MAX].replace("\0", "\ufffd"), problem)


def cell(text: str) -> str:
    """A cell of a CSV of ours: what a spreadsheet would run as a formula is only shown."""
    if text.startswith(_FORMULA):
        text = f"'{text}"
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if any(sign in text for sign in ',"\r\n') else text


def row(*cells: str) -> str:
    """One line of a CSV of ours."""
    return ",".join(map(cell, cells)) + "\r\n"
