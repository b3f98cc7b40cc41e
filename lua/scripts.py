"""
The .lua files as values: includes expanded, the header's KEYS line parsed, the digest taken.

A file's header is code: its KEYS line is the only place the keys of a call are listed, and its
order is the order they are sent in.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib.resources import files

from lua.keys import PARTS, Shard

_INCLUDE = re.compile(r"^--- @include (.+)$", re.MULTILINE)
_KEYS = re.compile(r"^-- KEYS +(.+)$", re.MULTILINE)


class ScriptError(Exception):
    """A .lua file is not as it has to be: no KEYS line, an unknown part, a missing or doubled include."""


@dataclass(frozen=True)
class Script:
    """One verb. *parts* are the key parts of a call, in order; *digest* is what EVALSHA names."""

    name: str
    source: str
    parts: tuple[str, ...]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha1(self.source.encode(), usedforsecurity=False).hexdigest())

    def keys(self, shard: Shard) -> list[str]:
        """The keys of a call on *shard*, in the order of the header."""
        return [shard.key(part) for part in self.parts]


def parse_script(name: str, text: str) -> Script:
    """Expand the includes of *text* and read its header. Errors: ScriptError."""
    header = _KEYS.search(text)
    if header is None or not text.startswith("#!lua"):
        raise ScriptError(f"{name}.lua: needs a #!lua line and a '-- KEYS' line")
    parts = tuple(header.group(1).split())
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ScriptError(f"{name}.lua: KEYS names {unknown}, known are {sorted(PARTS)}")
    return Script(name, _INCLUDE.sub(lambda match: _library(name, match.group(1).split()), text), parts)


def _library(name: str, includes: list[str]) -> str:
    if len(set(includes)) != len(includes):
        raise ScriptError(f"{name}.lua: includes one file twice: {includes}")
    texts = []
    for include in includes:
        path = files("lua") / "lib" / f"{include}.lua"
        if not path.is_file():
            raise ScriptError(f"{name}.lua: includes lib/{include}.lua, which is not there")
        texts.append(path.read_text(encoding="utf-8").rstrip())
    return "\n".join(texts)


@cache
def load_script(name: str) -> Script:
    """The script in ``<name>.lua``. Errors: ScriptError."""
    path = files("lua") / f"{name}.lua"
    if not path.is_file():
        raise ScriptError(f"{name}.lua: not there")
    return parse_script(name, path.read_text(encoding="utf-8"))


SCRIPTS = (
    "claim",
    "publish",
    "adjust",
    "attach",
    "look",
    "held",
    "issue",
    "inspect",
    "reserve",
    "release",
    "redeem",
    "recall",
    "rollback",
    "expire",
    "revoke",
    "lapse",
    "stocktake",
)
"""Every verb there is; a test compares this with the files."""
