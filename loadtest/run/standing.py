"""The gates that nobody can switch off: the verdict, and that what it judges is all there was."""

from collections.abc import Mapping, Sequence

from loadtest.report.result import Gate, Verdict
from loadtest.run.gates import NOTHING


def verdict_gate(verdict: Verdict | None, unjudged: str, requests: int) -> Gate:
    """Every check of the verdict holds, and there was something to judge; *unjudged* says why there is no *verdict*."""
    if verdict is None:
        found = f"not judged: {unjudged}"
    elif not requests:
        found = NOTHING
    elif verdict.holds:
        found = f"all {len(verdict.checks)} hold"
    else:
        found = ", ".join(check.name for check in verdict.checks if not check.holds) or "it does not hold"
    holds = verdict is not None and verdict.holds and requests > 0
    return Gate(name="verdict", asked="every check holds", found=found, holds=holds)


def product_gate(own: bool | None) -> list[Gate]:
    """The gateway's own verdict, where it could be asked for."""
    if own is None:
        return []
    return [Gate(name="product verdict", asked="it holds", found="it holds" if own else "it does not hold", holds=own)]


def workers_gate(workers: int, lost: Sequence[str]) -> list[Gate]:
    """Each of so many *workers* told everything it saw, where there are any; those of *lost* did not."""
    if not workers and not lost:
        return []
    without = f": without {', '.join(lost)}" if lost else ""
    found = f"{workers - len(lost)} of {workers}{without}"
    return [Gate(name="workers", asked="all tell what they saw", found=found, holds=not lost)]


def users_gate(broken: Mapping[str, int]) -> list[Gate]:
    """No user broke off with an exception of its own; *broken* has how often, by what it said."""
    if not broken:
        return []
    found = f"{sum(broken.values()):,}, as in: {next(iter(broken))}"
    return [Gate(name="users", asked="none breaks", found=found, holds=False)]
