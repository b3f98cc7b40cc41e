"""
Pure: the steps of coupons after their claim → lines of COPY text, and the state each coupon ends in.

A step that is none (an unknown verb, a number that is none, units from nowhere, a detail that is no
object) makes the whole entry unreadable: nothing of it goes into the books.
"""

from datetime import date
from typing import Any, TypeVar

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
from reconciler.money import Order, Settlement, Terms, check_settlement, ended_minor
from reconciler.movements import Figures, Place, StepMovement, worth_minor
from reconciler.postings import STEP_VERBS, step_move
from reconciler.tables import CouponChange, Rows

STATES = frozenset({"claimed", "reserved", "redeemed", "expired", "revoked"})
"""Every state a coupon may be in."""


class RedeemedDetail(Settlement, frozen=True):
    """What the gateway tells of a redemption; each part may be absent."""

    lines: list[dict[str, Any]] | None = None
    shipping_discount_minor: int | None = None
    store: str | None = None
    staff: str | None = None
    channel: str | None = None
    stack: str | None = None
    actor: str | None = None


class RolledBackDetail(Settlement, frozen=True):
    """What the gateway tells of a rollback; each part may be absent."""

    reason: str | None = None
    lines: list[dict[str, Any]] | None = None
    shipping_discount_minor: int | None = None
    actor: str | None = None


Told = TypeVar("Told", RedeemedDetail, RolledBackDetail)


def add_steps(rows: Rows, shard: Shard, entry_id: str, entry: Changed, terms: Terms, on: date) -> None:
    """Add the rows of *entry*, whose version of the rules has *terms*, booked *on* a date. Errors: ValueError."""
    at, name, campaign = timestamp(entry.at_ms), str(shard), shard.campaign
    entries = rows.lines["copy_step_entries"]
    after_kind = f"\t{at}\t{entry.epoch}\t{entry.version}\t{entry_id}\t"
    for seq, step in enumerate(entry.each, entry.first_seq):
        detail = _detail(step)
        change = _change(seq, step)
        units = _units(step)
        code, holder, ref = escape(step.code), escape(step.holder), optional(step.ref)
        minor = whole(step.minor) if step.minor else NULL
        until = change.reserved_until or change.expires_at or NULL
        entries.append(
            f"{name}\t{seq}\t{step.verb}{after_kind}{code}\t{holder}\t{ref}\t{minor}\t{step.state}\t"
            f"{optional(step.source)}\t{optional(step.destination)}\t{units}\t"
            f"{NULL if change.left is None else change.left}\t{until}\t"
            f"{NULL if detail is None else json_text(detail)}\t{on}\n"
        )
        told: RedeemedDetail | RolledBackDetail | None = None
        if step.verb == "redeemed":
            told = _told(step, detail, RedeemedDetail)
            line = f"{ref}\t{code}\t{campaign}\t{name}\t{seq}\t{holder}\t{_redemption(minor, told)}\t{at}\n"
            rows.lines["copy_redemptions"].append(line)
        elif step.verb == "rolled_back":
            told = _told(step, detail, RolledBackDetail)
            rows.lines["copy_rollbacks"].append(f"{ref}\t{seq}\t{name}\t{_rollback(step, told)}\t{at}\n")
            rows.rolled_back.add(step.ref)
        rows.movements.steps.append(_movement(step, told, units, terms, on))
        rows.moves.append(step_move(campaign, terms, seq, step, told))
        earlier = rows.changes.get(step.code)
        rows.changes[step.code] = change.after(earlier) if earlier else change


def _movement(step: Step, told: Settlement | None, units: int, terms: Terms, on: date) -> StepMovement:
    """What *step* moved. Errors: ValueError."""
    currency, store, minor, order_minor = terms.currency or "", "", 0, 0
    if told:
        currency, minor = told.told_currency or currency, int(step.minor)
    if isinstance(told, RedeemedDetail):
        store, order_minor = told.store or "", (told.order and told.order.total_minor) or 0
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


def _told(step: Step, detail: dict[str, Any] | None, kind: type[Told]) -> Told:
    """*detail*, that of *step*, as its kind. Errors: ValueError."""
    try:
        told = msgspec.convert(detail or {}, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"the detail of a step: {error}") from None
    check_settlement(step, told)
    return told


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


def _units(step: Step) -> int:
    """How many units move from one account to another one, 0 where none does. Errors: ValueError."""
    units = whole(step.units)
    if units == 0 and step.source == step.destination == "":
        return 0
    known = step.source in SOURCES and step.destination in DESTINATIONS and step.source != step.destination
    if not known or not 0 < units <= INTEGER_MAX:
        raise ValueError(f"{step.units} units from {step.source[:40]!r} to {step.destination[:40]!r}")
    return units


def _redemption(minor: int | str, told: RedeemedDetail) -> str:
    """The columns of redemptions from order_id to actor. Errors: ValueError."""
    order = told.order or Order()
    return "\t".join(
        [
            optional(order.id),
            str(minor),
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
