"""Who runs the sale: watches the stock, adds to it when it is sold out, pauses it in the middle. There is one."""

import json
import time

import gevent  # type: ignore[import-untyped]
import msgspec
from locust import constant, tag, task

from loadtest.run.outcomes import DONE, READ, REPLAYED, STATE
from loadtest.run.recording import recorder
from loadtest.shapes import stage_at
from loadtest.told import ADJUST
from loadtest.users.person import STAFF_PATIENCE_S, Person


class _Campaign(msgspec.Struct):
    remaining: int
    state: str


_campaign = msgspec.json.Decoder(_Campaign)


class Marketer(Person):
    """Looks at each campaign four times a second; what he does is marked in the report. The shape may have him wait."""

    fixed_count = 1
    wait_time = constant(0.25)
    patience_s = STAFF_PATIENCE_S

    def on_start(self) -> None:
        """Know what there is to do."""
        super().on_start()
        self.restocks_left = {
            campaign: self.options.restocks if self.options.restock else 0 for campaign in self.plan.campaigns
        }
        self.pause_at_s = self.plan.started_s + self.options.pause_after if self.options.pause_after else None

    @tag("marketer")
    @task
    def watch(self) -> None:
        """Look, and do what is to be done."""
        stage = stage_at(self.plan.shape, time.time() - self.plan.started_s, self.plan)
        for campaign in self.plan.campaigns:
            if self._sold_out(campaign) and self.restocks_left[campaign] and stage.restock:
                self.restocks_left[campaign] -= 1
                self._restock(campaign)
        if self.pause_at_s is not None and time.time() >= self.pause_at_s:
            self.pause_at_s = None
            self._pause()

    def _sold_out(self, campaign: str) -> bool:
        seen = list[_Campaign]()

        def check(body: bytes) -> str:
            try:
                seen.append(_campaign.decode(body))
            except msgspec.MsgspecError:
                return "a body that is none"
            return "" if seen[0].remaining >= 0 else "less than nothing left"

        self.asker.once(
            self.asker.ask(
                READ, "stock", "GET", f"/v1/campaigns/{campaign}", self.staff, campaign=campaign, check=check
            )
        )
        return bool(seen) and seen[0].remaining == 0

    def _restock(self, campaign: str) -> None:
        body = {"delta": self.options.restock, "reason": "sold out"}
        ask = self.asker.ask(
            ADJUST, "restock", "POST", f"/v1/campaigns/{campaign}/stock-adjustments", self.staff,
            json.dumps(body).encode(), about=campaign, campaign=campaign, key=self.part.key(),
        )  # fmt: skip
        done = self.asker.until_answered(ask)
        if done.name in (DONE, REPLAYED):
            recorder.mark(f"restock of {self.options.restock}")
            if done.minor != self.options.restock:
                self.asker.accuse(ask, "another number than was asked for")

    def _pause(self) -> None:
        """Stopped or not, the sale does not stay paused."""
        try:
            self._move("paused", "pause")
            gevent.sleep(self.options.pause_for)
        finally:
            self._move("active", "resume")

    def _move(self, to: str, what: str) -> None:
        body = json.dumps({"to": to}).encode()
        for campaign in self.plan.campaigns:
            path = f"/v1/campaigns/{campaign}/state"
            self.asker.until_answered(self.asker.ask(STATE, what, "POST", path, self.staff, body, campaign=campaign))
        recorder.mark(what)
