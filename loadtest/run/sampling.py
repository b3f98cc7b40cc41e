"""
What the system is like while the crowd is at it, once a second over HTTP: stock left, drain lag, size of the batches.

Each figure is asked for by a greenlet of its own with a time limit, so that a slow answer delays nothing but itself. A
second whose figure did not come is left out; that a sale goes on is no reason for the load to wait.
"""

import http.client
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import gevent  # type: ignore[import-untyped]

log = logging.getLogger("loadtest")

ASK_S_MAX = 5.0
BATCH_SUM, BATCH_COUNT = "fairclaim_batch_claims_sum", "fairclaim_batch_claims_count"
LAG_S, LAG_SEQ = "fairclaim_drain_lag_seconds", "fairclaim_drain_lag_seq"
_WANTED = frozenset({BATCH_SUM, BATCH_COUNT, LAG_S, LAG_SEQ})


class Asker:
    """One kept connection to the gateway."""

    def __init__(self, url: str, api_key: str = "", *, s_max: float = ASK_S_MAX) -> None:
        where = urlsplit(url)
        assert where.hostname is not None
        made = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        self._connection = made(where.hostname, where.port, timeout=s_max)
        self._base = where.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def ask(self, path: str) -> tuple[int, bytes] | None:
        """Status and body of a GET; None where there was no answer in time."""
        try:
            self._connection.request("GET", self._base + path, headers=self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            log.debug("GET %s: %r", path, error)
            self._connection.close()
            return None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Standing(NamedTuple):
    """How many coupons a campaign has granted so far, and how many are left of its stock: by Redis."""

    claimed: int
    left: int


def standing(asker: Asker, campaign: str) -> Standing | None:
    """How *campaign* stands; None where it can't be read."""
    answer = asker.ask(f"/v1/campaigns/{quote(campaign)}")
    if answer is None or answer[0] != 200:
        return None
    try:
        body = json.loads(answer[1])
        claimed, left = body["claimed"], body["remaining"]
    except (ValueError, KeyError, TypeError):
        return None
    return Standing(claimed, left) if isinstance(claimed, int) and isinstance(left, int) else None


def figures(page: str) -> dict[str, float]:
    """The figures of *page*, which is in Prometheus text format, that a sample is made of."""
    found = {}
    for line in page.splitlines():
        name, _, value = line.partition(" ")
        if name in _WANTED:
            try:
                found[name] = float(value)
            except ValueError:
                continue
    return found


class Sampler:
    """
    Samples from `start` to `stop`, at the end of each second of the clock. Each series is by second of the run.

    *started_s* is seconds since the epoch; its second is the second 0. *count_users* says how many there are.
    """

    def __init__(
        self, url: str, api_key: str, campaigns: Sequence[str], started_s: float, count_users: Callable[[], int]
    ) -> None:
        self._url, self._api_key, self._start_s = url, api_key, int(started_s)
        self._count_users = count_users
        self.users: dict[int, int] = {}
        self.stock: dict[str, dict[int, int]] = {campaign: {} for campaign in campaigns}
        self.lag_s: dict[int, float] = {}
        self.lag_seq: dict[int, int] = {}
        self.batch_claims: dict[int, float] = {}
        self._batches: tuple[float, float] | None = None
        self._greenlets: list[gevent.Greenlet[Any, Any]] = []

    def start(self) -> None:
        """From now on, once a second."""
        self._greenlets = [
            gevent.spawn(self._sample, read, Asker(self._url)) for read in (self._read_metrics, self._read_users)
        ]
        for campaign in self.stock:
            asker = Asker(self._url, self._api_key)
            self._greenlets.append(gevent.spawn(self._sample, self._reader(campaign), asker))

    def stop(self) -> None:
        """No more; what is asked at the moment is given up."""
        gevent.killall(self._greenlets)
        self._greenlets = []

    def standings(self) -> dict[str, Standing | None]:
        """How each campaign stands now."""
        asker = Asker(self._url, self._api_key)
        try:
            return {campaign: standing(asker, campaign) for campaign in self.stock}
        finally:
            asker.close()

    def _sample(self, read: Callable[[Asker, int], None], asker: Asker) -> None:
        """Call *read* as each second ends; the seconds that a slow answer takes are left out."""
        try:
            while True:
                gevent.sleep(1 - time.time() % 1)
                read(asker, round(time.time()) - 1 - self._start_s)
        finally:
            asker.close()

    def _reader(self, campaign: str) -> Callable[[Asker, int], None]:
        def read(asker: Asker, second: int) -> None:
            found = standing(asker, campaign)
            if found is not None:
                self.stock[campaign][second] = found.left

        return read

    def _read_users(self, _asker: Asker, second: int) -> None:
        self.users[second] = self._count_users()

    def _read_metrics(self, asker: Asker, second: int) -> None:
        answer = asker.ask("/metrics")
        if answer is None or answer[0] != 200:
            self._batches = None
            return
        found = figures(answer[1].decode(errors="replace"))
        if LAG_S in found:
            self.lag_s[second] = found[LAG_S]
        if LAG_SEQ in found:
            self.lag_seq[second] = int(found[LAG_SEQ])
        if BATCH_SUM in found and BATCH_COUNT in found:
            self._keep_batches(second, found[BATCH_SUM], found[BATCH_COUNT])

    def _keep_batches(self, second: int, claims: float, batches: float) -> None:
        """The mean of the calls since the last sample; none where there was no call, or the counters began anew."""
        if self._batches is not None and batches > self._batches[1] and claims >= self._batches[0]:
            self.batch_claims[second] = (claims - self._batches[0]) / (batches - self._batches[1])
        self._batches = claims, batches
