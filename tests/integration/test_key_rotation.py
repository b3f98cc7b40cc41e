"""Keys in a file, changed while they are in use: what is good goes on, what is gone is refused, nothing is let slip."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic

import httpx2
import pytest

from gateway import key_file
from gateway.app import create_app
from gateway.cli.output import USAGE
from gateway.environment import load_settings
from gateway.errors import Refusal
from gateway.key_file import FILE_BYTES_MAX, read_keys, signing_keys
from gateway.settings import SettingError, Settings
from gateway.tickets import Tickets
from gateway.tokens import mint_token
from tests.conftest import ON_VALKEY, Eventually
from tests.http import Worker
from tests.integration.stacks import fairclaim

SECRETS = {kid: f"the secret of {kid}: ".ljust(40, kid[-1]).encode() for kid in ("k1", "k2", "k3")}


def text_of(*kids: str) -> str:
    """A key file's text."""
    return "".join(f"{kid}={SECRETS[kid].decode()}\n" for kid in kids)


def put(file: Path, text: str) -> None:
    """Replace the file at once, as docs/settings.md says."""
    other = file.with_suffix(".new")
    other.write_text(text)
    other.replace(file)


def take_away(file: Path) -> None:
    """Remove the file."""
    file.unlink()


def bearer(kid: str, holder: str = "ann") -> dict[str, str]:
    """The Authorization header with a token signed with *kid*."""
    token = mint_token(
        {kid: SECRETS[kid]}, holder, audience="fairclaim", issuer="fairclaim", ttl_s=600, now_s=time.time()
    )
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A key file with k1."""
    file = tmp_path / "keys"
    put(file, text_of("k1"))
    return file


@pytest.fixture
async def rotating(redis_url: str, postgres_url: str, tmp_path: Path, file: Path) -> AsyncIterator[Worker]:
    """A worker whose keys are in the file, with a campaign."""
    async with Worker(redis_url, postgres_url, tmp_path, jwt_keys="", jwt_keys_file=str(file)) as worker:
        await worker.publish()
        yield worker


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file every few milliseconds."""
    monkeypatch.setattr(key_file, "LOOK_EVERY_S", 0.02)


async def status(worker: Worker, headers: dict[str, str]) -> int:
    """What a holder with *headers* gets for his claims."""
    return (await worker.http.get("/v1/campaigns/flash/claims/mine", headers=headers)).status_code


async def ticket(worker: Worker, kid: str, holder: str = "ann") -> dict[str, str]:
    """The Authorization header with a ticket, got with a token signed with *kid*."""
    given = await worker.http.post("/v1/campaigns/flash/tickets", headers=bearer(kid, holder))
    assert given.status_code == 201, given.text
    return {"Authorization": f"Bearer {given.json()['ticket']}"}


async def claim(worker: Worker, headers: dict[str, str], key: str = "k") -> httpx2.Response:
    """A claim with *headers*."""
    return await worker.http.post("/v1/campaigns/flash/claims", headers={**headers, "Idempotency-Key": key})


