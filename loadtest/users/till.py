"""The tills: a customer shows a coupon; it is quoted, held, spent, and sometimes given back."""

import json
from typing import Any

import msgspec
from locust import between, tag, task

from loadtest.run.asking import Ask
from loadtest.run.identities import Holder
from loadtest.run.opening import DISCOUNT_MINOR
from loadtest.run.outcomes import CLAIMED, DONE, OVERLOAD, QUOTE, REPLAYED, UNANSWERED, WRONG, Outcome
from loadtest.told import REDEEM, RELEASE, RESERVE, ROLLBACK
from loadtest.users.person import Claiming

PRICE_MINOR = 4_000
PART_MINOR = 200
HOLD_S = 600


class _Money(msgspec.Struct):
    minor: int


class _Item(msgspec.Struct):
    applies: bool
    discount: _Money | None


class _Quote(msgspec.Struct):
    items: list[_Item]


_quote = msgspec.json.Decoder(_Quote)


class Till(Claiming):
    """
    Takes the coupons that this process's crowd won, each of them at one till, so that none can have been spent before.

    Where there are none the customer claims one first. What is spent is tried once more now and then, by the same key
    and on another order.
    """

    weight = 6
    wait_time = between(0.05, 0.5)

    @tag("till")
    @task
    def serve(self) -> None:
        """One customer, from the quote to what he brings back."""
        found = self._customer()
        if found is None:
            return
        campaign, holder, code = found
        order = f"o-{self.part.key()}"
        self._quote(code, order)
        if self.dice.random() < 0.5 and self._held(campaign, holder, code, order):
            return
        ask = self._redemption(campaign, holder, code, order)
        spent = self.asker.until_answered(ask)
        if spent.name not in (DONE, REPLAYED):
            self._refused(ask, spent, "a coupon that is good was refused")
            return
        if self.plan.created and spent.minor != DISCOUNT_MINOR:
            self.asker.accuse(ask, "another discount than it is worth")
        if self.dice.random() < 0.3:
            self._same(ask, spent, self.asker.until_answered(ask))
        if self.dice.random() < 0.1:
            self._spend_again(campaign, holder, code)
        if self.dice.random() < 0.2:
            self._give_back(campaign, holder, spent)

    def _customer(self) -> tuple[str, Holder, str] | None:
        if self.part.coupons:
            return self.part.coupons.popleft()
        assert self.part.identities is not None
        self.claim_for(self.part.identities.another("t"), self.campaign, retry_rate=0.0)
        # What he won waits where all coupons wait; another till may have been faster.
        return self.part.coupons.popleft() if self.part.coupons else None

    def _order(self, order: str) -> dict[str, Any]:
        line = {"sku": "A1", "category": "tea", "quantity": 1, "unit_price_minor": PRICE_MINOR}
        return {"id": order, "currency": "CNY", "lines": [line]}

    def _ask(self, kind: str, method: str, path: str, body: dict[str, Any] | None, **more: Any) -> Ask:
        data = None if body is None else json.dumps(body).encode()
        return self.asker.ask(kind, kind, method, path, self.staff, data, **more)

    def _quote(self, code: str, order: str) -> None:
        def check(body: bytes) -> str:
            try:
                [item] = _quote.decode(body).items
            except (msgspec.MsgspecError, ValueError):
                return "a body that is none"
            worth = item.applies and item.discount is not None and item.discount.minor == DISCOUNT_MINOR
            return "" if worth or not self.plan.created else "another quote than it is worth"

        self.asker.until_answered(
            self._ask(QUOTE, "POST", "/v1/quotes", {"code": code, "order": self._order(order)}, check=check)
        )

    def _held(self, campaign: str, holder: Holder, code: str, order: str) -> bool:
        """Hold it for the order; whether the customer then left without it, or it could not be held."""
        more = {"about": code, "campaign": campaign, "holder": holder.name, "code": code}
        body = {"code": code, "order_id": order, "ttl_s": HOLD_S}
        # The order is what makes a hold the same one; a key of ours names the ask in what was told.
        ask = self._ask(RESERVE, "POST", "/v1/reservations", body, **more)._replace(key=order)
        held = self.asker.until_answered(ask)
        if held.name not in (DONE, REPLAYED):
            self._refused(ask, held, "a coupon that is good was refused")
            return True
        if self.dice.random() < 0.85:
            return False
        path = f"/v1/reservations/{code}?order_id={order}"
        ask = self._ask(RELEASE, "DELETE", path, None, **more)._replace(key=f"{order}-off")
        released = self.asker.until_answered(ask)
        if released.name in (DONE, REPLAYED):
            self.part.coupons.append((campaign, holder, code))
        else:
            self._refused(ask, released, "a hold of ours was not let go")
        return True

    def _redemption(self, campaign: str, holder: Holder, code: str, order: str) -> Ask:
        body = {
            "code": code,
            "order": self._order(order),
            "merchant": "m-1",
            "store": "s-1",
            "channel": "pos",
            "staff": f"e-{self.part.number}",
        }
        more = {"about": code, "campaign": campaign, "holder": holder.name, "code": code, "key": self.part.key()}
        return self._ask(REDEEM, "POST", "/v1/redemptions", body, **more)

    def _spend_again(self, campaign: str, holder: Holder, code: str) -> None:
        """On another order: it is spent, so it has to be refused."""
        ask = self._redemption(campaign, holder, code, f"o-{self.part.key()}")
        if self.asker.until_answered(ask).name in (DONE, REPLAYED):
            self.asker.accuse(ask, "a coupon was spent twice")

    def _give_back(self, campaign: str, holder: Holder, spent: Outcome) -> None:
        """Some of it, or all of it."""
        some = self.dice.random() < 0.5 and spent.minor > PART_MINOR
        body = {"reason": "refund", **({"amount_minor": PART_MINOR} if some else {})}
        more = {"about": spent.ref, "campaign": campaign, "holder": holder.name, "code": spent.code, "ref": spent.ref}
        ask = self._ask(ROLLBACK, "POST", f"/v1/redemptions/{spent.ref}/rollback", body, key=self.part.key(), **more)
        back = self.asker.until_answered(ask)
        if back.name not in (DONE, REPLAYED):
            self._refused(ask, back, "what was spent could not be given back")
        elif back.minor != (PART_MINOR if some else spent.minor):
            self.asker.accuse(ask, "another amount than was asked for")
        elif self.dice.random() < 0.3:
            self._same(ask, back, self.asker.until_answered(ask))

    def _same(self, ask: Ask, first: Outcome, again: Outcome) -> None:
        if again.name in (*OVERLOAD, UNANSWERED, WRONG):
            return
        if again.name != REPLAYED or (again.ref, again.minor) != (first.ref, first.minor):
            self.asker.accuse(ask, "another answer to the same key")

    def _refused(self, ask: Ask, outcome: Outcome, says: str) -> None:
        """Refusals that can't be: this till alone has the coupon, and the campaign is as this run made it."""
        if self.plan.created and outcome.name not in (*OVERLOAD, UNANSWERED, WRONG, CLAIMED):
            self.asker.accuse(ask, says)
