"""
The contract with Redis: the scripts, and the only Python that knows what they know.

    keys.py      key names of a shard, holder → shard, the idempotency hash
    outcomes.py  what a script may answer
    entries.py   what a script leaves on the stream
    tally.py     a shard as stocktake.lua has seen it
    scripts.py   the .lua files: includes expanded, headers parsed, digests
    door.py      one connection, one script call, no retries
    *.lua        one verb a file; lib/ holds what they share

Gateway and reconciler both stand on this room and meet only at the stream. It imports nothing of ours.
"""
