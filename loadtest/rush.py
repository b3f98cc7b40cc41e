"""
A rush: many claims of many holders on one stock through HTTP, then the question whether it was clean.

    python -m loadtest.rush --ready-file ready.json --claims 200000 --holders 150000 --stock 100000

It ends with the verdict of `loadtest.verdict` and with that of the product, `fairclaim verdict`, both handed what the
crowd was told. Exit codes: 0 clean · 1 a check or an invariant does not hold · 2 wrong arguments · else that of
`fairclaim verdict`.
"""

import argparse
import json
import random
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from loadtest.client import Request, Tally, drive
from loadtest.product import end, product_verdict, told_file
from loadtest.target import Target, claim_request
from loadtest.told import CLAIM, UNANSWERED, Attempt, write_told
from loadtest.verdict import Check, Expected, judge
from loadtest.verdict.found import row_text
from loadtest.verdict.waiting import drained_s

BOOKS_S_MAX = 60.0


def create_campaign(target: Target, campaign: str, stock: int, per_holder: int, shards: int) -> None:
    """Create and open a campaign. Errors: urllib.error.HTTPError."""
    now = datetime.now(UTC)
    body = {
        "id": campaign,
        "name": f"Rush {campaign}",
        "currency": "CNY",
        "stock": stock,
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "limits": {"per_holder": per_holder},
        "starts_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
        "timezone": "UTC",
        "validity": {"days": 7},
        "channels": ["app"],
        "shards": shards,
        "funders": [{"account": "platform", "basis_points": 10_000}],
    }
    _post(target, "/v1/campaigns", body)
    _post(target, f"/v1/campaigns/{campaign}/state", {"to": "scheduled"})


