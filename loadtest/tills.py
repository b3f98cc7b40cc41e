"""
A rush of tills: every coupon is asked for by two of them at once, on orders of their own; was each spent once?

    python -m loadtest.tills --ready-file ready.json --coupons 10000 --tills 50

It ends with the verdict of `loadtest.verdict`, a check of its own, and the verdict of the product, `fairclaim verdict`.
Exit codes: 0 clean · 1 a check or an invariant does not hold · 2 wrong arguments · else that of `fairclaim verdict`.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from loadtest.client import Request, Tally, drive
from loadtest.product import end, product_verdict, told_file
from loadtest.rush import BOOKS_S_MAX, Rush, check_lines, create_campaign, run, shown
from loadtest.target import Target
from loadtest.told import REDEEM, UNANSWERED, Attempt
from loadtest.verdict import Check, Expected, judge
from loadtest.verdict.waiting import drained_s

DISCOUNT_MINOR = 500
"""What each coupon of a rush's campaign takes off an order of enough."""


def redeem_request(api_key: str, code: str, order: str, key: str, price_minor: int) -> bytes:
    """The bytes of one redemption on an order of one article."""
    line = {"sku": "A1", "quantity": 1, "unit_price_minor": price_minor}
    body = json.dumps({"code": code, "order": {"id": order, "currency": "CNY", "lines": [line]}, "store": "s-1"})
    head = (
        f"POST /v1/redemptions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {api_key}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


class Tills:
    """Each of *codes* twice, with other keys and orders, in seeded random order; what each answer told is kept."""

    def __init__(self, target: Target, campaign: str, codes: list[str], seed: int) -> None:
        self._asks = [(code, ask) for code in codes for ask in "ab"]
        random.Random(seed).shuffle(self._asks)  # noqa: S311 - reproducible, not secret
        self._target, self._campaign = target, campaign
        self._sent_s = [0.0] * len(self._asks)
        self.attempts: list[Attempt] = []
        self.outcomes: Counter[str] = Counter()

    def requests(self) -> Iterator[Request]:
        """Every redemption."""
        for number, (code, ask) in enumerate(self._asks):
            order = f"{code}-{ask}"
            self._sent_s[number] = time.time()
            yield number, redeem_request(self._target.admin_key, code, order, f"key-{order}", 4000)

    def seen(self, number: int, status: int, head: bytes, body: bytes) -> None:
        """Keep a redemption; count a refusal by its code, and the state it names."""
        answer: dict[str, Any] = json.loads(body)
        if status in (200, 201):
            self.outcomes["redeemed" if status == 201 else "replayed"] += 1
            self._keep(number, status, "done", answer["seq"], answer["id"], answer["discount"]["minor"])
        else:
            self.outcomes[f"{answer.get('code', status)} {answer.get('from', '')}".strip()] += 1
            self._keep(number, status, str(answer.get("code", "wrong")))

    def unanswered(self, numbers: list[int]) -> None:
        """Keep the redemptions that had no answer."""
        for number in numbers:
            self._keep(number, UNANSWERED, "unanswered")

    def _keep(self, number: int, status: int, outcome: str, seq: int = 0, ref: str = "", minor: int = 0) -> None:
        code, ask = self._asks[number]
        key, times = f"key-{code}-{ask}", (self._sent_s[number], time.time())
        self.attempts.append(Attempt(REDEEM, self._campaign, "", key, status, outcome, code, seq, ref, minor, *times))


def each_once(codes: list[str], tills: Tills) -> Check:
    """Of the two tills that asked for a coupon one had it, for what it is worth, and the other was told it is spent."""
    spent = Counter(each.code for each in tills.attempts if each.granted and each.minor == DISCOUNT_MINOR)
    wrong = [code for code in codes if spent[code] != 1]
    told = {"redeemed": len(codes), "invalid_state redeemed": len(codes)}
    violated = len(wrong) or int(dict(tills.outcomes) != told)
    first = {"code": wrong[0], "told": spent[wrong[0]]} if wrong else dict(tills.outcomes) if violated else None
    return Check("each_once", "one of two tills had each coupon", len(codes), violated, first)


async def spend(target: Target, tills: Tills, connections: int) -> Tally:
    """Ask for every coupon."""
    tally = await drive(target.gateway_url, tills.requests(), connections, tills.seen)
    tills.unanswered(tally.unanswered)
    return tally


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.tills", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--ready-file", type=Path, required=True, help="what fairclaim up --ready-file wrote")
    parser.add_argument("--campaign", default="", help="id of the campaign to create (default: made from the time)")
    parser.add_argument("--coupons", type=int, default=10_000)
    parser.add_argument("--tills", type=int, default=50, help="connections, each asking again when it is answered")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args(arguments)
    target = Target.read(chosen.ready_file)
    campaign = chosen.campaign or f"tills-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    create_campaign(target, campaign, chosen.coupons, 1, 1)
    rush = Rush(target, campaign, chosen.coupons, chosen.coupons, chosen.seed)
    uvloop.run(run(target, rush, 128))
    codes = sorted(rush.told)
    tills = Tills(target, campaign, codes, chosen.seed)
    tally = uvloop.run(spend(target, tills, chosen.tills))
    in_the_books_s = drained_s(target, campaign, BOOKS_S_MAX)
    verdict = judge(
        target, [Expected(campaign, chosen.coupons, 1)], [*rush.attempts, *tills.attempts], wait_s=BOOKS_S_MAX
    )
    checks = [each_once(codes, tills), *verdict.checks]
    with told_file(None) as told:
        rush.write_told(told)
        ended = product_verdict(chosen.ready_file, campaign, told, as_json=chosen.json)
    report = {
        "campaign": campaign,
        "coupons": len(codes),
        "redemptions": sum(tally.statuses.values()),
        "tills": chosen.tills,
        "redemptions_per_s": round(sum(tally.statuses.values()) / tally.elapsed_s),
        "p50_ms": round(tally.percentile_ms(50), 2),
        "p99_ms": round(tally.percentile_ms(99), 2),
        "drained_after_s": round(in_the_books_s, 2),
        "outcomes": dict(tills.outcomes.most_common()),
        "unanswered": len(tally.unanswered),
        "clean": len(codes) == chosen.coupons
        and all(check.holds for check in checks)
        and not tally.unanswered
        and ended.code == 0,
        "checks": [shown(check) for check in checks],
    }
    return end(report, ended, _screen, as_json=chosen.json)


def _screen(report: dict[str, Any]) -> str:
    lines = [
        f"{report['redemptions']} redemptions of {report['coupons']} coupons by {report['tills']} tills",
        f"  {report['redemptions_per_s']} answers/s, p50 {report['p50_ms']} ms, p99 {report['p99_ms']} ms,"
        f" in the books {report['drained_after_s']} s after the last answer",
        "  " + ", ".join(f"{count} {outcome}" for outcome, count in report["outcomes"].items()),
        *check_lines(report["checks"]),
        "clean" if report["clean"] else "NOT CLEAN",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
