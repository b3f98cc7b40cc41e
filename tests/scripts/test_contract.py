"""The two halves of the contract agree: Lua files with their headers, and the Python that names the same things."""

import re
from importlib.resources import files

import pytest

from lua.keys import PARTS, CampaignId, HolderId, Shard, key_hash, payload_hash, shard_of
from lua.outcomes import Outcome
from lua.scripts import SCRIPTS, ScriptError, load_script, parse_script


def test_outcomes_are_the_same_numbers_in_lua_and_python() -> None:
    """lib/outcomes.lua and outcomes.py name the same outcomes with the same numbers."""
    text = (files("lua") / "lib" / "outcomes.lua").read_text()
    in_lua: dict[str, int] = {}
    for names, values in re.findall(r"^local ([A-Z_, ]+) = ([-\d, ]+)$", text, re.MULTILINE):
        in_lua.update(zip(names.split(", "), map(int, values.split(", ")), strict=True))

    assert in_lua == {name: int(outcome) for name, outcome in Outcome.__members__.items()}


def test_every_lua_file_is_a_known_script() -> None:
    """No verb is forgotten in SCRIPTS and none is named that is not there."""
    there = {path.name.removesuffix(".lua") for path in files("lua").iterdir() if path.name.endswith(".lua")}

    assert there == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_header_says_keys_arguments_and_reply(name: str) -> None:
    """Each script states its contract, and its first code line takes exactly the keys of its header."""
    script = load_script(name)

    for section in ("-- KEYS ", "-- ARGV ", "-- REPLY"):
        assert section in script.source
    assert "@include" not in script.source
    named = re.search(r"^local ([\w,\s]+?) = unpack\(KEYS\)$", script.source, re.MULTILINE)
    if named:
        assert [part.removesuffix("_key") for part in re.split(r",\s+", named.group(1))] == list(script.parts)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_write_is_committed_with_an_undo(name: str) -> None:
    """No script writes but through commit(), which takes back what it did when a later write is refused."""
    source = (files("lua") / f"{name}.lua").read_text()
    called = set(re.findall(r"redis\.call\('(\w+)'", source))

    reads = {"HMGET", "HGET", "GET", "XLEN", "EXISTS", "XINFO", "HGETALL", "TIME", "ZCOUNT"}
    assert called <= reads | {"HRANDFIELD", "HLEN", "ZCARD"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-- KEYS stock\nreturn 1", "#!lua"),
        ("#!lua\nreturn 1", "KEYS"),
        ("#!lua\n-- KEYS stock sotck\n", "sotck"),
        ("#!lua\n-- KEYS stock\n--- @include clock clock\n", "twice"),
        ("#!lua\n-- KEYS stock\n--- @include nothing\n", "lib/nothing.lua"),
    ],
)
def test_a_malformed_script_is_refused_with_its_name(text: str, says: str) -> None:
    """A script without header, with an unknown key part, a doubled or a missing include never loads."""
    with pytest.raises(ScriptError, match=re.escape(says)):
        parse_script("broken", text)


def test_all_keys_of_a_shard_share_one_hash_tag() -> None:
    """Every key of a call hashes to one cluster slot: the tag is <campaign>/<shard>, as the contract fixes it."""
    shard = Shard(CampaignId("flash-1"), 3)

    assert all(shard.key(part) == f"fc:{{flash-1/3}}:{part}" for part in PARTS)
    assert Shard.parse(str(shard)) == shard


@pytest.mark.parametrize("text", ["", "flash", "/1", "flash/", "flash/x", "flash/-1"])
def test_a_malformed_shard_is_refused(text: str) -> None:
    """Only <campaign>/<number> is a shard."""
    with pytest.raises(ValueError, match="not a shard"):
        Shard.parse(text)


def test_a_holder_always_falls_on_the_same_shard() -> None:
    """The shard of a holder is a fixed function: these values may never change, or limits would be counted twice."""
    campaign = CampaignId("c")

    assert [shard_of(campaign, HolderId(f"user-{n}"), 8).number for n in range(8)] == [2, 4, 6, 0, 3, 5, 7, 1]
    assert shard_of(campaign, HolderId("anybody"), 1).number == 0


def test_the_idempotency_hash_tells_key_and_payload_apart() -> None:
    """8 characters follow the key alone, 4 the payload alone; both are the width a holder's record has."""
    assert (len(key_hash("k1")), len(payload_hash(b"{}"))) == (8, 4)
    assert key_hash("k1") != key_hash("k2")
    assert payload_hash(b"{}") != payload_hash(b'{"channel":"app"}')
