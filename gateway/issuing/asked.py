"""What may be asked of code batches, and the checks that need nothing but the body."""

import re
from hashlib import sha256

import msgspec

from gateway.campaigns.check import LATEST_MS
from gateway.campaigns.definition import parse_ms
from gateway.codes import fold_code, parse_code
from gateway.errors import Refusal
from lua.keys import CouponCode

COUNT_MAX = 5_000_000
USES_MAX = 1_000_000_000
SHARED_CHARS_MIN, SHARED_CHARS_MAX = 4, 32
_SHARED = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9-]{{{SHARED_CHARS_MIN - 2},{SHARED_CHARS_MAX - 2}}})[A-Za-z0-9]")


class SingleCodes(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind", tag="single"):
    """*count* codes of their own, each for one use. Without *expires_at* they expire like a coupon claimed now."""

    count: int
    expires_at: str | None = None


class SharedCode(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind", tag="shared"):
    """One code that may be used *uses* times, by whoever knows it."""

    code: str
    uses: int
    expires_at: str | None = None


CodesBody = SingleCodes | SharedCode
"""The body of POST …/code-batches."""


def refuse(field: str, rule: str) -> Refusal:
    """A bad request for one field."""
    return Refusal("bad_request", f"{field}: {rule}.", field=field, errors=[{"field": field, "rule": rule}])


def check_codes(body: CodesBody) -> CouponCode | None:
    """The shared code as it is kept, None for single ones. Errors: Refusal("bad_request") naming the field."""
    if isinstance(body, SingleCodes):
        if not 1 <= body.count <= COUNT_MAX:
            raise refuse("count", f"a whole number from 1 to {COUNT_MAX}")
        return None
    if not 1 <= body.uses <= USES_MAX:
        raise refuse("uses", f"a whole number from 1 to {USES_MAX}")
    if parse_code(body.code) is not None:
        raise refuse("code", "not one that reads as a code made here")
    code = fold_code(body.code) if _SHARED.fullmatch(body.code) else None
    if code is None:
        raise refuse(
            "code",
            f"{SHARED_CHARS_MIN} to {SHARED_CHARS_MAX} of A-Z, 0-9 and hyphen, not a hyphen first or last, "
            f"at least {SHARED_CHARS_MIN} of them letters or digits",
        )
    return code


def check_expiry(expires_at: str | None, now_ms: int, otherwise_ms: int) -> int:
    """When the codes expire, in milliseconds. Errors: Refusal("bad_request")."""
    if expires_at is None:
        return otherwise_ms
    ms = parse_ms(expires_at)
    if ms is None or not now_ms < ms <= LATEST_MS:
        raise refuse("expires_at", "a time to come with its offset (RFC 3339), before the year 2200")
    return ms


def digest(*asked: object) -> bytes:
    """What an Idempotency-Key stands for: equal digests are one request."""
    return sha256(msgspec.json.encode(asked)).digest()
