"""
What becomes of a difference: it is written down when it is first seen, explained, and resolved.

Nothing resolves by itself: whoever resolves a break says why and by which change it was made good, and a fresh look
has to find it gone: a stocktake of that shard, a run of that file. Breaks of the drain are its own: they end when the
shard is as expected.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from lua.door import Door
from lua.keys import CouponCode, HolderId, Shard
from reconciler.audit import audit
from reconciler.ordering import Key, Number, Order, Orders, Place, Text
from reconciler.outside.files import current_file
from reconciler.outside.matching import CorrectedFile, remains, run_file
from reconciler.queries import rows_of
from reconciler.stocktake.comparing import COUPON, FIGURE, HOLDER
from reconciler.stocktake.keeping import Connection, record, run
from reconciler.stocktake.reading import QUERIES
from reconciler.stocktake.taking import Wanted, take

OUTSIDE = "outside"
OPEN, EXPLAINED, RESOLVED = "open", "explained", "resolved"
STATES = (OPEN, EXPLAINED, RESOLVED)
"""What a break may be, in order."""
WORDS_CHARS_MAX = 2000
HISTORY = ("epoch", "seq")
"""Figures that say whether the others can be compared; where one differs alone, none of the others was."""


class Break(NamedTuple):
    """
    A difference. *seq* and *detected_at* are of the first stocktake that saw it; *clean_seq* and *clean_at* of the last
    one before it that saw none, None where there is none, or where it is not a stocktake's.
    """

    id: int
    shard: str
    kind: str
    figure: str
    expected: dict[str, Any]
    found: dict[str, Any]
    likely: str
    seq: int | None
    detected_at: datetime
    state: str
    explained_by: str | None
    explained_at: datetime | None
    explanation: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    resolution: str | None
    compensation: str | None
    clean_seq: int | None
    clean_at: datetime | None


BREAK_ORDERS: Orders[Break] = Orders(
    Key("id", attrgetter("id"), Number),
    {
        "seen": Key("id", attrgetter("id"), Number),
        "state": Key(f"array_position(ARRAY{list(STATES)}, state)", lambda one: STATES.index(one.state) + 1, Number),
        "shard": Key("shard", attrgetter("shard"), Text),
    },
)
"""How breaks may be sorted; they are numbered in the order in which they were seen."""


class BreakRefused(Exception):
    """
    A break can't be explained or resolved. *code* says why:

    break_not_found · invalid_state (it is resolved, or the drain's) · break_remains (a fresh look finds it) ·
    not_ready (it could not be compared) · bad_request (no words, or too many)
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


async def list_breaks(
    connection: Connection,
    *,
    states: Sequence[str] | None = None,
    campaign: str | None = None,
    shard: str | None = None,
    order: Order | None = None,
    after: Place | None = None,
    rows_max: int = 1000,
) -> list[Break]:
    """Breaks in a BREAK_ORDERS, from behind the place *after*. Errors: psycopg.Error."""
    values = {"states": list(states) if states else None, "campaign": campaign, "shard": shard}
    return await _read(connection, order, after, id=None, rows_max=rows_max, **values)


async def see_break(connection: Connection, id_: int) -> Break:
    """One break. Errors: BreakRefused break_not_found; psycopg.Error."""
    values = {"states": None, "campaign": None, "shard": None}
    found = await _read(connection, None, None, id=id_, rows_max=1, **values)
    if not found:
        raise BreakRefused("break_not_found", f"There is no break {id_}.")
    return found[0]


async def _read(connection: Connection, order: Order | None, after: Place | None, **values: object) -> list[Break]:
    statement, place = BREAK_ORDERS.statement(QUERIES["list_breaks"], order, after)
    return [Break(**row) for row in await rows_of(connection, statement, {**values, **place})]


async def explain(connection: Connection, id_: int, actor: str, explanation: str) -> Break:
    """Say what a break comes from. It stays in the way of a close. Errors: BreakRefused; psycopg.Error."""
    words = _words("explanation", explanation)
    async with connection.transaction():
        await _lock(connection, id_)
        was = await see_break(connection, id_)
        await run(connection, "explain_break", id=id_, actor=actor, explanation=words)
        now = await see_break(connection, id_)
        await audit(connection, actor, "break.explained", f"break {id_}", _moved(was, now))
    return now


async def resolve(
    door: Door,
    connection: Connection,
    id_: int,
    actor: str,
    resolution: str,
    compensation: str,
    *,
    patience_s: int = 0,
) -> Break:
    """
    End a break: *resolution* says why, *compensation* names the change that made it good.

    Takes stock of its shard first, or runs its file again, and writes that down. Units: a statement of such a run may
    take *patience_s* seconds, 0 for any time. Errors: BreakRefused; psycopg.Error; DoorError and RedisError.
    """
    words, change = _words("resolution", resolution), _words("compensation", compensation)
    async with connection.transaction():
        shard, kind, figure = await _lock(connection, id_)
    if kind in (FIGURE, COUPON, HOLDER):
        await _look_again(door, connection, Shard.parse(shard), kind, figure, actor)
    elif kind == OUTSIDE:
        await _run_again(connection, figure, actor, patience_s)
    else:
        raise BreakRefused("invalid_state", f"A break {kind} ends by itself when {shard} is as the books expect.")
    async with connection.transaction():
        await _lock(connection, id_)
        was = await see_break(connection, id_)
        await run(connection, "resolve_break", id=id_, actor=actor, resolution=words, compensation=change)
        now = await see_break(connection, id_)
        await audit(connection, actor, "break.resolved", f"break {id_}", _moved(was, now))
    return now


def _moved(was: Break, now: Break) -> dict[str, dict[str, str | None]]:
    """What people said of a break, before and after."""
    before, after = (
        {name: getattr(each, name) for name in ("state", "explanation", "resolution", "compensation")}
        for each in (was, now)
    )
    return {"before": before, "after": after}


async def _look_again(door: Door, connection: Connection, shard: Shard, kind: str, figure: str, actor: str) -> None:
    codes = [CouponCode(figure)] if kind == COUPON else []
    holders = [HolderId(figure)] if kind == HOLDER else []
    [taken] = await take(door, connection, [shard], 0, {shard: Wanted(codes, holders)})
    if taken.unfinished:
        raise BreakRefused("not_ready", f"{shard} could not be compared: {taken.unfinished}.")
    if kind == FIGURE and figure not in taken.figures and any(found.name in HISTORY for found in taken.found):
        raise BreakRefused("not_ready", f"{shard} is of another history in Redis: no figure of it could be compared.")
    if kind != FIGURE and not taken.sampled["coupons" if kind == COUPON else "holders"]:
        raise BreakRefused("not_ready", f"{figure} changes at this moment; try again.")
    await record(connection, [taken], actor)
    if any((found.kind, found.name) == (kind, figure) for found in taken.found):
        raise BreakRefused("break_remains", f"At seq {taken.seq} of {shard}, {kind} {figure} differs still.")


async def _run_again(connection: Connection, file_id: str, actor: str, patience_s: int) -> None:
    """What counts in the place of a file has to match the books as they are now."""
    try:
        file = await current_file(connection, file_id)
        run_now = await run_file(connection, file.id, actor, dry_run=False, patience_s=patience_s)
    except CorrectedFile as corrected:
        raise BreakRefused("not_ready", f"{corrected.by} came in at this moment; try again.") from None
    if run_now.summary.differences:
        raise BreakRefused("break_remains", remains(run_now, file.measure))


async def _lock(connection: Connection, id_: int) -> tuple[str, str, str]:
    """Shard, kind and figure of a break that is not resolved, which nobody else changes until the transaction ends."""
    found = await run(connection, "lock_break", id=id_)
    if not found:
        raise BreakRefused("break_not_found", f"There is no break {id_}.")
    if found[0]["state"] == RESOLVED:
        raise BreakRefused("invalid_state", f"Break {id_} is resolved.")
    return found[0]["shard"], found[0]["kind"], found[0]["figure"]


def _words(name: str, text: str) -> str:
    words = text.strip()
    if not 1 <= len(words) <= WORDS_CHARS_MAX or "\0" in words:
        raise BreakRefused("bad_request", f"{name}: 1 to {WORDS_CHARS_MAX} characters.")
    return words
