"""`fairclaim stocktake`: Redis and the books, compared at exactly one seq of each shard."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.connections import pause, with_both
from gateway.cli.flags import JsonFlag, setting_flag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, RedisUrl, flag_of
from gateway.cli.output import FAILURE, NOT_FOUND, Fail, emit
from gateway.cli.ready import actor

if TYPE_CHECKING:
    import psycopg

    from lua.door import Door
    from reconciler.stocktake import Stocktake


def stocktake(
    campaign: Annotated[
        str | None, flag_of("stocktake", "--campaign", "-c", help="Only this campaign.", show_default=False)
    ] = None,
    shard: Annotated[
        str | None, flag_of("stocktake", "--shard", help="Only this shard, such as demo/0.", show_default=False)
    ] = None,
    samples: Annotated[int | None, setting_flag("stocktake_samples", "--samples")] = None,
    times: Annotated[int, flag_of("stocktake", "--times", min=1, max=1_000_000, help="How often.")] = 1,
    interval: Annotated[
        float, flag_of("stocktake", "--interval", min=0, max=3600, help="Seconds between one and the next.")
    ] = 1.0,
    redis_url: RedisUrl = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Compare every figure and a sample of coupons and holders with the books, while claims go on.

    Each difference is written down as a break, which `fairclaim breaks` shows and which stands in the way of a close.

    \b
    Examples:
      fairclaim stocktake --campaign demo --samples 1000
      fairclaim stocktake --times 100 --interval 0.3

    Exit codes: 0 no difference, 1 something differs or could not be compared, 2 usage, 3 no such campaign or shard,
    6 a server can't be reached.
    """
    where = {"redis_url": redis_url, "postgres_url": postgres_url, "ready_file": ready_file, "data_dir": data_dir}
    settings = settings_from(**where, stocktake_samples=samples)

    async def act(door: "Door", connection: "psycopg.AsyncConnection[Any]") -> "list[list[Stocktake]]":
        from reconciler.stocktake import list_shards
        from reconciler.stocktake.keeping import ask

        rounds = []
        for number in range(times):
            if number:
                await pause(interval)
            shards = await list_shards(connection, campaign, shard)
            if not shards and (campaign or shard):
                raise Fail(NOT_FOUND, "shard_not_found", "there is no such campaign or shard, or it is archived")
            rounds.append(await ask(door, connection, shards, settings.stocktake_samples, actor()))
        return rounds

    rounds = with_both(settings, act)
    last = rounds[-1]
    clean = all(one.is_clean for each in rounds for one in each)
    data = {"clean": clean, "times": times, "found": sum(len(one.found) for each in rounds for one in each)}
    emit({**data, "shards": [_told(one) for one in last]}, as_json, lambda: _shown(rounds))
    if not clean:
        raise typer.Exit(FAILURE)


def _told(one: "Stocktake") -> dict[str, Any]:
    """A stocktake for programs, as the gateway tells it too."""
    from gateway.finance.stocktakes import taken_view

    return {name: getattr(taken_view(one), name) for name in taken_view(one).__struct_fields__}


def _shown(rounds: "list[list[Stocktake]]") -> str:
    from gateway.cli.tables import show, spelt, table

    columns = ("shard", "seq#", "stock#", "outstanding#", "reserved#", "redeemed#", "sampled#", "differs#")
    lines = [
        (
            str(one.shard), one.seq,
            *(one.figures.get(name, (None, None))[1] for name in ("stock", "outstanding", "reserved", "redeemed")),
            sum(one.sampled.values()), len(one.found),
        )
        for one in rounds[-1]
    ]  # fmt: skip
    parts = [table(columns, lines, none="No shards yet: fairclaim campaign create")]
    for each in rounds:
        for one in each:
            parts += [f"! {one.shard}: not compared: {one.unfinished}"] if one.unfinished else []
            parts += [
                f"! {one.shard} at seq {one.seq}, {found.kind} {found.name}: books {spelt(found.expected)}, "
                f"Redis {spelt(found.found)}; likely: {found.cause.text}"
                for found in one.found
            ]
    taken = sum(map(len, rounds))
    clean = all(one.is_clean for each in rounds for one in each)
    parts.append(
        f"{show(taken)} {'stocktake' if taken == 1 else 'stocktakes'}, "
        + ("nothing differs." if clean else "something differs.")
    )
    return "\n".join(parts)
