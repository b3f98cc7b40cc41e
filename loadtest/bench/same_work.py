"""Does each contender do the work it is measured for? A few claims say so before the contest."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from loadtest.bench.entrants import Contender
from loadtest.bench.stand import Stand
from loadtest.target import TokenMint

ANSWER_S_MAX = 10


def lapses(stand: Stand, contender: Contender) -> list[str]:
    """What *contender* answers otherwise than the contest takes for granted; nothing where all is well."""
    campaign = stand.new_campaign(contender, stock=1)
    with stand.system.stopped("reconciler"):  # it trims the stream whose length is looked at
        found = [f"{contender.name}: {lapse}" for lapse in _lapses(stand, contender, campaign)]
    stand.settle(contender, campaign)
    return found


def _lapses(stand: Stand, contender: Contender, campaign: str) -> Iterator[str]:
    jwt, soon_s = stand.system.target.jwt, round(time.time()) + 600
    mint = TokenMint(jwt, soon_s)
    ann, entries = mint.token("ann"), contender.sales.entries(campaign)
    status, _, won = _claim(contender, campaign, ann, "first")
    if status != 201 or not won.get("seq") or won.get("state") != "claimed":
        yield f"the first claim is answered {status} {won}"
    status, head, again = _claim(contender, campaign, ann, "first")
    if (status, head, again.get("code"), again.get("seq")) != (200, "true", won.get("code"), won.get("seq")):
        yield f"the same key again is answered {status} {again}"
    status, _, refusal = _claim(contender, campaign, ann, "second")
    if (status, refusal.get("code"), refusal.get("codes")) != (409, "limit_reached", [won.get("code")]):
        yield f"a second claim of one holder is answered {status} {refusal}"
    status, _, refusal = _claim(contender, campaign, mint.token("ben"), "first")
    if (status, refusal.get("code")) != (409, "sold_out"):
        yield f"a claim on nothing left is answered {status} {refusal}"
    status, _, refusal = _claim(contender, "nowhere", ann, "first")
    if (status, refusal.get("code")) != (404, "campaign_not_found"):
        yield f"a claim on no campaign is answered {status} {refusal}"
    forgeries = {
        "signed with another key": TokenMint({**jwt, "secret": "x" * 64}, soon_s),
        "expired": TokenMint(jwt, round(time.time()) - 600),
        "for another audience": TokenMint({**jwt, "audience": "another"}, soon_s),
        "of another issuer": TokenMint({**jwt, "issuer": "another"}, soon_s),
    }
    for what, forger in forgeries.items():
        status, _, refusal = _claim(contender, campaign, forger.token("carl"), "first")
        if status != 401:
            yield f"a token {what} is answered {status} {refusal}"
    written = contender.sales.entries(campaign) - entries
    if written != 1:
        yield f"one coupon left {written} entries on the stream"


def _claim(contender: Contender, campaign: str, token: str, key: str) -> tuple[int, str | None, dict[str, Any]]:
    """Status, Idempotency-Replayed, body."""
    request = urllib.request.Request(  # noqa: S310 - http, this machine
        f"{contender.url}/v1/campaigns/{campaign}/claims",
        b"{}",
        {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as response:  # noqa: S310 - as above
            return response.status, response.headers.get("Idempotency-Replayed"), json.load(response)
    except urllib.error.HTTPError as refused:
        return refused.code, None, json.load(refused)
