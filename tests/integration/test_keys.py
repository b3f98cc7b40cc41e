"""API keys: what is kept of them, how long a revoked one works, and what tells a wrong one."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import psycopg
import pytest

import gateway.keys
from gateway.errors import Refusal
from gateway.keys import ApiKey, InvalidKey, KeyRing, create_key, key_id, list_keys, make_key, revoke_key
from tests.integration.campaigning import open_pool

Connection = psycopg.AsyncConnection[Any]


@pytest.fixture
async def owner(postgres_url: str) -> AsyncIterator[Connection]:
    """The command line's connection."""
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Any]:
    """A worker's pool."""
    async with open_pool(postgres_url) as pool:
        yield pool


async def is_refused(ring: KeyRing, text: str) -> bool:
    """Does *ring* refuse *text* as unauthenticated?"""
    try:
        await ring.authenticate(text)
    except Refusal as refusal:
        return refusal.code == "unauthenticated"
    return False


def test_a_key_has_its_form() -> None:
    """fck_, an id, 256 bits of secret and a checksum; no two are alike."""
    made = [make_key() for _ in range(100)]

    assert len({key.text for key in made}) == len({key.id for key in made}) == 100
    assert {len(key.text) for key in made} == {4 + 8 + 1 + 52 + 6}
    assert all(key_id(key.text) == key.id for key in made)


def test_every_mistyped_character_is_found_by_the_checksum() -> None:
    """One wrong character anywhere, a swap, a cut or an addition is no key, without asking anybody."""
    text = make_key().text

    for at in range(len(text)):
        for character in "a7z0f_":
            if character != text[at]:
                assert key_id(text[:at] + character + text[at + 1 :]) is None
    assert key_id(text[:-1]) is None
    assert key_id(text + "a") is None
    assert key_id(text + "\n") is None
    assert key_id(text.upper()) is None
    assert key_id("") is None


async def test_only_a_hash_is_kept(owner: Connection, pool: Any) -> None:
    """The text of a key is nowhere in Postgres, and the key works."""
    made = await create_key(owner, "till 7", "store", "cli")

    key = await KeyRing(pool, 2).authenticate(made.text)

    assert key == ApiKey(made.id, "till 7", "store")
    secret = made.text.split("_")[2]
    for table in ("api_keys", "audit_log"):
        stored = await (await owner.execute(f"SELECT t::text FROM {table} t".encode())).fetchall()
        assert stored
        assert secret not in str(stored)
    (row,) = await (await owner.execute("SELECT digest FROM api_keys")).fetchall()
    assert bytes(row[0]) == made.digest


async def test_unknown_wrong_and_revoked_keys_are_told_alike(owner: Connection, pool: Any) -> None:
    """Whoever presents a key that is not good learns nothing but that."""
    good, unknown, revoked = await create_key(owner, "a", "admin", "cli"), make_key(), make_key()
    revoked = await create_key(owner, "b", "admin", "cli")
    assert await revoke_key(owner, revoked.id, "cli")
    body = f"fck_{good.id}_{unknown.text.split('_')[2][:52]}"
    forged = body + gateway.keys._checksum(body)
    ring, details = KeyRing(pool, 2), set()
    assert key_id(forged) == good.id

    for text in (unknown.text, revoked.text, forged, "fck_nonsense", "fck_", "x" * 10_000):
        with pytest.raises(Refusal) as refused:
            await ring.authenticate(text)
        details.add((refused.value.code, refused.value.detail))

    assert details == {("unauthenticated", "This API key is not valid.")}
    assert (await ring.authenticate(good.text)).id == good.id


async def test_secrets_are_compared_in_constant_time(
    owner: Connection, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every decision goes through hmac.compare_digest, also for an id that is not there."""
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def noted(left: Any, right: Any) -> bool:
        compared.append((left, right))
        return real(left, right)

    monkeypatch.setattr(gateway.keys, "compare_digest", noted)
    made, unknown, ring = await create_key(owner, "a", "admin", "cli"), make_key(), KeyRing(pool, 2)

    await ring.authenticate(made.text)
    assert (made.digest, made.digest) in compared
    assert await is_refused(ring, unknown.text)
    assert compared[-1] == (bytes(32), unknown.digest)


async def test_a_revoked_key_stops_working_within_the_cache_time(owner: Connection, pool: Any) -> None:
    """A key works at once, and no longer than the cache time after it is revoked; without a cache not at all."""
    made = await create_key(owner, "a", "finance", "cli")
    cached, uncached = KeyRing(pool, 0.5), KeyRing(pool, 0)
    await cached.authenticate(made.text)
    await uncached.authenticate(made.text)

    began = monotonic()
    assert await revoke_key(owner, made.id, "boss")

    assert await is_refused(uncached, made.text)
    asked_at = began
    while not await is_refused(cached, made.text):
        assert asked_at < began + 0.5, "whoever asks after the cache time is refused"
        await asyncio.sleep(0.02)
        asked_at = monotonic()
    actions = await (await owner.execute("SELECT action, actor FROM audit_log ORDER BY id")).fetchall()
    assert actions == [("key.created", "cli"), ("key.revoked", "boss")]


async def test_a_rush_of_requests_asks_postgres_once(owner: Connection, pool: Any) -> None:
    """Within the cache time an answer is believed, so a key costs one look-up and not one a request."""
    made, ring = await create_key(owner, "a", "store", "cli"), KeyRing(pool, 60)
    await ring.authenticate(made.text)
    before = pool.get_stats().get("requests_num", 0)

    for _ in range(50):
        await ring.authenticate(made.text)

    assert pool.get_stats().get("requests_num", 0) == before


async def test_keys_are_listed_without_what_proves_them(owner: Connection) -> None:
    """Oldest first, revoked ones too; revoking again or one that is not there changes nothing."""
    first = await create_key(owner, "a", "admin", "cli")
    second = await create_key(owner, "b", "auditor", "cli")
    await revoke_key(owner, first.id, "cli")
    since = (await list_keys(owner))[0].revoked_at

    assert await revoke_key(owner, first.id, "cli")
    assert not await revoke_key(owner, "nosuchid", "cli")

    listed = await list_keys(owner)
    assert [(key.id, key.name, key.role, key.created_by) for key in listed] == [
        (first.id, "a", "admin", "cli"),
        (second.id, "b", "auditor", "cli"),
    ]
    assert (listed[0].revoked_at, listed[1].revoked_at) == (since, None)
    assert since is not None


@pytest.mark.parametrize(
    ("name", "role", "field"), [("a", "root", "role"), ("", "admin", "name"), ("\x00", "admin", "name")]
)
async def test_a_key_that_can_not_be_made_names_the_field(owner: Connection, name: str, role: str, field: str) -> None:
    """The field and what is allowed there; nothing is written."""
    with pytest.raises(InvalidKey, match=f"^{field}: "):
        await create_key(owner, name, role, "cli")

    assert await list_keys(owner) == []


async def test_without_postgres_a_key_is_neither_good_nor_bad(owner: Connection, postgres_url: str) -> None:
    """not_ready, not unauthenticated; and an answer is not believed for longer because nobody can be asked."""
    made = await create_key(owner, "a", "admin", "cli")
    async with open_pool(postgres_url) as pool:
        ring = KeyRing(pool, 0)
        await ring.authenticate(made.text)

    with pytest.raises(Refusal) as refused:
        await ring.authenticate(made.text)

    assert refused.value.code == "not_ready"
