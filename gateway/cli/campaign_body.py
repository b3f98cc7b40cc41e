"""Pure: the flags of `fairclaim campaign create` → the body of POST /v1/campaigns. The gateway checks what it means."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.campaigns.definition import parse_ms
from gateway.cli.output import USAGE, Fail
from gateway.wire import rfc3339

HOUR_MS = 3_600_000
BASIS_POINTS_PER_PERCENT = 100


@dataclass(frozen=True)
class Terms:
    """What the flags say; None or empty is a flag that was not given."""

    id: str | None = None
    name: str | None = None
    currency: str | None = None
    stock: int | None = None
    off: int | None = None
    threshold: int | None = None
    percent: float | None = None
    fixed_price: int | None = None
    gift: str | None = None
    free_shipping: bool = False
    balance: int | None = None
    cap: int | None = None
    per_holder: int | None = None
    per_holder_per_day: int | None = None
    per_day: int | None = None
    budget: int | None = None
    starts: str | None = None
    ends: str | None = None
    timezone: str | None = None
    entity: str | None = None
    valid_days: int | None = None
    valid_until: str | None = None
    channels: list[str] = field(default_factory=list)
    shards: int | None = None
    funders: list[str] = field(default_factory=list)


def read_body(path: str, flag: str = "--file") -> dict[str, Any]:
    """The JSON object in the file that *flag* names, ``-`` for standard input. Errors: Fail(USAGE)."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise Fail(USAGE, "bad_file", f"{flag} {path}: {error}") from None
    if not isinstance(found, dict):
        raise Fail(USAGE, "bad_file", f"{flag} {path}: expected a JSON object", "docs/http.md shows one")
    return found


def body_from(terms: Terms, base: dict[str, Any] | None, now_ms: int) -> dict[str, Any]:
    """
    The body: *base* (a file) with what the flags say put over it; without a base the rest has defaults.

    Units: *now_ms* milliseconds since the epoch; amounts are minor units of the currency.
    Errors: Fail(USAGE) naming the flag.
    """
    body = dict(base) if base is not None else _defaults(terms, now_ms)
    given = {
        "id": terms.id,
        "name": terms.name,
        "currency": terms.currency,
        "stock": terms.stock,
        "value": _value(terms),
        "starts_at": terms.starts,
        "ends_at": terms.ends,
        "timezone": terms.timezone,
        "legal_entity": terms.entity,
        "validity": _validity(terms),
        "channels": terms.channels or None,
        "shards": terms.shards,
        "funders": [_funder(text) for text in terms.funders] or None,
    }
    body.update({name: value for name, value in given.items() if value is not None})
    limits = {
        "per_holder": terms.per_holder,
        "per_holder_per_day": terms.per_holder_per_day,
        "per_day": terms.per_day,
        "budget_minor": terms.budget,
    }
    limits = {name: limit for name, limit in limits.items() if limit is not None}
    if limits:
        body["limits"] = {**body.get("limits", {}), **limits}
    return body


def _defaults(terms: Terms, now_ms: int) -> dict[str, Any]:
    if terms.id is None or terms.stock is None:
        missing = "--id" if terms.id is None else "--stock"
        raise Fail(USAGE, "usage", f"{missing} is missing", "give --id and --stock, or --file with a JSON body")
    if _value(terms) is None:
        raise Fail(
            USAGE, "usage", "what is a coupon worth?", "give --off MINOR, --percent P --cap MINOR or another value"
        )
    starts_ms = (parse_ms(terms.starts) if terms.starts else None) or now_ms
    return {
        "name": terms.id,
        "currency": "EUR",
        "starts_at": rfc3339(now_ms),
        "ends_at": rfc3339(starts_ms + HOUR_MS),
        "validity": {"days": 7},
    }


def _value(terms: Terms) -> dict[str, Any] | None:
    """The one value the flags describe, None for none of them."""
    kinds: dict[str, dict[str, Any] | None] = {
        "--off": None if terms.off is None else {"type": "amount_off", "minor": terms.off},
        "--percent": None
        if terms.percent is None
        else {"type": "percent", "basis_points": _basis_points(terms.percent)},
        "--fixed-price": None if terms.fixed_price is None else {"type": "fixed_price", "minor": terms.fixed_price},
        "--gift": None if terms.gift is None else {"type": "gift_item", "sku": terms.gift},
        "--free-shipping": {"type": "free_shipping"} if terms.free_shipping else None,
        "--balance": None if terms.balance is None else {"type": "balance", "minor": terms.balance},
    }
    chosen = {flag: value for flag, value in kinds.items() if value is not None}
    if len(chosen) > 1:
        raise Fail(USAGE, "usage", f"{' and '.join(chosen)} exclude each other: a coupon has one value")
    if not chosen:
        for flag, number in (("--threshold", terms.threshold), ("--cap", terms.cap)):
            if number is not None:
                raise Fail(USAGE, "usage", f"{flag} says nothing without a value such as --off or --percent")
        return None
    ((flag, value),) = chosen.items()
    if terms.threshold is not None:
        if flag != "--off":
            raise Fail(USAGE, "usage", f"--threshold goes with --off, not with {flag}")
        value["threshold_minor"] = terms.threshold
    if terms.cap is not None:
        if flag in ("--off", "--balance"):
            raise Fail(USAGE, "usage", f"--cap does not go with {flag}, which says the amount itself")
        value["cap_minor"] = terms.cap
    elif flag == "--percent":
        raise Fail(USAGE, "usage", "--percent needs --cap: without one nobody knows what the campaign may cost")
    return value


def _basis_points(percent: float) -> int:
    points = round(percent * BASIS_POINTS_PER_PERCENT)
    if abs(points - percent * BASIS_POINTS_PER_PERCENT) > 1e-6:
        raise Fail(USAGE, "usage", f"--percent {percent:g} is finer than a basis point; at most two decimals")
    return points


def _validity(terms: Terms) -> dict[str, Any] | None:
    if terms.valid_days is not None and terms.valid_until is not None:
        raise Fail(USAGE, "usage", "--valid-days and --valid-until exclude each other")
    if terms.valid_until is not None:
        return {"until": terms.valid_until}
    return None if terms.valid_days is None else {"days": terms.valid_days}


def _funder(text: str) -> dict[str, Any]:
    account, equals, points = text.partition("=")
    if not account or not equals or not points.isdigit():
        raise Fail(USAGE, "usage", f"--funder {text!r}: expected ACCOUNT=BASIS_POINTS, such as platform=10000")
    return {"account": account, "basis_points": int(points)}
