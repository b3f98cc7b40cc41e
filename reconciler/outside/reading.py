"""
Pure: a CSV of orders → lines of COPY text for outside_rows, piece by piece as it comes in.

The first line names the columns: `order_id`, and `minor` (whole minor units) or `amount` (as people write it, with a
point: 12.50). Other columns are left alone. Every line that is wrong is named with what is wrong with it, and a file
with one such line is refused whole: nobody reconciles with a part of a file.
"""

import csv
import re
from hashlib import sha256
from typing import NamedTuple

from reconciler.copying import BIGINT_MAX, TEXT_CHARS_MAX, escape
from reconciler.currencies import places

ROWS_MAX = 1_000_000
FAULTS_MAX = 100
"""Wrong lines that are named; reading ends there."""
LINE_BYTES_MAX = 65_536

_MINOR = re.compile(r"\d{1,18}")
_AMOUNT = re.compile(r"(\d{1,15})(?:\.(\d{1,4}))?")
_ORDER_CHARS_MAX = min(255, TEXT_CHARS_MAX)


class FaultyLine(NamedTuple):
    """A line and what is wrong with it."""

    line: int
    rule: str


class FaultyFile(ValueError):
    """A file that can't be taken; *faults* are its wrong lines, FAULTS_MAX at most."""

    def __init__(self, faults: list[FaultyLine]) -> None:
        super().__init__("; ".join(f"line {fault.line}: {fault.rule}" for fault in faults[:3]))
        self.faults = faults


class Reader:
    """Reads one file of *currency* for the rows of *file*: feed() its pieces in order, then finish()."""

    def __init__(self, file: str, currency: str) -> None:
        self.rows, self._hash = 0, sha256()
        self._file, self._exponent = escape(file), places(currency)
        self._line, self._rest, self._faults = 0, b"", list[FaultyLine]()
        self._order = self._value = -1
        self._in_minor = True

    @property
    def digest(self) -> str:
        """SHA-256 of all bytes so far, in hex."""
        return self._hash.hexdigest()

    def feed(self, data: bytes) -> str:
        """Take the next bytes; gives the lines of COPY that they complete. Errors: FaultyFile."""
        self._hash.update(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise FaultyFile([*self._faults, FaultyLine(self._line + len(whole) + 1, "the line is too long")])
        return "".join(map(self._take, whole))

    def finish(self) -> str:
        """The last line, where the file does not end with a line feed. Errors: FaultyFile for all that was wrong."""
        last = self._take(self._rest) if self._rest else ""
        if self._order < 0 and not self._faults:
            self._faults.append(FaultyLine(1, "the file is empty"))
        if self._faults:
            raise FaultyFile(self._faults)
        return last

    def _take(self, raw: bytes) -> str:
        """The line of COPY that *raw* gives; none for the first line, a blank one and a wrong one."""
        self._line += 1
        try:
            text = raw.decode("utf-8-sig" if self._line == 1 else "utf-8").rstrip("\r")
            if not text.strip():
                return ""
            cells = next(csv.reader([text], strict=True))
            if self._order < 0:
                self._name_columns(cells)
                return ""
            return self._row(cells)
        except UnicodeDecodeError:
            self._blame("it is not UTF-8")
        except (csv.Error, ValueError) as error:
            self._blame(str(error))
        return ""

    def _name_columns(self, cells: list[str]) -> None:
        names = [cell.strip().lower() for cell in cells]
        if "order_id" not in names or ("minor" in names) == ("amount" in names):
            raise ValueError("it has to name the columns order_id, and minor or amount")
        self._in_minor = "minor" in names
        self._order, self._value = names.index("order_id"), names.index("minor" if self._in_minor else "amount")

    def _row(self, cells: list[str]) -> str:
        if len(cells) <= max(self._order, self._value):
            raise ValueError("it has fewer columns than the first line")
        order, text = cells[self._order].strip(), cells[self._value].strip()
        if not order or len(order) > _ORDER_CHARS_MAX or not order.isprintable():
            raise ValueError(f"order_id: 1 to {_ORDER_CHARS_MAX} printable characters")
        minor = self._minor(text)
        self.rows += 1
        if self.rows > ROWS_MAX:
            raise FaultyFile([*self._faults, FaultyLine(self._line, f"a file has at most {ROWS_MAX} rows")])
        return f"{self._file}\t{self._line}\t{escape(order)}\t{minor}\n"

    def _minor(self, text: str) -> int:
        if self._in_minor:
            if not _MINOR.fullmatch(text) or int(text) > BIGINT_MAX:
                raise ValueError("minor: a whole number, not below 0")
            return int(text)
        match = _AMOUNT.fullmatch(text)
        if match is None or len(match[2] or "") > self._exponent:
            raise ValueError(f"amount: a number with a point and at most {self._exponent} decimals, not below 0")
        return int(match[1] + (match[2] or "").ljust(self._exponent, "0"))

    def _blame(self, rule: str) -> None:
        self._faults.append(FaultyLine(self._line, rule))
        if self._line == 1 or len(self._faults) >= FAULTS_MAX:
            raise FaultyFile(self._faults)
