"""`fairclaim proposal` against a gateway on a socket: one key proposes, another one approves."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.proposal import app
from gateway.lane import Lane
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.integration.commands import Cli
from tests.integration.proposing import JOURNAL, STOCK


@ON_VALKEY
async def test_one_key_proposes_and_another_approves(
    redis_url: str, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made from a file, refused to its maker (5), approved and done, decided once only (4), listed; 2 and 3 as told."""
    assert len(app.registered_commands) == 6
    async with Worker(redis_url, postgres_url, tmp_path, http=Lane) as worker:
        await worker.publish(stock=10)
        cli, url = Cli(capsys), f"http://127.0.0.1:{worker.port}"
        roles = ("marketer", "finance", "admin")
        keys = {role: (await worker.key(role))["Authorization"].split()[1] for role in roles}
        stock, journal, broken = (tmp_path / name for name in ("stock.json", "journal.json", "broken.json"))
        stock.write_text(json.dumps(STOCK))
        journal.write_text(json.dumps(JOURNAL))
        broken.write_text("[]")

        async def ran(who: str, *arguments: str, code: int = 0) -> Any:
            flags = ("--gateway-url", url, "--api-key", keys[who])
            return await asyncio.to_thread(cli.json, "proposal", *arguments, *flags, code=code)

        made = await ran("marketer", "make", str(stock), "--key", "k")
        by_hand = await ran("finance", "make", str(journal))

        assert (await ran("marketer", "make", str(stock), "--key", "k"))["id"] == made["id"]
        assert (await ran("marketer", "make", str(stock), code=4))["code"] == "proposal_pending"
        assert (await ran("marketer", "make", str(broken), code=2))["code"] == "bad_file"
        assert (await ran("marketer", "approve", made["id"], code=5))["code"] == "forbidden"
        waiting = (await ran("admin", "list", "--waiting"))["items"]
        assert [each["id"] for each in waiting] == [by_hand["id"], made["id"]]
        assert (await ran("admin", "approve", made["id"], "--said", "fine"))["outcome"]["stock"] == 15
        assert (await ran("admin", "reject", made["id"], "--said", "no", code=4))["code"] == "invalid_state"
        assert (await ran("finance", "withdraw", by_hand["id"]))["state"] == "withdrawn"
        again = await ran("marketer", "make", str(stock))
        assert (await ran("admin", "reject", again["id"], "--said", "enough"))["said"] == "enough"
        assert (await ran("marketer", "show", made["id"]))["decided_by"].endswith(" test admin")
        assert [each["id"] for each in (await ran("marketer", "list", "--state", "applied"))["items"]] == [made["id"]]
        assert (await ran("admin", "show", "pr_0", code=3))["code"] == "proposal_not_found"
        assert (await ran("admin", "show", "../keys", code=2))["code"] == "bad_id"
        flags = ("--gateway-url", url, "--api-key", keys["admin"])
        shown = await asyncio.to_thread(cli, "proposal", "show", made["id"], *flags)
        listed = await asyncio.to_thread(cli, "proposal", "list", *flags)

    assert "shards[0].stock" in shown.out
    assert "fine" in shown.out
    assert made["id"] in listed.out


def test_a_period_is_not_opened_beside_it(
    postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With FAIRCLAIM_TWO_PEOPLE the command that stands at the database refuses too, and says what to do."""
    monkeypatch.setenv("FAIRCLAIM_TWO_PEOPLE", "true")
    flags = ("--reason", "late", "--postgres-url", postgres_url)

    told = Cli(capsys).json("period", "reopen", "2026-03", *flags, code=4)

    assert told["code"] == "second_person_needed"
    assert "fairclaim proposal make" in told["hint"]
