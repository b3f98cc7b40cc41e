"""A build with a planted bug: a copy of the source in which one place is edited."""

import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ROOMS = ("gateway", "lua", "reconciler")


class Bug(NamedTuple):
    """What is planted: in *file* of the source, *replace* in the place of *find*, which is there exactly once."""

    file: str
    find: str
    replace: str


def build(folder: Path, bug: Bug | None) -> Path:
    """A copy of the source in *folder*, with *bug* in it. Errors: AssertionError where the edit does not fit."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room)
    if bug is not None:
        plant(folder, bug)
    return folder


def plant(folder: Path, bug: Bug | None, instead_of: Bug | None = None) -> None:
    """Edit the copy in *folder*: put *bug* in, and take *instead_of* out. Errors: AssertionError."""
    for each in (instead_of, bug):
        if each is not None:
            text = (ROOT / each.file).read_text(encoding="utf-8")
            assert text.count(each.find) == 1, f"{each.find!r} is {text.count(each.find)} times in {each.file}"
            edited = text.replace(each.find, each.replace) if each is bug else text
            (folder / each.file).write_text(edited, encoding="utf-8")


_WRITE = "if count > 0 then\n  local counter_call"
_ENTRY = "entry_write(entries_key, first_seq, count, '\\153' .. head .. grants)"
_LOST = "stock < 100 and stock + count >= 100"
"""The one call that takes the hundredth unit from the last."""

BUGS = {
    "oversell by one": Bug(
        "lua/claim.lua", "if stock < 1 then return SOLD_OUT end", "if stock < 0 then return SOLD_OUT end"
    ),
    "limit off by one": Bug(
        "lua/claim.lua", ">= per_holder then return { LIMIT_REACHED", "> per_holder then return { LIMIT_REACHED"
    ),
    "lost entry, its numbers taken": Bug(
        "lua/claim.lua", _ENTRY, f"{_LOST} and {{ 'EXISTS', entries_key }} or {_ENTRY}"
    ),
    "lost entry, its numbers given again": Bug(
        "lua/claim.lua",
        _WRITE,
        f"if count > 0 then\n  local lost = {_LOST}\n"
        "  local entry_write = lost and function() return { 'EXISTS', entries_key } end or entry_write\n"
        "  if lost then seq = first_seq - 1 end\n  local counter_call",
    ),
    "double entry": Bug("lua/claim.lua", _ENTRY, f"{_ENTRY}, {_ENTRY}"),
    "double entry, numbered on": Bug(
        "lua/claim.lua",
        "return cmsgpack.pack({ now_ms, whole(version), stock,",
        "if count > 0 then\n  local again = redis.call('XREVRANGE', entries_key, '+', '-', 'COUNT', 1)[1][2]\n"
        "  local body = cmsgpack.unpack(again[6])\n  body[6] = seq + 1\n"
        "  redis.call(unpack(entry_write(entries_key, seq + 1, count, cmsgpack.pack(body))))\n"
        "  redis.call('HSET', counters_key, 'seq', text(seq + count))\nend\n"
        "return cmsgpack.pack({ now_ms, whole(version), stock,",
    ),
    "replay that grants": Bug(
        "lua/claim.lua",
        "if earlier then return same and replay(earlier) or KEY_REUSED end",
        "if earlier and not same then return KEY_REUSED end",
    ),
}
"""Every bug a verdict has to catch, by what it does."""

CAUGHT: dict[str, tuple[str, set[str], dict[str, object]]] = {
    "oversell by one": ("stock", {"shard", "seq", "code", "holder"}, {"why": "nothing was left of it", "left": -1}),
    "limit off by one": ("limit", {"shard", "seq", "code", "holder"}, {"has": 3, "limit": 2}),
    "lost entry, its numbers taken": ("sequence", {"seq", "found"}, {"why": "a record is missing on the stream"}),
    "lost entry, its numbers given again": ("told", {"code", "holder", "key", "seq"}, {"why": "it has no row"}),
    "double entry": ("sequence", {"seq", "found"}, {"why": "a record came twice"}),
    "double entry, numbered on": ("sequence", {"seq", "found"}, {"why": "a record came twice"}),
    "replay that grants": (
        "replays", {"holder", "key", "code", "and_then"}, {"why": "one key was given two coupons"},
    ),
}  # fmt: skip
"""Bug → the check that has to name it, and what its first row tells: which fields, and what some of them say."""
