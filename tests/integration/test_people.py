"""Users in PostgreSQL: who may sign in, what ends their sessions, and what the audit log says of every change."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from gateway.errors import Refusal
from gateway.people.first import keep_admin
from gateway.people.passwords import Passwords, hash_password
from gateway.people.people import People
from gateway.people.person import InvalidUser, Look, Person
from gateway.people.store import (
    LastAdmin,
    NoUser,
    UserExists,
    create_user,
    find_user,
    list_users,
    set_disabled,
    set_look,
    set_password,
    set_roles,
)
from tests.integration.campaigning import open_pool

Connection = psycopg.AsyncConnection[Any]

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)


@pytest.fixture
async def owner(postgres_url: str) -> AsyncIterator[Connection]:
    """The gateway's role, as the command line has it."""
    options = "-c role=fairclaim_gateway"
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True, options=options) as connection:
        yield connection


@pytest.fixture
async def people(postgres_url: str) -> AsyncIterator[People]:
    """A worker's people."""
    passwords = Passwords()
    async with open_pool(postgres_url) as pool:
        yield People(pool, passwords)
    passwords.close()


async def add(owner: Connection, name: str, *roles: str, must_change: bool = False) -> None:
    """A user who may sign in with PASSWORD."""
    await create_user(owner, name, name.title(), roles or ("finance",), HASH, "test", must_change=must_change)


async def audited(owner: Connection) -> list[tuple[Any, ...]]:
    """The audit log, oldest first."""
    found = await owner.execute("SELECT actor, action, subject, detail FROM audit_log ORDER BY id")
    return await found.fetchall()


async def test_the_right_password_signs_in_and_nothing_else(owner: Connection, people: People) -> None:
    """Name and password together; a disabled user does not, nor a name that PostgreSQL could not even be asked for."""
    await add(owner, "ann", "finance", "auditor", must_change=True)

    known = await people.sign_in("ann", PASSWORD)
    assert known is not None
    assert known.person == Person("ann", ("finance", "auditor"), "Ann")
    assert known.must_change
    assert await people.of_stamp("ann", known.stamp) == known
    assert await people.of_stamp("ann", "") is None
    for name, password in [("ann", PASSWORD + "x"), ("bob", PASSWORD), ("ANN", PASSWORD), ("ann\0", PASSWORD)]:
        assert await people.sign_in(name, password) is None
    await add(owner, "root", "admin")
    await set_disabled(owner, "ann", True, "test")
    assert await people.sign_in("ann", PASSWORD) is None


async def test_what_takes_rights_away_ends_every_session(owner: Connection, people: People) -> None:
    """Other roles, another password, disabling and enabling each give a new stamp; another look does not."""
    await add(owner, "root", "admin")
    await add(owner, "ann")
    stamps: set[str] = set()

    async def ended() -> bool:
        known = await people.sign_in("ann", PASSWORD)
        assert known is not None
        before = len(stamps)
        stamps.add(known.stamp)
        return len(stamps) > before

    assert await ended()
    await set_look(owner, "ann", Look("zh_Hans", "dark", "Asia/Shanghai"), "user:ann")
    assert not await ended()
    await set_roles(owner, "ann", ["store"], "user:root")
    assert await ended()
    await set_password(owner, "ann", HASH, "user:root", must_change=True)
    assert await ended()
    await set_disabled(owner, "ann", True, "user:root")
    await set_disabled(owner, "ann", False, "user:root")
    assert await ended()
    known = await people.sign_in("ann", PASSWORD)
    assert known is not None
    assert known.person.look == Look("zh_Hans", "dark", "Asia/Shanghai")


