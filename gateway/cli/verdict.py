"""`fairclaim verdict`: every invariant of the books and of Redis, and one exit code for all of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from gateway.cli.connections import open_door, run_with_postgres
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, RedisUrl, flag_of
from gateway.cli.output import FAILURE, NOT_FOUND, UNAVAILABLE, USAGE, Fail, emit
from gateway.cli.period_refusals import NO_ENTITY
from gateway.cli.ready import server_urls
from gateway.cli.verdict_screen import verdict_shown, watched_judgement

if TYPE_CHECKING:
    from gateway.settings import Settings
    from reconciler.verdict.judging import Beginning, Verdict
    from reconciler.verdict.told import Told


class _Scope(TypedDict):
    """What to judge: all of it, or what one of them has."""

    campaign: str | None
    entity: str | None


def verdict(
    campaign: Annotated[
        str | None, flag_of("verdict", "--campaign", help="Judge only this one.", show_default=False)
    ] = None,
    entity: Annotated[
        str | None,
        flag_of("verdict", "--entity", "-e", help="Judge only the books of this legal entity.", show_default=False),
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
    progress: Annotated[
        bool,
        flag_of(
            "verdict", "--progress", help="Say on stderr, a line each, which invariant is being judged: 3/13 limits."
        ),
    ] = False,
    redis_url: RedisUrl = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Judge every invariant: each with its figures, and the first row that violates it.

    It changes nothing and waits for nothing: Redis is compared at the seq of the books. A load test, a chaos run and a
    close end with it, a close with that of its legal entity. With --told every answer has to be in the books, and every
    claim in the books has to be one that was told, or had no answer: name the campaign, unless the file has every claim
    there ever was.

    \b
    Example:
      fairclaim verdict --campaign flash-1 --drain-wait 30

    Exit codes: 0 every invariant holds, 1 one does not, 2 usage, 3 no such campaign or entity, 6 a server can't be
    reached.
    """
    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    urls = server_urls(settings, "redis_url", "postgres_url")
    if campaign is not None and entity is not None:
        raise Fail(USAGE, "bad_scope", "--campaign and --entity: one of them")
    scope: _Scope = {"campaign": campaign, "entity": entity}
    answers = None if told is None else _read(told)
    try:
        with watched_judgement(as_json, progress) as beginning:
            found = run_with_postgres(lambda: _judge(settings, urls, scope, answers, drain_wait, beginning))
    except LookupError:
        if entity is not None:
            raise Fail(NOT_FOUND, "entity_not_found", f"there is no legal entity {entity!r}", NO_ENTITY) from None
        hint = "`fairclaim campaign list` shows them"
        raise Fail(NOT_FOUND, "campaign_not_found", f"the books have no campaign {campaign!r}", hint) from None
    emit(found, as_json, lambda: verdict_shown(found))
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
    settings: "Settings", urls: list[str], scope: _Scope, told: "Told | None", drain_wait_s: float,
    beginning: "Beginning",
) -> "Verdict":  # fmt: skip
    from reconciler.verdict.judging import judge
    from reconciler.verdict.waiting import wait_for_drain

    redis_url, postgres_url = urls
    async with open_door(redis_url, settings) as door:
        if drain_wait_s and not await wait_for_drain(door, postgres_url, drain_wait_s, **scope):
            raise Fail(UNAVAILABLE, "drain_behind", f"the books did not get there in {drain_wait_s:g} s")
        return await judge(door, postgres_url, **scope, told=told, beginning=beginning)
