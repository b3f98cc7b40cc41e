"""A short load for a verdict: a crowd that wants more than there is, and asks again with the keys it has."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator

import uvloop

from loadtest.client import Request, drive
from loadtest.target import Target, claim_request
from loadtest.told import CLAIM, UNANSWERED, Attempt

KEYS_EACH, CONNECTIONS, BLOCK = 3, 16, 48
"""A block of keys is asked with, and then again: a key comes back while most of the stock is still there."""


class Crowd:
    """*holders* holders with three keys each, each key asked with twice, in seeded order."""

    def __init__(self, target: Target, campaign: str, holders: int, seed: int = 1) -> None:
        keys = [(f"holder-{holder}", f"key-{holder}-{key}") for holder in range(holders) for key in range(KEYS_EACH)]
        random.Random(seed).shuffle(keys)
        blocks = [keys[at : at + BLOCK] for at in range(0, len(keys), BLOCK)]
        self._asks = [ask for block in blocks for ask in block * 2]
        self._target, self._campaign = target, campaign
        self._sent_s = [0.0] * len(self._asks)
        self.attempts: list[Attempt] = []

    def ask(self) -> Counter[str]:
        """Send everything; how often which outcome was told."""
        tally = uvloop.run(drive(self._target.gateway_url, self._requests(), CONNECTIONS, self._seen))
        for number in tally.unanswered:
            self._keep(number, UNANSWERED, "unanswered")
        return Counter(attempt.outcome for attempt in self.attempts)

    def _requests(self) -> Iterator[Request]:
        mint = self._target.tokens()
        for number, (holder, key) in enumerate(self._asks):
            self._sent_s[number] = time.time()
            yield number, claim_request(self._campaign, mint.token(holder), key)

    def _seen(self, number: int, status: int, head: bytes, body: bytes) -> None:
        answer = json.loads(body)
        if status in (200, 201):
            self._keep(number, status, "claimed" if status == 201 else "replayed", answer["code"], answer["seq"])
        else:
            self._keep(number, status, answer["code"])

    def _keep(self, number: int, status: int, outcome: str, code: str = "", seq: int = 0) -> None:
        times = self._sent_s[number], time.time()
        self.attempts.append(
            Attempt(CLAIM, self._campaign, *self._asks[number], status, outcome, code, seq, "", 0, *times)
        )
