"""
result.json: everything a run came to, as one document. The page, JUnit and the line on the screen are made of it.

Times are seconds since the start of the run, latencies milliseconds. docs/loadtest.md lists the fields.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

Setting = str | int | float | bool | None
Series = list[float | None]
"""One figure a second, in the order of Seconds.at_s; None where there is none."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the document; a field that is not known is refused by its name."""


class Generator(_Strict, frozen=True, kw_only=True):
    """
    What made the load. *processes* are those that had users; *cpu_percent_max* is the busiest of them in its busiest
    second, of one core. *lost* names the workers whose attempts are not all known.
    """

    locust: str
    processes: int
    cpu_percent_max: int
    lost: list[str] = []


class Campaign(_Strict, frozen=True, kw_only=True):
    """
    A campaign of the run. *stock* is that of the start, *left* that of the end.

    *granted* is how many coupons it gave in the run by its own count, also those whose answer got lost; where that
    can't be read, how many coupons claims were told of.
    """

    id: str
    stock: int | None
    limit: int
    granted: int
    left: int | None


class Check(_Strict, frozen=True, kw_only=True):
    """One check of the verdict; it holds where nothing violates it, and else *first* is the first row that does."""

    name: str
    says: str
    checked: int
    violated: int
    first: dict[str, Any] | None

    @property
    def holds(self) -> bool:
        """Whether nothing violates it."""
        return self.violated == 0


class Verdict(_Strict, frozen=True, kw_only=True):
    """What the books and Redis say of what the crowd was told."""

    holds: bool
    took_s: float
    checks: list[Check]


class ProductVerdict(_Strict, frozen=True, kw_only=True):
    """What the gateway says of itself."""

    holds: bool


class Gate(_Strict, frozen=True, kw_only=True):
    """Something that was asked of the run: *asked* and *found* are for people."""

    name: str
    asked: str
    found: str
    holds: bool


class Request(_Strict, frozen=True, kw_only=True):
    """The requests of one name. Latencies are None where no request of that name had an answer."""

    name: str
    count: int
    failures: int
    per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class Failure(_Strict, frozen=True, kw_only=True):
    """How often requests of one name failed with one text."""

    name: str
    says: str
    count: int


class Mark(_Strict, frozen=True, kw_only=True):
    """Something that was done to the sale."""

    at_s: float
    says: str


class Seconds(_Strict, frozen=True, kw_only=True):
    """
    The run second by second; every list is as long as *at_s*.

    Outcomes and latencies are of claims, by the second they were answered in. *batch_claims* is how many claims a
    script call carried on average, *drain_lag_seq* how many state changes the books were behind.
    """

    at_s: list[int]
    users: list[int | None]
    outcomes: dict[str, list[int]]
    p50_ms: Series
    p95_ms: Series
    p99_ms: Series
    stock: dict[str, list[int | None]]
    drain_lag_s: Series
    drain_lag_seq: list[int | None]
    batch_claims: Series


class Result(_Strict, frozen=True, kw_only=True):
    """
    A run. *clean* says that every gate holds, and the verdict is one of them.

    *verdict* is None where nothing could be judged, and *unjudged* says why; *product_verdict* is None where the
    gateway could not be asked in time. *outcomes* are those of claims; *p50_ms* and the like too.
    """

    run: str
    shape: str
    mode: str
    started_at: datetime
    duration_s: float
    host: str
    seed: int
    settings: dict[str, Setting]
    generator: Generator
    campaigns: list[Campaign]
    clean: bool
    exit_code: int
    verdict: Verdict | None
    unjudged: str = ""
    product_verdict: ProductVerdict | None
    gates: list[Gate]
    outcomes: dict[str, int]
    goodput_per_s: float
    error_ratio: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    requests: list[Request]
    failures: list[Failure]
    seconds: Seconds
    marks: list[Mark]

    def encode(self) -> bytes:
        """The bytes of result.json."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


def read_result(file: Path) -> Result:
    """A result.json. Errors: OSError; msgspec.ValidationError and DecodeError naming what is wrong, and where."""
    return msgspec.json.decode(file.read_bytes(), type=Result)
