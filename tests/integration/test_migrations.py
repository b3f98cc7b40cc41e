"""The migration runner: one schema however one gets there, applied once, and clear words when it can't be."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from gateway.stack.postgres import Postgres, packaged_programs
from reconciler.migrations import ROLES, MigrationError, load_migrations, migrate, pending, schema_version
from tests.conftest import when_nobody_is_in_it


@pytest.fixture
def empty_url(postgres_server: Postgres) -> Iterator[str]:
    """A database without a table."""
    with a_database(postgres_server.url) as url:
        yield url


class a_database:  # noqa: N801 - reads as what it gives
    """A new database on the server of *url*, dropped at the end."""

    def __init__(self, url: str, owner: str = "CURRENT_USER") -> None:
        self._url, self._name, self._owner = url, f"test_{os.urandom(6).hex()}", owner

    def __enter__(self) -> str:
        when_nobody_is_in_it(self._url, "CREATE DATABASE {}", self._name)
        with psycopg.connect(self._url, autocommit=True) as connection:
            owner = sql.SQL("CURRENT_USER") if self._owner == "CURRENT_USER" else sql.Identifier(self._owner)
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(self._name), owner))
        return make_conninfo(self._url, dbname=self._name)

    def __exit__(self, *_: object) -> None:
        when_nobody_is_in_it(self._url, "DROP DATABASE {} WITH (FORCE)", self._name)


def dump(url: str) -> str:
    """The schema of a database as pg_dump writes it, without the runner's own table and what differs a run."""
    program = str(packaged_programs() / "pg_dump")
    command = [program, "--schema-only", "--exclude-table=schema_migrations", f"--dbname={url}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "\n".join(line for line in text.splitlines() if line and not line.startswith(("--", "\\")))


def test_schema_sql_equals_the_migrations(postgres_url: str, empty_url: str) -> None:
    """A database made by schema.sql and one made by the migrations dump the same, rights included."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute((files("reconciler") / "sql" / "schema.sql").read_bytes())

    assert "CREATE TABLE public.coupon_entries" in dump(empty_url)
    assert dump(empty_url) == dump(postgres_url)


def test_migrating_twice_applies_nothing(empty_url: str) -> None:
    """The first run applies every file in order, the second none; pending() and schema_version() agree with it."""
    names = [migration.name for migration in load_migrations()]
    assert (pending(empty_url), schema_version(empty_url)) == (names, 0)

    assert migrate(empty_url) == names
    assert migrate(empty_url) == []
    assert (pending(empty_url), schema_version(empty_url)) == ([], len(names))


def test_runners_at_the_same_instant(postgres_server: Postgres) -> None:
    """Eight runners on two databases of one server: each file is applied once a database, and none fails."""
    names = [migration.name for migration in load_migrations()]
    with (
        a_database(postgres_server.url) as one,
        a_database(postgres_server.url) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        applied = list(pool.map(migrate, [one, two] * 4))
    assert sorted(applied) == sorted([names, names, *[[]] * 6])


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE schema_migrations SET sha256 = 'x'", "is not the file that was applied"),
        (
            "UPDATE schema_migrations SET version = 900 WHERE version = (SELECT max(version) FROM schema_migrations)",
            "newer than this software",
        ),
        ("INSERT INTO schema_migrations VALUES (900, '0900_next.sql', 'x')", "newer than this software"),
    ],
)
def test_a_database_that_does_not_fit_is_left_alone(empty_url: str, damage: str, complaint: str) -> None:
    """A changed file and a database newer than this software are one clear error each, for migrate() and pending()."""
    migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(damage.encode())

    for run in (migrate, pending):
        with pytest.raises(MigrationError, match=complaint):
            run(empty_url)


def test_a_gap_in_what_was_applied_is_refused(empty_url: str) -> None:
    """A database that says it had 2 and not 1 is not touched."""
    migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE version = 1")

    with pytest.raises(MigrationError, match="lacks number 1"):
        migrate(empty_url)


def test_a_file_that_fails_leaves_nothing_of_itself(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is one transaction with its row: what was before it stays, it can be mended and run again."""
    known = load_migrations()
    broken = type(known[0])(len(known) + 1, "9999_broken.sql", "CREATE TABLE half (); SELECT 1 / 0")
    monkeypatch.setattr("reconciler.migrations.load_migrations", lambda: [*known, broken])

    with pytest.raises(MigrationError, match="division by zero"):
        migrate(empty_url)
    assert schema_version(empty_url) == len(known)
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)


def test_an_old_server_and_no_server_are_clear_errors(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The version that is needed is named; a server that can't be reached is one line without the password."""
    with pytest.raises(MigrationError, match="PostgreSQL: ") as caught:
        migrate(f"postgresql://nobody:secret-word@127.0.0.1:1/nothing?passfile={tmp_path}/none")
    assert "\n" not in str(caught.value)
    assert "secret-word" not in str(caught.value)

    monkeypatch.setattr("reconciler.migrations.POSTGRES_VERSION_MIN", 99)
    with pytest.raises(MigrationError, match="too old; Fairclaim needs 99 or later"):
        migrate(empty_url)


def test_an_ordinary_owner_can_migrate_and_take_the_roles(postgres_server: Postgres) -> None:
    """A user without superuser rights who owns the database is granted the roles, so that SET ROLE works for him."""
    owner = f"owner_{os.urandom(4).hex()}"
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'test'").format(sql.Identifier(owner)))
        for role in ROLES:
            grant = sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, SET FALSE, INHERIT FALSE")
            admin.execute(grant.format(sql.Identifier(role), sql.Identifier(owner)))
    try:
        with a_database(postgres_server.url, owner) as url:
            his = make_conninfo(url, user=owner, password="test")
            assert migrate(his) != []
            for role in ROLES:
                with psycopg.connect(his, options=f"-c role={role}") as connection:
                    assert connection.execute("SELECT current_user").fetchone() == (role,)
    finally:
        with psycopg.connect(postgres_server.url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(owner)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(owner)))
