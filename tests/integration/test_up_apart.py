"""The parts of `up` one by one, as they run on machines of their own: migrate, serve, reconcile; and --help."""

import json
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import httpx2
import psycopg
import pytest

from gateway.cli.output import FAILURE, OK, UNAVAILABLE
from gateway.stack.processes import await_until
from reconciler.ledger import APPLICATION
from tests.http import JWT_KEYS
from tests.integration.commands import PATIENT
from tests.integration.stacks import descendants, environment, fairclaim, lives

COMMANDS = (
    "up",
    "serve",
    "reconcile",
    "migrate",
    "doctor",
    "claim",
    "token",
    "status",
    "campaign create",
    "key create",
)


def _start(folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{arguments[0]}.out").open("wb") as out, (folder / f"{arguments[0]}.err").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", *arguments], stdout=out, stderr=err,
            env=environment(**PATIENT, **variables),
        )  # fmt: skip


def test_migrate_lists_then_applies_then_has_nothing_to_do(postgres_url: str) -> None:
    """--dry-run changes nothing, the first run applies what it listed, the second one nothing."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated_by_hand")
        try:
            url = ("--postgres-url", postgres_url.rpartition("/")[0] + "/migrated_by_hand", "--json")
            runs = [fairclaim("migrate", *url, *more) for more in (("--dry-run",), (), ())]
        finally:
            connection.execute("DROP DATABASE migrated_by_hand WITH (FORCE)")
    assert [run.returncode for run in runs] == [OK] * 3
    dry, first, second = (json.loads(run.stdout) for run in runs)
    assert (dry["applied"], dry["schema_version"]) == ([], 0)
    assert dry["pending"] == first["applied"] != []
    assert (second["applied"], second["schema_version"]) == ([], len(first["applied"]))


def test_migrate_tells_a_database_that_is_away_from_one_it_may_not_change() -> None:
    """Nobody listens there: exit code 6, which is worth another try, and one line with what to do."""
    ended = fairclaim("migrate", "--postgres-url", "postgresql://nobody@127.0.0.1:1/none", "--json")
    assert ended.returncode == UNAVAILABLE
    assert json.loads(ended.stderr)["error"]["code"] == "postgres"


def test_serve_without_the_schema_says_so_at_once(redis_url: str, postgres_url: str) -> None:
    """A database that was never migrated: serve names what is missing and the command, and starts no worker."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE never_migrated")
        try:
            url = postgres_url.rpartition("/")[0] + "/never_migrated"
            ended = fairclaim(
                "serve", "--redis-url", redis_url, "--postgres-url", url, "--port", "0", FAIRCLAIM_JWT_KEYS=JWT_KEYS
            )
        finally:
            connection.execute("DROP DATABASE never_migrated WITH (FORCE)")
    assert ended.returncode == FAILURE
    lacks = ", ".join(sorted(path.name for path in (files("reconciler") / "sql" / "migrations").iterdir()))
    assert ended.stderr == f"fairclaim: the database lacks {lacks}; run `fairclaim migrate` first\n"


def test_serve_and_reconcile_stop_well_on_their_own(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """Gateways and reconciler against servers given by URL: ready, and on SIGTERM both end with exit code 0."""
    variables = {
        "FAIRCLAIM_REDIS_URL": redis_url, "FAIRCLAIM_POSTGRES_URL": postgres_url, "FAIRCLAIM_JWT_KEYS": JWT_KEYS,
        "FAIRCLAIM_DATA_DIR": str(tmp_path),
    }  # fmt: skip
    serve = _start(tmp_path, "serve", "--port", "0", "--workers", "2", "--json", **variables)
    reconcile = _start(tmp_path, "reconcile", **variables)
    try:
        assert await_until(lambda: (tmp_path / "serve.out").stat().st_size > 0, 90), (
            tmp_path / "serve.err"
        ).read_text()
        family = descendants(serve.pid)
        assert len(family) == 2
        url = json.loads((tmp_path / "serve.out").read_text())["gateway_url"]
        assert await_until(lambda: httpx2.get(f"{url}/readyz", timeout=60).json()["ready"], 90)
        with psycopg.connect(postgres_url, autocommit=True) as books:
            # A reconciler that is ended before it runs has no exit code of its own.
            runs = "SELECT FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
            assert await_until(lambda: books.execute(runs, (APPLICATION,)).rowcount > 0, 90)
        codes = []
        for process in (serve, reconcile):
            process.send_signal(signal.SIGTERM)
            codes.append(process.wait(60))
        assert codes == [OK, OK]
        assert not [pid for pid in family if lives(pid)]
        assert "drained to the tail" in (tmp_path / "reconcile.err").read_text()
    finally:
        for process in (serve, reconcile):
            process.kill()
            process.wait()


def test_replay_of_an_empty_quarantine(postgres_url: str) -> None:
    """Nothing in quarantine is nothing to do; a shard that is none is a usage error."""
    url = ("--postgres-url", postgres_url)
    empty = fairclaim("reconcile", "--replay-quarantine", "--json", *url)
    assert (empty.returncode, json.loads(empty.stdout)) == (OK, {"records": [], "replayed": 0, "remaining": 0})
    away = fairclaim("reconcile", "--replay-quarantine", "--postgres-url", "postgresql://x@127.0.0.1:1/x")
    assert away.returncode == UNAVAILABLE


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_json_and_exit_codes(command: str) -> None:
    """Whoever asks a command for help is shown how to call it, what programs get, and what its exit codes mean."""
    shown = fairclaim(*command.split(), "--help")
    assert shown.returncode == OK
    assert "Example" in shown.stdout
    assert "--json" in shown.stdout
    assert "xit code" in shown.stdout


def test_completion_completes() -> None:
    """The script that --show-completion prints asks the program itself, and gets the commands."""
    asked = fairclaim(_FAIRCLAIM_COMPLETE="complete_bash", COMP_WORDS="fairclaim re", COMP_CWORD="1")
    assert asked.stdout.split() == ["reconcile", "report", "replay"]


def test_version_and_no_arguments() -> None:
    """--version is one line; no command at all is the help and exit code 2."""
    assert fairclaim("--version").stdout.startswith("fairclaim 0.")
    nothing = fairclaim()
    assert nothing.returncode == 2
    assert "reconcile" in nothing.stdout + nothing.stderr
