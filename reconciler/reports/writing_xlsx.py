"""
Reports as XLSX: numbers, dates, a frozen header, totals that are formulas.

XlsxWriter makes the workbook, in its mode that keeps one row in memory. The rows of the report are put into its sheets
as XML here: through its own calls 1,000,000 rows of ten cells take 127 s, which is four times as long.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, BinaryIO, NamedTuple
from xml.sax.saxutils import escape
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import msgspec
import xlsxwriter.workbook  # type: ignore[import-untyped]
from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]
from xlsxwriter.format import Format as CellFormat  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from reconciler.currencies import PLACES_MAX, major, major_text, places
from reconciler.reports.rows import CURRENCY, Row, Sums, batches, currency_place
from reconciler.reports.shape import Asked, Column, Kind, Report
from reconciler.reports.writing_text import money_name

ROWS_A_SHEET = 1_048_575
"""Rows below the header: a sheet has 1,048,576."""
CELL_CHARS_MAX = 32_767
"""What a cell takes; a longer text ends in …"""
SHEET_NAME_CHARS_MAX = 31

_DEFLATE_LEVEL = 3
"""
Of 1 to 9: 1,000,000 state changes take 5 s and 107 MB of it, where 6, which is usual, takes 13 s and 96 MB, and 1 takes
4 s and 122 MB.
"""

# XlsxWriter has no setting for it, and makes its file by this name alone.
xlsxwriter.workbook.ZipFile = partial(ZipFile, compresslevel=_DEFLATE_LEVEL)

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
_NUMBER = ("count", "minor", "share")
"""Kinds whose cells are on the right, and their heads with them."""
_RIGHT = {"align": "right", "indent": 1}
"""Without the indent a number runs into the text of the next column."""
_FILTER_CHARS = 4  # what the button of the filter takes of a head
_A4 = 9
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


class _Onward:
    """An output that only goes on: where zip can go back it writes other bytes, and a pipe has to get the same."""

    def __init__(self, out: BinaryIO) -> None:
        self.write, self.flush = out.write, out.flush


class _Look(NamedTuple):
    """The formats of cells: by kind, of amounts by their decimal places, of totals; *heads* are over numbers."""

    header: CellFormat
    heads: CellFormat
    kinds: dict[Kind, CellFormat]
    money: list[CellFormat]
    total_label: CellFormat
    total: CellFormat
    money_totals: list[CellFormat]


class _Place(NamedTuple):
    """A sheet that rows were put in, and how many."""

    name: str
    rows: int


def write_xlsx(report: Report, columns: Sequence[Column], asked: Asked, rows: Iterable[Row], out: BinaryIO) -> None:
    """Write *rows* into *out*: as many sheets as it takes, totals under the last one, and a sheet about it all."""
    book = xlsxwriter.Workbook(_Onward(out), {"constant_memory": True})
    book.use_zip64()
    # Its default is the time of now, and the same rows have to give the same bytes.
    book.set_properties({"title": report.title, "created": datetime(2000, 1, 1)})
    look, sums = _look(book), Sums(columns)
    lines = _lines_of(columns, asked, look)
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
            xml = lines(used + 2, part)
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
    header, total = {"bold": True, "bg_color": "#DDE6EE", "bottom": 1}, {"bold": True, "top": 1}
    amounts = ["#,##0" + ("." + "0" * digits if digits else "") for digits in range(PLACES_MAX + 1)]
    return _Look(
        header=book.add_format(header),
        heads=book.add_format({**header, **_RIGHT}),
        kinds={
            kind: book.add_format({"num_format": shown, **(_RIGHT if kind in _NUMBER else {"align": "left"})})
            for kind, shown in _NUMBERS.items()
        },
        money=[book.add_format({"num_format": amount, **_RIGHT}) for amount in amounts],
        total_label=book.add_format(total),
        total=book.add_format({**total, **_RIGHT, "num_format": "#,##0"}),
        money_totals=[book.add_format({**total, **_RIGHT, "num_format": amount}) for amount in amounts],
    )


def _open_sheet(
    book: xlsxwriter.Workbook, report: Report, columns: Sequence[Column], look: _Look, number: int
) -> _Sheet:
    ending = f" ({number})" if number > 1 else ""
    title = re.sub(r"[\[\]:*?/\\']", "", report.title)[: SHEET_NAME_CHARS_MAX - len(ending)].strip()
    sheet: _Sheet = book.add_worksheet(title + ending, _Sheet)
    sheet.freeze_panes(1, 0)
    _set_page(sheet)
    sheet.repeat_rows(0)
    for at, column in enumerate(columns):
        name = money_name(column)
        width = 0 if column.name == CURRENCY else _WIDTHS[column.kind]
        sheet.set_column(at, at, max(width, len(name) + _FILTER_CHARS))
        sheet.write_string(0, at, name, look.heads if column.kind in _NUMBER else look.header)
    return sheet


def _set_page(sheet: Worksheet) -> None:
    """How it is printed: as wide as a page, whose number and sheet stand below."""
    sheet.set_paper(_A4)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&R&P / &N")


def _close_sheet(sheet: _Sheet, used: int, columns: Sequence[Column]) -> None:
    sheet.autofilter(0, 0, used, len(columns) - 1)


def _lines_of(columns: Sequence[Column], asked: Asked, look: _Look) -> Callable[[int, list[Row]], str]:
    """
    What writes rows: the number that the first has in the sheet, whose own first is 1, and their values → XML.

    It goes column by column, because the kind of each is then asked for once and not for every cell.
    """
    zone = UTC if asked.zone == "UTC" else ZoneInfo(asked.zone)
    currency = currency_place(columns)
    styles = [each._get_xf_index() for each in look.money]

    @lru_cache(maxsize=4096)
    def money(minor: int, of: str) -> str:
        return f'" s="{styles[places(of)]}"><v>{major_text(minor, of)}</v></c>'

    def clock(instant: datetime) -> str:
        return _clock(instant.astimezone(zone))

    def cells(at: int, numbers: list[str], values: list[tuple[Any, ...]]) -> list[str]:
        kind, head, style = plan[at]
        numbered = zip(numbers, values[at], strict=True)
        if kind == "text":
            return [f"{head}{number}{_text(value)}" if value else "" for number, value in numbered]
        if kind == "minor":
            assert currency is not None, "an amount has a currency, or the row would have been refused"
            numbered_of = zip(numbers, values[at], values[currency], strict=True)
            return ["" if minor is None else f"{head}{number}{money(minor, of)}" for number, minor, of in numbered_of]
        show: Callable[[Any], Any] = str
        if kind == "date":
            show = _days
        elif kind == "instant":
            show = clock
        return ["" if value is None else f"{head}{number}{style}{show(value)}</v></c>" for number, value in numbered]

    plan: list[tuple[Kind, str, str]] = []
    for at, column in enumerate(columns):
        styled = look.kinds.get(column.kind)
        style = "" if styled is None else f'" s="{styled._get_xf_index()}"><v>'
        plan.append((column.kind, f'<c r="{xl_col_to_name(at)}', style))

    def lines(first: int, rows: list[Row]) -> str:
        numbers = [str(number) for number in range(first, first + len(rows))]
        values = list(zip(*rows, strict=True))
        found = zip(*(cells(at, numbers, values) for at in range(len(plan))), strict=True)
        return "".join([f'<row r="{number}">{"".join(row)}</row>' for number, row in zip(numbers, found, strict=True)])

    return lines


@lru_cache(maxsize=65_536)
def _text(value: str) -> str:
    """The rest of a cell with *value* in it: never a formula, whatever it begins with."""
    if len(value) > CELL_CHARS_MAX:
        value = value[: CELL_CHARS_MAX - 1] + "…"
    # What XML can't hold is written as a spreadsheet does; a text that looks like that is escaped the same way.
    value = _ODD.sub(lambda found: "".join(f"_x{ord(each):04X}_" for each in found[0][:1]) + found[0][1:], value)
    # Blanks at its ends are nothing to XML, unless it is told; that takes 21 bytes of each cell.
    kept = ' xml:space="preserve"' if value != value.strip() else ""
    return f'" t="inlineStr"><is><t{kept}>{escape(value)}</t></is></c>'


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
                sheet.write_string(row + number, at, of, look.total_label)
            elif at == label:
                sheet.write_string(row + number, at, "Total", look.total_label)
            else:
                sheet.write_blank(row + number, at, None, look.total_label)


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
    _set_page(sheet)
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
