"""Files of orders or payments of another system: upload one, run it against the redemptions, see what differs."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import IO, Annotated, Any, Literal, NamedTuple

import msgspec
from psycopg import AsyncConnection
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from gateway.api.operation import PAGE, Media, Operation, Parameter
from gateway.errors import Refusal
from gateway.finance.outside_query import FILE_PARAMETERS, asked_file
from gateway.finance.outside_views import DifferenceList, FileList, FileView, RunList, RunView, file_view, run_view
from gateway.finance.snapshot import turn
from gateway.routes.access import staff
from gateway.routes.codes import flag
from gateway.routes.paging import make_cursor, page_limit, read_cursor
from gateway.services import services
from gateway.sql import postgres
from gateway.wire import json_response
from reconciler.outside import files, matching
from reconciler.outside.differences import csv_of
from reconciler.outside.reading import FaultyFile

READERS, WRITERS = ("finance", "auditor"), ("finance",)
FILE_ID = "of_[0-9a-f]{16}"
PATIENCE_S = 30
PIECE_BYTES = 16_384
"""Read in one go of a loop that decides claims besides: about 3 ms."""
IN_MEMORY_BYTES = 262_144


class _FilePlace(NamedTuple):
    """The last file shown."""

    uploaded_us: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999_999)]
    file: Annotated[str, msgspec.Meta(pattern=f"^{FILE_ID}$")]


class _RunPlace(NamedTuple):
    """The last run shown."""

    run: Annotated[int, msgspec.Meta(ge=1)]


class _OrderPlace(NamedTuple):
    """The last order shown."""

    order: Annotated[str, msgspec.Meta(max_length=255)]


async def upload(request: Request) -> Response:
    """
    Keep a CSV of orders: 201, or 200 where the same bytes were asked to be compared with the same before.

    The first line names the columns: order_id, and minor (whole minor units) or amount (12.50). A file with a line that
    is wrong is refused whole, and `errors` names the lines, 100 at most.
    """
    who, asked, here = await staff(request, *WRITERS), asked_file(request), services(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise Refusal("unsupported_media_type", "Content-Type has to be text/csv.")
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as spool:  # a slow caller keeps no connection to the books
        await _spool(request, spool, here.settings.import_bytes_max)
        async with turn(here.pool), postgres(here.pool) as connection:
            try:
                added = files.add_file(connection, asked, _pieces(spool), who.actor, patience_s=PATIENCE_S)
                file, known = await added
            except LookupError:
                raise Refusal("bad_request", "entity: a legal entity that there is.", field="entity") from None
            except FaultyFile as faulty:
                errors = [{"field": f"line {fault.line}", "rule": fault.rule} for fault in faulty.faults]
                detail = f"{len(errors)} lines are wrong, the first one is line {faulty.faults[0].line}."
                raise Refusal("bad_request", detail, field="file", errors=errors) from None
            except files.NotThere as error:
                raise Refusal("bad_request", str(error), field="corrects") from None
    return json_response(file_view(file), 200 if known else 201, {"location": f"/v1/outside-files/{file.id}"})


async def _spool(request: Request, spool: IO[bytes], bytes_max: int) -> None:
    try:
        async for chunk in request.stream():
            spool.write(chunk)
            if spool.tell() > bytes_max:
                raise Refusal("too_large", f"The body may have at most {bytes_max} bytes.")
    except ClientDisconnect:
        raise Refusal("bad_request", "The body was cut off.") from None
    spool.seek(0)


async def _pieces(spool: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := spool.read(PIECE_BYTES):
        yield piece
        await asyncio.sleep(0)  # claims first


async def list_files(request: Request) -> Response:
    """Files of orders, newest first, each with what its last run came to."""
    await staff(request, *READERS)
    here = services(request)
    limit, place = page_limit(request, here.settings.page_rows_max), read_cursor(request, _FilePlace, "outside")
    before = None if place is None else (_instant(place.uploaded_us), place.file)
    async with postgres(here.pool) as connection:
        found = await files.list_files(connection, before, limit + 1)
    page, following = found[:limit], None
    if len(found) > limit:
        last = page[-1][0]
        at_us = int(last.uploaded_at.timestamp()) * 1_000_000 + last.uploaded_at.microsecond
        following = make_cursor(_FilePlace(at_us, last.id), "outside")
    return json_response({"items": [file_view(file, summary) for file, summary in page], "next": following})


def _instant(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


async def see_file(request: Request) -> Response:
    """A file of orders, with what its last run came to."""
    await staff(request, *READERS)
    async with postgres(services(request).pool) as connection:
        file = await _file(request, connection)
        runs = await matching.list_runs(connection, file.id, None, 1)
    return json_response(file_view(file, runs[0].summary if runs else None))


async def run(request: Request) -> Response:
    """
    Match a file with the redemptions as they are now, order by order.

    With dry_run=true nothing is kept. Else the run is, with every difference; where there is one, a break is opened.
    A file that is corrected by another is not run any more.
    """
    who, here = await staff(request, *WRITERS), services(request)
    dry_run = flag(request, "dry_run")
    async with turn(here.pool), postgres(here.pool) as connection:
        file = await _file(request, connection)
        try:
            done = await matching.run_file(connection, file.id, who.actor, dry_run=dry_run, patience_s=PATIENCE_S)
        except matching.CorrectedFile as corrected:
            raise Refusal("invalid_state", str(corrected)) from None
    return json_response(run_view(done), 200 if dry_run else 201)


async def list_runs(request: Request) -> Response:
    """The runs of a file, newest first."""
    await staff(request, *READERS)
    here = services(request)
    limit, place = page_limit(request, here.settings.page_rows_max), read_cursor(request, _RunPlace, "outside runs")
    async with postgres(here.pool) as connection:
        file = await _file(request, connection)
        found = await matching.list_runs(connection, file.id, place.run if place else None, limit + 1)
    page = found[:limit]
    following = make_cursor(_RunPlace(page[-1].id or 1), "outside runs") if len(found) > limit else None
    return json_response({"items": [run_view(each) for each in page], "next": following})


async def see_run(request: Request) -> Response:
    """A run of a file, with its first differences."""
    await staff(request, *READERS)
    async with postgres(services(request).pool) as connection:
        return json_response(run_view(await _see_run(request, connection)))


async def list_differences(request: Request) -> Response:
    """What of a run does not match, a page at a time; with format=csv all of it as CSV."""
    await staff(request, *READERS)
    here = services(request)
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"outside {request.path_params['run']}"
    place = read_cursor(request, _OrderPlace, of_list)
    async with postgres(here.pool) as connection:
        number = (await _see_run(request, connection)).id or 0
        if request.query_params.get("format") == "csv":
            headers = {"content-disposition": f'attachment; filename="differences-{number}.csv"'}
            return StreamingResponse(_csv(request, number), headers=headers, media_type="text/csv")
        after = place.order if place else ""
        found = await matching.page_differences(connection, number, after, limit + 1)
    page = found[:limit]
    following = make_cursor(_OrderPlace(page[-1].order_id), of_list) if len(found) > limit else None
    return json_response({"items": page, "next": following})


async def _csv(request: Request, number: int) -> AsyncIterator[str]:
    yield csv_of(None)
    after = ""
    while True:  # a connection a piece: whoever reads slowly keeps none
        async with postgres(services(request).pool) as connection:
            some = await matching.page_differences(connection, number, after, matching.ROWS_PER_LOOK)
        if not some:
            return
        yield csv_of(some)
        after = some[-1].order_id


async def _file(request: Request, connection: AsyncConnection[Any]) -> files.OutsideFile:
    try:
        name: str = request.path_params["file"]
        if not re.fullmatch(FILE_ID, name):
            raise LookupError(name)
        return await files.see_file(connection, name)
    except LookupError:
        raise Refusal("outside_file_not_found") from None


async def _see_run(request: Request, connection: AsyncConnection[Any]) -> matching.Run:
    text = request.path_params["run"]
    file = await _file(request, connection)
    try:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise LookupError(text)
        return await matching.see_run(connection, file.id, int(text))
    except LookupError:
        raise Refusal("not_found") from None


_AT = "/v1/outside-files"
_ONE, _RUN = f"{_AT}/{{file}}", f"{_AT}/{{file}}/runs/{{run}}"
_FOUND = ("outside_file_not_found",)
_DRY = Parameter("dry_run", Literal["true", "false"], "Whether to tell only, and keep nothing.")
_FORM = Parameter("format", Literal["json", "csv"], "csv gives all of them at once.")

routes = [
    Operation(
        "POST", _AT, upload, name="upload_outside_file", under="Finance", who=WRITERS, query=FILE_PARAMETERS,
        takes=Media("text/csv"), gives={200: FileView, 201: FileView}, tells={"Location": "The path of the file."},
    ),
    Operation(
        "GET", _AT, list_files, name="list_outside_files", under="Finance", who=READERS, query=PAGE,
        gives={200: FileList},
    ),
    Operation(
        "GET", _ONE, see_file, name="see_outside_file", under="Finance", who=READERS, gives={200: FileView},
        refuses=_FOUND,
    ),
    Operation(
        "POST", f"{_ONE}/runs", run, name="run_outside_file", under="Finance", who=WRITERS, query=(_DRY,),
        gives={200: RunView, 201: RunView}, refuses=(*_FOUND, "invalid_state"),
    ),
    Operation(
        "GET", f"{_ONE}/runs", list_runs, name="list_outside_runs", under="Finance", who=READERS, query=PAGE,
        gives={200: RunList}, refuses=_FOUND,
    ),
    Operation(
        "GET", _RUN, see_run, name="see_outside_run", under="Finance", who=READERS, gives={200: RunView},
        refuses=(*_FOUND, "not_found"),
    ),
    Operation(
        "GET", f"{_RUN}/differences", list_differences, name="list_outside_differences", under="Finance", who=READERS,
        query=(*PAGE, _FORM), gives={200: (DifferenceList, Media("text/csv"))}, refuses=(*_FOUND, "not_found"),
    ),
]  # fmt: skip
