"""
What is asked once a run is over: the verdict of loadtest.verdict, and the gateway's own of the same campaigns.

Both are asked while Locust lives on, so nothing here holds up the other greenlets.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import gevent  # type: ignore[import-untyped]
import psycopg

from loadtest.report.result import Check, Verdict
from loadtest.run.plan import Plan
from loadtest.run.sampling import Asker
from loadtest.target import Target
from loadtest.told import read_told

log = logging.getLogger("loadtest")

WAIT_S_MAX = 60.0
"""How long a verdict waits for the books."""
PRODUCT_S_MAX = 60.0
"""How long the gateway has for its own verdict, of all campaigns together."""
AGAIN_S = 2.0
BUSY = 503

Judge = Callable[..., Any]
"""As loadtest.verdict.judge."""


class Judged(NamedTuple):
    """The verdict; None where there is none, and *unjudged* says why."""

    verdict: Verdict | None
    unjudged: str = ""


def judged(judge: Judge, expected: Callable[..., Any], target: Target, host: str, plan: Plan, told: Path) -> Judged:
    """
    The verdict of *judge* on the campaigns of *plan*, held to the attempts in the file *told*.

    It works in a thread beside the greenlets: a verdict computes for seconds, and workers want a sign of life.
    """
    campaigns = [
        expected(campaign, plan.stock if plan.created else None, plan.limit if plan.created else None)
        for campaign in plan.campaigns
    ]
    try:
        found = gevent.get_hub().threadpool.apply(
            judge,
            (replace(target, gateway_url=host), campaigns, read_told(told)),
            {"wait_s": WAIT_S_MAX},
        )
    except Exception as error:
        if not isinstance(error, (OSError, psycopg.OperationalError)):  # who is away is named, and needs no traceback
            log.exception("the verdict failed")
        return Judged(None, " ".join(f"{type(error).__name__}: {error}".split()))
    checks = [Check(**check._asdict()) for check in found.checks]
    return Judged(Verdict(holds=found.holds, took_s=round(found.took_s, 3), checks=checks))


def product_verdict(host: str, api_key: str, campaigns: Sequence[str]) -> bool | None:
    """Whether the gateway says that all is right with each of *campaigns*; None where it does not say so in time."""
    until = time.monotonic() + PRODUCT_S_MAX
    found = [_holds(host, api_key, campaign, until) for campaign in campaigns]
    return None if None in found else all(found)


def _holds(host: str, api_key: str, campaign: str, until: float) -> bool | None:
    while (left_s := until - time.monotonic()) > 0:
        asker = Asker(host, api_key, s_max=left_s)
        answer = asker.ask(f"/v1/reports/verdict?campaign={quote(campaign)}")
        asker.close()
        if answer is None:
            break
        status, body = answer
        if status == BUSY:
            gevent.sleep(min(AGAIN_S, left_s))
            continue
        try:
            holds = json.loads(body)["holds"] if status == 200 else None
        except (ValueError, KeyError, TypeError):
            holds = None
        if not isinstance(holds, bool):
            log.warning("the gateway gave no verdict on %s: status %d", campaign, status)
            return None
        return holds
    log.warning("the gateway gave no verdict on %s in time", campaign)
    return None
