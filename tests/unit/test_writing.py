"""Reports as files: what is read back is what was written, in every format, and the same rows give the same bytes."""

import csv
import io
import json
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from gateway.campaigns.currencies import CURRENCIES, exponent
from reconciler.currencies import major, major_text, places
from reconciler.reports import writing_xlsx
from reconciler.reports.asking import BadAsk
from reconciler.reports.rows import OddCell, Sums, clean
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.writing import FORMATS, STREAMED, Format, check_format, chunks, file_name, write

COLUMNS = (
    Column("store", "text", "The store."),
    Column("date", "date", "The day."),
    Column("at", "instant", "When."),
    Column("currency", "text", "The currency."),
    Column("units", "count", "How many.", total=True),
    Column("cost_minor", "minor", "What it cost.", total=True),
    Column("rate", "share", "Of all."),
)
REPORT = Report(
    "costs", "Costs a [store]", "What it says.", lambda asked: COLUMNS, lambda asked: Query("", {}), frozenset()
)
AT = datetime(2026, 11, 22, 17, 30, 15, 123_000, UTC)
DAY = date(2026, 11, 22)
ROWS: list[tuple[Any, ...]] = [
    ("s-1", DAY, AT, "CNY", 3, 1250, Decimal("0.125")),
    ('=cmd|"calc"', DAY, None, "JPY", 1, 1250, None),
    ("a,b\nc & <d>", None, AT, "CNY", Decimal(2), Decimal(-5), Decimal("1E+0")),
    ("店 _x0041_ \x07", DAY, AT, "KWD", 1, 1250, Decimal("0.000000000001")),
]
TOTALS = {
    "CNY": {"units": 5, "cost_minor": 1245},
    "JPY": {"units": 1, "cost_minor": 1250},
    "KWD": {"units": 1, "cost_minor": 1250},
}


def written(format: Format, asked: Asked | None = None, rows: list[tuple[Any, ...]] = ROWS) -> bytes:
    """The file."""
    out = io.BytesIO()
    write(REPORT, asked or Asked(), iter(rows), format, out)
    return out.getvalue()


def workbook(data: bytes) -> Any:
    """A workbook, with what its formulas last came to."""
    return openpyxl.load_workbook(io.BytesIO(data), data_only=True)


@pytest.mark.parametrize("format", [each for each in FORMATS if each != "beancount"])
def test_the_same_rows_give_the_same_bytes(format: Format) -> None:
    """No format has a counter or a draw in it."""
    assert written(format) == written(format)


def test_no_clock_is_in_a_workbook() -> None:
    """Neither the files in it nor what it says of itself have the time when it was written."""
    with zipfile.ZipFile(io.BytesIO(written("xlsx"))) as whole:
        assert {each.date_time for each in whole.infolist()} == {(1980, 1, 31, 0, 0, 0)}
        assert str(datetime.now(UTC).year) not in whole.read("docProps/core.xml").decode()


