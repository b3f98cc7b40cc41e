"""For finance: reports as files, made in the background by the clerk."""

import asyncio
import re
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from gateway.api.operation import PAGE, Media, Operation, Time
from gateway.errors import Refusal
from gateway.finance import asking
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, read_cursor
from gateway.services import services
from gateway.sql import postgres
from gateway.wire import body, idempotency_key, json_response, rfc3339, time_ms
from reconciler import ordering
from reconciler.exports import store
from reconciler.exports.manifest import manifest_bytes
from reconciler.exports.store import Export, State
from reconciler.reports.asking import BadAsk, checked
from reconciler.reports.catalog import REPORTS
from reconciler.reports.known import check_known_async
from reconciler.reports.shape import Asked
from reconciler.reports.writing import FORMATS, Format, check_format

READERS = ("finance", "auditor")
WRITERS = ("finance",)
_LIST = "exports"
_PRIVATE = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}


class ExportBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which *report*, as what, and what is *asked* of it."""

    report: str
    format: Format
    asked: Asked = Asked()


class ExportView(msgspec.Struct, frozen=True, kw_only=True):
    """
    An export and how far it is: *percent* of reading the books and writing the file, null where nobody knows yet.

    *rows* are those read so far, *rows_about* how many are expected. *failed* says why there will be no file,
    and before that why its last try ended.
    """

    id: str
    report: str
    format: Format
    asked: Asked
    state: State
    percent: int | None
    rows: int
    rows_about: int | None
    file: str | None
    bytes: int | None
    sha256: str | None
    failed: str | None
    requested_by: str
    requested_at: Time
    finished_at: Time | None


class _Place(NamedTuple):
    """The last export of the page before."""

    asked_at: datetime
    export: str


async def ask_for_export(request: Request) -> Response:
    """
    Ask for a report as a file, once an Idempotency-Key.

    It is made in the background, of the books as they are when it is begun.
    """
    who = await staff(request, *WRITERS)
    key, here = idempotency_key(request), services(request)
    wanted = await body(request, ExportBody, here.settings.body_bytes_max)
    report = REPORTS.get(wanted.report)
    if report is None:
        raise Refusal("bad_request", f"report: one of {', '.join(REPORTS)}.", field="report")
    try:
        check_format(report, wanted.format)
        asked = checked(report, wanted.asked)
    except BadAsk as error:
        field = error.field if error.field == "format" else f"asked.{error.field}"
        raise Refusal("bad_request", f"{field}: {error.rule}.", field=field) from None
    try:
        async with postgres(here.pool) as connection:
            with asking.asked("asked."):
                await check_known_async(connection, asked)
            export, replayed = await store.ask(
                connection,
                key=key,
                report=report.name,
                format=wanted.format,
                asked=asked,
                asked_by=who.actor,
                open_max=here.settings.exports_open_max,
            )
    except store.KeyReused:
        raise Refusal("idempotency_key_reused") from None
    except store.TooMany:
        raise Refusal("rate_limited", f"{here.settings.exports_open_max} exports are not done yet.") from None
    headers = {"location": f"/v1/exports/{export.id}"}
    return json_response(view(export), 202, headers | ({"idempotency-replayed": "true"} if replayed else {}))


async def list_exports(request: Request) -> Response:
    """Exports, newest first."""
    await staff(request, *READERS)
    here = services(request)
    limit, place = page_limit(request, here.settings.page_rows_max), read_cursor(request, _Place, _LIST)
    async with postgres(here.pool) as connection:
        found = await store.listed(connection, limit + 1, after=place and ordering.Place(*place))
    page = found[:limit]
    more = len(found) > limit
    cursor = make_cursor(_Place(page[-1].asked_at, page[-1].id), _LIST) if more else None
    return json_response(Page([view(each) for each in page], cursor))


async def see_export(request: Request) -> Response:
    """An export as it is now."""
    await staff(request, *READERS)
    async with postgres(services(request).pool) as connection:
        return json_response(view(await _found(request, connection)))


async def get_export_file(request: Request) -> Response:
    """The file of an export that is done. A Range of it may be asked for."""
    who, here = await staff(request, *READERS), services(request)
    async with postgres(here.pool) as connection:
        export = _done(await _found(request, connection))
        await store.fetched(connection, export, who.actor)
    assert export.manifest is not None, "what is done has a manifest"
    path = here.settings.exports_folder / export.id / export.spool.file
    if not await asyncio.to_thread(path.is_file):
        raise Refusal("not_ready", "The file is not where this gateway looks for it.")
    headers = {**_PRIVATE, "etag": f'"{export.manifest["sha256"]}"'}
    media_type = FORMATS[export.format].media_type
    return FileResponse(path, filename=export.manifest["file"], media_type=media_type, headers=headers)


async def get_export_manifest(request: Request) -> Response:
    """What the file is: its rows, sums a currency, SHA-256, and the chains of journals that it is of."""
    await staff(request, *READERS)
    async with postgres(services(request).pool) as connection:
        export = _done(await _found(request, connection))
    assert export.manifest is not None, "what is done has a manifest"
    return Response(manifest_bytes(export.manifest), headers=_PRIVATE, media_type="application/json")


async def end_export(request: Request) -> Response:
    """Give an export up, or the file of one that is done. One that is given up already stays as it is."""
    who, here = await staff(request, *WRITERS), services(request)
    async with postgres(here.pool) as connection:
        export = await store.end(connection, _id(request), who.actor)
    if export is None:
        raise Refusal("export_not_found")
    return json_response(view(export))


async def _found(request: Request, connection: AsyncConnection[Any]) -> Export:
    export = await store.see(connection, _id(request))
    if export is None:
        raise Refusal("export_not_found")
    return export


def _id(request: Request) -> str:
    """The id in the path. Errors: Refusal("export_not_found") for what can't be one."""
    name: str = request.path_params["export"]
    if not re.fullmatch(store.ID, name):
        raise Refusal("export_not_found")
    return name


