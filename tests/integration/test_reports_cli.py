"""`fairclaim report`: tables as a locale writes them, files, and what is refused."""

import asyncio
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.output import FAILURE, NOT_FOUND, OK, UNAVAILABLE, USAGE
from gateway.stack.postgres import Postgres
from reconciler.reports.catalog import REPORTS
from tests.conftest import fresh_database
from tests.integration.commands import Cli
from tests.integration.draining import Books
from tests.integration.yearbook import write


@pytest.fixture(scope="module")
def url(postgres_server: Postgres) -> Iterator[str]:
    """The books of three months."""
    with fresh_database(postgres_server) as url:
        with Books(url) as books:
            asyncio.run(write(books))
        yield url


@pytest.fixture
def cli(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Command lines that find the books."""
    monkeypatch.setenv("FAIRCLAIM_POSTGRES_URL", url)
    return Cli(capsys)


def test_every_report_is_listed(cli: Cli) -> None:
    """With what it says, takes, and may be of."""
    assert [each["name"] for each in cli.json("report", "list")] == list(REPORTS)
    assert all(name in cli("report", "list").out for name in REPORTS)


def test_a_table_has_amounts_as_its_locale_writes_them_and_a_total(cli: Cli) -> None:
    """Yuan have two places and yen none; German puts a comma where English has a point; debits equal credits."""
    english, german = cli("report", "trial-balance"), cli("report", "trial-balance", "--locale", "de")
    assert english.code == german.code == OK
    total = next(line for line in english.out.splitlines() if "total" in line and "CNY" in line)
    amounts = [cell for cell in total.split() if cell.startswith("CN¥")]
    assert len(amounts) == 4
    assert amounts[0] == amounts[1]
    assert amounts[2] == amounts[3]
    yen = next(line for line in english.out.splitlines() if "total" in line and "JPY" in line)
    assert "." not in yen
    assert amounts[2].removeprefix("CN¥").replace(",", " ").replace(".", ",").replace(" ", ".") in german.out


def test_json_is_whole(cli: Cli) -> None:
    """--json gives rows and totals in minor units."""
    told = cli.json("report", "roll-forward-money", "--by", "campaign", "--until", "2026-11-30")
    assert told["report"] == "roll-forward-money"
    assert [row["campaign"] for row in told["rows"]] == ["card", "cup", "tea"]
    assert [each["currency"] for each in told["totals"]] == ["CNY", "JPY"]
    early = cli.json("report", "campaign-profit", "--until", "2026-09-20", "--as-of", "2026-09-30")
    assert early["asked"] == {"until": "2026-09-20", "as_of": "2026-09-30"}
    refused = cli("report", "coupons", "--until", "2026-11-30", "--as-of", "2026-11-29")
    assert "--as-of: not before 2026-11-30" in refused.err


def test_a_file_takes_its_name_once_it_is_whole(cli: Cli, tmp_path: Path) -> None:
    """The form is that of its name; nothing else is left beside it, nor anything where it could not be written."""
    out = tmp_path / "redemptions.csv"
    assert cli("report", "redemptions", "-o", str(out)) == (OK, "", "")
    assert list(tmp_path.iterdir()) == [out]
    lines = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert len(lines) == len(cli.json("report", "redemptions")["rows"]) > 50
    assert cli("report", "redemptions", "--format", "csv").out.encode() == out.read_bytes()
    ran = cli("report", "redemptions", "-o", str(tmp_path / "none" / "redemptions.csv"))
    assert (ran.code, "can't be written" in ran.err) == (FAILURE, True)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["none"], NOT_FOUND, "report_not_found"),
        (["trial-balance", "--campaign", "te"], NOT_FOUND, "not_found"),
        (["trial-balance", "--until", "yesterday"], USAGE, "bad_report"),
        (["trial-balance", "--store", "s-1"], USAGE, "bad_report"),
        (["trial-balance", "--by", "weather"], USAGE, "bad_report"),
        (["trial-balance", "--format", "pdf"], USAGE, "bad_format"),
        (["trial-balance", "-o", "x.pdf"], USAGE, "bad_format"),
        (["trial-balance", "--locale", "xx_YY"], USAGE, "bad_locale"),
        (["trial-balance", "--postgres-url", "postgresql://127.0.0.1:1/x"], UNAVAILABLE, "postgres"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, arguments: list[str], code: int, word: str) -> None:
    """One line, with what to do about it, and the exit code of its kind."""
    error: dict[str, Any] = cli.json("report", *arguments, code=code)

    assert error["code"] == word
    assert error["hint"]
