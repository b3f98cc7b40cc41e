"""Bodies in and out of quotes, reservations, redemptions and rollbacks."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.operation import Time
from gateway.campaigns.broken import is_text
from gateway.codes import DECOY, read_code
from gateway.errors import Refusal
from gateway.redeeming.states import State
from gateway.worth.order import Order, check_order
from gateway.worth.reason import Reason
from gateway.worth.refund import LineAsk
from gateway.worth.stack import STACK_MAX, Choose, Mode

HOLD_S_DEFAULT, HOLD_S_MAX = 900, 1800
CODE_CHARS_MAX = 255
WORD_CHARS_MAX = 64
REASON_CHARS_MAX = 200
ORDER_ID_CHARS_MAX = 128

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=CODE_CHARS_MAX)]
Codes = Annotated[tuple[Code, ...], msgspec.Meta(min_length=1, max_length=STACK_MAX)]


class _Body(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A body that comes in: unknown fields are refused by name."""


class _Coded(_Body, frozen=True, kw_only=True):
    """What names coupons: either one code, or several."""

    code: Code | UnsetType = UNSET
    codes: Codes | UnsetType = UNSET
    mode: Mode = Mode.ALL
    choose: Choose = Choose.GIVEN

    @property
    def all_codes(self) -> tuple[str, ...]:
        """Every code of the request. Errors: Refusal("bad_request") for none, or both fields."""
        if (self.code is UNSET) == (self.codes is UNSET):
            raise Refusal("bad_request", "Give code, or codes for several.", field="code")
        return (self.code,) if isinstance(self.code, str) else tuple(self.codes or ())


class QuoteBody(_Coded, frozen=True, kw_only=True):
    """The body of a quote."""

    order: Order


class OrderName(msgspec.Struct, frozen=True):
    """An order of which only the id matters; whatever else is said of it is not looked at."""

    id: str


class ReservationBody(_Body, frozen=True, kw_only=True):
    """The body of a reservation: *order_id*, or the order itself. Units: seconds."""

    code: Code
    order_id: str | UnsetType = UNSET
    order: OrderName | UnsetType = UNSET
    ttl_s: Annotated[int, msgspec.Meta(ge=1, le=HOLD_S_MAX)] = HOLD_S_DEFAULT

    @property
    def named_order(self) -> str:
        """The id of the order. Errors: Refusal("bad_request")."""
        if (self.order_id is UNSET) == (self.order is UNSET):
            raise Refusal("bad_request", "order_id: the order that the coupon is held for.", field="order_id")
        if isinstance(self.order_id, str):
            return checked_text("order_id", self.order_id, ORDER_ID_CHARS_MAX)
        assert isinstance(self.order, OrderName)
        return checked_text("order.id", self.order.id, ORDER_ID_CHARS_MAX)


class RedemptionBody(_Coded, frozen=True, kw_only=True):
    """
    The body of a redemption.

    *holder* is who the store says stands before it: then the coupon has to be his, or one that may be passed on.
    """

    order: Order
    merchant: str | None = None
    store: str | None = None
    channel: str | None = None
    staff: str | None = None
    holder: str | None = None

    def checked(self) -> "RedemptionBody":
        """
        The body in the one form it is known by: each code in one spelling, one code as *code*; store and channel in the
        order too, where a scope looks for them.

        Errors: Refusal("bad_request") naming every field.
        """
        for name in ("merchant", "store", "channel", "staff", "holder"):
            text = getattr(self, name)
            if text is not None:
                checked_text(name, text, 128 if name == "holder" else WORD_CHARS_MAX)
        codes = tuple(map(spelt, self.all_codes))
        order = check_order(self.order)
        for name in ("store", "channel"):
            mine, its = getattr(self, name), getattr(order, name)
            if mine is not None and its is not None and mine != its:
                raise Refusal("bad_request", f"{name}: not the same as order.{name}.", field=name)
            order = msgspec.structs.replace(order, **{name: its if mine is None else mine})
        named: dict[str, Any] = {"code": codes[0], "codes": UNSET} if len(codes) == 1 else {"codes": codes}
        return msgspec.structs.replace(self, order=order, store=order.store, channel=order.channel, **named)