def errors_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged as an error about the keys."""
    return [each for each in caplog.records if each.name == key_file.log.name and each.levelno == logging.ERROR]


def becomes(worker: Worker, headers: dict[str, str], wanted: int) -> Callable[[], object]:
    """A condition: these headers are answered with *wanted*."""

    async def check() -> bool:
        return await status(worker, headers) == wanted

    return check


Change = tuple[Path, str, Callable[[], object]]
"""A file, its new text, and what is so once that is known."""


async def takes_two_seconds(eventually: Eventually, change: Change, back: Change) -> None:
    """*change* is known after two seconds at most. Where the machine stood still meanwhile, once more, after *back*."""
    took_s = [await took(eventually, *change)]
    while took_s[-1] > 2.0 and len(took_s) < 4:
        await took(eventually, *back)
        took_s.append(await took(eventually, *change))
    assert took_s[-1] <= 2.0, took_s


async def took(eventually: Eventually, file: Path, text: str, known: Callable[[], object]) -> float:
    """The seconds from the *text* in the *file* to its being *known*."""
    put(file, text)
    began = monotonic()
    await eventually(known)
    return monotonic() - began


@ON_VALKEY
async def test_a_new_key_is_known_within_two_seconds(rotating: Worker, file: Path, eventually: Eventually) -> None:
    """A kid added to the file is accepted 2 s later at the latest, and not before it is there."""
    assert await status(rotating, bearer("k2")) == 401
    known, unknown = becomes(rotating, bearer("k2"), 200), becomes(rotating, bearer("k2"), 401)

    await takes_two_seconds(eventually, (file, text_of("k1", "k2"), known), (file, text_of("k1"), unknown))
    assert await status(rotating, bearer("k1")) == 200
    assert await status(rotating, bearer("k3")) == 401


@ON_VALKEY
async def test_a_removed_key_is_refused_although_its_tokens_were_known(
    rotating: Worker, file: Path, eventually: Eventually
) -> None:
    """Within 2 s a token in the cache and a ticket of a kid that is gone are 401; a good one replays their claim."""
    token, by_ticket = bearer("k1"), await ticket(rotating, "k1")
    won = await claim(rotating, by_ticket)
    assert (won.status_code, await status(rotating, token)) == (201, 200)
    assert rotating.services.credentials.tokens.remembered > 0
    gone, known = becomes(rotating, token, 401), becomes(rotating, token, 200)

    await takes_two_seconds(eventually, (file, text_of("k2"), gone), (file, text_of("k2", "k1"), known))
    assert [(await claim(rotating, each)).status_code for each in (token, by_ticket)] == [401, 401]
    replayed = await claim(rotating, await ticket(rotating, "k2"))
    assert (replayed.status_code, replayed.content) == (200, won.content)


@ON_VALKEY
@pytest.mark.usefixtures("often")
async def test_nobody_is_refused_while_keys_change_in_the_documented_order(
    rotating: Worker, file: Path, eventually: Eventually
) -> None:
    """Old tokens and tickets in use throughout, new ones as soon as they exist: not one false 401 in three steps."""
    old = [bearer("k1"), await ticket(rotating, "k1")]
    in_use, answered, over = [*old], [0], asyncio.Event()

    async def holder() -> None:
        while not over.is_set():
            for headers in in_use:
                assert (await claim(rotating, headers)).status_code in (200, 201)
                answered[0] += 1
            await asyncio.sleep(0)

    async def used_again() -> None:
        reached = answered[0] + 20
        await eventually(lambda: answered[0] >= reached)

    holders = [asyncio.create_task(holder()) for _ in range(4)]
    put(file, text_of("k1", "k2"))
    await eventually(becomes(rotating, bearer("k2"), 200))
    in_use += [bearer("k2")]
    await used_again()
    put(file, text_of("k2", "k1"))
    await eventually(lambda: _mints_with(rotating, "k2"))
    in_use += [await ticket(rotating, "k2")]
    await used_again()
    del in_use[:2]
    await used_again()
    put(file, text_of("k2"))
    await eventually(becomes(rotating, old[0], 401))
    await used_again()
    over.set()
    await asyncio.gather(*holders)

    assert [(await claim(rotating, headers)).status_code for headers in old] == [401, 401]


async def _mints_with(worker: Worker, kid: str) -> bool:
    """Whether a ticket got now would be good if *kid* were the only key."""
    made = (await ticket(worker, kid))["Authorization"].removeprefix("Bearer ")
    try:
        return Tickets({kid: SECRETS[kid]}, 5).verify(made, "flash", time.time()) == "ann"
    except Refusal:
        return False


@ON_VALKEY
@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "k2=short-secret",
        "only-a-secret-but-a-very-long-one-without-kid==",
        f"{text_of('k2')}{text_of('k2')}",
    ],
)
async def test_a_malformed_file_leaves_the_keys_as_they_were(
    rotating: Worker, file: Path, text: str, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    """An error is logged once, without a secret; the old keys work on; a good content is taken as soon as it comes."""
    with caplog.at_level(logging.INFO, "fairclaim.keys"):
        put(file, text)
        await eventually(lambda: errors_of(caplog))
        assert await status(rotating, bearer("k1")) == 200
        put(file, text_of("k2"))
        await eventually(becomes(rotating, bearer("k2"), 200))

    assert len(errors_of(caplog)) == 1
    logged = " ".join(str(vars(record)) for record in caplog.records)
    for secret in ("short-secret", "only-a-secret", *(key.decode() for key in SECRETS.values())):
        assert secret not in logged
    assert str(file) in logged


@ON_VALKEY
@pytest.mark.usefixtures("often")
async def test_a_file_that_is_away_leaves_the_keys_as_they_were(
    rotating: Worker,
    file: Path,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Removed and put back with other keys: the old ones work meanwhile, it is said once, then the new ones work."""
    looks, look = [], key_file._stamp

    def counted(path: Path) -> object:
        looks.append(path)
        return look(path)

    monkeypatch.setattr(key_file, "_stamp", counted)
    take_away(file)
    await eventually(lambda: errors_of(caplog))
    seen = len(looks)
    await eventually(lambda: len(looks) > seen + 5)

    assert await status(rotating, bearer("k1")) == 200
    assert len(errors_of(caplog)) == 1
    put(file, text_of("k3"))
    await eventually(becomes(rotating, bearer("k3"), 200))
    assert await status(rotating, bearer("k1")) == 401


