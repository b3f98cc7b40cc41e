"""
Pure: the steps of coupons after their claim → lines of COPY text, and the state each coupon ends in.

A step that is none (an unknown verb, a number that is none, units from nowhere, a detail that is no
object) makes the whole entry unreadable: nothing of it goes into the books.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple, TypeVar

import msgspec

from lua.entries import Changed, Step
from lua.keys import Shard
from reconciler.accounts import DESTINATIONS, LIVE, SOURCES
from reconciler.copying import (
    INTEGER_MAX,
    NULL,
    PLACE_CHARS_MAX,
    TEXT_CHARS_MAX,
    bigint,
    escape,
    json_text,
    optional,
    timestamp,
    whole,
)
from reconciler.money import Settlement, Terms, ended_minor, settlement_of
from reconciler.movements import Figures, Movements, Place, StepMovement, worth_minor
from reconciler.postings import STEP_VERBS, Move, step_moves

STATES = frozenset({"claimed", "reserved", "redeemed", "expired", "revoked"})
"""Every state a coupon may be in."""


class Order(msgspec.Struct):
    """The order of a redemption, as far as the books keep it."""

    id: str | None = None
    currency: str | None = None
    total_minor: int | None = None


class RedeemedDetail(msgspec.Struct):
    """What the gateway tells of a redemption; each part may be absent."""

    order: Order | None = None
    lines: list[dict[str, Any]] | None = None
    shipping_discount_minor: int | None = None
    currency: str | None = None
    merchant: str | None = None
    store: str | None = None
    staff: str | None = None
    channel: str | None = None
    stack: str | None = None
    funders: list[dict[str, Any]] | None = None
    actor: str | None = None


class RolledBackDetail(msgspec.Struct):
    """What the gateway tells of a rollback; each part may be absent."""

    reason: str | None = None
    lines: list[dict[str, Any]] | None = None
    shipping_discount_minor: int | None = None
    funders: list[dict[str, Any]] | None = None
    actor: str | None = None


Told = TypeVar("Told", RedeemedDetail, RolledBackDetail)


class CouponChange(NamedTuple):
    """
    The state one or more steps leave a coupon in. *seq* is of the last one.

    *reserved_until* and *order_id* are None where no step took a hold, *expires_at* where none moved the deadline. A
    code that many may use is not reserved by a hold of one use, so it keeps neither.
    """

    seq: int
    state: str
    left: int | None
    reserved_until: str | None
    order_id: str | None
    expires_at: str | None

    def after(self, earlier: "CouponChange") -> "CouponChange":
        """Both, *earlier* first: a hold outlives a step that leaves the coupon reserved, a deadline any step."""
        keeps_hold = self.state == "reserved" and self.reserved_until is None
        return CouponChange(
            self.seq,
            self.state,
            self.left,
            earlier.reserved_until if keeps_hold else self.reserved_until,
            earlier.order_id if keeps_hold else self.order_id,
            self.expires_at or earlier.expires_at,
        )


@dataclass
class StepRows:
    """What one entry's steps put into the books."""

    entries: list[str] = field(default_factory=list)
    redemptions: list[str] = field(default_factory=list)
    rollbacks: list[str] = field(default_factory=list)
    changes: dict[str, CouponChange] = field(default_factory=dict)
    rolled_back: set[str] = field(default_factory=set)
    movements: Movements = field(default_factory=Movements)
    moves: list[Move] = field(default_factory=list)


def step_rows(shard: Shard, entry_id: str, entry: Changed, terms: Terms, on: date) -> StepRows:
    """The rows of *entry*, whose version of the rules has *terms*, booked *on* a date. Errors: ValueError."""
    rows, at = StepRows(), timestamp(entry.at_ms)
    after_kind = f"\t{at}\t{entry.epoch}\t{entry.version}\t{entry_id}\t"
    for seq, step in enumerate(entry.each, entry.first_seq):
        detail = _detail(step)
        change = _change(seq, step)
        _check_units(step)
        code, holder, ref = escape(step.code), escape(step.holder), optional(step.ref)
        minor = whole(step.minor) if step.minor else NULL
        until = change.reserved_until or change.expires_at or NULL
        rows.entries.append(
            f"{shard}\t{seq}\t{step.verb}{after_kind}{code}\t{holder}\t{ref}\t{minor}\t{step.state}\t"
            f"{optional(step.source)}\t{optional(step.destination)}\t{whole(step.units)}\t"
            f"{NULL if change.left is None else change.left}\t{until}\t"
            f"{NULL if detail is None else json_text(detail)}\t{on}\n"
        )
        place = f"{shard.campaign}\t{shard}\t{seq}"
        told = RedeemedDetail()
        if step.verb == "redeemed":
            told = _told(detail, RedeemedDetail)
            rows.redemptions.append(f"{ref}\t{code}\t{place}\t{holder}\t{_redemption(step, told)}\t{at}\n")
        elif step.verb == "rolled_back":
            told_back = _told(detail, RolledBackDetail)
            rows.rollbacks.append(f"{ref}\t{seq}\t{shard}\t{_rollback(step, told_back)}\t{at}\n")
            rows.rolled_back.add(step.ref)
        settlement = settlement_of(step)
        rows.movements.steps.append(_movement(step, told, settlement, terms, on))
        rows.moves += step_moves(shard.campaign, terms, seq, step, settlement)
        earlier = rows.changes.get(step.code)
        rows.changes[step.code] = change.after(earlier) if earlier else change
    return rows


