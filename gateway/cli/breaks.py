"""`fairclaim breaks`: what a stocktake or the drain has found, and what becomes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.connections import with_books, with_both
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.known import known_names
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, RedisUrl, flag_of
from gateway.cli.output import CONFLICT, NOT_FOUND, UNAVAILABLE, USAGE, Fail, emit
from gateway.cli.ready import actor

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from reconciler.stocktake.breaks import Break

app = typer.Typer(no_args_is_help=True, help="Differences between Redis and the books: list, explain, resolve.")

ROWS_MAX = 1000
_EXITS = {"break_not_found": NOT_FOUND, "bad_request": USAGE, "not_ready": UNAVAILABLE}

BreakId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The break, as `list` shows it.", show_default=False)]


@app.command("list")
def list_(
    everything: Annotated[bool, flag_of("breaks list", "--all", "-a", help="Those that are resolved too.")] = False,
    campaign: Annotated[
        str | None, flag_of("breaks list", "--campaign", "-c", help="Only of this campaign.", show_default=False)
    ] = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List the breaks that are not resolved, the newest first.

    \b
    Example:
      fairclaim breaks list --campaign demo

    Exit codes: 0 done, 2 usage, 3 no such campaign, 6 PostgreSQL can't be reached.
    """
    from reconciler.reports.known import check_known_async
    from reconciler.reports.shape import Asked
    from reconciler.stocktake.breaks import EXPLAINED, OPEN, list_breaks

    async def ask(connection: "AsyncConnection[Any]") -> "list[Break]":
        await check_known_async(connection, Asked(campaign=campaign))
        return await list_breaks(connection, states=states, campaign=campaign, rows_max=ROWS_MAX)

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    states = None if everything else (OPEN, EXPLAINED)
    with known_names():
        found = with_books(settings, ask)
    emit({"items": [_told(one) for one in found], "next": None}, as_json, lambda: _listed(found))


@app.command()
def explain(
    id_: BreakId,
    explanation: Annotated[
        str, flag_of("breaks explain", "--because", "-b", help="What it comes from.", show_default=False)
    ],
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Say what a break comes from; it is not resolved by that.

    \b
    Example:
      fairclaim breaks explain 7 --because "stock was set by hand"

    Exit codes: 0 done, 2 usage, 3 no such break, 4 it is resolved, 6 PostgreSQL can't be reached.
    """
    from reconciler.stocktake.breaks import explain as say

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    with _refused():
        done = with_books(settings, lambda connection: say(connection, id_, actor(), explanation))
    emit(_told(done), as_json, lambda: f"break {done.id} is explained")


@app.command()
def resolve(
    id_: BreakId,
    resolution: Annotated[
        str, flag_of("breaks resolve", "--because", "-b", help="Why it is over.", show_default=False)
    ],
    compensation: Annotated[
        str,
        flag_of(
            "breaks resolve", "--by", help="The change that made it good, such as a manual journal.", show_default=False
        ),
    ],
    redis_url: RedisUrl = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    End a break. Takes stock of its shard first, or runs its file again: what is still there can't be resolved.

    \b
    Example:
      fairclaim breaks resolve 7 --because "stock is as the books have it" --by "SET stock 95"

    Exit codes: 0 done, 2 usage, 3 no such break, 4 it is there still or is resolved, 6 a server can't be reached.
    """  # fmt: skip
    from reconciler.stocktake.breaks import resolve as end

    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    with _refused():
        done = with_both(
            settings, lambda door, connection: end(door, connection, id_, actor(), resolution, compensation)
        )
    emit(_told(done), as_json, lambda: f"break {done.id} is resolved")


@contextmanager
def _refused() -> Iterator[None]:
    """What a break refuses, as a failed command."""
    from reconciler.stocktake.breaks import BreakRefused

    try:
        yield
    except BreakRefused as error:
        hint = "`fairclaim breaks list --all` shows them" if error.code == "break_not_found" else ""
        raise Fail(_EXITS.get(error.code, CONFLICT), error.code, str(error), hint) from None


def _told(one: "Break") -> dict[str, Any]:
    """A break for programs, as the gateway tells it too."""
    from gateway.finance.breaks import break_view

    view = break_view(one)
    return {name: getattr(view, name) for name in view.__struct_fields__}


def _listed(found: "list[Break]") -> str:
    from gateway.cli.tables import spelt, table

    columns = ("id", "shard", "kind", "figure", "expected", "found", "seq#", "since, UTC@", "state", "likely")
    rows = []
    for one in found:
        told = _told(one)
        sides = (spelt(one.expected), spelt(one.found))
        rows.append(
            (one.id, one.shard, one.kind, one.figure, *sides, one.seq, told["detected_at"], one.state, one.likely)
        )
    return table(columns, rows, none="no breaks")
