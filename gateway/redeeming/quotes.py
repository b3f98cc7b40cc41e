"""What coupons would take off an order: advice, by the same rules and the same record that a redemption goes by."""

import asyncio
from collections.abc import Sequence

from gateway.errors import Refusal
from gateway.redeeming.bodies import LineOff, Money, Quote, QuoteItem
from gateway.redeeming.coupons import Asker, Coupons, Found
from gateway.redeeming.states import State
from gateway.wire import rfc3339
from gateway.worth.discount import Discount
from gateway.worth.order import Order
from gateway.worth.reason import Reason, reason
from gateway.worth.stack import Choose, Item, Mode, Offer, combine

ABSENT = reason("coupon_not_found")


class Quotes:
    """Quotes of one worker."""

    def __init__(self, coupons: Coupons) -> None:
        self._coupons = coupons

    async def quote(self, codes: Sequence[str], order: Order, mode: Mode, choose: Choose, asker: Asker) -> Quote:
        """
        What each of *codes* takes off *order*, or why not; *order* is checked.

        Errors: Refusal coupon_not_found where the only code is not there for *asker*, rate_limited, not_ready,
        overloaded; bad_request for no code, too many, or one twice.
        """
        found = await find_all(self._coupons, codes, order, asker)
        items = await combined(found, codes, order, mode, choose)
        now_ms = max((each.now_ms for each in found if each is not None), default=0)
        total_minor = sum(item.discount.minor for item in items if item.discount is not None)
        return Quote(
            order_id=order.id,
            items=[quote_item(item, order) for item in items],
            discount=Money(total_minor, order.currency),
            total_minor=order.total_minor - total_minor,
            as_of=rfc3339(now_ms),
        )


async def find_all(coupons: Coupons, codes: Sequence[str], order: Order, asker: Asker) -> list[Found | None]:
    """
    Each code's coupon, None where it is not there for *asker*.

    All of them are looked up before anything is refused, so that how long it takes tells nothing of one of them.
    Errors: Refusal coupon_not_found where none of them is, rate_limited.
    """
    await coupons.admit(asker)
    found: list[Found | None] = []
    limited: Refusal | None = None
    refused = 0
    for code in codes:
        try:
            found.append(await coupons.find(code, asker, order.id))
        except Refusal as refusal:
            if refusal.code != "rate_limited":
                raise
            limited, refused = limited or refusal, refused + 1
            found.append(None)
    missing = sum(each is None for each in found)
    if limited is not None:  # counted by whoever refused it
        if missing > refused:
            await coupons.missed(asker, missing - refused)
        raise limited
    if missing:
        missed = await coupons.missed(asker, missing)
        if missing == len(found) or missed.code != "coupon_not_found":
            raise missed
    return found


def why_not(found: Found, order: Order) -> Reason | None:
    """Why a coupon takes nothing off whatever the order is worth: its state, or another order's hold."""
    state = found.looked.state
    if state is State.RESERVED and found.looked.order == order.id:
        return None
    if state is State.RESERVED:
        return reason("reserved_by_other")
    if state is not State.CLAIMED:
        return reason("not_usable", f"The coupon is {state}.")
    held_here = found.looked.order == order.id
    if found.looked.shared and found.looked.left < 1 and not held_here:
        return reason("not_usable", "Every use of this code is taken.")
    return None


async def combined(
    found: Sequence[Found | None], codes: Sequence[str], order: Order, mode: Mode, choose: Choose
) -> list[Item]:
    """combine_found(), beside the loop where it may take as long as many claims do: up to 0.1 s for the best of ten."""
    if choose is Choose.BEST:
        return await asyncio.to_thread(combine_found, found, codes, order, mode, choose)
    return combine_found(found, codes, order, mode, choose)


def combine_found(
    found: Sequence[Found | None], codes: Sequence[str], order: Order, mode: Mode, choose: Choose
) -> list[Item]:
    """What the coupons that can be used take off together; a reason for each of the others."""
    refused: dict[int, Reason] = {}
    for place, each in enumerate(found):
        why = ABSENT if each is None else why_not(each, order)
        if why is not None:
            refused[place] = why
    usable = [(place, each) for place, each in enumerate(found) if each is not None and place not in refused]
    if mode is Mode.ALL and refused and usable:
        refused |= {place: reason("all_or_nothing") for place, _ in usable}
        usable = []
    offers = [Offer(str(each.code), each.terms, left_minor(each)) for _, each in usable]
    combined = combine(order, offers, mode, choose) if offers else []
    by_place = dict(zip((place for place, _ in usable), combined, strict=True))
    items = []
    for place, code in enumerate(codes):
        each = found[place]
        shown = str(each.code) if each is not None else code
        items.append(by_place.get(place) or Item(shown, None, refused[place]))
    return items


def left_minor(found: Found) -> int | None:
    """What is left of a balance; None for coupons of other kinds."""
    return found.looked.left if found.terms.kind == "balance" else None


def quote_item(item: Item, order: Order) -> QuoteItem:
    """One coupon of a quote, for the wire."""
    discount = item.discount or Discount(0, tuple(0 for _ in order.lines))
    return QuoteItem(
        code=item.code,
        applies=item.discount is not None,
        discount=Money(discount.minor, order.currency),
        lines=[LineOff(line.sku, minor) for line, minor in zip(order.lines, discount.lines, strict=True)],
        shipping_discount_minor=discount.shipping_minor,
        reason=item.reason,
    )
