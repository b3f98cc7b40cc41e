"""Watching a code batch from the command line until it is over, and what its answers say to a person."""

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gateway.cli.output import CONFLICT, Fail, emit
from gateway.cli.tables import facts, table

if TYPE_CHECKING:
    from gateway.cli.client import Gateway

POLL_S = 0.25
PATIENCE_S = 60.0
"""How long a gateway may say in one go that it is to be asked again later."""
SHOWN_PROBLEMS = 20


def code_path(campaign: str, batch: str | None = None) -> str:
    """The path of a campaign, or of one of its code batches."""
    path = f"/v1/campaigns/{quote(campaign, safe='')}"
    return path if batch is None else f"{path}/code-batches/{quote(batch, safe='')}"


def finish(
    gateway: "Gateway", batch: dict[str, Any], no_wait: bool, as_json: bool, report: dict[str, Any] | None = None
) -> None:
    """Watch the batch unless *no_wait*, and print it. Errors: Fail(CONFLICT) where it was stopped or cancelled."""
    if not no_wait:
        batch = _watch(gateway, batch, as_json)
    if batch["state"] in ("stopped", "cancelled"):
        raise Fail(
            CONFLICT, batch["reason"] or batch["state"], f"{batch['done']} of {batch['count']} codes were issued"
        )
    emit(batch if report is None else {**report, "batch": batch}, as_json, lambda: facts(batch.items()))


def _watch(gateway: "Gateway", batch: dict[str, Any], as_json: bool) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=as_json or not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(batch["id"], total=batch["count"])
        while batch["finished_at"] is None:
            time.sleep(POLL_S)
            batch = _look(gateway, batch)
            progress.update(task, completed=batch["done"], description=batch["reason"] or batch["id"])
    return batch


def _look(gateway: "Gateway", batch: dict[str, Any]) -> dict[str, Any]:
    """
    The batch as it is now: it goes on while the gateway is not ready to say so, for PATIENCE_S.

    Errors: Fail.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            found: dict[str, Any] = gateway.ask("GET", code_path(batch["campaign"], batch["id"])).body
            return found
        except Fail as fail:
            if fail.retry_after_s is None or time.monotonic() + fail.retry_after_s > until:
                raise
            time.sleep(max(POLL_S, fail.retry_after_s))


def told(report: dict[str, Any]) -> str:
    """What an import came to, for a person."""
    shown = report["problems"][:SHOWN_PROBLEMS]
    lines = [
        f"{report['ok']:,} codes, {report['refused']:,} lines without one{' (dry run)' if report['dry_run'] else ''}"
    ]
    if shown:
        lines.append(
            table(("line#", "code", "problem"), [(each["line"], each["code"], each["problem"]) for each in shown])
        )
    if report["refused"] > len(shown):
        lines.append(f"… and {report['refused'] - len(shown):,} more")
    return "\n".join(lines)
