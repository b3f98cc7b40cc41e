"""What the header names of a request say, worked out once for each set of names and not once a request."""

from functools import lru_cache
from typing import NamedTuple

SHAPES_KEPT_MAX = 256
_NOT_PLAIN = {b"transfer-encoding", b"expect", b"upgrade"}


class Shape(NamedTuple):
    """
    What the names of a head's headers say, whatever their values: clients send the same few sets over and over.

    *host* and the others are names as they were spelt, b"" where there is none. A *plain* head has no name twice, and
    nothing that a claim has no use for: Transfer-Encoding, Expect, Upgrade. A *silent* one has no Connection header.
    """

    hosts: int
    plain: bool
    silent: bool
    host: bytes
    authorization: bytes
    idempotency_key: bytes
    content_length: bytes
    content_type: bytes
    x_request_id: bytes


@lru_cache(maxsize=SHAPES_KEPT_MAX)
def shape_of(names: tuple[bytes, ...]) -> Shape:
    """The shape of a head with *names*, those with an underscore left out."""
    kept = [name for name in names if b"_" not in name]
    spelt = {name.lower(): name for name in kept}
    return Shape(
        sum(name.lower() == b"host" for name in kept),
        len(spelt) == len(kept) and not spelt.keys() & _NOT_PLAIN,
        b"connection" not in spelt,
        *(spelt.get(field.replace("_", "-").encode(), b"") for field in Shape._fields[3:]),
    )
