"""Passwords: what one may be, what is kept of it, and that checking takes as long where there is nobody."""

import asyncio
import os
import sys
import threading
from typing import Any

import pytest

from gateway.errors import Refusal
from gateway.people import passwords
from gateway.people.passwords import (
    CHECKS_AT_ONCE_MAX,
    COMMON,
    NICE,
    PASSWORD_CHARS_MAX,
    PASSWORD_CHARS_MIN,
    Passwords,
    check_password,
    generate_password,
    hash_password,
    is_password,
)
from gateway.people.person import InvalidUser, Person, read_display, read_name, read_roles

GOOD = "correct horse battery"


@pytest.mark.parametrize(
    "good",
    [
        GOOD,
        "aaaaaaaaaaa ",
        "123456789013",
        "пароль пароль",
        "口令口令口令口令口令口令",
        "x" * 127 + "y",
        "anna-anna-annax",
    ],
)
def test_length_is_all_that_is_asked(good: str) -> None:
    """Words, blanks, digits alone and other scripts are fine from 12 characters to 128."""
    assert check_password(good, "anna", "Anna Lee") == good


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("", "12 to 128"),
        ("a" * 10 + "b", "12 to 128"),
        ("ab" * 64 + "c", "12 to 128"),
        ("e\u0301" * 11, "12 to 128"),
        ("a" * 12, "tried first"),
        ("QWERTY123456", "tried first"),
        ("anna.lee.smith", "the name"),
        ("Anna.Lee.SmithAnna.Lee.Smith", "the name"),
        ("Annabelle Leighton", "the name"),
        ("correct horse\0battery", "nobody can type"),
        ("correct horse \udcff battery", "nobody can type"),
    ],
)
def test_what_is_tried_first_is_refused(bad: str, says: str) -> None:
    """Too short or long, one of the commonest, one character over and over, the name: said without what was typed."""
    with pytest.raises(InvalidUser, match=says) as caught:
        check_password(bad, "anna.lee.smith", "Annabelle Leighton")
    assert not bad or bad not in str(caught.value)


def test_the_common_ones_could_be_typed() -> None:
    """Each one in the list is long enough to be refused for being common, in the form it is compared in."""
    assert len(COMMON) > 100
    assert all(PASSWORD_CHARS_MIN <= len(each) <= PASSWORD_CHARS_MAX and each == each.casefold() for each in COMMON)


def test_only_argon2id_is_kept() -> None:
    """Parameters as stated, a salt of its own each time, and only the same password fits, however it was composed."""
    kept = [hash_password("Caf\u00e9 au lait!") for _ in range(2)]

    assert all(each.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for each in kept)
    assert kept[0] != kept[1]
    assert is_password(kept[0], "Cafe\u0301 au lait!")
    assert not is_password(kept[0], "Cafe au lait!")
    assert not is_password("nonsense", "Cafe au lait!")


def test_generated_ones_are_good_and_differ() -> None:
    """A generated password may be one, is easy to read, and no two are alike."""
    made = [generate_password() for _ in range(200)]

    assert len(set(made)) == 200
    assert all(check_password(each) and len(each) == 29 and not set(each) & set("il1o0") for each in made)


async def test_nobody_takes_as_long_as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no user, and where what was typed can't be anybody's password, exactly one hash is checked too."""
    here, kept = Passwords(), hash_password(GOOD)
    checked: list[str] = []

    def counted(kept: str, password: str) -> bool:
        checked.append(kept)
        return is_password(kept, password)

    monkeypatch.setattr(passwords, "is_password", counted)
    answers = [
        await here.is_password(kept, GOOD),
        await here.is_password(kept, "another one"),
        await here.is_password(None, GOOD),
        await here.is_password(None, ""),
        await here.is_password(kept, GOOD + "x" * 100_000),
    ]
    here.close()

    assert answers == [True, False, False, False, False]
    assert len(checked) == 5
    assert all(each.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for each in checked)


async def test_few_are_checked_at_once_and_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the event loop at most so many are hashed at once; a crowd beyond what may wait is told to come again."""
    here, inside, most = Passwords(), 0, 0
    monkeypatch.setattr(passwords, "CHECKS_WAITING_MAX", 6)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    def slow(kept: str, password: str) -> bool:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        found = is_password(kept, password)
        inside -= 1
        return found

    monkeypatch.setattr(passwords, "is_password", slow)
    ticking = asyncio.create_task(tick())
    answers: list[Any] = await asyncio.gather(*(here.is_password(None, GOOD) for _ in range(8)), return_exceptions=True)
    ticking.cancel()
    here.close()

    assert answers[:6] == [False] * 6
    assert [each.code for each in answers[6:] if isinstance(each, Refusal)] == ["overloaded"] * 2
    assert most <= CHECKS_AT_ONCE_MAX
    assert ticks > 8, "the event loop stood still"


async def test_hashing_stands_back_behind_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The threads that hash have a lower priority than the one that answers claims, which keeps its own. Where threads
    share one, as they do but on Linux, nobody's is changed.
    """
    here, before = Passwords(), os.getpriority(os.PRIO_PROCESS, 0)
    seen: list[int] = []

    def looked(kept: str, password: str) -> bool:
        own = threading.get_native_id() if sys.platform == "linux" else 0
        seen.append(os.getpriority(os.PRIO_PROCESS, own))
        return False

    monkeypatch.setattr(passwords, "is_password", looked)
    await here.is_password(None, GOOD)
    here.close()

    assert seen == [NICE if sys.platform == "linux" else before]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before < NICE


@pytest.mark.parametrize("bad", ["", "Ann", "ann lee", "ann/x", "a" * 65, "ann\n", "änn", "<b>", ".."])
def test_names_that_are_none(bad: str) -> None:
    """A name is 1 to 64 of a few characters, and nothing beside them."""
    with pytest.raises(InvalidUser, match="name"):
        read_name(bad)


def test_display_names_and_roles() -> None:
    """A display name is any printable text; roles come in one order, each once; an unknown one or none is refused."""
    assert read_display(" 李 <b>安</b> ") == "李 <b>安</b>"
    assert read_roles(["store", "admin", "store"]) == ["admin", "store"]
    for display in ("", "  ", "a\nb", "a" * 101):
        with pytest.raises(InvalidUser, match="display"):
            read_display(display)
    for roles in ([], ["root"], ["admin", ""]):
        with pytest.raises(InvalidUser, match="roles"):
            read_roles(roles)


def test_an_admin_may_do_what_every_role_may() -> None:
    """Whoever has one of the roles may, or is admin; where none is asked for, anybody may."""
    ann, bob = Person("ann", ("store", "finance"), "Ann"), Person("bob", ("admin",), "Bob")

    assert [ann.may("finance"), ann.may("marketer"), ann.may(), ann.may("admin")] == [True, False, True, False]
    assert bob.may("finance")
    assert ann.actor == "user:ann"