def _movement(step: Step, told: RedeemedDetail, settlement: Settlement | None, terms: Terms, on: date) -> StepMovement:
    """What *step* moved. Errors: ValueError."""
    currency, minor, units = terms.currency, 0, int(step.units)
    if settlement:
        currency, minor = settlement.told_currency or currency, int(step.minor)
    order_minor = (told.order.total_minor if told.order else None) or 0
    store, currency = told.store or "", currency or ""
    if len(store) > PLACE_CHARS_MAX:
        raise ValueError(f"a store longer than {PLACE_CHARS_MAX} characters")
    verb = STEP_VERBS[step.verb]
    place = Place(on, verb, step.source, step.destination, "", store, currency, terms.entity)
    worth = worth_minor(terms, currency, units)
    if terms.stored:
        out = minor if step.verb == "rolled_back" else -minor
        out -= ended_minor(step) if currency == terms.currency else 0
    else:
        out = worth * ((step.destination in LIVE) - (step.source in LIVE))
    figures = Figures(1, units, worth, out, minor, order_minor)
    return StepMovement(step.code, step.ref if step.verb == "rolled_back" else None, place, figures)


def _detail(step: Step) -> dict[str, Any] | None:
    """The detail of *step*; None where there is none. Errors: ValueError for what is no JSON object."""
    if not step.detail:
        return None
    try:
        detail = msgspec.json.decode(step.detail)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"the detail of a step is no JSON: {error}") from None
    if not isinstance(detail, dict):
        raise ValueError("the detail of a step is no object")
    return detail


def _told(detail: dict[str, Any] | None, kind: type[Told]) -> Told:
    """*detail* as its kind. Errors: ValueError."""
    try:
        return msgspec.convert(detail or {}, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"the detail of a step: {error}") from None


def _change(seq: int, step: Step) -> CouponChange:
    """The state *step* leaves its coupon in. Errors: ValueError."""
    if step.verb not in STEP_VERBS or step.state not in STATES:
        raise ValueError(f"{step.verb[:40]!r} to {step.state[:40]!r} is no step")
    if not step.code or len(step.code) + len(step.holder) > TEXT_CHARS_MAX or len(step.ref) > TEXT_CHARS_MAX:
        raise ValueError(f"no code, or a code and holder, or a ref, longer than {TEXT_CHARS_MAX} characters")
    if step.verb in ("redeemed", "rolled_back") and not (step.ref and step.minor):
        raise ValueError(f"{step.verb} names no redemption or no amount")
    until = timestamp(whole(step.until_ms)) if step.until_ms else None
    if step.verb == "reserved" and until is None:
        raise ValueError("a hold without a deadline")
    return CouponChange(
        seq,
        step.state,
        whole(step.left) if step.left else None,
        until if step.verb == "reserved" else None,
        step.ref if step.verb == "reserved" else None,
        until if step.verb == "rolled_back" else None,
    )


def _check_units(step: Step) -> None:
    """Units move from one account to another one, or not at all. Errors: ValueError."""
    units, way = whole(step.units), (step.source, step.destination)
    if units == 0 and way == ("", ""):
        return
    known = step.source in SOURCES and step.destination in DESTINATIONS and step.source != step.destination
    if not known or not 0 < units <= INTEGER_MAX:
        raise ValueError(f"{step.units} units from {step.source[:40]!r} to {step.destination[:40]!r}")


def _redemption(step: Step, told: RedeemedDetail) -> str:
    """The columns of redemptions from order_id to actor. Errors: ValueError."""
    order = told.order or Order()
    return "\t".join(
        [
            optional(order.id),
            str(whole(step.minor)),
            optional(told.currency or order.currency),
            NULL if order.total_minor is None else str(bigint(order.total_minor)),
            *map(optional, (told.merchant, told.store, told.staff, told.channel, told.stack)),
            json_text(told.lines or []),
            str(bigint(told.shipping_discount_minor or 0)),
            json_text(told.funders or []),
            optional(told.actor),
        ]
    )


def _rollback(step: Step, told: RolledBackDetail) -> str:
    """The columns of rollbacks from minor to actor. Errors: ValueError."""
    return "\t".join(
        [
            str(whole(step.minor)),
            optional(told.reason),
            json_text(told.lines or []),
            str(bigint(told.shipping_discount_minor or 0)),
            json_text(told.funders or []),
            step.state,
            optional(told.actor),
        ]
    )
