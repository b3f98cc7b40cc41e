"""What the scripts of a coupon's life answer, as types; the headers of the .lua files have the shapes."""

from typing import Any

import msgspec

from gateway.redeeming.states import LETTERS, State


class Looked(msgspec.Struct, array_like=True, frozen=True):
    """
    A coupon at one instant (inspect.lua).

    *left* of *of* is what is left of it: uses, or minor units of a balance. *order*, *by* and *until_ms* are of its
    hold, empty and 0 for none. *shared* is a code that many may use.
    """

    letter: str
    holder: str
    seq: int
    claimed_ms: int
    expires_ms: int
    left: int
    of: int
    order: str
    by: str
    until_ms: int
    shared: bool

    @property
    def state(self) -> State:
        """Its state."""
        return LETTERS[self.letter]


class Inspection(msgspec.Struct, array_like=True, frozen=True):
    """What inspect.lua says of a call: *terms* is empty where the caller knows those of *frozen*."""

    now_ms: int
    ready: bool
    frozen: str
    terms: str
    replies: list[Looked | bool]


class Steps(msgspec.Struct, array_like=True, frozen=True):
    """What a verb says of a call: a refusal, a number, or a list each."""

    now_ms: int
    replies: list[Any]


class Part(msgspec.Struct, array_like=True, frozen=True):
    """One rollback of a redemption; *state* and *expires_ms* are the coupon's after it."""

    seq: int
    at_ms: int
    minor: str
    state: str
    expires_ms: int
    detail: str


class Record(msgspec.Struct, array_like=True, frozen=True):
    """
    A redemption as Redis keeps it. *back* of *minor* came back so far.

    *letter* and *left* are the coupon's state and rest right after it was redeemed.
    """

    code: str
    seq: int
    at_ms: int
    minor: str
    charge: str
    back: str
    letter: str
    left: str
    scope: str
    detail: str
    parts: list[Part]


class Recalled(msgspec.Struct, array_like=True, frozen=True):
    """What recall.lua says: *record* is False where there is no such redemption."""

    now_ms: int
    ready: bool
    frozen: str
    terms: str
    record: Record | bool
    letter: str
    left: int


class OrderDetail(msgspec.Struct, frozen=True):
    """What is kept of the order."""

    id: str
    currency: str
    total_minor: int
    shipping_minor: int


class LineDetail(msgspec.Struct, frozen=True):
    """What a redemption took off a line of the order."""

    sku: str
    quantity: int
    discount_minor: int


class FunderDetail(msgspec.Struct, frozen=True):
    """What a funder pays of it."""

    account: str
    minor: int


class RedemptionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a redemption's step carries besides its amounts, to the books and back to whoever asks.

    *act* are the hashes of its Idempotency-Key and of what was asked: what a replay is known by.
    """

    order: OrderDetail
    lines: list[LineDetail]
    shipping_discount_minor: int
    currency: str
    funders: list[FunderDetail]
    actor: str
    act: tuple[str, str]
    merchant: str | None = None
    store: str | None = None
    staff: str | None = None
    channel: str | None = None
    stack: str | None = None


class LineBack(msgspec.Struct, frozen=True):
    """What a rollback gave back of a line, parallel to the redemption's."""

    sku: str
    discount_minor: int


class RollbackDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback's step carries besides its amount; merchant, store and *act* as its redemption has them."""

    reason: str
    lines: list[LineBack]
    shipping_discount_minor: int
    currency: str
    funders: list[FunderDetail]
    actor: str
    act: tuple[str, str]
    merchant: str | None = None
    store: str | None = None
    stack: str | None = None


def read_redemption(record: Record) -> RedemptionDetail:
    """The detail of a redemption. Errors: msgspec.ValidationError, if it is none of ours."""
    return msgspec.json.decode(record.detail, type=RedemptionDetail)


def read_rollback(part: Part) -> RollbackDetail:
    """The detail of a rollback. Errors: msgspec.ValidationError, if it is none of ours."""
    return msgspec.json.decode(part.detail, type=RollbackDetail)
