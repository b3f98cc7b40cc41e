"""
Pure: what state changes moved a day, as movement_days has it.

A step does not tell the channel of the claim, nor a rollback the store of the redemption: the books do, and only once
the rows are in them. So steps are kept one by one until totals() is told both.
"""

from collections.abc import Mapping
from datetime import date
from operator import add
from typing import NamedTuple

from lua.keys import Shard
from reconciler.money import Terms


class Place(NamedTuple):
    """What movements are summed by."""

    effective_date: date
    verb: str
    source: str
    destination: str
    channel: str
    store: str
    currency: str
    entity: str


class Figures(NamedTuple):
    """
    What moved.

    *worth_minor* is the most that the units may cost, *out_minor* what is committed, or owed on balances, more than
    before, *minor* what was given away or given back.
    """

    entries: int
    units: int
    worth_minor: int = 0
    out_minor: int = 0
    minor: int = 0
    order_minor: int = 0

    def plus(self, other: "Figures") -> "Figures":
        """Both."""
        return Figures(*map(add, self, other))


class StepMovement(NamedTuple):
    """
    One step: *place* is without its channel, which is that of *code*.

    Its store is that of the redemption *rolled_back*, where it gives something of one back.
    """

    code: str
    rolled_back: str | None
    place: Place
    figures: Figures


class Movements:
    """The movements of one entry, or of a batch of them."""

    def __init__(self) -> None:
        self.sums: dict[Place, Figures] = {}
        self.steps: list[StepMovement] = []

    def put(self, place: Place, figures: Figures) -> None:
        """Add what moved at *place*."""
        known = self.sums.get(place)
        self.sums[place] = known.plus(figures) if known else figures

    def add(self, later: "Movements") -> None:
        """Add what comes after this in the shard."""
        for place, figures in later.sums.items():
            self.put(place, figures)
        self.steps += later.steps

    def totals(self, channels: Mapping[str, str], stores: Mapping[str, str | None]) -> dict[Place, Figures]:
        """
        Everything, steps included, summed.

        Shape: *channels* maps a code to the channel it was claimed in, *stores* a redemption to its store; what they
        don't know is without a name.
        """
        found: dict[tuple[Place, str, str], Figures] = {}
        for code, rolled_back, place, figures in self.steps:
            store = place.store if rolled_back is None else stores.get(rolled_back) or ""
            key = place, channels.get(code, ""), store
            known = found.get(key)
            found[key] = known.plus(figures) if known else figures
        whole = Movements()
        whole.sums.update(self.sums)
        for (place, channel, store), figures in found.items():  # far fewer than the steps
            whole.put(place._replace(channel=channel, store=store), figures)
        return whole.sums


def worth_minor(terms: Terms, currency: str, units: int) -> int:
    """The most that *units* may cost in *currency*; 0 where nothing bounds it, or it is not the campaign's."""
    return (terms.unit_minor or 0) * units if currency and currency == terms.currency else 0


def movement_values(shard: Shard, totals: Mapping[Place, Figures]) -> dict[str, object]:
    """What add_movements takes."""
    places, figures = list(zip(*totals, strict=True)), list(zip(*totals.values(), strict=True))
    return {
        "shard": str(shard),
        "campaign": shard.campaign,
        **{name: list(column) for name, column in zip(Place._fields, places, strict=True)},
        **{name: list(column) for name, column in zip(Figures._fields, figures, strict=True)},
    }
