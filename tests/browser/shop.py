"""A shop for the till's tests: coupons of known worth, and a browser that is signed in."""

from playwright.async_api import Page

from gateway.errors import Refusal
from gateway.till.desk import DiscountedLine, Order, Quote, Redemption, Rollback
from lua.keys import CouponCode
import msgspec, time


class Double:
    def __init__(self):
        self.coupons = {}
        self.done = {}
        self.keys = {}
        self.backs = {}
        self.asked = 0
        self.fail = []

    def __call__(self, request, key):
        return self

    def norm(self, code):
        return code.upper().replace("-", "").replace(" ", "")

    async def quote(self, code, order):
        code = self.norm(code)
        if code not in self.coupons:
            raise Refusal("coupon_not_found")
        off, threshold, state = self.coupons[code]
        if state != "claimed":
            raise Refusal("invalid_state", **{"from": state, "to": "redeemed", "allowed": []})
        goods = order.total_minor - order.shipping_minor
        if goods < threshold:
            return Quote(code, 0, (0,) * len(order.lines), 0, "The order has to come to 30.00 CNY for it")
        off = min(off, goods)
        lines = []
        rest = off
        for line in order.lines:
            part = min(rest, off * line.minor // goods + 1)
            lines.append(part)
            rest -= part
        return Quote(code, off, tuple(lines), 0, None)

    async def redeem(self, key, code, order, staff):
        self.asked += 1
        if self.fail:
            raise self.fail.pop()
        if key in self.keys:
            return self.done[self.keys[key]]
        q = await self.quote(code, order)
        if q.reason:
            raise Refusal("conditions_not_met", q.reason)
        self.coupons[q.code] = (*self.coupons[q.code][:2], "redeemed")
        rid = f"rdm_{len(self.done)+1:026d}"
        self.keys[key] = rid
        self.done[rid] = Redemption(rid, q.code, "flash", order.id, order.currency, q.minor, order.total_minor, tuple(DiscountedLine(l.sku, l.quantity, m) for l, m in zip(order.lines, q.lines)), 0, order.store, staff, round(time.time()*1000))
        return self.done[rid]

    async def redemption(self, rid):
        if rid not in self.done:
            raise Refusal("redemption_not_found" if "redemption_not_found" in __import__("gateway.errors").errors.PROBLEMS else "not_found")
        return self.done[rid]

    async def rollback(self, key, rid, reason, amount):
        if self.fail:
            raise self.fail.pop()
        if key in self.backs:
            return
        self.backs[key] = 1
        d = self.done[rid]
        left = d.minor - d.rolled_back_minor
        amount = left if amount is None else amount
        self.done[rid] = msgspec.structs.replace(d, rolled_back_minor=d.rolled_back_minor + amount, rollbacks=(*d.rollbacks, Rollback(amount, reason, round(time.time()*1000))))
