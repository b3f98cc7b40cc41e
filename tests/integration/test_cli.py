"""The command line against a running `fairclaim up`: every command, its JSON, its exit codes, its complaints."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from gateway.cli.output import AUTH, CONFLICT, FAILURE, INTERRUPTED, NOT_FOUND, OK, UNAVAILABLE, USAGE
from gateway.codes import show_code
from gateway.keys import ROLES
from gateway.settings import PREFIX
from gateway.tokens import TokenVerifier
from lua.keys import CampaignId, Shard
from tests import patience
from tests.conftest import Eventually
from tests.integration.commands import PATIENT, Cli
from tests.integration.stacks import Stack, environment, fairclaim


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running system."""
    folder = tmp_path_factory.mktemp("cli")
    with Stack(folder / "data", "--workers", "1", stocktake_s=3600, settings=patience.PATIENT) as stack:
        yield stack
        assert stack.stop() == 0, stack.output


@pytest.fixture
def cli(stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line of a person who works beside the running system."""
    monkeypatch.setenv(PREFIX + "DATA_DIR", str(stack.data_dir))
    for name in ("READY_FILE", "GATEWAY_URL", "API_KEY", "JSON"):
        monkeypatch.delenv(PREFIX + name, raising=False)
    return Cli(capsys)


def a_campaign(cli: Cli, campaign: str, *flags: str, stock: int = 5) -> dict[str, Any]:
    """A published campaign."""
    made: dict[str, Any] = cli.json(
        "campaign", "create", "--id", campaign, "--stock", str(stock), "--off", "500", "--publish", *flags
    )
    return made


def test_a_campaign_from_its_making_to_its_end(cli: Cli) -> None:
    """create, list, show, state and restock do what they say, and each answers with the campaign as it then is."""
    draft = cli.json("campaign", "create", "--id", "life", "--name", "Life", "--stock", "3", "--off", "500")
    assert (draft["state"], draft["version"], draft["remaining"]) == ("draft", 1, None)
    assert cli.json("campaign", "state", "life", "scheduled")["state"] == "active"
    assert "life" in [item["id"] for item in cli.json("campaign", "list")["items"]]
    moved = cli.json("campaign", "restock", "life", "--delta", "4", "--reason", "more", "--key", "k1")
    again = cli.json("campaign", "restock", "life", "--delta", "4", "--reason", "more", "--key", "k1")
    assert moved == again
    assert moved["stock"] == 7
    assert cli.json("campaign", "show", "life")["remaining"] == 7
    assert cli.json("campaign", "restock", "life", "--delta", "-7", "--reason", "less")["stock"] == 0
    assert cli.json("campaign", "state", "life", "paused")["state"] == "paused"
    assert cli.json("campaign", "state", "life", "active")["state"] == "active"
    assert cli.json("campaign", "state", "life", "ended")["state"] == "ended"
    assert cli.json("campaign", "state", "life", "archived")["state"] == "archived"
    cli.json("campaign", "create", "--id", "slip", "--stock", "3", "--off", "500")
    thrown = cli.json("campaign", "state", "slip", "archived")
    assert (thrown["state"], thrown["remaining"]) == ("archived", None)


def test_a_campaign_from_a_file(cli: Cli, tmp_path: Path) -> None:
    """--file takes the body of the HTTP interface, flags go over it, and --dry-run sends nothing."""
    body = {
        "id": "filed",
        "name": "From a file",
        "currency": "CNY",
        "stock": 10,
        "value": {"type": "percent", "basis_points": 1000, "cap_minor": 900},
        "starts_at": "2026-11-22T10:00:00Z",
        "ends_at": "2036-11-22T11:00:00Z",
        "validity": {"days": 7},
    }
    path = tmp_path / "filed.json"
    path.write_text(json.dumps(body))

    assert cli.json("campaign", "create", "--file", str(path), "--stock", "20", "--dry-run") == {**body, "stock": 20}
    assert cli.json("campaign", "show", "filed", code=NOT_FOUND)["code"] == "campaign_not_found"
    made = cli.json("campaign", "create", "--file", str(path), "--stock", "20")
    assert (made["stock"], made["value"]) == (20, body["value"])


def test_a_list_of_many_pages_is_one_list(cli: Cli, stack: Stack) -> None:
    """campaign list follows the cursors to the end: 105 campaigns and those of the other tests, each once."""
    cli.json("campaign", "create", "--id", "many", "--stock", "1", "--off", "1")
    with psycopg.connect(stack.ready["postgres_url"], autocommit=True) as connection:
        connection.execute(
            "INSERT INTO campaigns (id, version, state, definition) "
            "SELECT id, 1, 'draft', jsonb_set(definition, '{id}', to_jsonb(id)) "
            "FROM (SELECT definition, 'many-' || lpad(n::text, 3, '0') AS id "
            "FROM campaigns, generate_series(0, 104) AS n WHERE campaigns.id = 'many') AS made"
        )
    ids = [item["id"] for item in cli.json("campaign", "list")["items"]]

    assert [each for each in ids if each.startswith("many-")] == [f"many-{number:03}" for number in range(105)]
    assert ids == sorted(set(ids))


def test_a_claim_its_repetition_and_its_refusals(cli: Cli) -> None:
    """claim answers with the coupon, with the same one for the same key, and with code 4 and the reason else."""
    a_campaign(cli, "claims", stock=2)
    first = cli.json("claim", "claims", "--holder", "ann", "--key", "k1", "--channel", "app")
    again = cli.json("claim", "claims", "--holder", "ann", "--key", "k1", "--channel", "app")
    assert (first["outcome"], again["outcome"]) == ("claimed", "replayed")
    assert first["code"] == again["code"]
    assert (
        cli.json("claim", "claims", "--holder", "ann", "--key", "k1", code=CONFLICT)["code"] == "idempotency_key_reused"
    )
    limit = cli.json("claim", "claims", "--holder", "ann", code=CONFLICT)
    assert (limit["code"], limit["hint"]) == ("limit_reached", f"held: {show_code(first['code'])}")
    assert cli.json("claim", "claims", "--holder", "bob")["outcome"] == "claimed"
    assert cli.json("claim", "claims", "--holder", "cy", code=CONFLICT)["code"] == "sold_out"
    assert cli.json("claim", "nowhere", "--holder", "ann", code=NOT_FOUND)["code"] == "campaign_not_found"
    assert cli.json("claim", "a/../b?c", "--holder", "ann", code=NOT_FOUND)["code"] in (
        "campaign_not_found",
        "not_found",
    )


def test_a_channel_that_is_not_allowed_is_a_refused_claim(cli: Cli) -> None:
    """not_eligible is 403 on the wire, and the exit code is that of a refused claim, not of wrong credentials."""
    a_campaign(cli, "channels", "--channel", "app")

    assert cli.json("claim", "channels", "--holder", "ann", "--channel", "web", code=CONFLICT)["code"] == "not_eligible"


def test_a_token_is_the_holder_s(cli: Cli, stack: Stack) -> None:
    """token prints a token the gateway accepts and nothing else; with --json it says until when."""
    jwt = stack.ready["jwt"]
    verifier = TokenVerifier({jwt["kid"]: jwt["secret"].encode()}, jwt["audience"], jwt["issuer"], 0)
    printed = cli("token", "--holder", "ann").out
    data = cli.json("token", "--holder", "ann", "--ttl", "60")

    assert printed.count("\n") == 1
    assert verifier.verify(printed.strip(), 0) == "ann"
    assert data["holder"] == "ann"


def test_keys_are_made_listed_and_revoked(cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was just made works in its role and is shown once; a revoked one stops working."""
    made = cli.json("key", "create", "till 7", "--role", "marketer")
    listed = {item["id"]: item for item in cli.json("key", "list")["items"]}
    assert listed[made["id"]]["name"] == "till 7"
    assert made["key"] not in json.dumps(listed)

    monkeypatch.setenv(PREFIX + "API_KEY", made["key"])
    assert a_campaign(cli, "keyed")["state"] == "active"
    store = cli.json("key", "create", "till 8", "--role", "store")
    monkeypatch.setenv(PREFIX + "API_KEY", store["key"])
    assert cli.json("campaign", "state", "keyed", "paused", code=AUTH)["code"] == "forbidden"

    assert cli.json("key", "revoke", store["id"]) == {"id": store["id"], "revoked": True}
    assert cli.json("key", "revoke", store["id"])["revoked"]
    assert cli.json("key", "revoke", "nobody", code=NOT_FOUND)["code"] == "key_not_found"
    monkeypatch.setenv(PREFIX + "API_KEY", "fck_no")
    assert cli.json("campaign", "list", code=AUTH)["code"] == "unauthenticated"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_in_the_help_of_key_create(cli: Cli, role: str) -> None:
    """--help names every role there is."""
    assert role in cli("key", "create", "--help").out


async def status_once_drained(cli: Cli, eventually: Eventually, campaign: str) -> tuple[Any, Any]:
    """What status says, and what of *campaign*, once the books have all of it; a command has a thread for its loop."""

    async def drained() -> tuple[Any, Any] | None:
        found = await asyncio.to_thread(cli.json, "status")
        [one] = [each for each in found["campaigns"] if each["id"] == campaign]
        return (found, one) if one["books"]["seq"] == one["seq"] else None

    seen: tuple[Any, Any] = await eventually(drained, within_s=60)
    return seen


async def test_status_is_what_was_claimed(cli: Cli, eventually: Eventually) -> None:
    """After claims through HTTP, status shows stock and claims, the books catch up, and all is equal."""
    a_campaign(cli, "sale", stock=10)
    for number in range(10):
        cli.json("claim", "sale", "--holder", f"h{number}")
    cli.json("claim", "sale", "--holder", "late", code=CONFLICT)
    found, sale = await status_once_drained(cli, eventually, "sale")

    assert found["ok"]
    assert sale["equal"]
    assert (sale["stock"], sale["claimed"]) == (0, 10)
    assert sale["lag"]["seconds"] < 1
    assert sale["books"] == {
        "seq": sale["seq"], "coupons": 10, "holders_over_limit": 0, "seq_gaps": 0, "stock": 0, "outstanding": 10,
        "reserved": 0, "redeemed": 0, "expired": 0, "revoked": 0,
    }  # fmt: skip
    assert {"state", "claims_per_s", "lag", "problems", "shards"} <= sale.keys()
    assert found["totals"]["claimed"] >= 10


async def test_status_that_finds_something_ends_with_one(cli: Cli, stack: Stack, eventually: Eventually) -> None:
    """A difference is exit code 1, in JSON and for people, and says what it is."""
    a_campaign(cli, "off", stock=4)
    await status_once_drained(cli, eventually, "off")
    key = Shard(CampaignId("off"), 0).key("stock")
    with Redis.from_url(stack.ready["redis_url"]) as client:
        client.incr(key)
        try:
            found = await asyncio.to_thread(cli.json, "status", code=FAILURE)
            shown = await asyncio.to_thread(cli, "status")
        finally:
            client.decr(key)

    assert not found["ok"]
    assert shown.code == FAILURE
    assert "NOT EQUAL" in shown.out
    assert "! off: stock at the same seq: Redis 5, book 4" in shown.out
    assert (await asyncio.to_thread(cli, "status")).code == OK


USAGES = [
    ("campaign", "create", "--id", "x"),
    ("campaign", "create", "--id", "Not An Id", "--stock", "1", "--off", "1"),
    ("campaign", "create", "--id", "x", "--stock", "0", "--off", "1"),
    ("campaign", "create", "--id", "x", "--stock", "one", "--off", "1"),
    ("campaign", "create", "--file", "/nowhere.json"),
    ("campaign", "restock", "demo", "--delta", "0", "--reason", "r"),
    ("campaign", "restock", "demo", "--delta", "1"),
    ("campaign", "state", "demo", "asleep"),
    ("campaign", "explode"),
    ("claim", "demo"),
    ("claim", "demo", "--holder", "a b"),
    ("claim", "demo", "--holder", ""),
    ("claim", "demo", "--holder", "a", "--key", "k" * 256),
    ("claim", "demo", "--holder", "a", "--key", "clé"),
    ("claim", "demo", "--holder", "a", "--channel", "A B"),
    ("claim", "demo", "--holder", "a", "--gateway-url", "not a url"),
    ("token", "--holder", "a", "--ttl", "0"),
    ("key", "create", "x", "--role", "boss"),
    ("key", "create", "", "--role", "store"),
    ("status", "--interval", "0"),
    ("status", "--redis-url", "nonsense"),
    ("status", "--colour"),
]


@pytest.mark.parametrize("arguments", USAGES, ids=" ".join)
def test_wrong_usage_is_two_with_one_line_that_says_what(cli: Cli, arguments: tuple[str, ...]) -> None:
    """A wrong flag, argument or value ends with 2; nothing on stdout; a line on stderr, in JSON too."""
    plain = cli(*arguments)
    error = cli.json(*arguments, code=USAGE)

    assert plain.code == USAGE
    assert plain.out == ""
    assert plain.err.startswith("fairclaim: ")
    assert "Traceback" not in plain.err
    assert error["message"]


def test_refused_changes_are_four(cli: Cli) -> None:
    """What the gateway refuses as not possible now ends with 4 and its code."""
    a_campaign(cli, "refused")
    create = ("campaign", "create", "--id", "refused", "--stock", "1", "--off", "1")

    assert cli.json(*create, code=CONFLICT)["code"] == "campaign_exists"
    assert cli.json("campaign", "state", "refused", "archived", code=CONFLICT)["code"] == "invalid_state"
    less = ("campaign", "restock", "refused", "--reason", "r", "--delta")
    assert cli.json(*less, "-6", code=CONFLICT)["code"] == "stock_floor"
    assert cli.json(*less, "1", "--key", "k")["stock"] == 6
    assert cli.json(*less, "2", "--key", "k", code=CONFLICT)["code"] == "idempotency_key_reused"


def test_state_that_is_none_is_told_what_there_is(cli: Cli) -> None:
    """A word that is no state to go to ends with 2 and the list of those that are."""
    said = cli.json("campaign", "state", "anything", "stopped", code=USAGE)["message"]
    assert said == "there is no state 'stopped' to go to; one of: scheduled, active, paused, ended, archived"


AWAY = [
    ("campaign", "list", "--gateway-url", "http://127.0.0.1:1"),
    ("claim", "demo", "--holder", "a", "--gateway-url", "http://127.0.0.1:1"),
    ("status", "--redis-url", "redis://127.0.0.1:1"),
    ("status", "--redis-url", "redis://:wrong@127.0.0.1:1"),
    ("status", "--postgres-url", "postgresql://127.0.0.1:1/x"),
    ("key", "list", "--postgres-url", "postgresql://127.0.0.1:1/x"),
    ("campaign", "list", "--ready-file", "/nowhere/ready.json"),
    ("campaign", "list", "--data-dir", "/nowhere"),
    ("status", "--data-dir", "/nowhere"),
    ("token", "--holder", "a", "--data-dir", "/nowhere"),
]


@pytest.mark.parametrize("arguments", AWAY, ids=" ".join)
def test_nobody_there_is_six_with_a_hint(cli: Cli, arguments: tuple[str, ...]) -> None:
    """A server that is not there ends with 6 and says what to do about it, in one line and a hint."""
    error = cli.json(*arguments, code=UNAVAILABLE)
    lines = cli(*arguments).err.splitlines()

    assert error["hint"]
    assert lines == [f"fairclaim: {error['message']}", f"  {error['hint']}"]


def test_people_get_tables_without_colour_where_there_is_no_terminal(cli: Cli) -> None:
    """Output that is not for a terminal has no escape sequences, whole lines, and numbers right-aligned."""
    a_campaign(cli, "narrow", stock=7)
    a_campaign(cli, "wide", stock=1_234_567)
    out = cli("status").out
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith(("narrow", "wide"))}

    assert (
        "\x1b" not in out + cli("campaign", "list").out + cli("campaign", "show", "wide").out + cli("key", "list").out
    )
    assert lines["wide"].index("1,234,567") + len("1,234,567") == lines["narrow"].index(" 7 ") + len(" 7")
    assert "Everything is in order." in out