def _post(target: Target, path: str, body: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {target.admin_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(target.gateway_url + path, json.dumps(body).encode(), headers)  # noqa: S310 - http
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310 - as above
        pass


class Rush:
    """Claims of *holders* in seeded random order: everybody at least once, the rest drawn to come again."""

    def __init__(self, target: Target, campaign: str, claims: int, holders: int, seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._order = [*range(min(claims, holders)), *(draw.randrange(holders) for _ in range(claims - holders))]
        draw.shuffle(self._order)
        self._target, self._campaign = target, campaign
        self._sent_s = [0.0] * len(self._order)
        self.attempts: list[Attempt] = []
        self.told: dict[str, str] = {}
        self.codes: Counter[str] = Counter()

    def requests(self) -> Iterator[Request]:
        """Each claim with a key of its own, so that whoever comes again asks for another coupon."""
        mint = self._target.tokens()
        for number, holder in enumerate(self._order):
            request = claim_request(self._campaign, mint.token(f"holder-{holder}"), f"rush-{number}")
            self._sent_s[number] = time.time()
            yield number, request

    def seen(self, number: int, status: int, head: bytes, body: bytes) -> None:
        """Keep what was told: the coupon of a 201, the code of a refusal."""
        answer = json.loads(body)
        outcome = {200: "replayed", 201: "claimed"}.get(status) or answer["code"]
        self.codes[outcome] += 1
        if status in (200, 201):
            self.told[answer["code"]] = f"holder-{self._order[number]}"
            self._keep(number, status, outcome, answer["code"], answer["seq"])
        else:
            self._keep(number, status, outcome)

    def unanswered(self, numbers: list[int]) -> None:
        """Keep the claims that had no answer."""
        for number in numbers:
            self._keep(number, UNANSWERED, "unanswered")

    def _keep(self, number: int, status: int, outcome: str, code: str = "", seq: int = 0) -> None:
        holder, key, sent_s = f"holder-{self._order[number]}", f"rush-{number}", self._sent_s[number]
        self.attempts.append(
            Attempt(CLAIM, self._campaign, holder, key, status, outcome, code, seq, "", 0, sent_s, time.time())
        )

    def write_told(self, file: Path) -> None:
        """What `fairclaim verdict --told` reads: each coupon that was told of, and the claims that had no answer."""
        lines = [f"{code},{holder}" for code, holder in self.told.items()]
        lines += [f",{each.holder}" for each in self.attempts if each.uncertain]
        file.write_text("\n".join(["code,holder", *lines, ""]), encoding="utf-8")


async def run(target: Target, rush: Rush, connections: int) -> Tally:
    """Send the whole rush."""
    tally = await drive(target.gateway_url, rush.requests(), connections, rush.seen)
    rush.unanswered(tally.unanswered)
    return tally


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.rush", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--ready-file", type=Path, required=True, help="what fairclaim up --ready-file wrote")
    parser.add_argument("--campaign", default="", help="id of the campaign to create (default: made from the time)")
    parser.add_argument("--claims", type=int, default=20_000)
    parser.add_argument("--holders", type=int, default=15_000)
    parser.add_argument("--stock", type=int, default=10_000)
    parser.add_argument("--per-holder", type=int, default=1)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--told", type=Path, help="where to keep who was told what, as fairclaim verdict reads it")
    parser.add_argument("--attempts", type=Path, help="where to keep every attempt, as loadtest.verdict reads it")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.holders <= chosen.claims:
        parser.error("--holders has to be from 1 to --claims")
    target = Target.read(chosen.ready_file)
    campaign = chosen.campaign or f"rush-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    create_campaign(target, campaign, chosen.stock, chosen.per_holder, chosen.shards)
    rush = Rush(target, campaign, chosen.claims, chosen.holders, chosen.seed)
    try:
        tally = uvloop.run(run(target, rush, chosen.connections))
    except OSError as error:
        parser.exit(1, f"{parser.prog}: the gateway at {target.gateway_url} does not answer: {error}\n")
    in_the_books_s = drained_s(target, campaign, BOOKS_S_MAX)
    if chosen.attempts:
        write_told(chosen.attempts, rush.attempts)
    expected = Expected(campaign, chosen.stock, chosen.per_holder)
    verdict = judge(target, [expected], rush.attempts, wait_s=BOOKS_S_MAX)
    with told_file(chosen.told) as told:
        rush.write_told(told)
        ended = product_verdict(chosen.ready_file, campaign, told, as_json=chosen.json)
    report = {
        "campaign": campaign,
        "claims": chosen.claims,
        "holders": chosen.holders,
        "stock": chosen.stock,
        "seed": chosen.seed,
        "claims_per_s": round(chosen.claims / tally.elapsed_s),
        "p50_ms": round(tally.percentile_ms(50), 2),
        "p99_ms": round(tally.percentile_ms(99), 2),
        "drained_after_s": round(in_the_books_s, 2),
        "outcomes": dict(rush.codes.most_common()),
        "unanswered": len(tally.unanswered),
        "clean": verdict.holds and not tally.unanswered and ended.code == 0,
        "checks": [shown(check) for check in verdict.checks],
    }
    return end(report, ended, _screen, as_json=chosen.json)


def shown(check: Check) -> dict[str, Any]:
    """A check as the JSON of a load has it."""
    return {"name": check.name, "holds": check.holds, **check._asdict()}


def check_lines(checks: list[dict[str, Any]]) -> list[str]:
    """The checks of a report for people, with the first row of each that does not hold."""
    return [
        f"  {'ok  ' if check['holds'] else 'FAIL'} {check['name']:<14}{check['checked']:>9,}  {check['says']}"
        + ("" if check["holds"] else f"\n       {check['violated']:,} times; first: {row_text(check['first'])}")
        for check in checks
    ]


def _screen(report: dict[str, Any]) -> str:
    lines = [
        f"{report['claims']} claims of {report['holders']} holders on {report['stock']} coupons, seed {report['seed']}",
        f"  {report['claims_per_s']} claims/s, p50 {report['p50_ms']} ms, p99 {report['p99_ms']} ms,"
        f" in the books {report['drained_after_s']} s after the last answer",
        "  " + ", ".join(f"{count} {outcome}" for outcome, count in report["outcomes"].items()),
        *check_lines(report["checks"]),
        "clean" if report["clean"] else "NOT CLEAN",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
