"""An amount in whole parts that sum to it, by largest remainder. Used for lines, funders, and what is given back."""

from collections.abc import Sequence


def allot(amount: int, weights: Sequence[int]) -> list[int]:
    """
    *amount* in as many parts as there are *weights*, in proportion to them.

    Each part is the exact share rounded down, and what is left over goes, a unit each, to the parts that lost most by
    that; of equal ones to the larger weight, then to the earlier. So the parts sum to *amount*, none is a whole unit
    from its share, and none exceeds its weight where *amount* does not exceed their sum.

    Shape: *amount* and *weights* from 0; exact however large they are.
    Errors: ValueError for a negative one, and for an *amount* that no weight could get a part of.
    """
    whole = sum(weights)
    if amount < 0 or min(weights, default=0) < 0:
        raise ValueError("amounts and weights are not negative")
    if amount == 0:
        return [0] * len(weights)
    if whole == 0:
        raise ValueError(f"{amount} can't be allotted: there is no weight")
    parts = [amount * weight // whole for weight in weights]
    over = amount - sum(parts)
    if over:
        lost = [(amount * weight % whole, weight, -at) for at, weight in enumerate(weights)]
        for _, _, negated_at in sorted(lost, reverse=True)[:over]:
            parts[-negated_at] += 1
    return parts