class RollbackBody(_Body, frozen=True, kw_only=True):
    """The body of a rollback: an amount, or lines, or neither for all that is left."""

    reason: str
    amount_minor: int | None = None
    lines: tuple[LineAsk, ...] | None = None


class RevokeBody(_Body, frozen=True, kw_only=True):
    """The body of a revocation."""

    reason: str


def spelt(code: str) -> str:
    """A code in the one spelling it is known by, however it was typed; one that can't be one, as DECOY or as it is."""
    return read_code(code) or (code if code.isprintable() else DECOY)


def checked_text(field: str, text: str, chars_max: int) -> str:
    """*text*, if it says something. Errors: Refusal("bad_request")."""
    if not is_text(text, chars_max):
        rule = f"1 to {chars_max} characters, not only blanks, no control characters"
        raise Refusal("bad_request", f"{field}: {rule}.", field=field, errors=[{"field": field, "rule": rule}])
    return text


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of a currency."""

    minor: int
    currency: str


class LineOff(msgspec.Struct, frozen=True):
    """What is taken off a line of the order, or given back of it, in the order of its lines."""

    sku: str
    discount_minor: int


class QuoteItem(msgspec.Struct, frozen=True, kw_only=True):
    """What one coupon would take off; *reason* says why it does not apply."""

    code: str
    applies: bool
    discount: Money
    lines: list[LineOff]
    shipping_discount_minor: int
    reason: Reason | None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What coupons would take off an order, and what is left to pay: *total_minor*, shipping too."""

    order_id: str
    items: list[QuoteItem]
    discount: Money
    total_minor: int
    as_of: Time


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon that is held for an order. *order_id* is None for who holds neither the coupon nor the hold."""

    code: str
    campaign: str
    state: State
    order_id: str | None
    reserved_until: Time | None
    server_time: Time


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """
    A redemption, as it was answered first.

    *coupon_state* and *left* are the coupon's right after it: uses, or minor units of a balance.
    """

    id: str
    code: str
    campaign: str
    state: str
    order_id: str
    discount: Money
    lines: list[LineOff]
    shipping_discount_minor: int
    merchant: str | None
    store: str | None
    channel: str | None
    staff: str | None
    stack: str | None
    coupon_state: State
    left: int
    seq: int
    redeemed_at: Time


class RedemptionSeen(Redemption, frozen=True, kw_only=True):
    """A redemption as it is now: what came back of it, and each rollback."""

    rolled_back: Money
    rollbacks: list["Rollback"]


class Rollback(msgspec.Struct, frozen=True, kw_only=True):
    """A rollback, as it was answered first. *left* is what can still come back of the redemption after it."""

    redemption: str
    number: int
    code: str
    state: str
    reason: str
    amount: Money
    lines: list[LineOff]
    shipping_discount_minor: int
    left: Money
    coupon_state: State
    expires_at: Time
    seq: int
    rolled_back_at: Time


class StackItem(msgspec.Struct, frozen=True, kw_only=True):
    """One code of several: redeemed, or why not."""

    code: str
    applies: bool
    redemption: Redemption | None
    reason: Reason | None


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """Several codes redeemed as one."""

    id: str
    state: str
    order_id: str
    discount: Money
    items: list[StackItem]


class StackRollback(msgspec.Struct, frozen=True, kw_only=True):
    """All that was left of a stack, rolled back."""

    id: str
    state: str
    amount: Money
    items: list[Rollback]


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon that was taken away."""

    code: str
    campaign: str
    state: State
    server_time: Time


def encoded(body: Any) -> bytes:
    """A body in the one form that is hashed to tell a changed request from the same one."""
    return msgspec.json.encode(body, order="deterministic")
