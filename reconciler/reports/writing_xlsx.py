"""
Reports as XLSX: numbers, dates, a frozen header, totals that are formulas.

XlsxWriter makes the workbook, in its mode that keeps one row in memory. The rows of the report are put into its sheets
as XML here: through its own calls 1,000,000 rows of ten cells take 127 s, which is four times as long.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import msgspec
import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]
from xlsxwriter.format import Format as CellFormat  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from reconciler.currencies import PLACES_MAX, major, major_text, places
from reconciler.reports.rows import Row, Sums, batches, currency_place
from reconciler.reports.shape import Asked, Column, Kind, Report
from reconciler.reports.writing_text import money_name

ROWS_A_SHEET = 1_048_575
"""Rows below the header: a sheet has 1,048,576."""
CELL_CHARS_MAX = 32_767
"""What a cell takes; a longer text ends in …"""
SHEET_NAME_CHARS_MAX = 31

_DAY_0 = date(1899, 12, 30)
_INSTANT_0 = datetime(1899, 12, 30)
_DAY = timedelta(days=1)
_WIDTHS: dict[Kind, int] = {"text": 22, "count": 12, "minor": 16, "date": 12, "instant": 23, "share": 10}
_NUMBERS: dict[Kind, str] = {
    "count": "#,##0",
    "date": "yyyy-mm-dd",
    "instant": "yyyy-mm-dd hh:mm:ss.000",
    "share": "0.00%",
}
_ODD = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")


class _Sheet(Worksheet):  # type: ignore[misc]
    """A sheet that also takes rows as XML."""

    def put(self, xml: str, last_row: int, columns: int) -> None:
        """Rows up to *last_row* (0 is the first); what was written before them stays before them."""
        self._write_single_row(last_row)
        self.fh.write(xml)
        self._check_dimensions(last_row, 0)
        self._check_dimensions(last_row, columns - 1)
        self.previous_row = last_row


class _Look(NamedTuple):
    """The formats of cells: by kind, of amounts by their decimal places, and of totals."""

    header: CellFormat
    kinds: dict[Kind, CellFormat]
    money: list[CellFormat]
    total: CellFormat
    money_totals: list[CellFormat]


class _Place(NamedTuple):
    """A sheet that rows were put in, and how many."""

    name: str
    rows: int


def write_xlsx(report: Report, columns: Sequence[Column], asked: Asked, rows: Iterable[Row], out: BinaryIO) -> None:
    """Write *rows* into *out*: as many sheets as it takes, totals under the last one, and a sheet about it all."""
    book = xlsxwriter.Workbook(out, {"constant_memory": True})
    book.use_zip64()
    # Its default is the time of now, and the same rows have to give the same bytes.
    book.set_properties({"title": report.title, "created": datetime(2000, 1, 1)})
    look, sums = _look(book), Sums(columns)
    line = _line_of(columns, asked, look)
    sheet, used = _open_sheet(book, report, columns, look, 1), 0
    places: list[_Place] = []
    for batch in batches(rows):
        sums.add(batch)
        taken = 0
        while taken < len(batch):
            if used == ROWS_A_SHEET:
                _close_sheet(sheet, used, columns)
                places.append(_Place(sheet.get_name(), used))
                sheet, used = _open_sheet(book, report, columns, look, len(places) + 1), 0
            part = batch[taken : taken + ROWS_A_SHEET - used]
            taken += len(part)
            xml = "".join([line(number, row) for number, row in enumerate(part, start=used + 2)])
            used += len(part)
            sheet.put(xml, used, len(columns))
    _close_sheet(sheet, used, columns)
    places.append(_Place(sheet.get_name(), used))
    if used + 1 + len(sums.totals) > ROWS_A_SHEET:
        sheet, used = _open_sheet(book, report, columns, look, len(places) + 1), 0
    _write_totals(sheet, used + 2, columns, sums, places, look)
    _write_about(book, report, columns, asked, look)
    try:
        book.close()
    except FileCreateError as error:  # what it makes of an OSError, such as a disk that is full
        raise OSError(str(error)) from error


def _look(book: xlsxwriter.Workbook) -> _Look:
    amounts = ["#,##0" + ("." + "0" * digits if digits else "") for digits in range(PLACES_MAX + 1)]
    return _Look(
        header=book.add_format({"bold": True, "bg_color": "#DDE6EE", "bottom": 1}),
        kinds={kind: book.add_format({"num_format": shown}) for kind, shown in _NUMBERS.items()},
        money=[book.add_format({"num_format": amount}) for amount in amounts],
        total=book.add_format({"bold": True, "top": 1, "num_format": "#,##0"}),
        money_totals=[book.add_format({"bold": True, "top": 1, "num_format": amount}) for amount in amounts],
    )


def _open_sheet(
    book: xlsxwriter.Workbook, report: Report, columns: Sequence[Column], look: _Look, number: int
) -> _Sheet:
    ending = f" ({number})" if number > 1 else ""
    title = re.sub(r"[\[\]:*?/\\']", "", report.title)[: SHEET_NAME_CHARS_MAX - len(ending)].strip()
    sheet: _Sheet = book.add_worksheet(title + ending, _Sheet)
    sheet.freeze_panes(1, 0)
    for at, column in enumerate(columns):
        sheet.set_column(at, at, max(_WIDTHS[column.kind], len(column.name) + 2))
        sheet.write_string(0, at, money_name(column), look.header)
    return sheet


def _close_sheet(sheet: _Sheet, used: int, columns: Sequence[Column]) -> None:
    sheet.autofilter(0, 0, used, len(columns) - 1)


def _line_of(columns: Sequence[Column], asked: Asked, look: _Look) -> Callable[[int, Row], str]:
    """What writes a row: its number in the sheet (1 is the first) and its values → XML."""
    zone = UTC if asked.zone == "UTC" else ZoneInfo(asked.zone)
    currency = currency_place(columns)
    styles = [each._get_xf_index() for each in look.money]

    @lru_cache(maxsize=4096)
    def money(minor: int, of: str) -> str:
        return f'" s="{styles[places(of)]}"><v>{major_text(minor, of)}</v></c>'

    plan: list[tuple[int, str, Kind, str]] = []
    for at, column in enumerate(columns):
        styled = look.kinds.get(column.kind)
        style = "" if styled is None else f'" s="{styled._get_xf_index()}"><v>'
        plan.append((at, f'<c r="{xl_col_to_name(at)}', column.kind, style))

    def line(number: int, row: Row) -> str:
        cells = [f'<row r="{number}">']
        for at, head, kind, style in plan:
            value = row[at]
            if value is None or value == "":
                continue
            if kind == "text":
                cells.append(f"{head}{number}{_text(value)}")
            elif kind == "minor":
                assert currency is not None, "an amount has a currency, or the row would have been refused"
                cells.append(f"{head}{number}{money(value, row[currency])}")
            elif kind == "date":
                cells.append(f"{head}{number}{style}{_days(value)}</v></c>")
            elif kind == "instant":
                cells.append(f"{head}{number}{style}{_clock(value.astimezone(zone))}</v></c>")
            else:
                cells.append(f"{head}{number}{style}{value}</v></c>")
        cells.append("</row>")
        return "".join(cells)

    return line


@lru_cache(maxsize=65_536)
def _text(value: str) -> str:
    """The rest of a cell with *value* in it: never a formula, whatever it begins with."""
    if len(value) > CELL_CHARS_MAX:
        value = value[: CELL_CHARS_MAX - 1] + "…"
    # What XML can't hold is written as a spreadsheet does; a text that looks like that is escaped the same way.
    value = _ODD.sub(lambda found: "".join(f"_x{ord(each):04X}_" for each in found[0][:1]) + found[0][1:], value)
    return f'" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


@lru_cache(maxsize=4096)
def _days(day: date) -> int:
    return (day - _DAY_0).days


def _clock(instant: datetime) -> str:
    return f"{(instant.replace(tzinfo=None) - _INSTANT_0) / _DAY:.9f}"


def _write_totals(
    sheet: _Sheet, row: int, columns: Sequence[Column], sums: Sums, filled: Sequence[_Place], look: _Look
) -> None:
    """A row of formulas for each currency, from *row* on."""
    currency = currency_place(columns)
    totalled = [at for at, column in enumerate(columns) if column.total]
    label = next((at for at, column in enumerate(columns) if at not in totalled and at != currency), None)
    for number, (of, totals) in enumerate(sums.totals.items() if totalled else ()):
        for at, column in enumerate(columns):
            if at in totalled:
                amount = column.kind == "minor"
                value = float(major(totals[column.name], of)) if amount else totals[column.name]
                style = look.money_totals[places(of)] if amount else look.total
                sheet.write_formula(row + number, at, _formula(at, currency, of, filled), style, value)
            elif at == currency and of:
                sheet.write_string(row + number, at, of, look.total)
            elif at == label:
                sheet.write_string(row + number, at, "Total", look.total)
            else:
                sheet.write_blank(row + number, at, None, look.total)


def _formula(at: int, currency: int | None, of: str, filled: Sequence[_Place]) -> str:
    def area(column: int, place: _Place) -> str:
        first, last = xl_rowcol_to_cell(1, column, True, True), xl_rowcol_to_cell(place.rows, column, True, True)
        return f"'{place.name}'!{first}:{last}"

    if currency is None:
        return "=" + "+".join(f"SUM({area(at, place)})" for place in filled)
    # What is of no currency has no cell there, which is what "=" finds.
    return "=" + "+".join(f'SUMIFS({area(at, place)},{area(currency, place)},"{of or "="}")' for place in filled)


def _write_about(
    book: xlsxwriter.Workbook, report: Report, columns: Sequence[Column], asked: Asked, look: _Look
) -> None:
    """A sheet that says what the others are."""
    sheet = book.add_worksheet("About this file")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 100)
    wanted: dict[str, Any] = msgspec.to_builtins(asked)
    lines = [("Report", report.title), ("", report.about), *((name, str(told)) for name, told in wanted.items())]
    for row, (name, told) in enumerate(lines):
        sheet.write_string(row, 0, name, look.header if name else None)
        sheet.write_string(row, 1, told)
    for row, column in enumerate(columns, start=len(lines) + 1):
        sheet.write_string(row, 0, money_name(column), look.header)
        sheet.write_string(row, 1, column.about)