def test_csv_is_as_rfc_4180_says_and_runs_nothing() -> None:
    """Read by a reader of its own it is what was written: amounts with a point, times in the zone, formulas as text."""
    data = written("csv", Asked(zone="Asia/Shanghai"))
    assert data.count(b"\r\n") == 5

    head, *lines = csv.reader(io.StringIO(data.decode(), newline=""))

    assert head == ["store", "date", "at", "currency", "units", "cost", "rate"]
    assert lines[0] == ["s-1", "2026-11-22", "2026-11-23T01:30:15.123+08:00", "CNY", "3", "12.50", "0.125"]
    assert lines[1] == ['\'=cmd|"calc"', "2026-11-22", "", "JPY", "1", "1250", ""]
    assert lines[2][0] == "a,b\nc & <d>"
    assert lines[2][4:] == ["2", "-0.05", "1"]
    assert lines[3][4:] == ["1", "1.250", "0.000000000001"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_no_text_is_a_formula(text: str) -> None:
    """Whatever a spreadsheet would run has an apostrophe before it in CSV, and is a string in XLSX."""
    rows = [(text, DAY, AT, "CNY", 1, 1, None)]

    _, line = csv.reader(io.StringIO(written("csv", rows=rows).decode(), newline=""))
    assert line[0] == f"'{text}"
    cell = workbook(written("xlsx", rows=rows)).worksheets[0]["A2"]
    assert (cell.data_type, cell.value) == ("s", text.replace("\r", "_x000D_"))


def test_json_has_minor_units_and_totals() -> None:
    """One object: columns, rows with whole minor units and times in UTC, a total a currency; NDJSON has the rows."""
    whole = json.loads(written("json", Asked(since=DAY)))
    lines = [json.loads(line) for line in written("ndjson").splitlines()]

    assert whole["rows"] == lines
    assert lines[0] == {
        "store": "s-1",
        "date": "2026-11-22",
        "at": "2026-11-22T17:30:15.123Z",
        "currency": "CNY",
        "units": 3,
        "cost_minor": 1250,
        "rate": "0.125",
    }
    assert [column["name"] for column in whole["columns"]] == list(lines[0])
    assert (whole["report"], whole["asked"]) == ("costs", {"since": "2026-11-22"})
    assert {each.pop("currency"): each for each in whole["totals"]} == TOTALS


def test_an_amount_beyond_64_bits_is_text_in_json() -> None:
    """A sum of a currency with many minor units may be that large: each format says all its digits."""
    rows = [("s-1", DAY, AT, "IRR", 1, minor, None) for minor in (2**63 - 1, -(2**63), 2**63, -(2**64) - 1)]

    whole = json.loads(written("json", rows=rows))

    found = [2**63 - 1, -(2**63), str(2**63), str(-(2**64) - 1)]
    assert [row["cost_minor"] for row in whole["rows"]] == found
    assert whole["totals"] == [{"currency": "IRR", "units": 4, "cost_minor": str(-(2**63) - 2 - 2**63 + 2**63)}]
    assert [json.loads(line)["cost_minor"] for line in written("ndjson", rows=rows).splitlines()] == found
    assert b"-184467440737095516.17" in written("csv", rows=rows)


def test_parquet_has_types() -> None:
    """Dates, instants, whole numbers and decimals are what they are, to the last place."""
    found = pq.read_table(io.BytesIO(written("parquet")))

    assert [str(field.type) for field in found.schema] == [
        *("string", "date32[day]", "timestamp[ms, tz=UTC]", "string", "int64"),
        *("decimal128(38, 3)", "decimal128(38, 12)"),
    ]
    assert found.column("cost").to_pylist() == [Decimal("12.5"), Decimal(1250), Decimal("-0.05"), Decimal("1.25")]
    assert found.column("at").to_pylist() == [AT, None, AT, AT]
    assert found.schema.metadata[b"report"] == b"costs"


def test_xlsx_is_a_spreadsheet() -> None:
    """Cells are numbers and dates with formats, the header stays, totals are formulas whose value is there already."""
    data = written("xlsx", Asked(zone="Asia/Shanghai"))
    sheet = workbook(data).worksheets[0]
    formulas = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]

    assert sheet.title == "Costs a store"
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:G5"
    assert [cell.value for cell in sheet[2]] == [
        *("s-1", datetime(2026, 11, 22), datetime(2026, 11, 23, 1, 30, 15, 123_000), "CNY", 3, 12.5, 0.125),
    ]
    assert [cell.number_format for cell in sheet[2]][4:] == ["#,##0", "#,##0.00", "0.00%"]
    assert [sheet.cell(row, 6).number_format for row in (3, 5)] == ["#,##0", "#,##0.000"]
    assert sheet["A4"].value == "a,b\nc & <d>"
    assert [sheet.cell(3, at).value for at in (3, 7)] == [None, None]
    assert [[cell.value for cell in row] for row in sheet["A7:F9"]] == [
        ["Total", None, None, "CNY", 5, 12.45],
        ["Total", None, None, "JPY", 1, 1250],
        ["Total", None, None, "KWD", 1, 1.25],
    ]
    assert formulas["F7"].value == "=SUMIFS('Costs a store'!$F$2:$F$5,'Costs a store'!$D$2:$D$5,\"CNY\")"