@pytest.mark.parametrize(
    ("data", "kids"),
    [
        (b"a=%s\nb=%s\n", ["a", "b"]),
        (b"a=%s,b=%s", ["a", "b"]),
        (b"\xef\xbb\xbf  a=%s ,\r\n\r\n\tb=%s,\r\n", ["a", "b"]),
    ],
)
def test_keys_stand_in_lines_or_between_commas(tmp_path: Path, data: bytes, kids: list[str]) -> None:
    """Lines, commas, both; ends of lines of any system, blank lines and blanks around a line are no part of a key."""
    file = tmp_path / "keys"
    file.write_bytes(data % (b"x" * 32, b"y" * 32))

    assert read_keys(file) == dict(zip(kids, (b"x" * 32, b"y" * 32), strict=True))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no key"),
        (b"\xff", "UTF-8"),
        (b"#" * (FILE_BYTES_MAX + 1), "more than"),
        (b"a=b", "key 1"),
        (None, "can't be read"),
    ],
)
def test_a_gateway_does_not_start_without_its_keys(tmp_path: Path, data: bytes | None, says: str) -> None:
    """A key file that is missing or can't be understood ends the start and is named by its setting."""
    file = tmp_path / "keys"
    if data is not None:
        file.write_bytes(data)

    with pytest.raises(SettingError, match=says) as refused:
        create_app(Settings(redis_url="redis://r", postgres_url="postgresql://p", jwt_keys_file=str(file)))
    assert str(refused.value).startswith("FAIRCLAIM_JWT_KEYS_FILE: ")


def test_one_of_the_two_settings_is_needed_and_no_more() -> None:
    """Both set, or for a gateway neither, is refused with both names."""
    both = {"FAIRCLAIM_JWT_KEYS": text_of("k1").strip(), "FAIRCLAIM_JWT_KEYS_FILE": "keys"}
    with pytest.raises(SettingError) as of_both:
        load_settings(both)
    with pytest.raises(SettingError) as of_none:
        create_app(Settings(redis_url="redis://r", postgres_url="postgresql://p"))

    for refused in (of_both, of_none):
        assert all(f"{name} " in f"{refused.value} " for name in both)
    assert signing_keys(load_settings({})) == {}


def test_the_command_line_knows_the_file_too(file: Path, tmp_path: Path) -> None:
    """`token` signs with the file's first key; `serve` without any key, or with a file it can't read, is usage: 2."""
    minted = fairclaim("token", "--holder", "ann", FAIRCLAIM_JWT_KEYS_FILE=str(file))
    servers = {"FAIRCLAIM_REDIS_URL": "redis://r", "FAIRCLAIM_POSTGRES_URL": "postgresql://p"}
    none = fairclaim("serve", **servers)
    missing = fairclaim("serve", **servers, FAIRCLAIM_JWT_KEYS_FILE=str(tmp_path / "nothing"))

    keys = signing_keys(Settings(jwt_keys_file=str(file)))
    assert list(keys) == ["k1"]
    assert minted.returncode == 0
    assert minted.stdout.count(".") == 2
    for ran in (none, missing):
        assert (ran.returncode, ran.stdout) == (USAGE, "")
        assert "FAIRCLAIM_JWT_KEYS_FILE" in ran.stderr
