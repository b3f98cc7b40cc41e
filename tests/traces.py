"""Small traces for tests, as lines of a file and as rows."""

from collections.abc import Iterable
from pathlib import Path

from loadtest.trace.rows import Trace, parse

HEADER = "User_id,Merchant_id,Coupon_id,Discount_rate,Distance,Date_received"
CENTS = 100
"""Minor units a major one, in every test that does not say otherwise."""


def lines(*claims: str) -> list[str]:
    """A file of claims `user coupon day [used]`, of merchant 7, 5 off from 30; with a column Date if one is used."""
    used = any(len(claim.split()) == 4 for claim in claims)
    found = [HEADER + (",Date" if used else "")]
    for claim in claims:
        user, coupon, day, *when = claim.split()
        found.append(f"{user},7,{coupon},30:5,0,201607{day}" + (f",{when[0] if when else 'null'}" if used else ""))
    return found


def trace(*claims: str) -> Trace:
    """The same, read."""
    return parse(lines(*claims), CENTS)


def written(folder: Path, text: Iterable[str]) -> Path:
    """A file of these lines."""
    path = folder / "trace.csv"
    path.write_text("\n".join([*text, ""]), encoding="utf-8")
    return path
