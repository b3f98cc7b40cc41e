"""What the commands of `fairclaim export` share: the books, the folder, and how an export is shown."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.connections import with_books
from gateway.cli.known import known_names
from gateway.cli.output import CONFLICT, FAILURE, NOT_FOUND, UNAVAILABLE, USAGE, Fail, emit
from gateway.cli.tables import facts
from gateway.settings import Settings

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from reconciler.exports.store import Export
    from reconciler.reports.shape import Asked

CHUNK_BYTES = 1024 * 1024


def asked(name: str, format: str, told: dict[str, str]) -> "Asked":
    """What *told*, flag → text, asks of the report *name*. Errors: Fail."""
    from reconciler.reports.asking import BadAsk, asked_of
    from reconciler.reports.catalog import REPORTS
    from reconciler.reports.writing import check_format

    report = REPORTS.get(name)
    if report is None:
        raise Fail(NOT_FOUND, "report_not_found", f"there is no report {name!r}", f"there are {', '.join(REPORTS)}")
    try:
        check_format(report, format)
        return asked_of(report, told)
    except BadAsk as error:
        raise Fail(USAGE, "bad_report", f"--{error.field.replace('_', '-')}: {error.rule}") from None


def ask_for(settings: Settings, **values: Any) -> "Export":
    """The export that *values*, what store.ask() takes, ask for. Errors: Fail."""
    from reconciler.exports import store as exports
    from reconciler.reports.known import check_known_async

    async def ask(connection: "AsyncConnection[Any]") -> "tuple[Export, bool]":
        await check_known_async(connection, values["asked"])
        return await exports.ask(connection, **values, open_max=settings.exports_open_max)

    try:
        with known_names():
            export, _ = with_books(settings, ask)
    except exports.KeyReused:
        raise Fail(CONFLICT, "idempotency_key_reused", "this key came with another request") from None
    except exports.TooMany:
        raise Fail(CONFLICT, "too_many", f"{settings.exports_open_max} exports are not done yet") from None
    return export


def see(settings: Settings, export: str) -> "Export":
    """The export. Errors: Fail."""
    from reconciler.exports import store as exports

    return there(with_books(settings, lambda connection: exports.see(connection, export)), export)


def there(found: "Export | None", export: str) -> "Export":
    """*found*, if there is one. Errors: Fail(NOT_FOUND)."""
    if found is None:
        raise Fail(
            NOT_FOUND, "export_not_found", f"there is no export {export!r}", "`fairclaim export list` shows them"
        )
    return found


def view(export: "Export") -> dict[str, Any]:
    """An export as HTTP shows it."""
    import msgspec

    from gateway.finance.exports import view as seen_by_http

    seen: dict[str, Any] = msgspec.to_builtins(seen_by_http(export))
    return seen


def present(export: "Export", as_json: bool) -> None:
    """Print it."""
    seen = view(export)
    told = {**seen, "asked": ", ".join(f"{name} {value}" for name, value in seen["asked"].items()) or None}
    emit(seen, as_json, lambda: facts([*told.items()]))


def copy(source: Path, path: Path, sha256: str) -> None:
    """Copy a file whose SHA-256 is known, whole or not at all. Errors: Fail."""
    from hashlib import sha256 as digest_of

    digest, part = digest_of(), path.with_name(f"{path.name}.part")
    try:
        file = source.open("rb")
    except OSError:
        raise Fail(UNAVAILABLE, "not_here", f"{source} is not here", "run this where the clerk runs") from None
    try:
        with file, part.open("wb") as out:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != sha256:
            raise Fail(FAILURE, "damaged", f"{source} is not what its manifest says")
        part.replace(path)
    except OSError as error:
        raise Fail(FAILURE, "not_written", f"{path} can't be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
