"""Whether a PostgreSQL can keep the books."""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from gateway.stack.findings import Finding, now_ms, skew

VERSION_MIN = 15


def check_postgres(url: str, roles: Sequence[str], *, connect_ms_max: int) -> list[Finding]:
    """Ask the server at *url*, which has to let us become each of *roles*; changes nothing there."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=max(2, connect_ms_max // 1000)) as connection:
            findings = [_version(connection), _durability(connection), _privileges(connection, roles)]
            return [*findings, _clock(connection)]
    except psycopg.Error as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return [
            Finding("postgres", "fail", f"does not answer: {said}", "does it run? is FAIRCLAIM_POSTGRES_URL right?")
        ]


def _version(connection: psycopg.Connection) -> Finding:
    major, minor = divmod(connection.info.server_version, 10_000)
    fits = major >= VERSION_MIN
    advice = "" if fits else f"install PostgreSQL {VERSION_MIN} or later"
    return Finding("postgres.version", "ok" if fits else "fail", f"PostgreSQL {major}.{minor}", advice)


def _setting(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def _durability(connection: psycopg.Connection) -> Finding:
    name = "postgres.durability"
    if _setting(connection, "transaction_read_only") == "on":
        return Finding(name, "fail", "read-only, perhaps a standby", "give the URL of the primary")
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        if _setting(connection, setting) == "off":
            return Finding(name, "warn", f"{setting} is off", f"set {setting} = on: a commit has to survive a crash")
    return Finding(name, "ok", "commits survive a crash")


def _privileges(connection: psycopg.Connection, roles: Sequence[str]) -> Finding:
    name = "postgres.privileges"
    row = connection.execute(
        "SELECT rolsuper OR rolcreaterole, current_user::text FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert row is not None
    may_create, user = row
    missing = [role for role in roles if not _exists(connection, role)]
    if missing and not may_create:
        return Finding(
            name, "fail", f"{', '.join(missing)} missing and {user} can't make roles", f"ALTER ROLE {user} CREATEROLE"
        )
    for role in roles:
        if role not in missing and not _can_become(connection, role):
            return Finding(name, "fail", f"{user} can't become {role}", f"GRANT {role} TO {user}")
    later = f"; `fairclaim migrate` makes {', '.join(missing)}" if missing else ""
    return Finding(name, "ok", f"{user} can take every role{later}")


def _exists(connection: psycopg.Connection, role: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None


def _can_become(connection: psycopg.Connection, role: str) -> bool:
    try:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        connection.execute("RESET ROLE")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _clock(connection: psycopg.Connection) -> Finding:
    asked = now_ms()
    row = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").fetchone()
    assert row is not None
    return skew("postgres.clock", int(row[0]), asked, now_ms())