def _done(export: Export) -> Export:
    if export.state != "done":
        raise Refusal("invalid_state", f"The export is {export.state}; only one that is done has a file.")
    return export


def view(export: Export) -> ExportView:
    """An export as whoever asked for it sees it."""
    manifest = export.manifest or {}
    return ExportView(
        id=export.id,
        report=export.report,
        format=export.format,
        asked=export.asked,
        state=export.state,
        percent=export.percent,
        rows=export.rows,
        rows_about=export.rows_about,
        file=manifest.get("file"),
        bytes=export.bytes,
        sha256=manifest.get("sha256"),
        failed=export.failed,
        requested_by=export.asked_by,
        requested_at=rfc3339(time_ms(export.asked_at)),
        finished_at=None if export.finished_at is None else rfc3339(time_ms(export.finished_at)),
    )


_UNDER = "Exports"
_FOUND = ("export_not_found",)
_EXAMPLE = {"report": "journal", "format": "xlsx", "asked": {"since": "2026-11-01", "until": "2026-11-30"}}

routes = [
    Operation(
        "POST",
        "/v1/exports",
        ask_for_export,
        under=_UNDER,
        who=WRITERS,
        takes=ExportBody,
        example=_EXAMPLE,
        gives={202: ExportView},
        refuses=("not_found", "idempotency_key_reused", "rate_limited"),
        once=True,
        tells={"Location": "The path of the export."},
    ),
    Operation("GET", "/v1/exports", list_exports, under=_UNDER, who=READERS, query=PAGE, gives={200: Page[ExportView]}),
    Operation(
        "GET", "/v1/exports/{export}", see_export, under=_UNDER, who=READERS, gives={200: ExportView}, refuses=_FOUND
    ),
    Operation(
        "GET",
        "/v1/exports/{export}/file",
        get_export_file,
        under=_UNDER,
        who=READERS,
        gives={200: tuple(Media(each.media_type.partition(";")[0]) for each in FORMATS.values())},
        refuses=(*_FOUND, "invalid_state"),
    ),
    Operation(
        "GET",
        "/v1/exports/{export}/manifest",
        get_export_manifest,
        under=_UNDER,
        who=READERS,
        gives={200: dict[str, Any]},
        refuses=(*_FOUND, "invalid_state"),
    ),
    Operation(
        "DELETE",
        "/v1/exports/{export}",
        end_export,
        under=_UNDER,
        who=WRITERS,
        gives={200: ExportView},
        refuses=_FOUND,
    ),
]
