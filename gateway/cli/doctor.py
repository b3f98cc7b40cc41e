"""fairclaim doctor: are the servers fit for it, and what to do where they are not."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from gateway.cli.flags import JsonFlag, setting_flag, settings_from
from gateway.cli.output import FAILURE, OK, emit
from gateway.cli.tables import folded

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.stack.findings import Finding

MARKS = {"ok": " ok ", "warn": "WARN", "fail": "FAIL"}


def doctor(
    redis_url: Annotated[str | None, setting_flag("redis_url")] = None,
    postgres_url: Annotated[str | None, setting_flag("postgres_url")] = None,
    data_dir: Annotated[Path | None, setting_flag("data_dir")] = None,
    as_json: JsonFlag = False,
) -> int:
    """
    Check Redis, PostgreSQL, the disk and the open files, and say what to do.

    Checked: versions, scripting, eviction, persistence, memory limit, clocks, schema, privileges, room on the disk,
    how many files a gateway worker may open here.
    Without URLs: the servers of the `fairclaim up` that runs on the data directory. Changes nothing.

    \b
    Example:
      fairclaim doctor --redis-url redis://cache --postgres-url postgresql://db/fc

    Exit codes: 0 nothing fails, 1 something does, 2 usage, 6 no servers given and none running.
    """
    from gateway.cli.client import server_urls
    from gateway.stack.findings import check_disk, check_open_files
    from gateway.stack.preflight import open_files_needed

    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, data_dir=data_dir and str(data_dir))
    redis, postgres = server_urls(settings, "redis_url", "postgres_url")
    findings = asyncio.run(examine(msgspec.structs.replace(settings, redis_url=redis, postgres_url=postgres)))
    findings += [*_schema(postgres), check_disk(Path(settings.data_dir).absolute())]
    findings.append(check_open_files(open_files_needed(settings)))
    emit({"findings": findings, "ok": _fine(findings)}, as_json, lambda: _table(findings))
    return OK if _fine(findings) else FAILURE


async def examine(settings: "Settings") -> "list[Finding]":
    """Both servers, but for the schema: `up` asks this before it migrates."""
    from gateway.stack.check_postgres import check_postgres
    from gateway.stack.check_redis import check_redis
    from reconciler.migrations import ROLES

    redis = check_redis(
        settings.redis_url, call_ms_max=settings.redis_call_ms_max, connect_ms_max=settings.redis_connect_ms_max
    )
    return [
        *await redis,
        *check_postgres(settings.postgres_url, ROLES, connect_ms_max=settings.postgres_ms_max),
    ]


def _schema(url: str) -> "list[Finding]":
    from gateway.stack.findings import Finding
    from reconciler.migrations import MigrationError, pending, schema_version

    try:
        missing, version = pending(url), schema_version(url)
    except MigrationError as error:
        return [Finding("postgres.schema", "fail", str(error), "see above, or docs/schema.md")]
    if missing:
        advice = "run `fairclaim migrate`"
        return [Finding("postgres.schema", "fail", f"version {version}, {len(missing)} to apply", advice)]
    return [Finding("postgres.schema", "ok", f"version {version}, up to date")]


def _fine(findings: "list[Finding]") -> bool:
    return all(finding.level != "fail" for finding in findings)


def _table(findings: "list[Finding]") -> str:
    lines = []
    for finding in findings:
        lines += folded(finding.found, f"{MARKS[finding.level]}  {finding.name:<20} ")
        if finding.advice:
            lines += folded(finding.advice, "      → ")
    return "\n".join(lines)
