"""`fairclaim verdict`: every invariant of the books and of Redis, and one exit code for all of them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gateway.cli.connections import open_door, run_with_postgres
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, RedisUrl, flag_of
from gateway.cli.output import FAILURE, NOT_FOUND, UNAVAILABLE, USAGE, Fail, emit
from gateway.cli.ready import server_urls
from gateway.cli.tables import table
from gateway.cli.tables import verdict as word

if TYPE_CHECKING:
    from gateway.settings import Settings
    from reconciler.verdict.judging import Judged, Verdict
    from reconciler.verdict.told import Told


_CURRENCY = re.compile("[A-Z]{3}(?= )")


def verdict(
    campaign: Annotated[
        str | None, flag_of("verdict", "--campaign", help="Judge only this one.", show_default=False)
    ] = None,
    told: Annotated[
        Path | None,
        flag_of(
            "verdict",
            "--told",
            help="A CSV of what claimants were told, with the columns code and holder; without a code: no answer.",
            show_default=False,
        ),
    ] = None,
    drain_wait: Annotated[
        float,
        flag_of("verdict", "--drain-wait", min=0, max=3600, help="Seconds to wait at most until the books are there."),
    ] = 0.0,
    redis_url: RedisUrl = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Judge every invariant: each with its figures, and the first row that violates it.

    It changes nothing and waits for nothing: Redis is compared at the seq of the books. A load test, a chaos run and a
    close end with it. With --told every answer has to be in the books, and every claim in the books has to be one that
    was told, or had no answer: name the campaign, unless the file has every claim there ever was.

    \b
    Example:
      fairclaim verdict --campaign flash-1 --drain-wait 30

    Exit codes: 0 every invariant holds, 1 one does not, 2 usage, 3 no such campaign, 6 a server can't be reached.
    """
    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    urls = server_urls(settings, "redis_url", "postgres_url")
    answers = None if told is None else _read(told)
    try:
        found = run_with_postgres(lambda: _judge(settings, urls, campaign, answers, drain_wait))
    except LookupError:
        raise Fail(NOT_FOUND, "campaign_not_found", f"the books have no campaign {campaign!r}") from None
    emit(found, as_json, lambda: _shown(found))
    if not found.holds:
        raise typer.Exit(FAILURE)


def _read(path: Path) -> "Told":
    from reconciler.verdict.told import NotTold, read_told

    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return read_told(lines)
    except (OSError, UnicodeDecodeError, NotTold) as error:
        raise Fail(USAGE, "bad_told", f"--told: {error}", "a CSV with the columns code and holder") from None


async def _judge(
    settings: "Settings", urls: list[str], campaign: str | None, told: "Told | None", drain_wait_s: float
) -> "Verdict":
    from reconciler.verdict.judging import judge
    from reconciler.verdict.waiting import wait_for_drain

    redis_url, postgres_url = urls
    async with open_door(redis_url, settings) as door:
        if drain_wait_s and not await wait_for_drain(door, postgres_url, campaign, drain_wait_s):
            raise Fail(UNAVAILABLE, "drain_behind", f"the books did not get there in {drain_wait_s:g} s")
        return await judge(door, postgres_url, campaign, told)


def _shown(found: "Verdict") -> str:
    rows = [(each.name, word(each.holds, "holds", "VIOLATED", ""), _figures(each)) for each in found.invariants]
    broken = [each for each in found.invariants if not each.holds]
    lines = [table(("invariant", "verdict", "figures"), rows), ""]
    for each in broken:
        lines += [f"{each.name}: {each.wrong:,} violate it: {each.says}", f"  first: {_row(each)}", ""]
    told = f"{len(rows)} invariants of {found.shards:,} shards hold"
    return "\n".join([*lines, told if found.holds else f"{len(broken)} of {len(rows)} invariants are violated"])


def _figures(judged: "Judged") -> Text:
    return Text(", ".join(_figure(name, value) for name, value in judged.figures.items()))


def _figure(name: str, value: int) -> str:
    """One figure: a count, or an amount where the name begins with its currency, such as CNY committed."""
    from reconciler.currencies import major, places

    currency = _CURRENCY.match(name)
    if currency is None:
        return f"{value:,} {name}"
    return f"{major(value, currency[0]):,.{places(currency[0])}f} {name}"


def _row(judged: "Judged") -> str:
    return ", ".join(f"{name} {value}" for name, value in (judged.first or {}).items())
