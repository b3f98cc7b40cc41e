"""Reads a trace: a CSV, gzipped or not, with the columns of the public O2O coupon set; every wrong field is named."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import IO, NamedTuple, cast

from loadtest.trace.discount import Discount, parse_discount

NEEDED = ("User_id", "Merchant_id", "Coupon_id", "Discount_rate", "Date_received")
USED = "Date"
NONE = "null"
ROWS_MAX = 5_000_000
PROBLEMS_MAX = 20

_NAME = re.compile(r"[0-9A-Za-z._-]{1,64}")
_COUPON = re.compile(r"[0-9a-z-]{1,30}")  # part of a campaign's id
_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_GZIP = b"\x1f\x8b"


class Row(NamedTuple):
    """One claim that somebody made on the day *received*; *used* is the day it was redeemed, None for never."""

    line: int
    user: str
    merchant: str
    coupon: str
    discount: Discount
    received: date
    used: date | None


class Trace(NamedTuple):
    """The claims in the order of the file; *without_coupon* rows were purchases without one, and are left out."""

    rows: list[Row]
    without_coupon: int


class NotATrace(Exception):
    """The file can't be replayed; *problems* say why, each with line and column where there is one."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_trace(path: Path, minor_per_major: int, coupons: frozenset[str] = frozenset()) -> Trace:
    """
    The trace in *path*, of *coupons* only where there are any; amounts in a currency of *minor_per_major*.

    Errors: NotATrace naming the first 20 wrong fields; OSError.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP
        with path.open("rb") as file, gzip.open(file) if compressed else file as plain:
            text = io.TextIOWrapper(cast(IO[bytes], plain), encoding="utf-8-sig", newline="")
            return parse(text, minor_per_major, coupons)
    except UnicodeDecodeError as error:
        raise NotATrace([f"it is not UTF-8: {error.reason}"]) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise NotATrace([f"it is gzipped, and damaged: {error}"]) from None


def parse(text: Iterable[str], minor_per_major: int, coupons: frozenset[str] = frozenset()) -> Trace:
    """The trace in the lines of *text*. Errors: as read_trace()."""
    parser = _Parser(minor_per_major)
    rows, without_coupon = [], 0
    for line, fields in _records(text, parser):
        coupon = fields["Coupon_id"]
        if coupon == NONE:
            without_coupon += 1
        elif not coupons or coupon in coupons:
            row = parser.row(line, fields)
            if row is not None:
                rows.append(row)
        if len(rows) > ROWS_MAX:
            raise NotATrace([f"it has more than {ROWS_MAX:,} claims"])
    if parser.problems:
        raise NotATrace(parser.problems)
    if not rows:
        raise NotATrace(["there is no claim in it" + (f" of {', '.join(sorted(coupons))}" if coupons else "")])
    return Trace(rows, without_coupon)


def _records(text: Iterable[str], parser: "_Parser") -> Iterator[tuple[int, dict[str, str]]]:
    """Each record's line, and its fields by the names of the first one; blank lines left out. Errors: NotATrace."""
    lines = csv.reader(text, strict=True)
    try:
        header: list[str] = next(lines, [])
        missing = [name for name in NEEDED if header.count(name) != 1] + [USED] * (header.count(USED) > 1)
        if missing:
            raise NotATrace([f"line 1: it needs the column {name}, once" for name in missing])
        for fields in lines:
            if len(fields) == len(header):
                yield lines.line_num, dict(zip(header, fields, strict=True))
            elif fields:
                parser.wrong(lines.line_num, f"{len(fields)} fields, but the first line names {len(header)}")
    except csv.Error as error:
        raise NotATrace([f"line {lines.line_num}: {error}"]) from None


class _Parser:
    """Fields into rows; what is wrong is kept in *problems*, until there are too many."""

    def __init__(self, minor_per_major: int) -> None:
        self._minor_per_major = minor_per_major
        self._discounts: dict[str, Discount] = {}
        self._days: dict[str, date] = {}
        self._terms: dict[tuple[str, str], tuple[int, str]] = {}
        self.problems: list[str] = []

    def wrong(self, line: int, what: str) -> None:
        """Keep what is wrong with *line*. Errors: NotATrace once it is too much."""
        self.problems.append(f"line {line}: {what}")
        if len(self.problems) >= PROBLEMS_MAX:
            raise NotATrace([*self.problems, "…"])

    def row(self, line: int, fields: dict[str, str]) -> Row | None:
        """The claim of a line; None where something is wrong with it."""
        column = ""
        try:
            for column in ("User_id", "Merchant_id", "Coupon_id"):
                _check_name(fields[column], _COUPON if column == "Coupon_id" else _NAME)
            column = "Discount_rate"
            discount = self._discount(fields[column])
            column = "Date_received"
            received = self._day(fields[column])
            column = USED
            used = None if fields.get(USED, NONE) == NONE else self._day(fields[USED])
            if used is not None and used < received:
                raise ValueError(f"{fields[USED]} is before {fields['Date_received']}, when it was received")
            for column in ("Merchant_id", "Discount_rate"):
                self._check_same(line, fields["Coupon_id"], column, fields[column])
        except ValueError as error:
            self.wrong(line, f"{column}: {error}")
            return None
        return Row(line, fields["User_id"], fields["Merchant_id"], fields["Coupon_id"], discount, received, used)

    def _discount(self, text: str) -> Discount:
        known = self._discounts.get(text)
        if known is None:
            known = self._discounts[text] = parse_discount(text, self._minor_per_major)
        return known

    def _day(self, text: str) -> date:
        known = self._days.get(text)
        if known is None:
            parts = _DAY.fullmatch(text)
            if parts is None:
                raise ValueError(f"{text!r} is no day like 20160703")
            try:
                known = self._days[text] = date(*map(int, parts.groups()))
            except ValueError:
                raise ValueError(f"there is no day {text}") from None
        return known

    def _check_same(self, line: int, coupon: str, column: str, text: str) -> None:
        """A coupon is one campaign, so it has one merchant and one discount. Errors: ValueError."""
        first, said = self._terms.setdefault((coupon, column), (line, text))
        if said != text:
            raise ValueError(f"{text} of coupon {coupon}, which had {said} on line {first}")


def _check_name(text: str, pattern: re.Pattern[str]) -> None:
    """Errors: ValueError."""
    if not pattern.fullmatch(text):
        signs = "0-9 a-z hyphen" if pattern is _COUPON else "letters, digits, . _ -"
        raise ValueError(f"{text!r} is no id: {signs}")
