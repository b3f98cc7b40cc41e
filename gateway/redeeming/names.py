"""The names of redemptions and stacks, and the hashes that an act is known by. Pure but for the random part."""

from base64 import b64encode
from hashlib import blake2b

from gateway.codes import CodeMaker, ParsedCode, parse_code
from lua.keys import CouponCode, Shard

REDEMPTION_PREFIX, STACK_PREFIX = "RD", "ST"


class Names:
    """Names for redemptions, made like codes: they say which campaign and shard they are of."""

    def __init__(self) -> None:
        self._makers: dict[Shard, CodeMaker] = {}

    def redemption(self, number: int, shard: Shard) -> str:
        """A new redemption id on *shard* of the campaign with *number*."""
        maker = self._makers.get(shard)
        if maker is None:
            maker = self._makers[shard] = CodeMaker(number, shard.number)
        return f"{REDEMPTION_PREFIX}{maker.take(1)[0]}"


def place_of(redemption: str) -> ParsedCode | None:
    """Campaign number and shard of a redemption id; None for what is none."""
    if not redemption.startswith(REDEMPTION_PREFIX):
        return None
    parsed = parse_code(redemption[len(REDEMPTION_PREFIX) :])
    return parsed if parsed is not None and f"{REDEMPTION_PREFIX}{parsed.code}" == redemption else None


def act_key(verb: str, owner: str, key: str) -> str:
    """
    22 characters for an Idempotency-Key for *verb*. *owner* is whose keys it is told from: a caller's, a redemption's.

    128 bits, because they are compared among all acts of a shard: a chance collision of 10^9 is below 1e-20.
    """
    return _hashed(verb, owner, key)


def order_scope(code: CouponCode, order: str, merchant: str | None, store: str | None) -> str:
    """
    22 characters for what one order does with one coupon: once, whatever the key.

    An order is a shop's: two shops may number theirs alike.
    """
    return _hashed("order", code, order, merchant or "", store or "")


def payload_of(*parts: bytes) -> str:
    """22 characters that tell a changed request from the same one."""
    return _digest(b"\0".join(parts))


def _hashed(*parts: str) -> str:
    return _digest("\0".join(parts).encode())


def _digest(data: bytes) -> str:
    return b64encode(blake2b(data, digest_size=16).digest())[:22].decode()