async def test_every_change_is_in_the_audit_log_without_a_hash(owner: Connection) -> None:
    """Who, what, of whom, and how it was before and after; what changes nothing leaves no line."""
    await add(owner, "root", "admin")
    await add(owner, "ann")
    await set_roles(owner, "ann", ["store", "finance"], "user:root", display="Ann Lee")
    await set_roles(owner, "ann", ["finance", "store"], "user:root")
    await set_password(owner, "ann", HASH, "user:root", must_change=True)
    await set_disabled(owner, "ann", True, "user:root")
    await set_disabled(owner, "ann", True, "user:root")
    await set_disabled(owner, "ann", False, "user:root")
    await set_look(owner, "ann", Look(theme="dark"), "user:ann")
    await set_look(owner, "ann", Look(theme="dark"), "user:ann")

    lines = await audited(owner)
    made = {"display": "Ann", "roles": ["finance"], "must_change": False}
    assert lines[1:] == [
        ("test", "user.created", "user:ann", {"before": None, "after": made}),
        (
            *("user:root", "user.roles_changed", "user:ann"),
            {
                "before": {"roles": ["finance"], "display": "Ann"},
                "after": {"roles": ["store", "finance"], "display": "Ann Lee"},
            },
        ),
        (
            *("user:root", "user.password_changed", "user:ann"),
            {"before": {"must_change": False}, "after": {"must_change": True}},
        ),
        ("user:root", "user.disabled", "user:ann", {"before": {"disabled": False}, "after": {"disabled": True}}),
        ("user:root", "user.enabled", "user:ann", {"before": {"disabled": True}, "after": {"disabled": False}}),
        (
            *("user:ann", "user.look_changed", "user:ann"),
            {
                "before": {"language": "", "theme": "", "zone": ""},
                "after": {"language": "", "theme": "dark", "zone": ""},
            },
        ),
    ]
    assert "argon2" not in str(lines)


async def test_the_last_admin_stays(owner: Connection) -> None:
    """Neither his role nor he himself can be taken away while nobody else may administer; who is disabled may not."""
    await add(owner, "root", "admin", "finance")
    await add(owner, "ann", "admin")
    await set_disabled(owner, "ann", True, "test")

    with pytest.raises(LastAdmin):
        await set_roles(owner, "root", ["finance"], "test")
    with pytest.raises(LastAdmin):
        await set_disabled(owner, "root", True, "test")
    await set_disabled(owner, "ann", False, "test")
    await set_roles(owner, "root", ["finance"], "test")

    assert (await find_user(owner, "root")).roles == ("finance",)


async def test_a_user_that_can_t_be(owner: Connection) -> None:
    """A name twice, a bad field, a user that is not there: each is told, and nothing is written."""
    await add(owner, "ann", "admin")

    with pytest.raises(UserExists):
        await add(owner, "ann")
    with pytest.raises(InvalidUser, match="roles"):
        await create_user(owner, "bob", "Bob", ["root"], HASH, "test", must_change=True)
    with pytest.raises(InvalidUser, match="theme"):
        await set_look(owner, "ann", Look(theme="pink"), "test")
    with pytest.raises(NoUser):
        await set_roles(owner, "bob", ["admin"], "test")
    with pytest.raises(NoUser):
        await set_look(owner, "bob", Look(), "test")
    assert len(await audited(owner)) == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await owner.execute("DELETE FROM users")


async def test_users_are_listed_by_name_and_found_by_a_part(owner: Connection) -> None:
    """A part of the name or the display name in any case, a role, a page from behind a name; no hash, no stamp."""
    for name, role in [("cleo", "store"), ("ann", "admin"), ("bob", "store")]:
        await add(owner, name, role)

    assert [user.name for user in await list_users(owner)] == ["ann", "bob", "cleo"]
    assert [user.name for user in await list_users(owner, text="LEO")] == ["cleo"]
    assert [user.name for user in await list_users(owner, text="%")] == []
    assert [user.name for user in await list_users(owner, role="store", limit=1)] == ["bob"]
    assert [user.name for user in await list_users(owner, role="store", after=("", "bob"))] == ["cleo"]
    assert "argon2" not in str(await list_users(owner))


async def test_up_makes_one_admin_and_knows_him_again(owner: Connection) -> None:
    """Only where there is nobody; afterwards it says whether the password it has still lets him in."""
    assert await keep_admin(owner, PASSWORD, "up") == ("admin", True, True)
    assert await keep_admin(owner, PASSWORD, "up") == ("admin", False, True)
    await set_password(owner, "admin", hash_password("another password"), "user:admin", must_change=False)
    assert await keep_admin(owner, PASSWORD, "up") == ("admin", False, False)
    assert [user.name for user in await list_users(owner)] == ["admin"]


async def test_people_need_the_books(postgres_url: str) -> None:
    """Where PostgreSQL does not answer nobody is told that his password is wrong."""
    passwords = Passwords()
    async with open_pool(postgres_url.replace("@127.0.0.1:", "@127.0.0.1:1"), wait_s_max=1) as pool:
        with pytest.raises(Refusal) as caught:
            await People(pool, passwords).sign_in("ann", PASSWORD)
    passwords.close()

    assert caught.value.code == "not_ready"