def test_a_variable_stands_for_its_flag(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags of a command are variables too, named after it, and FAIRCLAIM_JSON asks for JSON; the flag wins."""
    a_campaign(cli, "by-variable", stock=2)
    monkeypatch.setenv(PREFIX + "HOLDER", "eve")
    monkeypatch.setenv(PREFIX + "CLAIM_KEY", "k9")
    monkeypatch.setenv(PREFIX + "JSON", "1")

    assert json.loads(cli("claim", "by-variable").out)["key"] == "k9"
    assert json.loads(cli("claim", "by-variable", "--key", "k8", "--holder", "mallory").out)["key"] == "k8"


def test_watching_prints_again_and_again_until_interrupted(stack: Stack) -> None:
    """status --watch --json is a JSON document a line; Ctrl-C ends it with 130 and without a trace."""
    command = [sys.executable, "-m", "gateway.cli", "status", "--watch", "--json", "--interval", "0.2"]
    watching = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**PATIENT, FAIRCLAIM_DATA_DIR=str(stack.data_dir)),
    )
    assert watching.stdout
    lines = [json.loads(watching.stdout.readline()) for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    _, complaint = watching.communicate(timeout=20)

    assert all(line["campaigns"] for line in lines)
    assert lines[0]["at"] < lines[1]["at"] < lines[2]["at"]
    assert (watching.returncode, complaint) == (INTERRUPTED, "")


def test_a_process_of_its_own_answers_alike(stack: Stack) -> None:
    """The installed program, as a shell runs it: JSON on stdout, the complaint on stderr, the exit code to go by."""
    shown = fairclaim("campaign", "show", "demo", "--json", FAIRCLAIM_DATA_DIR=str(stack.data_dir))
    missing = fairclaim("campaign", "show", "nowhere", FAIRCLAIM_DATA_DIR=str(stack.data_dir))

    assert (shown.returncode, json.loads(shown.stdout)["id"], shown.stderr) == (OK, "demo", "")
    assert (missing.returncode, missing.stdout) == (NOT_FOUND, "")
    assert missing.stderr.startswith("fairclaim: No such campaign")
