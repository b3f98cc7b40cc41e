"""A spreadsheet opens in what people have: openpyxl always, LibreOffice where FAIRCLAIM_TEST_SOFFICE names it."""

import io
import os
import re
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from reconciler.reports import writing_xlsx
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.writing import write

COLUMNS = (
    Column("store", "text", "the store"),
    Column("date", "date", "the day"),
    Column("at", "instant", "when"),
    Column("currency", "text", "ISO 4217; empty for units"),
    Column("units", "count", "how many", total=True),
    Column("cost_minor", "minor", "what it cost", total=True),
    Column("rate", "share", "of all"),
)
REPORT = Report("costs", "Costs, all", "what it says", lambda _: COLUMNS, lambda _: Query("", {}), frozenset())
AT, DAY = datetime(2026, 11, 22, 17, 30, 15, 123_000, UTC), date(2026, 11, 22)
ROWS = [
    ("=1+1", DAY, AT, "CNY", 3, 1250, Decimal("0.125")),
    ("店 <&> \"'", DAY, AT, "JPY", 1, 1250, None),
    ("  two  blanks ", DAY, None, "CNY", 2, -5, Decimal(1)),
    ("", DAY, AT, "", 7, None, None),
    ("s-1", DAY, AT, "KWD", 1, 1250, None),
]
_RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry"><item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item></oor:items>
"""


def opened(path: Path) -> Any:
    """What is in the workbook."""
    return openpyxl.load_workbook(path, data_only=True)


def opened_and_saved(path: Path) -> Any:
    """What LibreOffice makes of it, having worked out each formula, and saved."""
    profile, saved = path.parent / "profile", path.parent / "saved"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(_RECALCULATE)
    # What the formulas came to is taken out, so that what is read is what LibreOffice works out.
    _without_values(path)
    subprocess.run(
        [
            *(os.environ["FAIRCLAIM_TEST_SOFFICE"], f"-env:UserInstallation={profile.as_uri()}", "--headless"),
            *("--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(saved), str(path)),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return opened(saved / path.name)


def _without_values(path: Path) -> None:
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as whole:
        for name, data in parts.items():
            whole.writestr(name, re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1<v>0</v>", data))


class Pipe(io.BytesIO):
    """What can't go back."""

    def tell(self) -> int:
        """No place is known."""
        raise OSError

    def seek(self, *_: int) -> int:
        """Not even to where it is."""
        raise OSError


READERS: dict[str, Callable[[Path], Any]] = {"openpyxl": opened}
if os.environ.get("FAIRCLAIM_TEST_SOFFICE"):
    READERS["soffice"] = opened_and_saved


def test_a_pipe_gets_the_bytes_of_a_file() -> None:
    """What is sent while it is made, and what lies on a disk, have one SHA-256."""
    pipe, file = Pipe(), io.BytesIO()
    for out in (pipe, file):
        write(REPORT, Asked(), ROWS, "xlsx", out)

    assert pipe.getvalue() == file.getvalue()


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_workbook_opens_with_all_that_is_in_it(
    read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over two sheets: texts as they were, numbers, dates, times of the zone, formulas that sum up what is there."""
    monkeypatch.setattr(writing_xlsx, "ROWS_A_SHEET", 8)
    rows = [*ROWS, *ROWS]
    path = tmp_path / "costs.xlsx"
    with path.open("wb") as out:
        write(REPORT, Asked(zone="Asia/Shanghai"), rows, "xlsx", out)

    book = read(path)
    *sheets, about = book.worksheets

    assert [sheet.title for sheet in book.worksheets] == ["Costs, all", "Costs, all (2)", "About this file"]
    assert [[cell.value for cell in sheet[1]] for sheet in sheets] == [
        ["store", "date", "at", "currency", "units", "cost", "rate"],
    ] * 2
    found = [[cell.value for cell in row] for sheet in sheets for row in sheet.iter_rows(min_row=2)]
    here = datetime(2026, 11, 23, 1, 30, 15, 123_000)
    day = datetime(2026, 11, 22)
    assert found[: len(ROWS)] == [
        ["=1+1", day, here, "CNY", 3, 12.5, 0.125],
        ["店 <&> \"'", day, here, "JPY", 1, 1250, None],
        ["  two  blanks ", day, None, "CNY", 2, -0.05, 1],
        [None, day, here, None, 7, None, None],
        ["s-1", day, here, "KWD", 1, 1.25, None],
    ]
    totals = {row[3]: (row[4], row[5]) for row in found if row[0] == "Total"}
    assert totals == {None: (14, 0), "CNY": (10, 24.9), "JPY": (2, 2500), "KWD": (2, 2.5)}
    formats = {row[0].value: row[5].number_format for row in sheets[0].iter_rows(min_row=2)}
    assert (formats["=1+1"], formats["s-1"]) == ("#,##0.00", "#,##0.000")
    assert about["B1"].value == "Costs, all"
    for sheet in sheets:
        assert (sheet.page_setup.orientation, sheet.print_title_rows) == ("landscape", "$1:$1")
        assert (sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.page_setup.fitToHeight) == (True, 0)
        number = ("right", 1)  # the indent keeps it apart from the text of the next column
        sides = [(cell.alignment.horizontal, cell.alignment.indent) == number for cell in sheet[1]]
        assert sides == [*[False] * 4, *[True] * 3]
        for row in sheet.iter_rows(min_row=2):
            for cell, right in zip(row, sides, strict=True):
                if cell.data_type in ("n", "f", "d") and cell.value is not None:
                    assert ((cell.alignment.horizontal, cell.alignment.indent) == number) is right
