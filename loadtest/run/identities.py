"""
The people of one process: seeded names, each with a token that was minted before the first claim.

Processes share the crowd out: each has names of its own, so what one process was told of a holder is all there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from loadtest.target import TokenMint

TOKEN_S = 24 * 3600
"""How long tokens are good for: longer than any run."""


@dataclass(slots=True)
class Holder:
    """Somebody: the header that says so, and by campaign the coupons he was told of."""

    name: str
    authorization: str
    told: dict[str, list[str]] = field(default_factory=dict)
    uncertain: bool = False
    """Whether a claim of his had no answer, so that he may have more coupons than he knows of."""
    asking: int = 0
    """How many claims of his are under way: each may have been granted, and he does not know yet."""

    def has(self, campaign: str, code: str) -> None:
        """Keep that he was told of a coupon."""
        codes = self.told.setdefault(campaign, [])
        if code not in codes:
            codes.append(code)


class Identities:
    """
    *count* holders of part *part* of the crowd, minted as they are asked for by mint(), then handed out in order.

    Once all had their turn it is the first one's again: he comes again for another coupon.
    """

    def __init__(self, mint: TokenMint, seed: int, part: int, count: int) -> None:
        self._mint, self._seed, self._part, self._count = mint, seed, part, count
        self._holders: list[Holder] = []
        self._turn = 0
        self._extra = 0

    def mint(self) -> Iterator[int]:
        """Mint all of them, one a step; how many there are so far."""
        for number in range(len(self._holders), self._count):
            self._holders.append(self._holder(f"h{self._seed}-{self._part}-{number}"))
            yield number + 1

    def next(self) -> Holder:
        """Whose turn it is."""
        holder = self._holders[self._turn % self._count]
        self._turn += 1
        return holder

    def another(self, who: str) -> Holder:
        """Somebody besides: one bot, one till's own customer."""
        self._extra += 1
        return self._holder(f"{who}{self._seed}-{self._part}-{self._extra}")

    def _holder(self, name: str) -> Holder:
        return Holder(name, f"Bearer {self._mint.token(name)}")
