"""
Bring a database up to the schema of this software, one numbered file at a time.

sql/migrations/<NNNN>_<name>.sql are applied in order, each in its own transaction together with its
row in schema_migrations. A file that was applied never changes: its checksum is compared each time.
Roles belong to the server and not to a database, so they are made here, before the first file.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import psycopg
from psycopg import sql

ROLES = ("fairclaim_gateway", "fairclaim_reconciler", "fairclaim_clerk", "fairclaim_reader", "fairclaim_analyst")
"""Roles without login; each process takes its own with SET ROLE after it connects."""

POSTGRES_VERSION_MIN = 15
LOCK_KEY = 0x6661697263  # "fairc": one migrator a database at a time
LOCK_WAIT_S_MAX = 60
CONNECT_S_MAX = 30
ROLE_TRIES_MAX = 20  # two databases of one server may be migrated at the same instant

_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")


class MigrationError(Exception):
    """The database can't be brought up to date; the text says what is wrong and what to do."""


@dataclass(frozen=True)
class Migration:
    """One file: *version* is the number its name begins with."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, hex."""
        return sha256(self.text.encode()).hexdigest()


def load_migrations() -> list[Migration]:
    """Every migration of this software, in order. Errors: MigrationError when the numbers are not 1, 2, 3, …"""
    found = []
    for path in (files("reconciler") / "sql" / "migrations").iterdir():
        match = _NAME.match(path.name)
        if match:
            found.append(Migration(int(match[1]), path.name, path.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    numbers = [migration.version for migration in found]
    if numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migration files are numbered {numbers}; expected 1 to {len(found)} without a gap")
    return found


def migrate(url: str) -> list[str]:
    """
    Make the roles, apply what is missing, and return the names of the files applied; idempotent.

    Errors: MigrationError (a server that is too old or can't be reached, a changed or missing file, a database newer
    than this software, a right that is missing).
    """
    migrations = load_migrations()
    try:
        with _connect(url) as connection:
            connection.execute(f"SET lock_timeout = '{LOCK_WAIT_S_MAX}s'".encode())
            connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
            _make_roles(connection)
            applied = _applied(connection)
            _check(migrations, applied)
            missing = migrations[len(applied) :]
            for migration in missing:
                _apply(connection, migration)
            return [migration.name for migration in missing]
    except psycopg.Error as error:
        raise MigrationError(_one_line(error)) from error


def pending(url: str) -> list[str]:
    """Names of the files that migrate() would apply; changes nothing. Errors: as migrate()."""
    migrations = load_migrations()
    try:
        with _connect(url) as connection:
            applied = _applied(connection)
    except psycopg.Error as error:
        raise MigrationError(_one_line(error)) from error
    _check(migrations, applied)
    return [migration.name for migration in migrations[len(applied) :]]


def schema_version(url: str) -> int:
    """The number of the last file applied, 0 for an empty database. Errors: MigrationError when it can't be read."""
    try:
        with _connect(url) as connection:
            return max((row[0] for row in _applied(connection)), default=0)
    except psycopg.Error as error:
        raise MigrationError(_one_line(error)) from error


def _connect(url: str) -> psycopg.Connection:
    connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_S_MAX)
    major = connection.info.server_version // 10_000
    if major < POSTGRES_VERSION_MIN:
        connection.close()
        raise MigrationError(f"PostgreSQL {major} is too old; Fairclaim needs {POSTGRES_VERSION_MIN} or later")
    return connection


def _make_roles(connection: psycopg.Connection) -> None:
    """Make the roles that are missing and let the current user take them."""
    can_set = "SET" if connection.info.server_version >= 16_00_00 else "MEMBER"
    with_set = sql.SQL(" WITH SET TRUE" if can_set == "SET" else "")
    for role in ROLES:
        make = sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role))
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
        if known is None:
            _unless_done(connection, make)
        row = connection.execute("SELECT pg_has_role(current_user, %s, %s)", (role, can_set)).fetchone()
        if row is not None and not row[0]:
            _unless_done(connection, sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)) + with_set)


def _unless_done(connection: psycopg.Connection, statement: sql.Composed) -> None:
    """Run a statement on roles, which another database's migrator may be running at this very moment."""
    for attempt in range(ROLE_TRIES_MAX):
        try:
            connection.execute(statement)
            return
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            return
        except psycopg.errors.InternalError_ as error:
            # "tuple concurrently updated": the catalog row of the role was changed under us.
            if attempt + 1 == ROLE_TRIES_MAX or "concurrently" not in str(error):
                raise


def _applied(connection: psycopg.Connection) -> list[tuple[int, str, str]]:
    """Rows of schema_migrations in order: version, name, sha256; none when there is no such table yet."""
    if connection.execute("SELECT to_regclass('schema_migrations')").fetchone() == (None,):
        return []
    return connection.execute("SELECT version, name, sha256 FROM schema_migrations ORDER BY version").fetchall()


def _check(migrations: list[Migration], applied: list[tuple[int, str, str]]) -> None:
    """Compare what was applied with the files. Errors: MigrationError."""
    known = {migration.version: migration for migration in migrations}
    for expected, (version, name, checksum) in enumerate(applied, start=1):
        if version not in known:
            raise MigrationError(
                f"the database is at migration {applied[-1][0]} ({applied[-1][1]}), newer than this software, which "
                f"knows {len(migrations)}; install the newer version"
            )
        if version != expected:
            raise MigrationError(f"schema_migrations lacks number {expected}; restore it from a backup")
        if checksum != known[version].sha256:
            raise MigrationError(
                f"{known[version].name} is not the file that was applied as {name}; put the original back and add a "
                "new migration instead"
            )


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "version integer CONSTRAINT schema_migrations_pkey PRIMARY KEY, name text NOT NULL, "
            "sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        connection.execute(migration.text.encode())
        connection.execute(
            "INSERT INTO schema_migrations (version, name, sha256) VALUES (%s, %s, %s)",
            (migration.version, migration.name, migration.sha256),
        )


def _one_line(error: psycopg.Error) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    hint = "; migrate as the owner of the database, with CREATEROLE" if error.sqlstate == "42501" else ""
    return f"PostgreSQL: {text}{hint}"
