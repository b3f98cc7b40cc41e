"""Who counts: reports, balances and stocktakes while the crowd is there. There is one."""

import json

import msgspec
from locust import constant, tag, task

from loadtest.run.outcomes import REPORT, STOCKTAKE
from loadtest.users.person import STAFF_PATIENCE_S, Person

SAMPLES = 20


class _Side(msgspec.Struct):
    debit: int
    credit: int


class _Balances(msgspec.Struct):
    totals: list[_Side]


class _Shard(msgspec.Struct):
    found: list[msgspec.Raw]


class _Stocktake(msgspec.Struct):
    clean: bool
    shards: list[_Shard]


_balances = msgspec.json.Decoder(_Balances)
_stocktake = msgspec.json.Decoder(_Stocktake)


class Finance(Person):
    """Asks every other second; what does not balance, and what a stocktake finds, is wrong."""

    fixed_count = 1
    wait_time = constant(2.0)
    patience_s = STAFF_PATIENCE_S

    @tag("finance")
    @task(2)
    def report(self) -> None:
        """What became of the coupons of a campaign."""
        self._read("report", f"/v1/reports/roll-forward?by=campaign&campaign={self.campaign}")

    @tag("finance")
    @task(2)
    def balances(self) -> None:
        """The unit book of a campaign, all accounts of which come to nothing."""

        def check(body: bytes) -> str:
            try:
                totals = _balances.decode(body).totals
            except msgspec.MsgspecError:
                return "a body that is none"
            return "" if all(side.debit == side.credit for side in totals) else "books that do not balance"

        self._read("balances", f"/v1/ledger/balances?book=units&campaign={self.campaign}", check)

    @tag("finance")
    @task
    def stocktake(self) -> None:
        """Redis against the books, while claims go on."""

        def check(body: bytes) -> str:
            try:
                taken = _stocktake.decode(body)
            except msgspec.MsgspecError:
                return "a body that is none"
            # One that is unfinished is not clean either, and found nothing.
            return "a stocktake found a difference" if any(shard.found for shard in taken.shards) else ""

        body = json.dumps({"campaign": self.campaign, "samples": SAMPLES}).encode()
        self.asker.once(self.asker.ask(STOCKTAKE, "stocktake", "POST", "/v1/stocktakes", self.staff, body, check=check))

    def _read(self, what: str, path: str, check: object = None) -> None:
        self.asker.once(self.asker.ask(REPORT, what, "GET", path, self.staff, check=check))
