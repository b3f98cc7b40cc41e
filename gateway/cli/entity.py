"""`fairclaim entity`: the legal entities, straight in PostgreSQL."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.connections import open_books
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import CONFLICT, USAGE, Fail, emit
from gateway.cli.period_refusals import run_on_periods
from gateway.cli.ready import actor, server_urls
from gateway.cli.tables import table

if TYPE_CHECKING:
    from reconciler.periods.entities import Entity

app = typer.Typer(no_args_is_help=True, help="Legal entities, each with books of its own: add, list.")


@app.command()
def add(
    entity: Annotated[str, typer.Argument(metavar="ID", help="Its name, such as shop-cn.", show_default=False)],
    zone: Annotated[str, flag_of("entity add", "--zone", help="Where the days of its reports begin and end.")] = "UTC",
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Add a legal entity; campaigns may then name it.

    \b
    Example:
      fairclaim entity add shop-cn --zone Asia/Shanghai

    Exit codes: 0 added, 2 usage, 4 there is one of this id, 6 PostgreSQL can't be reached.
    """
    from reconciler.periods.entities import BadEntity, add_entity

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    (url,) = server_urls(settings, "postgres_url")

    async def act() -> "Entity | None":
        async with open_books(url, settings) as connection:
            return await add_entity(connection, entity, zone, actor())

    try:
        made = run_on_periods(act)
    except BadEntity as error:
        raise Fail(USAGE, "bad_entity", str(error)) from None
    if made is None:
        raise Fail(CONFLICT, "entity_exists", f"there is a legal entity {entity!r}")
    emit(made, as_json, lambda: f"{entity} is added, its days are those of {zone}")


@app.command("list")
def list_(
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List the legal entities and how far the books of each are closed.

    \b
    Example:
      fairclaim entity list

    Exit codes: 0 done, 2 usage, 6 PostgreSQL can't be reached.
    """
    from reconciler.periods.entities import list_entities

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    (url,) = server_urls(settings, "postgres_url")

    async def act() -> "list[Entity]":
        async with open_books(url, settings) as connection:
            return await list_entities(connection)

    found = run_on_periods(act)
    rows: list[list[Any]] = [[one.id, one.zone, one.closed_through] for one in found]
    emit({"items": found, "next": None}, as_json, lambda: table(("entity", "zone", "closed through"), rows))