@pytest.mark.parametrize(("sheet_rows", "sheets"), [(2, 3), (4, 2), (8, 1)])
def test_a_sheet_that_is_full_goes_on_in_another(monkeypatch: pytest.MonkeyPatch, sheet_rows: int, sheets: int) -> None:
    """Each further sheet has the header again, no row is lost, and the totals sum over all of them."""
    monkeypatch.setattr(writing_xlsx, "ROWS_A_SHEET", sheet_rows)
    book = openpyxl.load_workbook(io.BytesIO(written("xlsx")))
    *data, about = book.worksheets

    assert len(data) == sheets
    assert about["B1"].value == "Costs a [store]"
    assert {sheet["A1"].value for sheet in data} == {"store"}
    rows = [
        row for sheet in data for row in sheet.iter_rows(min_row=2, values_only=True) if row[3] and row[0] != "Total"
    ]
    assert len(rows) == 4
    [formula] = [
        row[5] for row in data[-1].iter_rows(min_row=2, values_only=True) if row[3] == "KWD" and row[0] == "Total"
    ]
    assert str(formula).count("SUMIFS") == -(-4 // sheet_rows)


@pytest.mark.parametrize("format", [each for each in FORMATS if each != "beancount"])
def test_a_report_without_rows_is_a_file_all_the_same(format: Format) -> None:
    """Its columns are there, and nothing else."""
    data = written(format, rows=[])

    match format:
        case "csv":
            assert data == b"store,date,at,currency,units,cost,rate\r\n"
        case "json":
            assert (json.loads(data)["rows"], json.loads(data)["totals"]) == ([], [])
        case "ndjson":
            assert data == b""
        case "xlsx":
            assert workbook(data).worksheets[0].max_row == 1
        case _:
            assert pq.read_table(io.BytesIO(data)).num_rows == 0


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (("s", DAY, AT, "CNY", 1, 1.5, None), "cost_minor is 1.5, which is no minor"),
        (("s", AT, AT, "CNY", 1, 1, None), "date is .* which is no date"),
        (("s", DAY, datetime(2026, 1, 1), "CNY", 1, 1, None), "at is .* which is no instant"),
        (("s", DAY, AT, None, 1, 1, None), "cost_minor is an amount of no currency"),
        (("s", DAY, AT, "CNY", 1, 1), "6 values for 7 columns"),
        (("s", DAY, AT, "CNY", "many", 1, None), "units is 'many'"),
        (("s", DAY, AT, "CNY", 1, 1, "x"), "rate is 'x'"),
    ],
)
def test_a_row_that_is_not_what_the_report_says_is_refused(row: tuple[Any, ...], complaint: str) -> None:
    """A file is never written with a cell of another kind: no half minor unit, no time without a zone."""
    with pytest.raises(OddCell, match=complaint):
        list(clean(COLUMNS, [row]))


def test_sums_go_on_where_they_were_left() -> None:
    """What was summed up before and after a break is what is summed up at once."""
    whole, first, second = Sums(COLUMNS), Sums(COLUMNS), Sums(COLUMNS)
    rows = list(clean(COLUMNS, ROWS))
    whole.add(rows)
    first.add(rows[:2])
    second.restore(first.rows, first.totals)
    second.add(rows[2:])

    assert (second.rows, second.totals) == (whole.rows, whole.totals) == (4, TOTALS)


def test_what_a_report_can_be_written_as() -> None:
    """A format that is none, that the report can't have, or that can't be streamed is refused by name."""
    for format in ("pdf", "beancount"):
        with pytest.raises(BadAsk, match="format: ") as refused:
            check_format(REPORT, format)
        assert refused.value.field == "format"
    for format in FORMATS.keys() - set(STREAMED):
        with pytest.raises(BadAsk, match="make an export"):
            chunks(REPORT, Asked(), [], format)


def test_a_file_is_called_by_what_it_is_of() -> None:
    """Report, first and last day, and the suffix of its format."""
    assert file_name(REPORT, Asked(since=DAY, until=date(2026, 11, 30)), "xlsx") == "costs_2026-11-22_2026-11-30.xlsx"
    assert file_name(REPORT, Asked(), "ndjson") == "costs.ndjson"


def test_places_are_those_of_the_gateway() -> None:
    """Both sides know the same minor unit of every currency there is."""
    assert {currency: places(currency) for currency in CURRENCIES} == {each: exponent(each) for each in CURRENCIES}
    assert [major_text(-5, each) for each in ("JPY", "EUR", "KWD")] == ["-5", "-0.05", "-0.005"]
    assert [major(1250, each) for each in ("JPY", "EUR", "KWD")] == [1250, Decimal("12.5"), Decimal("1.25")]
