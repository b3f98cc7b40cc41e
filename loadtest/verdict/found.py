"""What a verdict is: checks by name, each with how much it looked at and the first row that violates it."""

from typing import Any, NamedTuple

SAYS = {
    "drained": "the books have every state change that Redis counted",
    "sequence": "the state changes of each shard are numbered from 1, none missing and none twice",
    "stock": "no more was granted than was put in, at any time",
    "sold_out": "it is told while nothing is left, and where it was told last nothing is left at the end",
    "adjusted": "what was put in is what the campaign was made with and what was told of each adjustment",
    "limit": "no holder ever had more than the limit",
    "limit_reached": "whoever is told so has as many as the limit by then",
    "refused": "nobody is refused for a reason that the campaign does not have",
    "told": "each coupon that was told has exactly one row, of its holder and with its number",
    "untold": "each row of a claim was told, or asked for without an answer",
    "replays": "a key has one coupon and a coupon one key: asked again, it is told again",
    "redeemed": "each redemption that was told is one row, no other is there, and no coupon is spent twice",
    "rolled_back": "each rollback that was told is one row of its amount, and no other is there",
    "rows": "what the books keep twice is the same in both places",
    "units": "the accounts of the unit book are what state changes and coupons add up to",
    "money": "merchants are owed what was redeemed, and what the coupons that are out may cost is committed",
    "redis": "what Redis has, as the gateway tells it, is what the books have",
}
"""Every check, in the order of a report, and what holds where it does."""


class Check(NamedTuple):
    """One check: how many things it looked at, how many violate it, and the first of these, by name of its figures."""

    name: str
    says: str
    checked: int
    violated: int
    first: dict[str, Any] | None

    @property
    def holds(self) -> bool:
        """Whether nothing violates it."""
        return self.violated == 0


class Verdict(NamedTuple):
    """Whether all *checks* hold, and the seconds it took to know."""

    holds: bool
    checks: list[Check]
    took_s: float

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON has it."""
        return {"holds": self.holds, "took_s": self.took_s, "checks": [check._asdict() for check in self.checks]}

    def screen(self) -> str:
        """The verdict for people: a line a check, and below one that does not hold its first row."""
        lines = []
        for check in self.checks:
            found = f"{check.violated:,} of {check.checked:,}" if check.violated else f"{check.checked:,}"
            lines.append(f"{'ok  ' if check.holds else 'FAIL'}  {check.name:<14}{found:>22}  {check.says}")
            if check.first is not None:
                lines.append(f"      first: {row_text(check.first)}")
        broken = sum(not check.holds for check in self.checks)
        ends = "do not hold" if broken else "hold"
        lines += ["", f"{broken or len(self.checks)} of {len(self.checks)} checks {ends} ({self.took_s:.1f} s)"]
        return "\n".join(lines)


def row_text(row: dict[str, Any]) -> str:
    """A violating row for people, on one line."""
    return " · ".join(f"{name} {value}" for name, value in row.items())


class Tally:
    """One check while it is counted."""

    def __init__(self, name: str) -> None:
        self.name, self.checked, self.violated = name, 0, 0
        self.first: dict[str, Any] | None = None

    def violate(self, why: str, count: int = 1, **row: Any) -> None:
        """Count what does not hold; the first row is kept. What has no value is left out of it."""
        self.violated += count
        if self.first is None:
            self.first = {"why": why, **{name: value for name, value in row.items() if value not in (None, "")}}

    def done(self) -> Check:
        """The check."""
        return Check(self.name, SAYS[self.name], max(self.checked, self.violated), self.violated, self.first)


class Tallies:
    """All checks while they are counted, by name."""

    def __init__(self) -> None:
        self._of = {name: Tally(name) for name in SAYS}

    def __getitem__(self, name: str) -> Tally:
        return self._of[name]

    def done(self) -> list[Check]:
        """The checks, in the order of a report."""
        return [tally.done() for tally in self._of.values()]
