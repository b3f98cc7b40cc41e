"""For marketers: codes in bulk, shared ones, imports, and all of them for printing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.api.operation import PAGE, Media, Operation, Parameter, Time
from gateway.errors import Refusal
from gateway.issuing.asked import CodesBody
from gateway.issuing.batch import Batch, BatchState, Kind
from gateway.issuing.batches import CodeBatches
from gateway.issuing.printing import Printing
from gateway.issuing.store import audit
from gateway.issuing.upload import uploaded
from gateway.keys import ROLES
from gateway.routes.access import staff
from gateway.routes.campaigns import campaign_of
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.services import services
from gateway.sql import postgres
from gateway.wire import body, idempotency_key, json_response, rfc3339, time_ms

PRINTERS = ("marketer",)


class CodeBatch(msgspec.Struct, kw_only=True):
    """
    A code batch and how far it is. *done* codes of *count* are issued, lately *rate* a second, so *eta_s* are left.

    *reason* is the problem it waits for, or was stopped by; *refused* are the lines of an import that gave no code.
    """

    id: str
    campaign: str
    kind: Kind
    code: str | None
    count: int
    uses: int
    state: BatchState
    reason: str | None
    done: int
    refused: int
    rate: float
    eta_s: int | None
    expires_at: Time
    requested_by: str
    cancelled_by: str | None
    requested_at: Time
    started_at: Time | None
    finished_at: Time | None


class CodeBatchList(Page[CodeBatch]):
    """A campaign's code batches, newest first."""


class RefusedLine(msgspec.Struct):
    """A line of a CSV that gives no code, and why: malformed, ours, duplicate, exists, header."""

    line: int
    code: str
    problem: str


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import came to. *batch* is null for a dry run; *problems* are the first refused lines."""

    batch: CodeBatch | None
    dry_run: bool
    ok: int
    refused: int
    problems: list[RefusedLine]


class _Place(NamedTuple):
    """The last batch shown."""

    requested_us: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999_999)]
    batch: Annotated[str, msgspec.Meta(pattern="^cb_[0-9a-f]{16}$")]


def _batches(request: Request) -> CodeBatches:
    here = services(request)
    return CodeBatches(here.pool, here.door)


def batch_of(request: Request) -> str:
    """The batch in the path. Errors: Refusal("code_batch_not_found") for what can't be an id too."""
    text: str = request.path_params["batch"]
    if not (text.startswith("cb_") and len(text) == len("cb_") + 16 and text.isascii() and text.isprintable()):
        raise Refusal("code_batch_not_found")
    return text


def flag(request: Request, name: str) -> bool:
    """A query parameter that is true or false. Errors: Refusal("bad_request")."""
    text = query_value(request, name)
    if text not in (None, "true", "false"):
        raise Refusal("bad_request", f"{name}: true or false.", field=name)
    return text == "true"


async def ask(request: Request) -> Response:
    """
    Have codes made, once an Idempotency-Key.

    They are made in the background: 202 says that it is written down, and the batch tells how far it is.
    """
    who = await staff(request, "marketer")
    key, here = idempotency_key(request), services(request)
    asked: CodesBody = await body(request, CodesBody, here.settings.body_bytes_max)  # type: ignore[arg-type]
    batch, replayed = await _batches(request).ask(campaign_of(request), key, asked, who.actor)
    here.background.wake()
    return json_response(view(batch), 202, _headers(batch, replayed))


async def bring(request: Request) -> Response:
    """
    Import codes from a CSV, once an Idempotency-Key; each line that gives no code is reported.

    The CSV is the body, or the one file of a form. A dry run reports, and changes nothing: 200.
    """
    who = await staff(request, "marketer")
    key, here = idempotency_key(request), services(request)
    dry_run, expires_at = flag(request, "dry_run"), query_value(request, "expires_at")
    data = await uploaded(request, here.settings.import_bytes_max)
    came = await _batches(request).bring(campaign_of(request), key, data, expires_at, who.actor, dry_run=dry_run)
    report = ImportReport(
        batch=None if came.batch is None else view(came.batch),
        dry_run=dry_run,
        ok=came.ok,
        refused=came.refused,
        problems=[RefusedLine(*line) for line in came.bad],
    )
    if came.batch is None:
        return json_response(report)
    here.background.wake()
    return json_response(report, 202, _headers(came.batch, came.replayed))


