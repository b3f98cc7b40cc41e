"""`fairclaim ledger journal` against a gateway on a socket: one key drafts, another one approves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.lane import Lane
from tests.conftest import redis_binaries
from tests.http import Worker
from tests.integration.commands import Cli

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

DRAFT = ("draft", "--date", "2026-11-10", "--reason", "Paid out")
LINE = "'payable:m 1' clearing:bank 12.50 CNY"


async def test_one_key_drafts_and_another_approves(
    redis_url: str, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drafted in major units, refused to its maker (5), approved, rejected once only (4), listed; 2 and 3 as told."""
    async with Worker(redis_url, postgres_url, tmp_path, http=Lane) as worker:
        cli, url = Cli(capsys), f"http://127.0.0.1:{worker.port}"
        keys = {role: (await worker.key(role))["Authorization"].split()[1] for role in ("finance", "admin")}

        async def ran(who: str, *arguments: str, code: int = 0) -> Any:
            flags = ("--gateway-url", url, "--api-key", keys[who])
            return await asyncio.to_thread(cli.json, "ledger", "journal", *arguments, *flags, code=code)

        made = await ran("finance", *DRAFT, "-l", LINE, "--attachment", "page 3", "--key", "k")
        other = await ran("finance", *DRAFT, "-l", "payable clearing:bank 7 JPY")

        assert made["lines"] == [{"debit": "payable:m 1", "credit": "clearing:bank", "commodity": "CNY", "minor": 1250}]
        assert other["lines"][0]["minor"] == 7
        assert (await ran("finance", *DRAFT, "-l", LINE, "--attachment", "page 3", "--key", "k"))["id"] == made["id"]
        assert (await ran("finance", "approve", made["id"], code=5))["code"] == "forbidden"
        assert (await ran("admin", "approve", made["id"]))["state"] == "approved"
        assert (await ran("admin", "reject", other["id"], "--reason", "twice"))["refused"] == "twice"
        assert (await ran("admin", "reject", other["id"], "--reason", "twice", code=4))["code"] == "invalid_state"
        assert (await ran("finance", "show", made["id"]))["checked_by"].endswith(" test admin")
        assert [each["id"] for each in (await ran("admin", "list"))["items"]] == [other["id"], made["id"]]
        assert [each["id"] for each in (await ran("admin", "list", "--state", "approved"))["items"]] == [made["id"]]
        assert len((await ran("admin", "list", "--entity", "main"))["items"]) == 2
        assert (await ran("admin", "list", "--entity", "none", code=3))["code"] == "not_found"
        assert (await ran("admin", "show", "mj_0", code=3))["code"] == "not_found"
        assert (await ran("admin", "show", "../keys", code=2))["code"] == "bad_id"
        settles = ("-l", "payable:m-1 clearing:bank 0.01 CNY 'o 1'", "--settles", "of_0")
        assert (await ran("finance", *DRAFT, *settles, code=3))["code"] == "not_found"
        for line in (
            "payable clearing:bank 7",
            "payable clearing:bank 7 CNY o 1",
            "payable clearing:bank 1.234 CNY",
            "payable 'clearing:bank 7 CNY",
        ):
            assert (await ran("finance", *DRAFT, "-l", line, code=2))["code"] == "bad_line"
        for flag, *wrong in (
            ("--line 2 debit", *DRAFT, "-l", LINE, "-l", "cash clearing:bank 7 CNY"),
            ("--line", *DRAFT),
            ("--entity", *DRAFT, "-l", LINE, "--entity", "nobody"),
            ("--date", "draft", "--date", "29.11.2026", "--reason", "x", "-l", LINE),
            ("--date", "draft", "--date", "2199-12-31", "--reason", "x", "-l", LINE),
        ):
            assert (await ran("finance", *wrong, code=2))["message"].startswith(f"{flag}: ")
        shown = await asyncio.to_thread(
            cli, "ledger", "journal", "show", made["id"], "--gateway-url", url, "--api-key", keys["admin"]
        )
        assert "12.50" in shown.out
