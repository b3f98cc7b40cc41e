"""Who looks: at what they claimed, at their wallet, at one coupon, at the sale."""

from typing import Any

import msgspec
from locust import between, tag, task

from loadtest.run.identities import Holder
from loadtest.run.outcomes import READ
from loadtest.users.person import Person


class _Coupon(msgspec.Struct):
    code: str
    campaign: str
    state: str


class _Page(msgspec.Struct):
    items: list[_Coupon]


class _Campaign(msgspec.Struct):
    id: str
    remaining: int


_page = msgspec.json.Decoder(_Page)
_coupon = msgspec.json.Decoder(_Coupon)
_campaign = msgspec.json.Decoder(_Campaign)


class Wallet(Person):
    """
    Reads as somebody who has just claimed, or who never did.

    What contradicts what this process was told is wrong. Claims are read from Redis, so what was told before the
    question has to be in the answer; the wallet is read from the books, which may be behind.
    """

    weight = 6
    wait_time = between(0.2, 1.0)

    def on_start(self) -> None:
        """Be somebody, until there is somebody with a coupon."""
        super().on_start()
        assert self.part.identities is not None
        self.nobody = self.part.identities.another("w")

    @tag("wallet")
    @task(4)
    def claims(self) -> None:
        """What he claimed of the sale."""
        campaign, holder, _ = self._somebody()
        known = set(holder.told.get(campaign, ()))

        def check(body: bytes) -> str:
            mine = [item.code for item in _page.decode(body).items if item.campaign == campaign]
            if not known <= set(mine):
                return "a coupon that was told is not there"
            return self._too_many(mine)

        self._read("claims mine", f"/v1/campaigns/{campaign}/claims/mine", holder, check)

    @tag("wallet")
    @task(3)
    def wallet(self) -> None:
        """All he has."""
        campaign, holder, _ = self._somebody()

        def check(body: bytes) -> str:
            return self._too_many([item.code for item in _page.decode(body).items if item.campaign == campaign])

        self._read("wallet", "/v1/coupons", holder, check)

    @tag("wallet")
    @task(2)
    def coupon(self) -> None:
        """One coupon he was told of."""
        campaign, holder, code = self._somebody()
        if not code:
            return

        def check(body: bytes) -> str:
            found = _coupon.decode(body)
            return "" if (found.code, found.campaign) == (code, campaign) else "another coupon"

        self._read("coupon", f"/v1/coupons/{code}", holder, check)

    @tag("wallet")
    @task(2)
    def sale(self) -> None:
        """What is left of the sale."""
        campaign, holder, _ = self._somebody()
        most = self.plan.stock + self.options.restock * self.options.restocks if self.plan.created else None

        def check(body: bytes) -> str:
            found = _campaign.decode(body)
            if found.id != campaign:
                return "another campaign"
            return "more left than there ever was" if most is not None and not 0 <= found.remaining <= most else ""

        self._read("campaign", f"/v1/campaigns/{campaign}", holder, check)

    def _read(self, what: str, path: str, holder: Holder, check: Any) -> None:
        def judged(body: bytes) -> str:
            try:
                return str(check(body))
            except msgspec.MsgspecError:
                return "a body that is none"

        self.asker.once(self.asker.ask(READ, what, "GET", path, holder.authorization, holder=holder.name, check=judged))

    def _somebody(self) -> tuple[str, Holder, str]:
        """A campaign, who looks, and a coupon of his; of somebody without one, none."""
        coupons = self.part.coupons
        if not coupons or self.dice.random() < 0.1:
            return self.campaign, self.nobody, ""
        return coupons[self.dice.randrange(len(coupons))]

    def _too_many(self, codes: list[str]) -> str:
        """Nobody has more than the limit, nor one twice."""
        if len(codes) != len(set(codes)):
            return "a coupon twice"
        return "more coupons than the limit" if self.plan.created and len(codes) > self.plan.limit else ""