async def list_batches(request: Request) -> Response:
    """A campaign's code batches, newest first, a page at a time."""
    await staff(request, *ROLES)
    campaign = campaign_of(request)
    limit, of_list = page_limit(request, services(request).settings.page_rows_max), f"codes {campaign}"
    place = read_cursor(request, _Place, of_list)
    after = None
    if place is not None:
        after = (datetime.fromtimestamp(place.requested_us // 1_000_000, UTC), place.batch)
        after = (after[0].replace(microsecond=place.requested_us % 1_000_000), place.batch)
    found = await _batches(request).page(campaign, after, limit + 1)
    page, following = found[:limit], None
    if len(found) > limit:
        at = page[-1].requested_at
        following = make_cursor(_Place(int(at.timestamp()) * 1_000_000 + at.microsecond, page[-1].id), of_list)
    return json_response({"items": [view(batch) for batch in page], "next": following})


async def see_batch(request: Request) -> Response:
    """A code batch as it is now."""
    await staff(request, *ROLES)
    return json_response(view(await _batches(request).see(campaign_of(request), batch_of(request))))


async def cancel_batch(request: Request) -> Response:
    """Make no more codes of a batch; what is issued stays."""
    who = await staff(request, "marketer")
    cancelled = await _batches(request).cancel(campaign_of(request), batch_of(request), who.actor)
    services(request).background.wake()
    return json_response(view(cancelled), 202)


async def codes_csv(request: Request) -> Response:
    """
    Every code of a batch as CSV, from the books.

    503 says when the books have not got all of them yet; with partial=true what is there is given.
    """
    who = await staff(request, *PRINTERS)
    here = services(request)
    batch, printing = await _batches(request).see(campaign_of(request), batch_of(request)), Printing(here.pool)
    count = await printing.in_books(batch, partial=flag(request, "partial"))
    async with postgres(here.pool) as connection:
        await audit(connection, who.actor, "codes.exported", f"campaign:{batch.campaign}", {"batch": batch.id})
    return _csv(printing.codes_csv(batch), f"{batch.campaign}-{batch.id}.csv", f"{count}/{batch.count}")


async def lines_csv(request: Request) -> Response:
    """Every line of an import with what became of it, as CSV."""
    await staff(request, *PRINTERS)
    here = services(request)
    batch = await _batches(request).see(campaign_of(request), batch_of(request))
    return _csv(Printing(here.pool).lines_csv(batch), f"{batch.campaign}-{batch.id}-lines.csv")


def _csv(chunks: AsyncIterator[str], name: str, of_all: str = "") -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "private, no-store"}
    if of_all:
        headers["fairclaim-codes"] = of_all
    return StreamingResponse(chunks, headers=headers, media_type="text/csv")


def view(batch: Batch) -> CodeBatch:
    """The batch as it goes out."""
    going = batch.is_open and batch.rate > 0
    return CodeBatch(
        id=batch.id,
        campaign=batch.campaign,
        kind=batch.kind,
        code=batch.code,
        count=batch.count,
        uses=batch.units,
        state=batch.state,
        reason=batch.reason,
        done=batch.done,
        refused=batch.refused,
        rate=round(batch.rate, 1) if going else 0.0,
        eta_s=round((batch.count - batch.done) / batch.rate) if going else None,
        expires_at=_time(batch.expires_at),
        requested_by=batch.actor,
        cancelled_by=batch.cancelled_by,
        requested_at=_time(batch.requested_at),
        started_at=None if batch.started_at is None else _time(batch.started_at),
        finished_at=None if batch.finished_at is None else _time(batch.finished_at),
    )


def _time(at: datetime) -> str:
    return rfc3339(time_ms(at))


def _headers(batch: Batch, replayed: bool) -> dict[str, str]:
    headers = {"location": f"/v1/campaigns/{batch.campaign}/code-batches/{batch.id}"}
    return headers | ({"idempotency-replayed": "true"} if replayed else {})


_AT = "/v1/campaigns/{campaign}"
_ONE = f"{_AT}/code-batches/{{batch}}"
_TRUE = Literal["true", "false"]
_FOUND = ("campaign_not_found", "code_batch_not_found")
_TELLS = {"Location": "The path of the code batch."}
_CSV = {200: Media("text/csv")}

routes = [
    Operation(
        "POST",
        f"{_AT}/code-batches",
        ask,
        name="make_codes",
        under="Codes",
        who=PRINTERS,
        takes=CodesBody,
        gives={202: CodeBatch},
        refuses=("campaign_not_found", "invalid_state", "stock_floor", "code_taken", "idempotency_key_reused"),
        once=True,
        tells=_TELLS,
    ),
    Operation(
        "GET", f"{_AT}/code-batches", list_batches, under="Codes", who=ROLES, query=PAGE, gives={200: CodeBatchList},
        refuses=("campaign_not_found",),
    ),
    Operation("GET", _ONE, see_batch, under="Codes", who=ROLES, gives={200: CodeBatch}, refuses=_FOUND),
    Operation(
        "POST", f"{_ONE}/cancel", cancel_batch, under="Codes", who=PRINTERS, gives={202: CodeBatch}, refuses=_FOUND
    ),
    Operation(
        "GET",
        f"{_ONE}/codes.csv",
        codes_csv,
        under="Codes",
        who=PRINTERS,
        query=(Parameter("partial", _TRUE, "Whether to give what the books have, where that is not all."),),
        gives=_CSV,
        refuses=_FOUND,
        tells={"Fairclaim-Codes": "How many codes this gives at least, of how many that were asked for."},
    ),
    Operation("GET", f"{_ONE}/lines.csv", lines_csv, under="Codes", who=PRINTERS, gives=_CSV, refuses=_FOUND),
    Operation(
        "POST",
        f"{_AT}/code-imports",
        bring,
        name="import_codes",
        under="Codes",
        who=PRINTERS,
        query=(
            Parameter("dry_run", _TRUE, "Whether to report only."),
            Parameter("expires_at", str, "When the codes expire; by default like a coupon claimed now."),
        ),
        takes=(Media("text/csv"), Media("multipart/form-data", {"type": "object"})),
        gives={200: ImportReport, 202: ImportReport},
        refuses=("campaign_not_found", "invalid_state", "stock_floor", "idempotency_key_reused"),
        once=True,
        tells=_TELLS,
    ),
]  # fmt: skip
