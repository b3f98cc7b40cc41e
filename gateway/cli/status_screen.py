"""What `fairclaim status` prints, once or again and again."""

import msgspec
import psycopg
from rich.text import Text

from gateway.cli.connections import open_door, pause
from gateway.cli.output import emit
from gateway.cli.tables import is_terminal, show, spelt, table, verdict
from gateway.settings import Settings
from gateway.status import Sample, take_status
from gateway.status.report import CampaignStatus, Status

COUNT_S_MAX = 60
"""Counting the rows of the books may take longer than a gateway's statement may."""


async def show_status(settings: Settings, redis: str, postgres: str, interval_s: float | None, as_json: bool) -> bool:
    """Print the status once or for ever; True when the last one was all right."""
    options = f"-c role=fairclaim_reader -c statement_timeout={COUNT_S_MAX * 1000}"
    async with (
        open_door(redis, settings) as door,
        await psycopg.AsyncConnection.connect(
            postgres, autocommit=True, connect_timeout=10, options=options
        ) as connection,
    ):
        sample: Sample | None = None
        while True:
            found, sample = await take_status(door, connection, sample)
            _print(found, as_json, interval_s is not None)
            if interval_s is None:
                return found.ok
            await pause(interval_s)


def _print(found: Status, as_json: bool, again: bool) -> None:
    if as_json and again:
        print(msgspec.json.encode(found).decode(), flush=True)
        return
    if again and is_terminal():
        print("\x1b[H\x1b[2J", end="")
    emit(found, as_json, lambda: _human(found))


def _human(found: Status) -> str:
    columns = ("campaign", "state", "stock#", "claimed#", "claims/s#", "in books#", "lag#", "lag s#", "books")
    parts = [
        table(columns, [_line(each) for each in found.campaigns], none="No campaigns yet: fairclaim campaign create")
    ]
    total = found.totals
    noun = "campaign" if total.campaigns == 1 else "campaigns"
    parts.append(
        f"{show(total.campaigns)} {noun} · {show(total.claimed)} claimed, {show(total.coupons)} in the books · "
        f"{show(total.stock)} left\n"
        f"{show(total.claims_per_s)} claims/s · lag {show(total.lag.seq)} seq, {total.lag.seconds:.1f} s"
    )
    for each in found.campaigns:
        parts += [f"! {each.id}: {problem}" for problem in each.problems]
    for broken in found.breaks:
        expected, seen = spelt(broken.expected), spelt(broken.found)
        parts.append(
            f"! break {broken.kind} in {broken.shard} at {broken.detected_at}: expected {expected}, found {seen}"
        )
    for entry in found.quarantine:
        parts.append(
            f"! quarantine {entry.shard} {entry.entry_id}: {entry.reason}; fairclaim reconcile --replay-quarantine"
        )
    if found.code_probing:
        parts.append("! Codes are being guessed; fairclaim_code_failures_total of /metrics says how (docs/security.md)")
    parts.append("Everything is in order." if found.ok else "Something is wrong.")
    return "\n".join(parts)


def _line(each: CampaignStatus) -> list[str | int | float | Text]:
    return [
        each.id,
        each.state,
        each.stock,
        each.claimed,
        each.claims_per_s,
        each.books.coupons,
        each.lag.seq,
        each.lag.seconds,
        verdict(each.equal, "equal", "NOT EQUAL", "behind"),
    ]
