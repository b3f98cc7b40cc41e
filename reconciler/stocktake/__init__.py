"""
Stocktake: Redis and the books compared at exactly one seq of each shard, under load and without tolerance.

    taking.py      take(): the comparison, whatever happens meanwhile
    comparing.py   one shard where both sides met: what differs
    figures.py     pure: which figures there are, on both sides, and which differ
    fields.py      pure: a coupon and a holder, field by field
    standing.py    pure: the books of a shard, and how they stood at another seq
    reading.py     what is read of the books in one snapshot, and of the stream beyond it
    likely.py      pure: what a difference most likely comes from
    keeping.py     a stocktake is written down, and a break for each new difference
    breaks.py      what becomes of a break: open, explained, resolved
    continuous.py  the clerk's work: every shard, again and again
"""

from reconciler.stocktake.comparing import Found, Stocktake
from reconciler.stocktake.reading import list_shards
from reconciler.stocktake.taking import Wanted, take

__all__ = ["Found", "Stocktake", "Wanted", "list_shards", "take"]
