"""`fairclaim codes` against a running `fairclaim up`: made, imported, listed, shown, cancelled, exported, printed."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.output import CONFLICT, FAILURE, NOT_FOUND, OK, UNAVAILABLE, USAGE
from gateway.codes import parse_code
from gateway.settings import PREFIX
from tests.conftest import Eventually
from tests.integration.commands import Cli
from tests.integration.stacks import Stack
from tests.patience import PATIENT


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running system."""
    with Stack(tmp_path_factory.mktemp("codes") / "data", "--workers", "1", settings=PATIENT) as stack:
        yield stack
        assert stack.stop() == 0, stack.output


@pytest.fixture
def cli(stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line of a person who works beside the running system."""
    monkeypatch.setenv(PREFIX + "DATA_DIR", str(stack.data_dir))
    for name in ("READY_FILE", "GATEWAY_URL", "API_KEY", "JSON"):
        monkeypatch.delenv(PREFIX + name, raising=False)
    return Cli(capsys)


def a_campaign(cli: Cli, campaign: str, stock: int = 2000) -> None:
    """A published campaign."""
    cli.json("campaign", "create", "--id", campaign, "--stock", str(stock), "--off", "500", "--publish")


async def exported(cli: Cli, eventually: Eventually, file: Path, campaign: str, batch: str, *flags: str) -> list[str]:
    """The files of an export, once the books have all codes."""

    async def done() -> Any:
        ran = cli("codes", "export", campaign, batch, "--output", str(file), "--json", *flags)
        assert ran.code in (OK, UNAVAILABLE), ran
        return ran.data["files"] if ran.code == OK else None

    files: list[str] = await eventually(done, within_s=60)
    return files


def codes_in(file: str) -> set[str]:
    """The codes of an export that are codes."""
    rows = csv.DictReader(io.StringIO(Path(file).read_text(encoding="utf-8")))
    return {row["code"] for row in rows if parse_code(row["display_code"])}


def cards_in(file: str) -> int:
    """How many coupons a sheet has."""
    return Path(file).read_text(encoding="utf-8").count('class="card"')


def no_part_is_left(folder: Path) -> bool:
    """Every file is whole."""
    return not list(folder.glob("*.part"))


async def test_codes_are_made_and_exported(cli: Cli, tmp_path: Path, eventually: Eventually) -> None:
    """generate waits until all are made; the same key is the same batch; the file has each code once."""
    a_campaign(cli, "bulk")
    made = cli.json("codes", "generate", "bulk", "--count", "1200", "--key", "k")
    assert (made["state"], made["done"]) == ("done", 1200)
    assert cli.json("codes", "generate", "bulk", "--count", "1200", "--key", "k") == made
    assert cli.json("codes", "list", "bulk") == {"items": [made], "next": None}
    assert cli.json("codes", "show", "bulk", made["id"]) == made
    assert cli.json("codes", "cancel", "bulk", made["id"]) == made

    [file] = await exported(cli, eventually, tmp_path / "codes.csv", "bulk", made["id"])
    assert len(codes_in(file)) == 1200
    sheets = await exported(cli, eventually, tmp_path / "cards.html", "bulk", made["id"], "--sheet")
    assert [Path(sheet).name for sheet in sheets] == ["cards.html", "cards-2.html", "cards-3.html"]
    assert sum(map(cards_in, sheets)) == 1200
    assert no_part_is_left(tmp_path)


def test_a_file_is_imported_once(cli: Cli, tmp_path: Path) -> None:
    """A dry run tells the lines; the import does, and a person reads what became of it."""
    a_campaign(cli, "shop")
    file = tmp_path / "old.csv"
    file.write_text("code\nold-0001\nold-0001\n=x\n")

    dry = cli.json("codes", "import", "shop", str(file), "--dry-run")
    assert (dry["ok"], dry["refused"], dry["batch"]) == (1, 2, None)
    report = cli.json("codes", "import", "shop", str(file), "--key", "k")
    assert (report["batch"]["state"], report["batch"]["done"], report["refused"]) == ("done", 1, 2)
    shown = cli("codes", "import", "shop", str(file), "--key", "k").out
    assert shown.startswith("1 codes, 2 lines without one\n")
    assert "duplicate" in shown
    assert cli.json("codes", "import", "shop", str(tmp_path / "none.csv"), code=USAGE)["code"] == "no_file"


def test_a_shared_code(cli: Cli) -> None:
    """One code for many; there is one of it."""
    a_campaign(cli, "poster")

    made = cli.json(
        "codes", "generate", "poster", "--shared", "Hello-2026", "--uses", "50", "--expires", "2030-01-01T00:00:00Z"
    )
    assert (made["code"], made["uses"], made["done"], made["expires_at"][:4]) == ("HELLO-2026", 50, 1, "2030")
    again = cli.json("codes", "generate", "poster", "--shared", "hello2026", "--uses", "1", code=CONFLICT)
    assert again["code"] == "code_taken"
    assert "HELLO-2026" in cli("codes", "list", "poster").out


def test_what_is_refused_says_why(cli: Cli, tmp_path: Path) -> None:
    """Flags that do not go together, too few coupons, no such batch, a folder that is not there."""
    a_campaign(cli, "small", stock=5)

    for flags in ((), ("--count", "1", "--shared", "ABCD"), ("--shared", "ABCD"), ("--count", "1", "--uses", "2")):
        assert cli.json("codes", "generate", "small", *flags, code=USAGE)["code"] == "usage"
    assert cli.json("codes", "generate", "small", "--count", "6", code=CONFLICT)["code"] == "stock_floor"
    assert cli.json("codes", "generate", "nothing", "--count", "6", code=NOT_FOUND)["code"] == "campaign_not_found"
    missing = cli.json("codes", "show", "small", "cb_0000000000000000", code=NOT_FOUND)
    assert (missing["code"], missing["hint"]) == (
        "code_batch_not_found", "`fairclaim codes list CAMPAIGN` shows what there is",
    )  # fmt: skip
    made = cli.json("codes", "generate", "small", "--count", "1")
    ran = cli("codes", "export", "small", made["id"], "--output", str(tmp_path / "no" / "such.csv"), "--partial")
    assert ran.code == FAILURE
    assert "No such file or directory" in ran.err
    waiting = cli.json("codes", "generate", "small", "--count", "4", "--no-wait")
    assert waiting["state"] in ("pending", "running", "done")
