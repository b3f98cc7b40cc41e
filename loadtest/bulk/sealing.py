"""Pure: the sums of a shard as journals, chained and numbered; worked out from docs/schema.md, not from the program."""

import json
from collections.abc import Iterable, Iterator
from datetime import date
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple

Row = tuple[int, str, date, int, int, int, str, str, str, int]
"""batch, verb, day, the journal's first and last seq, when it was in ms, source, destination, commodity, amount."""


class Sealed(NamedTuple):
    """A journal and its place in the chain; *postings* are source, destination, commodity, amount."""

    verb: str
    first_seq: int
    last_seq: int
    occurred_ms: int
    day: date
    previous: bytes
    hash: bytes
    postings: list[tuple[str, str, str, int]]


def seal(shard: str, entity: str, rows: Iterable[Row]) -> Iterator[Sealed]:
    """The journals of *rows*, which are in order: those of a journal come one after the other."""
    head = b""
    for (_, verb, day), lines in groupby(rows, key=lambda row: row[:3]):
        found = list(lines)
        first_seq, last_seq, occurred_ms = found[0][3:6]
        postings = [line[6:] for line in found]
        told: list[Any] = [shard, verb, first_seq, last_seq, occurred_ms, day.isoformat(), postings]
        if entity != "main":
            told.append({"entity": entity})
        encoded = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
        link = sha256(head + encoded).digest()
        yield Sealed(verb, first_seq, last_seq, occurred_ms, day, head, link, postings)
        head = link
