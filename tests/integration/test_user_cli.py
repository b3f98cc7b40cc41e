"""`fairclaim user`: each command, its JSON, its exit codes, and where passwords come from and never go."""

import io
import sys
from typing import Any

import psycopg
import pytest
import typer

from gateway.cli.output import CONFLICT, NOT_FOUND, OK, UNAVAILABLE, USAGE
from gateway.people.passwords import is_password
from gateway.settings import PREFIX
from tests.integration.commands import Cli

PASSWORD = "correct horse battery"


@pytest.fixture
def cli(postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line beside a PostgreSQL."""
    for name in ("READY_FILE", "DATA_DIR", "JSON"):
        monkeypatch.delenv(PREFIX + name, raising=False)
    monkeypatch.setenv(PREFIX + "POSTGRES_URL", postgres_url)
    return Cli(capsys)


def kept(postgres_url: str, name: str) -> Any:
    """What is kept of the password of *name*."""
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT password FROM users WHERE name = %s", (name,)).fetchone()
    assert found
    return found[0]


def test_a_user_from_his_making_to_his_end(cli: Cli, postgres_url: str) -> None:
    """create, show, list, roles, password, disable and enable do what they say, and each answers with the user."""
    made = cli.json("user", "create", "ann", "-r", "finance", "-r", "admin", "--display", "Ann Lee", "--generate")
    password = made.pop("password")
    assert is_password(kept(postgres_url, "ann"), password)
    assert (made["roles"], made["display"], made["must_change"]) == (["admin", "finance"], "Ann Lee", True)
    assert cli.json("user", "show", "ann") == made
    cli.json("user", "create", "root", "--role", "admin", "--generate", "--no-must-change")
    assert [user["name"] for user in cli.json("user", "list")["items"]] == ["ann", "root"]
    assert cli.json("user", "roles", "ann", "-r", "store")["roles"] == ["store"]
    again = cli.json("user", "password", "ann", "--generate")["password"]
    assert again != password
    assert is_password(kept(postgres_url, "ann"), again)
    assert cli.json("user", "disable", "ann")["disabled_at"]
    assert "disabled" in cli("user", "list").out
    assert cli.json("user", "enable", "ann")["disabled_at"] is None


def test_a_made_password_is_shown_once(cli: Cli) -> None:
    """A person is told to keep it; afterwards nothing shows it."""
    shown = cli("user", "create", "ann", "--role", "admin", "--generate").out
    password = next(line.split()[1] for line in shown.splitlines() if line.startswith("password"))

    assert "not shown again" in shown
    assert len(password) == 29
    assert password not in cli("user", "show", "ann").out + cli("user", "list").out


def test_a_password_from_standard_input(cli: Cli, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line is the password, and it is shown nowhere; a bad one is refused without being shown."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\nand more\n"))
    ran = cli("user", "create", "ann", "--role", "store", "--password-stdin")
    assert (ran.code, ran.err) == (OK, "")
    assert PASSWORD not in ran.out
    assert is_password(kept(postgres_url, "ann"), PASSWORD)

    monkeypatch.setattr(sys, "stdin", io.StringIO("too short\n"))
    refused = cli("user", "password", "ann", "--password-stdin")
    assert (refused.code, "too short" in refused.err) == (USAGE, False)
    assert "12 to 128" in refused.err


def test_a_password_from_a_terminal(cli: Cli, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal it is asked for, twice and hidden; where there is none, the command says what to give."""
    asked: list[dict[str, Any]] = []

    def prompt(text: str, **how: Any) -> str:
        asked.append(how)
        return PASSWORD

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    refused = cli.json("user", "create", "ann", "--role", "store", code=USAGE)
    assert "--password-stdin" in refused["hint"]
    assert asked == []

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert cli("user", "create", "ann", "--role", "store").code == OK
    assert [(how["hide_input"], how["confirmation_prompt"]) for how in asked] == [(True, True)]
    assert is_password(kept(postgres_url, "ann"), PASSWORD)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("create", "Ann", "-r", "store", "--generate"), USAGE, "name: "),
        (("create", "ann", "-r", "root", "--generate"), USAGE, "roles: "),
        (("create", "ann", "-r", "store", "--generate", "--display", "a\tb"), USAGE, "display: "),
        (("create", "ann", "-r", "store", "--generate", "--password-stdin"), USAGE, "give one"),
        (("create", "root", "-r", "store", "--generate"), CONFLICT, "there is a user 'root'"),
        (("show", "ann"), NOT_FOUND, "there is no user 'ann'"),
        (("password", "ann", "--generate"), NOT_FOUND, "there is no user 'ann'"),
        (("roles", "ann", "-r", "store"), NOT_FOUND, "there is no user 'ann'"),
        (("enable", "ann"), NOT_FOUND, "there is no user 'ann'"),
        (("roles", "root", "-r", "store"), CONFLICT, "nobody but root is admin"),
        (("disable", "root"), CONFLICT, "nobody but root is admin"),
    ],
)
def test_what_can_t_be_done(cli: Cli, arguments: tuple[str, ...], code: int, says: str) -> None:
    """One line that says why, and the exit code of its kind."""
    cli.json("user", "create", "root", "--role", "admin", "--generate")

    assert says in cli.json("user", *arguments, code=code)["message"]


def test_a_postgres_that_is_away(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 6, and nothing of a stack."""
    monkeypatch.setenv(PREFIX + "POSTGRES_URL", "postgresql://nobody@127.0.0.1:1/nothing")

    assert cli.json("user", "list", code=UNAVAILABLE)["code"] == "postgres"
